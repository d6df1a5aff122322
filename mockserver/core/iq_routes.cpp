#include "mockserver/core/iq_routes.hpp"

#include "engine/protocol/crypto/hash.hpp"
#include "mockserver/core/usync.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr std::byte kKeyType{5};
constexpr std::size_t kMaxUploadedKeys = 2000;

NodeBuilder result_with(const IqContext& context, NodeBuilder content) {
  return empty_result(context.iq).child(std::move(content));
}

NodeBuilder answer_empty(IqContext& context) {
  return empty_result(context.iq);
}

NodeBuilder answer_count(IqContext& context) {
  return result_with(context,
                     NodeBuilder("count").attr("value", context.companion->prekeys.size()));
}

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
  return result_with(
      context,
      NodeBuilder("digest")
          .child(NodeBuilder("registration").bytes(big_endian<4>(registration.registration_id)))
          .child(NodeBuilder("type").bytes(ByteSpan(&kKeyType, 1)))
          .child(NodeBuilder("identity").bytes(registration.identity.bytes))
          .child(NodeBuilder("skey")
                     .child(NodeBuilder("id").bytes(big_endian<3>(registration.signed_pre_key_id)))
                     .child(NodeBuilder("value").bytes(registration.signed_pre_key.bytes))
                     .child(NodeBuilder("signature").bytes(registration.signed_pre_key_signature)))
          .child(std::move(list))
          .child(NodeBuilder("hash").bytes(crypto::sha1(hashed))));
}

NodeBuilder answer_active(IqContext& context) {
  context.became_active = true;
  return empty_result(context.iq);
}

NodeBuilder answer_ping(IqContext& context) {
  return empty_result(context.iq).attr("t", context.now.wall.seconds());
}

NodeBuilder answer_old_props(IqContext& context) {
  return result_with(context, NodeBuilder("props").attr("hash", "testline"));
}

NodeBuilder answer_ab_props(IqContext& context) {
  return result_with(
      context,
      NodeBuilder("props")
          .attr("protocol", "1")
          .attr("hash", "testline")
          .child(NodeBuilder("prop").attr("config_code", "10518").attr("config_value", "false")));
}

NodeBuilder answer_blocklist(IqContext& context) {
  return result_with(context, NodeBuilder("list"));
}

NodeBuilder answer_privacy(IqContext& context) {
  constexpr std::string_view kCategories[] = {"readreceipts", "profile",  "status", "online",
                                              "last",         "groupadd", "calladd"};
  NodeBuilder privacy("privacy");
  for (const std::string_view name : kCategories) {
    privacy.child(NodeBuilder("category").attr("name", std::string(name)).attr("value", "all"));
  }
  return result_with(context, std::move(privacy));
}

NodeBuilder answer_groups(IqContext& context) {
  return result_with(context, NodeBuilder("groups")).attr("t", context.now.wall.seconds());
}

/// Media has a host that no name server knows: nothing is ever uploaded or fetched here.
NodeBuilder answer_media_conn(IqContext& context) {
  return result_with(context,
                     NodeBuilder("media_conn")
                         .attr("auth", "testline")
                         .attr("ttl", "3600")
                         .attr("auth_ttl", "3600")
                         .attr("max_buckets", "12")
                         .child(NodeBuilder("host").attr("hostname", "media.testline.invalid")));
}

/// Every collection that is asked for exists and is empty.
NodeBuilder answer_app_state(IqContext& context) {
  NodeBuilder sync("sync");
  for (const Node& collection : context.iq.first_child()->children()) {
    sync.child(NodeBuilder("collection")
                   .attr("name", std::string(collection.attr("name")))
                   .attr("version", "0")
                   .attr("type", "result"));
  }
  return result_with(context, std::move(sync));
}

NodeBuilder answer_logout(IqContext& context) {
  context.remove_companion = true;
  return empty_result(context.iq);
}

}  // namespace

const std::vector<IqRoute>& iq_routes() {
  constexpr std::string_view kSource = "connection.md, After login";
  static const std::vector<IqRoute> routes = {
      {"w:p", "get", "", true, "keep-alive ping, with or without a child",
       "connection.md, Keep-alive", answer_ping},
      {"encrypt", "get", "count", false, "how many one-time pre-keys the server holds", kSource,
       answer_count},
      {"encrypt", "get", "digest", false, "what the server holds of the device's keys", kSource,
       answer_digest},
      {"encrypt", "set", "rotate", false, "a new signed pre-key", kSource, answer_rotate},
      {"encrypt", "set", "", false, "upload of one-time pre-keys", kSource, answer_upload},
      {"passive", "set", "active", false, "the client is ready for offline traffic", kSource,
       answer_active},
      {"passive", "set", "passive", false, "the client wants offline traffic held", kSource,
       answer_empty},
      {"w", "get", "props", false, "server properties, older clients", kSource, answer_old_props},
      {"abt", "get", "props", false, "A/B properties", kSource, answer_ab_props},
      {"blocklist", "get", "", false, "blocked contacts: none", kSource, answer_blocklist},
      {"privacy", "get", "", false, "privacy settings", kSource, answer_privacy},
      {"w:g2", "get", "participating", false, "groups of the account: none", kSource,
       answer_groups},
      {"usync", "get", "usync", false, "devices, LID and contact of users, as far as asked",
       kSource, answer_usync},
      {"w:sync:app:state", "set", "sync", false, "app-state collections: empty", kSource,
       answer_app_state},
      {"w:m", "set", "media_conn", false, "media hosts: one that does not exist", kSource,
       answer_media_conn},
      {"urn:xmpp:whatsapp:dirty", "set", "clean", false, "a dirty bulletin was handled", kSource,
       answer_empty},
      {"md", "set", "remove-companion-device", false, "the device logs out",
       "connection.md, Logout", answer_logout},
  };
  return routes;
}

const IqRoute* find_route(const wire::Node& iq) {
  const std::string_view xmlns = iq.attr("xmlns");
  const std::string_view type = iq.attr("type");
  const Node* first = iq.first_child();
  const std::string_view child = first == nullptr ? std::string_view() : first->tag;
  for (const IqRoute& route : iq_routes()) {
    if (route.xmlns == xmlns && route.type == type &&
        (route.child.empty() || route.child == child)) {
      return &route;
    }
  }
  return nullptr;
}

wire::NodeBuilder empty_result(const wire::Node& iq) {
  return NodeBuilder("iq")
      .attr("from", Jid::server_itself())
      .attr("type", "result")
      .attr("id", std::string(iq.attr("id")));
}

wire::NodeBuilder iq_error(const wire::Node& iq, int code, std::string_view text) {
  return NodeBuilder("iq")
      .attr("from", Jid::server_itself())
      .attr("type", "error")
      .attr("id", std::string(iq.attr("id")))
      .child(NodeBuilder("error").attr("code", code).attr("text", std::string(text)));
}

}  // namespace wa::mock
