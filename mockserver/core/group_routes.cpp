#include "mockserver/core/group_routes.hpp"

#include <algorithm>
#include <set>

#include "engine/base/limits.hpp"
#include "mockserver/core/legible.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;
using Role = Group::Role;

constexpr std::size_t kMaxSubject = 100;       // characters
constexpr std::size_t kMaxDescription = 2048;  // characters
constexpr std::size_t kMaxWord = 128;          // bytes of an id or a key that a client chose
/// Members in one answer about all groups; the groups behind that are left out.
constexpr std::size_t kMaxListedMembers = 50'000;

// Errors, of an iq as a whole or of one participant of it.
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kNotAcceptable = 406;
constexpr int kConflict = 409;
constexpr int kTooMany = 419;

NodeBuilder refuse(const IqContext& context, int code) {
  return iq_error(context.iq, code,
                  code == kForbidden       ? "forbidden"
                  : code == kNotFound      ? "item-not-found"
                  : code == kNotAcceptable ? "not-acceptable"
                  : code == kConflict      ? "conflict"
                                           : "resource-limit");
}

/// Characters of UTF-8 text.
std::size_t length_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

NodeBuilder participant_node(const Phone& phone, Addressing form, Role role) {
  NodeBuilder node("participant");
  add_names(node, "jid", form == Addressing::lid ? "phone_number" : "lid", phone, form);
  if (role != Role::member) node.attr("type", to_string(role));
  return node;
}

std::vector<std::string> members_of(const Group& group) {
  std::vector<std::string> ids;
  for (const auto& [phone_id, role] : group.members) ids.push_back(phone_id);
  return ids;
}

void tell(IqContext& context, const Group& group, NodeBuilder what, std::vector<std::string> to) {
  context.group_news.push_back(
      {group.jid(), Groups::form_of(group, context.accounts), std::move(what), std::move(to)});
}

void tell_all(IqContext& context, const Group& group, NodeBuilder what) {
  tell(context, group, std::move(what), members_of(group));
}

/// To those who are in it since now: the whole group.
void tell_created(IqContext& context, const Group& group, std::vector<std::string> to,
                  std::string reason) {
  NodeBuilder create("create");
  create.attr("type", "new");
  if (!reason.empty()) create.attr("reason", std::move(reason));
  tell(context, group, std::move(create.child(group_node(group, context.accounts))), std::move(to));
}

/// The group that the iq is sent to, if the asker may do what it asks.
enum class Needs { member, admin, admin_if_locked };
struct Addressed {
  Group* group = nullptr;
  int error = 0;
};
Addressed addressed(IqContext& context, Needs needs) {
  const auto to = context.iq.jid("to");
  Group* group = to ? context.groups.find(*to) : nullptr;
  if (group == nullptr) return {nullptr, kNotFound};
  const std::string& asker = context.device.phone_id;
  const bool admin = needs == Needs::admin || (needs == Needs::admin_if_locked && group->locked);
  if (!group->has(asker) || (admin && !group->is_admin(asker))) return {nullptr, kForbidden};
  return {group, 0};
}

/// Whether the iq is sent to the server of all groups, and not to one.
bool to_the_server(const IqContext& context) {
  const auto to = context.iq.jid("to");
  return to && to->user.empty();
}

/// One participant of add, remove, promote or demote. 0: it is done.
int change_member(IqContext& context, Group& group, std::string_view action, const Phone* phone,
                  bool& gone) {
  if (phone == nullptr) return kNotFound;
  const auto member = group.members.find(phone->id);
  if (action == "add") {
    if (member != group.members.end()) return kConflict;
    if (group.members.size() >= limits::kMaxGroupMembers) return kTooMany;
    group.members.emplace(phone->id, Role::member);
    return 0;
  }
  if (member == group.members.end()) return kNotFound;
  const bool founder = member->second == Role::superadmin;
  if (founder && phone->id != context.device.phone_id) return kForbidden;
  if (action == "remove") {
    gone = !context.groups.remove(group, phone->id);
  } else if (action == "promote") {
    if (!founder) member->second = Role::admin;
  } else {
    member->second = Role::member;
  }
  return 0;
}

Result<std::string> subject_of(std::string_view text) {
  if (text.empty() || length_of(text) > kMaxSubject || !is_legible(text)) {
    return Error{Errc::malformed, "a subject has 1 to 100 characters"};
  }
  return std::string(text);
}

}  // namespace

void add_names(NodeBuilder& node, std::string key, std::string other_key, const Phone& phone,
               Addressing form) {
  node.attr(std::move(key), phone.address(form));
  node.attr(std::move(other_key),
            phone.address(form == Addressing::lid ? Addressing::pn : Addressing::lid));
}

NodeBuilder group_node(const Group& group, const Accounts& accounts) {
  const Addressing form = Groups::form_of(group, accounts);
  const bool hidden = form == Addressing::lid;
  NodeBuilder node("group");
  // WM wants the digits alone, and not as a JID.
  node.attr("id", group.id).attr("subject", group.subject).attr("s_t", group.subject_seconds);
  if (const Phone* owner = accounts.find(group.subject_owner)) {
    add_names(node, "s_o", hidden ? "s_o_pn" : "s_o_lid", *owner, form);
  }
  node.attr("creation", group.creation_seconds);
  if (const Phone* creator = accounts.find(group.creator)) {
    add_names(node, "creator", hidden ? "creator_pn" : "creator_lid", *creator, form);
  }
  node.attr("size", group.members.size());
  node.attr("p_v_id", group.version).attr("a_v_id", group.version);
  node.attr("addressing_mode", hidden ? "lid" : "pn");
  if (group.description) {
    NodeBuilder description("description");
    description.attr("id", group.description->id).attr("t", group.description->seconds);
    if (const Phone* owner = accounts.find(group.description->owner)) {
      add_names(description, "participant", hidden ? "participant_pn" : "participant_lid", *owner,
                form);
    }
    description.child(NodeBuilder("body").bytes(as_bytes(group.description->text)));
    node.child(std::move(description));
  }
  if (group.announcement) node.child(NodeBuilder("announcement"));
  if (group.locked) node.child(NodeBuilder("locked"));
  if (group.expiration != 0) {
    node.child(NodeBuilder("ephemeral").attr("expiration", group.expiration).attr("trigger", "0"));
  }
  node.child(NodeBuilder("member_add_mode")
                 .bytes(as_bytes(group.admins_add ? "admin_add" : "all_member_add")));
  for (const auto& [phone_id, role] : group.members) {
    const Phone* phone = accounts.find(phone_id);
    if (phone != nullptr) node.child(participant_node(*phone, form, role));
  }
  return node;
}

NodeBuilder answer_participating(IqContext& context) {
  NodeBuilder groups("groups");
  std::size_t members = 0;
  for (const Group* group : context.groups.of(context.device.phone_id)) {
    members += group->members.size();
    if (members > kMaxListedMembers) break;
    groups.child(group_node(*group, context.accounts));
  }
  return empty_result(context.iq).attr("t", context.now.wall.seconds()).child(std::move(groups));
}

NodeBuilder answer_group_query(IqContext& context) {
  const auto [group, error] = addressed(context, Needs::member);
  if (group == nullptr) return refuse(context, error);
  return empty_result(context.iq).child(group_node(*group, context.accounts));
}

NodeBuilder answer_group_create(IqContext& context) {
  const Node& create = *context.iq.first_child();
  const auto subject = subject_of(create.printed("subject"));
  if (!subject || create.children().size() > limits::kMaxAskedNames) {
    return refuse(context, kNotAcceptable);
  }
  if (context.groups.size() >= limits::kMaxGroups) return refuse(context, kTooMany);
  Group& group =
      context.groups.create(context.device.phone_id, *subject, context.now, context.random);
  std::vector<NodeBuilder> refused;
  for (const Node& asked : create.children()) {
    if (asked.tag == "announcement") group.announcement = true;
    if (asked.tag == "locked") group.locked = true;
    if (asked.tag == "ephemeral") {
      group.expiration = static_cast<std::uint32_t>(asked.number("expiration").value_or(0));
    }
    const auto jid = asked.jid("jid");
    if (asked.tag != "participant" || !jid) continue;
    const Phone* phone = context.accounts.find(*jid);
    if (phone != nullptr && group.has(phone->id)) continue;  // named twice, or the creator
    bool gone = false;
    if (const int error = change_member(context, group, "add", phone, gone)) {
      refused.push_back(NodeBuilder("participant").attr("jid", *jid).attr("error", error));
    }
  }
  NodeBuilder answer = group_node(group, context.accounts);
  for (NodeBuilder& participant : refused) answer.child(std::move(participant));
  NodeBuilder news("create");
  news.attr("type", "new");
  if (create.has_attr("key")) news.attr("key", legible(create.printed("key"), kMaxWord));
  tell_all(context, group, std::move(news.child(group_node(group, context.accounts))));
  return empty_result(context.iq).child(std::move(answer));
}

NodeBuilder answer_group_members(IqContext& context) {
  const Node& change = *context.iq.first_child();
  const std::string action(change.tag);
  const bool open = action == "add";
  const auto [group, error] = addressed(context, open ? Needs::member : Needs::admin);
  if (group == nullptr) return refuse(context, error);
  if (open && group->admins_add && !group->is_admin(context.device.phone_id)) {
    return refuse(context, kForbidden);
  }
  const Addressing form = Groups::form_of(*group, context.accounts);
  const std::vector<std::string> before = members_of(*group);
  const std::uint64_t version = group->version;
  NodeBuilder answer(action);
  NodeBuilder news(action);
  std::vector<std::string> changed;
  std::set<Jid> seen;
  bool gone = false;
  for (const Node& asked : change.children()) {
    const auto jid = asked.jid("jid");
    if (asked.tag != "participant" || !jid || gone || !seen.insert(*jid).second) continue;
    const Phone* phone = context.accounts.find(*jid);
    NodeBuilder verdict("participant");
    verdict.attr("jid", *jid);
    if (const int refused = change_member(context, *group, action, phone, gone)) {
      verdict.attr("error", refused);
    } else {
      changed.push_back(phone->id);
      const Role role = action == "promote" ? Role::admin : Role::member;
      news.child(participant_node(*phone, form, role));
    }
    answer.child(std::move(verdict));
  }
  if (!changed.empty() && !gone) {
    group->version = version + 1;
    news.attr("prev_v_id", version).attr("v_id", group->version);
    tell(
        context, *group, std::move(news), action == "add" ? before : [&] {
          std::vector<std::string> all = members_of(*group);
          if (action == "remove") all.insert(all.end(), changed.begin(), changed.end());
          return all;
        }());
    if (action == "add") tell_created(context, *group, changed, "");
  }
  return empty_result(context.iq).child(std::move(answer));
}

NodeBuilder answer_group_leave(IqContext& context) {
  const std::string& asker = context.device.phone_id;
  NodeBuilder answer("leave");
  for (const Node& asked : context.iq.first_child()->children()) {
    const auto jid = asked.jid("id");
    if (asked.tag != "group" || !jid) continue;
    NodeBuilder verdict("group");
    verdict.attr("id", *jid);
    Group* group = context.groups.find(*jid);
    if (group == nullptr || !group->has(asker)) {
      answer.child(std::move(verdict.attr("error", kNotFound)));
      continue;
    }
    answer.child(std::move(verdict));
    const Addressing form = Groups::form_of(*group, context.accounts);
    const std::vector<std::string> before = members_of(*group);
    if (!context.groups.remove(*group, asker)) continue;
    NodeBuilder news("leave");
    news.attr("v_id", group->version);
    news.child(participant_node(*context.accounts.find(asker), form, Role::member));
    tell(context, *group, std::move(news), before);
  }
  return empty_result(context.iq).child(std::move(answer));
}

NodeBuilder answer_group_subject(IqContext& context) {
  const auto [group, error] = addressed(context, Needs::admin_if_locked);
  if (group == nullptr) return refuse(context, error);
  const auto subject = subject_of(as_text(context.iq.first_child()->bytes()));
  if (!subject) return refuse(context, kNotAcceptable);
  group->subject = *subject;
  group->subject_owner = context.device.phone_id;
  group->subject_seconds = context.now.wall.seconds();
  const Addressing form = Groups::form_of(*group, context.accounts);
  NodeBuilder news("subject");
  news.attr("subject", group->subject).attr("s_t", group->subject_seconds);
  add_names(news, "s_o", form == Addressing::lid ? "s_o_pn" : "s_o_lid",
            *context.accounts.find(group->subject_owner), form);
  tell_all(context, *group, std::move(news));
  return empty_result(context.iq);
}

NodeBuilder answer_group_description(IqContext& context) {
  const auto [group, error] = addressed(context, Needs::admin_if_locked);
  if (group == nullptr) return refuse(context, error);
  const Node& asked = *context.iq.first_child();
  const std::string known = group->description ? group->description->id : "";
  if (asked.has_attr("prev") && asked.printed("prev") != known) return refuse(context, kConflict);
  const Node* body = asked.child("body");
  const bool erase = asked.attr("delete") == "true" || body == nullptr;
  const std::string id = legible(asked.printed("id"), kMaxWord);
  NodeBuilder news("description");
  if (!id.empty()) news.attr("id", id);
  if (erase) {
    group->description.reset();
    news.attr("delete", "true");
  } else {
    const std::string text(as_text(body->bytes()));
    if (length_of(text) > kMaxDescription || !is_legible(text, text.size())) {
      return refuse(context, kNotAcceptable);
    }
    group->description =
        Group::Description{id, text, context.device.phone_id, context.now.wall.seconds()};
    news.child(NodeBuilder("body").bytes(as_bytes(text)));
  }
  tell_all(context, *group, std::move(news));
  return empty_result(context.iq);
}

NodeBuilder answer_group_setting(IqContext& context) {
  const Node& asked = *context.iq.first_child();
  const std::string_view what = asked.tag;
  const bool ephemeral = what == "ephemeral" || what == "not_ephemeral";
  const auto [group, error] = addressed(context, ephemeral ? Needs::admin_if_locked : Needs::admin);
  if (group == nullptr) return refuse(context, error);
  if (ephemeral) {
    group->expiration = static_cast<std::uint32_t>(asked.number("expiration").value_or(0));
  } else if (what == "announcement" || what == "not_announcement") {
    group->announcement = what == "announcement";
  } else if (what == "locked" || what == "unlocked") {
    group->locked = what == "locked";
  } else {
    const std::string_view mode = as_text(asked.bytes());
    if (mode != "admin_add" && mode != "all_member_add") return refuse(context, kNotAcceptable);
    group->admins_add = mode == "admin_add";
  }
  NodeBuilder news{std::string(what)};
  if (what == "ephemeral") news.attr("expiration", group->expiration);
  if (what == "member_add_mode") news.bytes(asked.bytes());
  tell_all(context, *group, std::move(news));
  return empty_result(context.iq);
}

NodeBuilder answer_group_invite(IqContext& context) {
  if (to_the_server(context)) {
    Group* group = context.groups.find_by_invite(context.iq.first_child()->printed("code"));
    if (group == nullptr) return refuse(context, kNotAcceptable);
    return empty_result(context.iq).child(group_node(*group, context.accounts));
  }
  const auto [group, error] = addressed(context, Needs::admin);
  if (group == nullptr) return refuse(context, error);
  const std::string& code = context.groups.invite_code(*group, false, context.random);
  return empty_result(context.iq).child(NodeBuilder("invite").attr("code", code));
}

NodeBuilder answer_group_invite_set(IqContext& context) {
  if (!to_the_server(context)) {
    const auto [group, error] = addressed(context, Needs::admin);
    if (group == nullptr) return refuse(context, error);
    NodeBuilder invite("invite");
    invite.attr("code", context.groups.invite_code(*group, true, context.random));
    tell_all(context, *group, invite);
    return empty_result(context.iq).child(std::move(invite));
  }
  Group* group = context.groups.find_by_invite(context.iq.first_child()->printed("code"));
  if (group == nullptr) return refuse(context, kNotAcceptable);
  const Phone* phone = context.accounts.find(context.device.phone_id);
  const std::vector<std::string> before = members_of(*group);
  const Addressing form = Groups::form_of(*group, context.accounts);
  bool gone = false;
  if (const int refused = change_member(context, *group, "add", phone, gone)) {
    return refuse(context, refused);
  }
  NodeBuilder news("add");
  news.attr("reason", "invite").attr("prev_v_id", group->version).attr("v_id", group->version + 1);
  ++group->version;
  tell(context, *group, std::move(news.child(participant_node(*phone, form, Role::member))),
       before);
  tell_created(context, *group, {phone->id}, "invite");
  return empty_result(context.iq).child(NodeBuilder("group").attr("jid", group->jid()));
}

}  // namespace wa::mock
