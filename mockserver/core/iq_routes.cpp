#include "mockserver/core/iq_routes.hpp"

#include "mockserver/core/group_routes.hpp"
#include "mockserver/core/prekey_routes.hpp"
#include "mockserver/core/usync.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

NodeBuilder result_with(const IqContext& context, NodeBuilder content) {
  return empty_result(context.iq).child(std::move(content));
}

NodeBuilder answer_empty(IqContext& context) {
  return empty_result(context.iq);
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
  constexpr std::string_view kCategories[] = {"readreceipts", "profile",  "status",
                                              "online",       "last",     "groupadd",
                                              "calladd",      "messages", "defense"};
  NodeBuilder privacy("privacy");
  for (const std::string_view name : kCategories) {
    privacy.child(NodeBuilder("category").attr("name", std::string(name)).attr("value", "all"));
  }
  return result_with(context, std::move(privacy));
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
  constexpr std::string_view kGroups = "routing.md, Groups";
  static const std::vector<IqRoute> routes = {
      {"w:p", "get", "", true, "keep-alive ping, with or without a child",
       "connection.md, Keep-alive", answer_ping},
      {"encrypt", "get", "key", false, "key bundles of devices; who is unknown is left out",
       "routing.md, Bundles", answer_bundles},
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
      {"w:g2", "get", "participating", false, "groups of the account", kGroups,
       answer_participating},
      {"w:g2", "get", "query", false, "a group, for its members", kGroups, answer_group_query},
      {"w:g2", "get", "invite", false, "the code of a group's link, or the group behind a code",
       kGroups, answer_group_invite},
      {"w:g2", "set", "invite", false, "another code for a group, or to join by one", kGroups,
       answer_group_invite_set},
      {"w:g2", "set", "create", false, "a new group", kGroups, answer_group_create},
      {"w:g2", "set", "add", false, "further members", kGroups, answer_group_members},
      {"w:g2", "set", "remove", false, "members out of it", kGroups, answer_group_members},
      {"w:g2", "set", "promote", false, "members become admins", kGroups, answer_group_members},
      {"w:g2", "set", "demote", false, "admins become members", kGroups, answer_group_members},
      {"w:g2", "set", "leave", false, "the account leaves groups", kGroups, answer_group_leave},
      {"w:g2", "set", "subject", false, "another subject", kGroups, answer_group_subject},
      {"w:g2", "set", "description", false, "another description, or none", kGroups,
       answer_group_description},
      {"w:g2", "set", "announcement", false, "only admins write", kGroups, answer_group_setting},
      {"w:g2", "set", "not_announcement", false, "every member writes", kGroups,
       answer_group_setting},
      {"w:g2", "set", "locked", false, "only admins change subject and description", kGroups,
       answer_group_setting},
      {"w:g2", "set", "unlocked", false, "every member changes them", kGroups,
       answer_group_setting},
      {"w:g2", "set", "ephemeral", false, "messages vanish after a time", kGroups,
       answer_group_setting},
      {"w:g2", "set", "not_ephemeral", false, "messages stay", kGroups, answer_group_setting},
      {"w:g2", "set", "member_add_mode", false, "who adds members", kGroups, answer_group_setting},
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
