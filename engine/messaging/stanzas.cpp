#include "engine/messaging/stanzas.hpp"

#include <algorithm>
#include <limits>

#include "engine/messaging/acks.hpp"

namespace wa::messaging {
namespace {

using wire::Jid;
using wire::Node;

constexpr std::size_t kLongestUser = 64;
constexpr std::size_t kLongestName = 256;

std::optional<Jid> bounded_jid(const Node& node, std::string_view key) {
  auto jid = node.jid(key);
  if (!jid || jid->user.size() > kLongestUser || jid->server.size() > kLongestUser) return {};
  return jid;
}

/// A JID of an account, or of one of its devices.
std::optional<Jid> account_jid(const Node& node, std::string_view key) {
  auto jid = bounded_jid(node, key);
  if (!jid || !is_account(*jid)) return std::nullopt;
  return jid;
}

/// Of several attributes the first that names an account.
std::optional<Jid> first_account(const Node& node, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (auto jid = account_jid(node, key)) return jid;
  }
  return std::nullopt;
}

std::string message_id(const Node& node, std::string_view key = "id") {
  std::string id = node.printed(key);
  if (id.size() > limits::kMaxMessageIdChars) id.clear();
  return id;
}

std::optional<UnixMillis> time_of(const Node& node, std::string_view key = "t") {
  constexpr std::uint64_t kLatest = std::numeric_limits<std::int64_t>::max() / 1000;
  const auto seconds = node.number(key);
  if (!seconds || *seconds > kLatest) return std::nullopt;
  return UnixMillis{static_cast<std::int64_t>(*seconds) * 1000};
}

/// A code of an error; 0: there is none.
int code_in(const Node& node, std::string_view key) {
  return static_cast<int>(std::min<std::uint64_t>(node.number(key).value_or(0), 9999));
}

/// The other name of an account must be of the other kind.
std::optional<Jid> other_name(const Jid& of, std::optional<Jid> alias) {
  if (!alias || alias->server == of.server) return std::nullopt;
  return alias->without_device();
}

std::optional<std::uint32_t> big_endian_of(const Node* node, std::size_t bytes) {
  if (!node || node->bytes().size() != bytes) return std::nullopt;
  return static_cast<std::uint32_t>(read_big_endian(node->bytes()));
}

Result<crypto::PublicKey> key_of(const Node& node, std::string_view tag) {
  const Node* child = node.child(tag);
  return crypto::PublicKey::from(child ? child->bytes() : ByteSpan(), tag);
}

Result<std::uint32_t> id_of(const Node& node, std::string_view what) {
  const auto id = big_endian_of(node.child("id"), 3);
  if (!id) return Error{Errc::malformed, std::string(what) + ": no id of 3 bytes"};
  return *id;
}

std::optional<ReceiptKind> kind_of(std::string_view type) {
  if (type.empty()) return ReceiptKind::delivered;
  if (type == "read" || type == "read-self") return ReceiptKind::read;
  if (type == "played" || type == "played-self") return ReceiptKind::played;
  return std::nullopt;
}

/// The nodes of an answer's list, or none.
std::span<const Node> users_of(const Node* list) {
  return list ? list->children() : std::span<const Node>();
}

bool was_asked(const std::vector<Fetch>& asked, const Jid& jid) {
  return std::ranges::find(asked, jid, &Fetch::of) != asked.end();
}

/// Device numbers of a list: companions count with a key index only, the phone always, and first.
std::vector<std::uint16_t> numbers_of(const Node& list) {
  std::vector<std::uint16_t> numbers;
  for (const Node& device : list.children()) {
    const auto number = device.number("id");
    if (device.tag != "device" || !number || *number > 0xffff) continue;
    if (*number != 0 && device.number("key-index").value_or(0) == 0) continue;
    if (device.attr("is_hosted") == "true") continue;
    numbers.push_back(static_cast<std::uint16_t>(*number));
    if (numbers.size() == limits::kMaxDevicesPerAccount) break;
  }
  // Nobody is without a phone, but a list without any device says nothing.
  if (!numbers.empty()) numbers.push_back(0);
  std::ranges::sort(numbers);
  numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
  numbers.resize(std::min(numbers.size(), limits::kMaxDevicesPerAccount));
  return numbers;
}

}  // namespace

bool is_account(const Jid& jid) {
  return !jid.user.empty() && (jid.server == wire::kServerPn || jid.server == wire::kServerLid);
}

bool is_many(const Jid& jid) {
  return jid.server == wire::kServerGroup || jid.server == kServerBroadcast;
}

std::optional<wire::NodeBuilder> ack_of(const Node& stanza) {
  const auto ack = Ack::for_stanza(stanza);
  if (!ack) return std::nullopt;
  return wire::NodeBuilder::copy_of(ack->node());
}

std::optional<IncomingMessage> IncomingMessage::read(const Node& stanza) {
  IncomingMessage message;
  message.id = message_id(stanza);
  const auto from = bounded_jid(stanza, "from");
  if (message.id.empty() || !from) return std::nullopt;
  message.from = *from;
  if (is_many(*from)) {
    message.participant = account_jid(stanza, "participant");
    if (!message.participant) return std::nullopt;
  } else if (!is_account(*from)) {
    return std::nullopt;
  }
  message.recipient = account_jid(stanza, "recipient");
  message.author_alias =
      other_name(message.author(),
                 message.participant ? first_account(stanza, {"participant_lid", "participant_pn"})
                                     : first_account(stanza, {"sender_lid", "sender_pn"}));
  if (message.recipient) {
    message.recipient_alias = other_name(
        *message.recipient, first_account(stanza, {"peer_recipient_lid", "recipient_lid",
                                                   "peer_recipient_pn", "recipient_pn"}));
  }
  message.at = time_of(stanza);
  message.push_name = stanza.printed("notify").substr(0, kLongestName);
  message.replayed = stanza.has_attr("offline");
  message.peer = stanza.attr("category") == "peer";
  message.unavailable = stanza.child("unavailable") != nullptr;
  for (const Node& child : stanza.children()) {
    if (child.tag != "enc") continue;
    if (message.encs.size() == limits::kMaxEncPerMessage) break;
    message.encs.push_back(
        {child.printed("type").substr(0, kLongestUser), to_bytes(child.bytes())});
  }
  message.ack = ack_of(stanza);
  return message;
}

std::optional<IncomingReceipt> IncomingReceipt::read(const Node& stanza) {
  IncomingReceipt receipt;
  const auto kind = kind_of(stanza.printed("type"));
  const auto from = bounded_jid(stanza, "from");
  std::string first = message_id(stanza);
  if (!kind || !from || first.empty()) return std::nullopt;
  receipt.kind = *kind;
  receipt.from = *from;
  receipt.participant = account_jid(stanza, "participant");
  if (is_many(*from) ? !receipt.participant : !is_account(*from)) return std::nullopt;
  receipt.recipient = account_jid(stanza, "recipient");
  receipt.ids.push_back(std::move(first));
  for (const Node& item : users_of(stanza.child("list"))) {
    if (receipt.ids.size() == limits::kMaxIdsPerReceipt) break;
    if (std::string id = message_id(item); item.tag == "item" && !id.empty()) {
      receipt.ids.push_back(std::move(id));
    }
  }
  receipt.at = time_of(stanza);
  return receipt;
}

std::optional<IncomingRetry> IncomingRetry::read(const Node& stanza) {
  IncomingRetry retry;
  const auto from = bounded_jid(stanza, "from");
  const Node* wanted = stanza.child("retry");
  retry.id = message_id(stanza);
  if (!from || !wanted || retry.id.empty()) return std::nullopt;
  retry.from = *from;
  retry.participant = account_jid(stanza, "participant");
  if (is_many(*from) ? !retry.participant : !is_account(*from)) return std::nullopt;
  const auto count = wanted->number("count").value_or(1);
  retry.count = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(count, 1, 255));
  retry.registration_id = big_endian_of(stanza.child("registration"), 4);
  if (stanza.child("keys")) {
    if (auto bundle = read_bundle(stanza, retry.registration_id)) retry.bundle = *bundle;
  }
  return retry;
}

std::optional<IncomingNotice> IncomingNotice::read(const Node& stanza) {
  const std::string_view type = stanza.attr("type");
  if (type == "w:gp2") {
    const auto group = bounded_jid(stanza, "from");
    if (!group || group->server != wire::kServerGroup) return std::nullopt;
    return IncomingNotice{.what = What::group, .account = *group};
  }
  const auto account = account_jid(stanza, "from");
  if (!account) return std::nullopt;
  IncomingNotice notice{.account = account->without_device()};
  notice.alias = other_name(notice.account, account_jid(stanza, "lid"));
  if (type == "encrypt" && stanza.child("identity")) {
    notice.what = What::identity;
  } else if (type == "devices" || (type == "account_sync" && stanza.child("devices"))) {
    notice.what = What::devices;
  } else {
    return std::nullopt;
  }
  return notice;
}

std::optional<IncomingAck> IncomingAck::read(const Node& stanza) {
  IncomingAck ack;
  ack.id = message_id(stanza);
  if (ack.id.empty()) return std::nullopt;
  if (stanza.has_attr("error")) {
    ack.error = code_in(stanza, "error");
  }
  ack.at = time_of(stanza);
  ack.phash = stanza.printed("phash").substr(0, kLongestUser);
  return ack;
}

Result<signal::PreKeyBundle> read_bundle(const Node& node, std::optional<std::uint32_t> otherwise) {
  const Node* inside = node.child("keys");
  const Node& keys = inside ? *inside : node;
  signal::PreKeyBundle bundle;
  auto registration = big_endian_of(keys.child("registration"), 4);
  if (!registration) registration = otherwise;
  if (!registration) return Error{Errc::malformed, "bundle: no registration of 4 bytes"};
  bundle.registration_id = *registration;
  WA_TRY(bundle.identity, key_of(keys, "identity"));
  const Node* signed_key = keys.child("skey");
  if (!signed_key) return Error{Errc::malformed, "bundle: no signed pre-key"};
  WA_TRY(bundle.signed_pre_key_id, id_of(*signed_key, "signed pre-key"));
  WA_TRY(bundle.signed_pre_key, key_of(*signed_key, "value"));
  const Node* signature = signed_key->child("signature");
  WA_TRY(bundle.signed_pre_key_signature,
         fixed<64>(signature ? signature->bytes() : ByteSpan(), "signature"));
  if (const Node* key = keys.child("key")) {
    signal::PreKeyBundle::OneTime one_time;
    WA_TRY(one_time.id, id_of(*key, "one-time pre-key"));
    WA_TRY(one_time.key, key_of(*key, "value"));
    bundle.one_time = one_time;
  }
  return bundle;
}

std::vector<AccountAnswer> read_devices(const Node* answer, const std::vector<Fetch>& asked) {
  std::vector<AccountAnswer> accounts;
  const Node* usync = answer ? answer->child("usync") : nullptr;
  for (const Node& user : users_of(usync ? usync->child("list") : nullptr)) {
    const auto jid = account_jid(user, "jid");
    if (user.tag != "user" || !jid || !was_asked(asked, *jid)) continue;
    if (accounts.size() == asked.size()) break;  // somebody is in it twice
    AccountAnswer account{.asked = *jid};
    const Node* devices = user.child("devices");
    if (const Node* list = devices ? devices->child("device-list") : nullptr) {
      account.devices = numbers_of(*list);
    }
    if (const Node* lid = user.child("lid"))
      account.lid = other_name(*jid, account_jid(*lid, "val"));
    accounts.push_back(std::move(account));
  }
  return accounts;
}

std::optional<GroupAnswer> read_group(const Node* answer, const Jid& asked) {
  const Node* group = answer ? answer->child("group") : nullptr;
  if (!group) return std::nullopt;
  GroupAnswer result{.asked = asked, .by_lid = group->attr("addressing_mode") == "lid"};
  for (const Node& child : group->children()) {
    const auto jid = account_jid(child, "jid");
    if (child.tag != "participant" || !jid || child.has_attr("error")) continue;
    if (result.members.size() == limits::kMaxGroupMembers) break;
    result.members.push_back(
        {jid->without_device(), other_name(*jid, first_account(child, {"phone_number", "lid"}))});
  }
  if (result.members.empty()) return std::nullopt;
  return result;
}

GroupVerdict read_group_verdict(const Node& answer, std::string_view change) {
  GroupVerdict verdict;
  const Node* created = answer.child("group");
  const Node* list = created ? created : answer.child(change);
  if (answer.attr("type") != "result" || !list) {
    const Node* error = answer.child("error");
    verdict.error = error ? code_in(*error, "code") : 0;
    return verdict;
  }
  for (const Node& one : list->children()) {
    const auto jid = account_jid(one, "jid");
    if (one.tag != "participant" || !jid || !one.has_attr("error")) continue;
    if (verdict.refused.size() == limits::kMaxGroupMembers) break;
    verdict.refused.push_back({jid->without_device(), code_in(one, "error")});
  }
  const std::string id = created ? created->printed("id") : std::string();
  if (!id.empty() && id.size() <= kLongestUser) {
    // With its server or without.
    const Jid jid(id.substr(0, id.find('@')), wire::kServerGroup);
    verdict.group = read_group(&answer, jid);
  }
  return verdict;
}

std::optional<PresenceSeen> read_presence(const Node& stanza) {
  const auto from = account_jid(stanza, "from");
  if (!from) return std::nullopt;
  PresenceSeen seen{.account = from->without_device(),
                    .available = stanza.attr("type") != "unavailable",
                    .last_seen = {}};
  if (!seen.available) seen.last_seen = time_of(stanza, "last");
  return seen;
}

std::optional<TypingSeen> read_chatstate(const Node& stanza) {
  const auto from = bounded_jid(stanza, "from");
  const Node* state = stanza.first_child();
  if (!from || !state) return std::nullopt;
  const auto sender = is_many(*from) ? account_jid(stanza, "participant") : from;
  if (!sender || !is_account(*sender)) return std::nullopt;
  TypingSeen seen{from->without_device(), sender->without_device(), Typing::paused};
  if (state->tag == "composing") {
    seen.typing = state->attr("media") == "audio" ? Typing::recording : Typing::composing;
  } else if (state->tag != "paused") {
    return std::nullopt;
  }
  return seen;
}

wire::NodeBuilder signed_key_node(const pairing::SignedPreKey& key) {
  return wire::NodeBuilder("skey")
      .child(wire::NodeBuilder("id").bytes(big_endian<3>(key.id)))
      .child(wire::NodeBuilder("value").bytes(key.key.public_key.bytes))
      .child(wire::NodeBuilder("signature").bytes(key.signature));
}

std::vector<BundleAnswer> read_bundles(const Node* answer, const std::vector<Fetch>& asked) {
  std::vector<BundleAnswer> answers;
  for (const Node& user : users_of(answer ? answer->child("list") : nullptr)) {
    const auto jid = account_jid(user, "jid");
    if (user.tag != "user" || !jid || !was_asked(asked, *jid)) continue;
    if (answers.size() == asked.size()) break;
    BundleAnswer one{.asked = *jid};
    if (const Node* error = user.child("error")) {
      one.flaw = "the server has none: " + error->printed("code").substr(0, kLongestUser);
    } else if (auto bundle = read_bundle(user)) {
      one.bundle = std::move(*bundle);
    } else {
      one.flaw = bundle.error().detail;
    }
    answers.push_back(std::move(one));
  }
  return answers;
}

}  // namespace wa::messaging
