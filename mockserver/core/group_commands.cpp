// Groups as users of phones make and change them. Source: docs/protocol/routing.md, "Groups".

#include "mockserver/core/group_routes.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

using wire::Node;
using wire::NodeBuilder;

std::optional<std::vector<const Phone*>> Tenant::Impl::members_for(
    RequestId request, const std::vector<std::string>& members) {
  std::vector<const Phone*> phones;
  for (const std::string& name : members) {
    const auto jid = recipient_of(name);
    const Phone* phone = jid ? accounts.find(*jid) : nullptr;
    if (phone == nullptr) {
      answer(request, Problem{404, "unknown_phone", "nobody is called " + name,
                              "GET /v1/phones lists the accounts"});
      return std::nullopt;
    }
    phones.push_back(phone);
  }
  return phones;
}

void Tenant::Impl::create_group(RequestId request, const CreateGroup& asked, Now now) {
  const Phone* founder = find_phone_for(request, asked.phone);
  if (founder == nullptr) return;
  const auto members = members_for(request, asked.members);
  if (!members) return;
  Group& group = groups.create(founder->id, asked.subject, now, random);
  group.addressing = asked.addressing;
  for (const Phone* member : *members) group.members.emplace(member->id, Group::Role::member);
  GroupNews news{group.jid(), Groups::form_of(group, accounts), NodeBuilder("create"), {}};
  news.what.attr("type", "new").child(group_node(group, accounts));
  for (const auto& [id, role] : group.members) news.to.push_back(id);
  const std::string jid = group.jid().to_string();
  tell_group_news(news, {founder->id, 0}, now);
  answer(request, CommandResult{jid});
}

/// By the route that serves clients, so that the same rules count for phones.
void Tenant::Impl::change_group(RequestId request, const ChangeGroup& asked, Now now) {
  const Phone* admin = find_phone_for(request, asked.phone);
  if (admin == nullptr) return;
  const auto members = members_for(request, asked.members);
  if (!members) return;
  const auto jid = recipient_of(asked.group);
  NodeBuilder change(asked.what == ChangeGroup::What::add ? "add" : "remove");
  for (const Phone* member : *members) {
    change.child(NodeBuilder("participant").attr("jid", member->jid()));
  }
  NodeBuilder iq("iq");
  iq.attr("id", "1").attr("type", "set").attr("xmlns", "w:g2");
  iq.attr("to", jid ? *jid : wire::Jid(asked.group, wire::kServerGroup)).child(std::move(change));
  const wire::Frame asked_for = frame_of(iq);
  IqContext context{asked_for.root(), accounts, groups, now, random, [](auto, auto) {}};
  context.device = {admin->id, 0};
  const NodeBuilder reply = answer_group_members(context);
  for (const GroupNews& news : context.group_news) tell_group_news(news, context.device, now);

  const wire::Frame told = frame_of(reply);
  const Node* verdict = told.root().first_child();
  const auto refuse = [&](std::string code, const std::string& whom) {
    answer(request, Problem{409, "refused", "the server answers " + code + " for " + whom,
                            "403 not allowed, 404 unknown or no member, 409 is one already"});
  };
  if (told.root().attr("type") != "result" || verdict == nullptr) {
    return refuse(verdict == nullptr ? "nothing" : verdict->printed("code"), asked.group);
  }
  for (const Node& one : verdict->children()) {
    if (one.has_attr("error")) return refuse(one.printed("error"), one.printed("jid"));
  }
  answer(request, CommandResult{});
}

}  // namespace wa::mock
