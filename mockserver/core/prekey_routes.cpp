#include "mockserver/core/prekey_routes.hpp"

#include <set>

#include "engine/base/limits.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "mockserver/core/prekeys.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr std::size_t kMaxUploadedKeys = 2000;

struct UploadedKey {
  std::uint32_t id = 0;
  crypto::PublicKey key;
};

Result<ByteSpan> bytes_of(const Node& parent, std::string_view tag, std::size_t size) {
  const Node* child = parent.child(tag);
  if (child == nullptr) return Error{Errc::malformed, "<" + std::string(tag) + "> is missing"};
  const ByteSpan bytes = child->bytes();
  if (bytes.size() != size) {
    return Error{Errc::malformed, "<" + std::string(tag) + "> has " + std::to_string(bytes.size()) +
                                      " bytes, expected " + std::to_string(size)};
  }
  return bytes;
}

Result<UploadedKey> parse_key(const Node& node) {
  UploadedKey parsed;
  WA_TRY(const ByteSpan id, bytes_of(node, "id", 3));
  parsed.id = static_cast<std::uint32_t>(read_big_endian(id));
  WA_TRY(const ByteSpan value, bytes_of(node, "value", 32));
  WA_TRY(parsed.key, crypto::PublicKey::from(value, "value"));
  return parsed;
}

/// Checks `<skey>` and stores it as the companion's signed pre-key.
Result<void> store_signed_key(const Node& skey, Companion& companion) {
  WA_TRY(const UploadedKey parsed, parse_key(skey));
  WA_TRY(const ByteSpan signature, bytes_of(skey, "signature", 64));
  const Bytes message = concat(ByteSpan(&kKeyType, 1), ByteSpan(parsed.key.bytes));
  WA_TRY_VOID(
      crypto::verify(companion.registration.identity, message, signature, "signed pre-key"));
  companion.registration.signed_pre_key_id = parsed.id;
  companion.registration.signed_pre_key = parsed.key;
  WA_TRY(companion.registration.signed_pre_key_signature, fixed<64>(signature, "signature"));
  return {};
}

Result<void> store_upload(IqContext& context) {
  Companion& companion = *context.companion;
  WA_TRY(const ByteSpan registration_id, bytes_of(context.iq, "registration", 4));
  WA_TRY(const ByteSpan type, bytes_of(context.iq, "type", 1));
  if (type[0] != kKeyType) return Error{Errc::malformed, "<type> is not 05"};
  WA_TRY(const ByteSpan identity, bytes_of(context.iq, "identity", 32));
  if (!equal(identity, companion.registration.identity.bytes)) {
    context.violate("prekey-identity", "the upload names another identity key");
  }
  companion.registration.registration_id =
      static_cast<std::uint32_t>(read_big_endian(registration_id));
  const Node* list = context.iq.child("list");
  if (list == nullptr || list->children().empty()) {
    return Error{Errc::malformed, "<list> has no keys"};
  }
  if (list->children().size() > kMaxUploadedKeys) {
    return Error{Errc::too_large,
                 "<list> has " + std::to_string(list->children().size()) + " keys"};
  }
  if (companion.prekeys.size() + list->children().size() > limits::kMaxOfferedKeys) {
    return Error{Errc::too_large,
                 std::to_string(companion.prekeys.size()) + " keys are there already"};
  }
  std::vector<UploadedKey> keys;
  for (const Node& entry : list->children()) {
    WA_TRY(const UploadedKey parsed, parse_key(entry));
    keys.push_back(parsed);
  }
  const Node* skey = context.iq.child("skey");
  if (skey == nullptr) return Error{Errc::malformed, "<skey> is missing"};
  WA_TRY_VOID(store_signed_key(*skey, companion));
  for (const UploadedKey& uploaded : keys) {
    if (companion.prekeys.add(uploaded.id, uploaded.key) == PreKeyStock::Upload::conflicting) {
      context.violate("prekey-reused", "pre-key " + std::to_string(uploaded.id) +
                                           " was uploaded before with another key");
    }
  }
  return {};
}

/// What every answer about a device's keys begins with.
void add_identity(NodeBuilder& node, std::uint32_t registration_id,
                  const crypto::PublicKey& identity) {
  node.child(NodeBuilder("registration").bytes(big_endian<4>(registration_id)));
  node.child(NodeBuilder("type").bytes(ByteSpan(&kKeyType, 1)));
  node.child(NodeBuilder("identity").bytes(identity.bytes));
}

NodeBuilder user_node(const Jid& jid, const DeviceBundle& bundle) {
  NodeBuilder user("user");
  user.attr("jid", jid);
  add_identity(user, bundle.registration_id, bundle.identity);
  user.child(key_node("skey", bundle.signed_pre_key_id, bundle.signed_pre_key)
                 .child(NodeBuilder("signature").bytes(bundle.signed_pre_key_signature)));
  if (bundle.one_time) user.child(key_node("key", bundle.one_time->id, bundle.one_time->key));
  if (!bundle.device_identity.empty()) {
    user.child(NodeBuilder("device-identity").bytes(bundle.device_identity));
  }
  return user;
}

}  // namespace

NodeBuilder answer_count(IqContext& context) {
  return empty_result(context.iq)
      .child(NodeBuilder("count").attr("value", context.companion->prekeys.size()));
}

NodeBuilder answer_upload(IqContext& context) {
  if (const Result<void> stored = store_upload(context); !stored) {
    const bool signature = stored.error().code == Errc::auth_failed;
    context.violate(signature ? "signed-prekey-signature" : "prekey-upload", stored.error().detail);
    return iq_error(context.iq, 400, "bad-request");
  }
  return empty_result(context.iq);
}

NodeBuilder answer_rotate(IqContext& context) {
  const Node* skey = context.iq.first_child()->child("skey");
  const Result<void> stored = skey == nullptr
                                  ? Result<void>(Error{Errc::malformed, "<skey> is missing"})
                                  : store_signed_key(*skey, *context.companion);
  if (!stored) {
    const bool signature = stored.error().code == Errc::auth_failed;
    context.violate(signature ? "signed-prekey-signature" : "prekey-upload", stored.error().detail);
    return iq_error(context.iq, 400, "bad-request");
  }
  return empty_result(context.iq);
}

NodeBuilder answer_digest(IqContext& context) {
  const Companion& companion = *context.companion;
  if (companion.prekeys.empty()) return iq_error(context.iq, 404, "item-not-found");
  const pairing::Registration& registration = companion.registration;
  Bytes hashed =
      concat(ByteSpan(registration.identity.bytes), ByteSpan(registration.signed_pre_key.bytes),
             ByteSpan(registration.signed_pre_key_signature));
  NodeBuilder list("list");
  for (const auto& [id, key] : companion.prekeys.offered()) {
    append(hashed, key.bytes);
    list.child(NodeBuilder("id").bytes(big_endian<3>(id)));
  }
  NodeBuilder digest("digest");
  add_identity(digest, registration.registration_id, registration.identity);
  digest.child(key_node("skey", registration.signed_pre_key_id, registration.signed_pre_key)
                   .child(NodeBuilder("signature").bytes(registration.signed_pre_key_signature)));
  digest.child(std::move(list));
  digest.child(NodeBuilder("hash").bytes(crypto::sha1(hashed)));
  return empty_result(context.iq).child(std::move(digest));
}

NodeBuilder answer_bundles(IqContext& context) {
  const std::span<const Node> asked = context.iq.child("key")->children();
  if (asked.size() > limits::kMaxAskedNames) return iq_error(context.iq, 400, "bad-request");
  NodeBuilder list("list");
  std::set<Jid> served;  // who names a device twice does not get two of its keys
  for (const Node& user : asked) {
    const auto jid = user.jid("jid");
    if (user.tag != "user" || !jid) {
      context.violate("bundle-query", "<key> has a child that is no <user jid>");
      return iq_error(context.iq, 400, "bad-request");
    }
    // B6 and B7 throw the whole answer away for one error in it, so strangers are left out.
    const auto device = context.accounts.device(*jid);
    if (!device || !served.insert(*jid).second) continue;
    const auto bundle = context.accounts.take_bundle(*device, context.random);
    list.child(user_node(*jid, *bundle));
    const Companion* companion = context.accounts.companion(*device);
    if (companion != nullptr && bundle->one_time && companion->prekeys.runs_low()) {
      context.low_on_prekeys.push_back(*device);
    }
  }
  return empty_result(context.iq).child(std::move(list));
}

}  // namespace wa::mock
