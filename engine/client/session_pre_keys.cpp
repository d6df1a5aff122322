#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "engine/client/pre_key_upload.hpp"
#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"

/// One-time pre-keys: how many the server has, making and uploading more, and what its digest of
/// them says of what is stored here.
/// Source: docs/protocol/connection.md, "Pre-keys".
namespace wa::client {
namespace {

/// What the server has of ours.
struct Digest {
  std::uint64_t count = 0;
  std::uint32_t last_id = 0;
};

std::optional<Digest> read_digest(const wire::Node& answer) {
  const wire::Node* digest = answer.child("digest");
  const wire::Node* list = digest ? digest->child("list") : nullptr;
  if (!list) return std::nullopt;
  Digest read;
  for (const wire::Node& id : list->children()) {
    if (id.tag != "id" || id.bytes().size() != 3) continue;
    ++read.count;
    read.last_id = std::max(read.last_id, static_cast<std::uint32_t>(read_big_endian(id.bytes())));
  }
  return read;
}

}  // namespace

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
  std::visit(Overloaded{
                 [&](const LoginSequence::AskDigest&) {
                   query(Purpose::pre_key_digest, "encrypt", "get", "digest");
                 },
                 [&](const LoginSequence::AskCount&) {
                   query(Purpose::pre_key_count, "encrypt", "get", "count");
                 },
                 [&](const LoginSequence::MakeKeys& make) {
                   connection_->wanted_keys = make.count;
                   !make.renew && credentials_->offered_to != 0 ? load_offered_keys() : make_keys();
                 },
                 [&](const LoginSequence::StoreAndUpload&) { store_and_upload(); },
                 [&](const LoginSequence::MarkUploaded&) {
                   credentials_->uploaded_pre_key_id = credentials_->offered_to;
                   credentials_->offered_from = credentials_->offered_to = 0;
                   store_credentials(kPointUploaded);
                 },
                 [&](const LoginSequence::SendActive&) {
                   query(Purpose::passive_active, "passive", "set", "active");
                 },
             },
             action);
}

/// An answer without a digest is one of a server that has no keys, or knows no digests.
void Session::Impl::on_digest_answered(const wire::Node* answer) {
  const bool accepted = answer && answer->attr("type") == "result";
  const auto digest = accepted ? read_digest(*answer) : std::nullopt;
  const bool ahead = digest && digest->last_id >= credentials_->next_pre_key_id;
  if (ahead) {
    // Ids that the server knows are never given to other keys.
    credentials_->next_pre_key_id = digest->last_id + 1;
    tell_messenger(messaging::StoreIsOld{"pre_keys"});
  }
  begin_talking();
  run_login(
      LoginSequence::DigestAnswered{digest ? std::optional(digest->count) : std::nullopt, ahead});
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
  run_login(LoginSequence::KeysMade{});
}

void Session::Impl::store_and_upload() {
  std::vector<OfferedKey> offered = std::exchange(connection_->offered_keys, {});
  if (offered.empty()) {
    const auto keys = std::exchange(connection_->made_keys, {});
    const std::uint32_t first_id = credentials_->next_pre_key_id;
    const auto count = static_cast<std::uint32_t>(keys.size());
    if (count == 0 || count > kLargestPreKeyId + 1 - first_id) {
      report(Report::Level::warning, "no pre-key ids are left");
      return run_login(LoginSequence::UploadAnswered{false});
    }
    // The ids are used up before anybody can learn of them: a crash may waste some, never repeat
    // one. Until the server has confirmed the upload, these are the keys that it is offered.
    credentials_->next_pre_key_id = first_id + count;
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

}  // namespace wa::client
