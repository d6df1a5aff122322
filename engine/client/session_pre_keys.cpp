#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "engine/client/pre_key_upload.hpp"
#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"
#include "engine/messaging/stanzas.hpp"

/// What the server has of our keys: one-time pre-keys, of which it is to have enough, what its
/// digest of them says of what is stored here, and the signed one, which is replaced now and then.
/// Source: docs/protocol/connection.md, "Pre-keys".
namespace wa::client {
namespace {

using wire::NodeBuilder;

constexpr std::size_t kMostRetiredKeys = 8;
/// Half a minute is long when strangers cannot write to us.
constexpr int kSlowestUpload = 30;

/// The ids of the keys that the server has of ours.
std::optional<std::vector<std::uint32_t>> read_digest(const wire::Node& answer) {
  const wire::Node* digest = answer.child("digest");
  const wire::Node* list = digest ? digest->child("list") : nullptr;
  if (!list) return std::nullopt;
  std::vector<std::uint32_t> ids;
  for (const wire::Node& id : list->children()) {
    if (id.tag != "id" || id.bytes().size() != 3) continue;
    ids.push_back(static_cast<std::uint32_t>(read_big_endian(id.bytes())));
  }
  return ids;
}

/// Whether a key was made when `next` was not. Behind the largest id they begin anew, so what is
/// far ahead is behind.
bool is_ahead(std::uint32_t id, std::uint32_t next) {
  return ((id - next) & kLargestPreKeyId) <= kLargestPreKeyId / 2;
}

}  // namespace

// ---- one-time keys --------------------------------------------------------------------------

void Session::Impl::run_login(const LoginSequence::Event& event) {
  for (const auto& action : connection_->login.step(event)) perform(action);
}

void Session::Impl::perform(const LoginSequence::Action& action) {
  const auto query = [this](Purpose purpose, std::string_view xmlns, std::string_view type,
                            std::string_view child_tag) {
    const std::string id = connection_->open_request(purpose, now_);
    const wire::Value server = wire::JidView{.user = {}, .server = wire::kServerPn};
    const wire::Attribute attributes[] = {
        {"to", server}, {"type", type}, {"xmlns", xmlns}, {"id", id}};
    const wire::Node child[] = {{child_tag, {}, {}}};
    send(wire::Node{"iq", attributes, std::span<const wire::Node>(child)});
  };
  const auto rows = Overloaded{
      [&](const LoginSequence::AskDigest&) {
        query(Purpose::pre_key_digest, "encrypt", "get", "digest");
      },
      [&](const LoginSequence::AskCount&) {
        query(Purpose::pre_key_count, "encrypt", "get", "count");
      },
      [&](const LoginSequence::NoteOwed&) { note_owed_keys(); },
      [&](const LoginSequence::MakeKeys& make) {
        connection_->wanted_keys = make.count;
        !make.renew && credentials_->offered_to != 0 ? load_offered_keys() : make_keys();
      },
      [&](const LoginSequence::StoreAndUpload&) { store_and_upload(); },
      [&](const LoginSequence::RetryLater& later) { upload_again_later(later.failures); },
      [&](const LoginSequence::MarkUploaded& mark) { keys_uploaded(mark.enough); },
      [&](const LoginSequence::SendActive&) {
        query(Purpose::passive_active, "passive", "set", "active");
      },
  };
  std::visit(rows, action);
}

/// An answer without a digest is one of a server that has no keys, or knows no digests.
void Session::Impl::on_digest_answered(const wire::Node* answer) {
  const bool accepted = answer && answer->attr("type") == "result";
  const auto digest = accepted ? read_digest(*answer) : std::nullopt;
  LoginSequence::DigestAnswered answered;
  if (digest) {
    answered.count = digest->size();
    const bool arrived = std::ranges::any_of(*digest, [this](std::uint32_t id) {
      return id >= credentials_->offered_from && id <= credentials_->offered_to;
    });
    if (arrived) keys_uploaded(false);
    for (const std::uint32_t id : *digest) {
      if (!is_ahead(id, credentials_->next_pre_key_id)) continue;
      // Ids that the server knows are never given to other keys.
      credentials_->next_pre_key_id = id + 1;
      answered.renew = true;
    }
  }
  if (answered.renew) tell_messenger(messaging::StoreIsOld{"pre_keys"});
  begin_talking();
  run_login(answered);
}

/// The server's stock is to be filled up, whatever becomes of this connection or process.
void Session::Impl::note_owed_keys() {
  if (credentials_->pre_keys_owed) return;
  credentials_->pre_keys_owed = true;
  store_credentials(kPointKeysLow);
}

void Session::Impl::make_keys() {
  connection_->key_job = next_job_id_++;
  const auto seed = random_.array<32>();
  actions_.push_back(Compute{*connection_->key_job, MakePreKeys{seed, connection_->wanted_keys}});
}

/// Those of the last upload, unless somebody has used them since: perhaps the server did get it.
void Session::Impl::load_offered_keys() {
  std::vector<RecordKey> keys;
  for (std::uint32_t id = first_offered(); id <= credentials_->offered_to; ++id) {
    keys.push_back({std::string(kPreKeyKind), std::to_string(id)});
  }
  connection_->offered_load = kOwnLoads | next_load_id_++;
  actions_.push_back(Load{*connection_->offered_load, std::move(keys)});
}

std::uint32_t Session::Impl::first_offered() const {
  const std::uint32_t last = credentials_->offered_to;
  return std::max(credentials_->offered_from, last > kMostPreKeys ? last - kMostPreKeys + 1 : 1);
}

void Session::Impl::on_offered_keys(const std::vector<std::optional<Bytes>>& records) {
  connection_->offered_load.reset();
  connection_->offered_keys.clear();
  std::uint32_t id = first_offered();
  for (const std::optional<Bytes>& record : records) {
    const auto pair = record ? messaging::decode_pre_key(*record) : Error{Errc::not_found, ""};
    if (pair) connection_->offered_keys.push_back({id, pair->public_key});
    ++id;
  }
  if (connection_->offered_keys.empty()) return make_keys();
  run_login(LoginSequence::KeysMade{static_cast<std::uint32_t>(connection_->offered_keys.size())});
}

void Session::Impl::store_and_upload() {
  std::vector<OfferedKey> offered = std::exchange(connection_->offered_keys, {});
  if (offered.empty()) {
    const auto keys = std::exchange(connection_->made_keys, {});
    const auto count = static_cast<std::uint32_t>(keys.size());
    // The ids are used up before anybody can learn of them: a crash may waste some, never repeat
    // one. Until the server has confirmed the upload, these are the keys that it is offered.
    const std::uint32_t first_id = credentials_->take_pre_key_ids(count);
    credentials_->offered_from = first_id;
    credentials_->offered_to = first_id + count - 1;
    std::vector<Change> changes;
    put_pre_keys(first_id, keys, changes);
    end_old_pre_keys(first_id, count, changes);
    store_credentials(kPointPreKeys, std::move(changes));
    for (std::uint32_t i = 0; i < count; ++i) offered.push_back({first_id + i, keys[i].public_key});
  }
  const std::string id = connection_->open_request(Purpose::pre_key_upload, now_);
  const PreKeyUpload upload(id, *credentials_, offered);
  send(upload.node());
}

void Session::Impl::upload_again_later(std::uint32_t failures) {
  const Duration first = config_.timings.backoff_first;
  const int factor = failures < 6 ? std::min(1 << (failures - 1), kSlowestUpload) : kSlowestUpload;
  connection_->upload_again_at = now_.mono + first * factor;
}

void Session::Impl::keys_uploaded(bool enough) {
  if (credentials_->offered_to != 0) credentials_->uploaded_pre_key_id = credentials_->offered_to;
  credentials_->offered_from = credentials_->offered_to = 0;
  if (enough) credentials_->pre_keys_owed = false;
  store_credentials(kPointUploaded);
}

// ---- the signed key -------------------------------------------------------------------------

void Session::Impl::plan_rotation() {
  const auto age =
      std::chrono::milliseconds(server_time().value - credentials_->signed_pre_key_at->value);
  const Duration left = config_.timings.signed_pre_key - std::max(Duration(age), Duration(0));
  connection_->rotate_at = now_.mono + std::max(left, Duration(0));
}

/// What was sent to the server may have arrived even if its answer did not: the same key is sent
/// until one comes, and messages that name it can be read.
void Session::Impl::rotate_signed_key() {
  if (!credentials_->next_signed_pre_key) {
    const std::uint32_t last = credentials_->signed_pre_key.id;
    credentials_->next_signed_pre_key = make_signed_pre_key(
        credentials_->identity, last == kLargestPreKeyId ? 1 : last + 1, random_);
    store_credentials(kPointRotating);
  }
  connection_->rotate_at = now_.mono + config_.timings.rotation_retry;
  const std::string id = connection_->open_request(Purpose::key_rotation, now_);
  send(NodeBuilder("iq")
           .attr("to", wire::Jid::server_itself())
           .attr("type", "set")
           .attr("xmlns", "encrypt")
           .attr("id", id)
           .child(NodeBuilder("rotate").child(
               messaging::signed_key_node(*credentials_->next_signed_pre_key))));
}

void Session::Impl::signed_key_rotated() {
  if (!credentials_->next_signed_pre_key) return;
  auto& retired = credentials_->retired_signed_pre_keys;
  const std::int64_t kept =
      std::chrono::duration_cast<std::chrono::milliseconds>(config_.timings.retired_pre_key)
          .count();
  std::erase_if(retired,
                [&](const auto& one) { return server_time().value - one.at.value > kept; });
  if (retired.size() == kMostRetiredKeys) retired.erase(retired.begin());
  retired.push_back({credentials_->signed_pre_key, server_time()});
  credentials_->signed_pre_key = *std::exchange(credentials_->next_signed_pre_key, std::nullopt);
  credentials_->signed_pre_key_at = server_time();
  store_credentials(kPointRotated);
  plan_rotation();
}

}  // namespace wa::client
