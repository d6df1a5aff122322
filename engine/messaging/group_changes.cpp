#include <algorithm>

#include "engine/messaging/messenger_impl.hpp"

/// Groups that are made and changed because the user wants it.
/// Source: docs/protocol/delivery.md, "Groups".
namespace wa::messaging {
namespace {

using wire::Jid;
using wire::NodeBuilder;
using What = GroupRequested::What;

std::string_view tag_of(What what) {
  switch (what) {
    case What::create: return "create";
    case What::add: return "add";
    case What::remove: return "remove";
  }
  WA_UNREACHABLE("a change of a group without a tag");
}

NodeBuilder change_iq(const GroupRequested& request) {
  NodeBuilder change{std::string(tag_of(request.what))};
  if (request.what == What::create) change.attr("subject", request.subject);
  for (const Jid& member : request.members) {
    change.child(NodeBuilder("participant").attr("jid", member.without_device()));
  }
  const Jid all_groups("", wire::kServerGroup);
  return NodeBuilder("iq")
      .attr("xmlns", "w:g2")
      .attr("type", "set")
      .attr("to", request.what == What::create ? all_groups : request.group)
      .child(std::move(change));
}

bool can_be(const GroupRequested& request) {
  if (!std::ranges::all_of(request.members, is_account)) return false;
  if (request.what == What::create) return !request.subject.empty();
  return request.group.server == wire::kServerGroup && !request.group.user.empty() &&
         !request.members.empty();
}

}  // namespace

void Messenger::Impl::on(const GroupRequested& request) {
  if (!can_be(request)) return refuse(request, "unsupported");
  if (!streaming_) return refuse(request, "not_connected");
  group_requests_[++last_query_id_] = request;
  actions_.push_back(Query{last_query_id_, change_iq(request)});
}

void Messenger::Impl::refuse(const GroupRequested& request, std::string reason,
                             std::optional<int> code) {
  actions_.push_back(
      Publish{{0, GroupFailed{request.group, std::move(reason), code}, request.ref}});
}

/// Nobody knows what became of them.
void Messenger::Impl::give_up_group_requests() {
  for (const auto& [query, request] : std::exchange(group_requests_, {})) {
    refuse(request, "connection_lost");
  }
}

void Messenger::Impl::on_group_answer(GroupRequested request, const Answered& event) {
  if (!event.answer) return refuse(request, "timed_out");
  GroupVerdict verdict = read_group_verdict(*event.answer, tag_of(request.what));
  if (verdict.error || (request.what == What::create && !verdict.group)) {
    return refuse(request, "refused", verdict.error);
  }
  if (verdict.group) request.group = verdict.group->asked;
  enqueue("query " + std::to_string(event.query_id),
          {GroupSettled{std::move(request), std::move(verdict)}});
}

Attempt<void> Messenger::Impl::handle(const GroupSettled& settled, Work&) {
  const GroupRequested& request = settled.request;
  if (settled.verdict.group) {
    WA_TRY_VOID(learn_group(*settled.verdict.group));
  } else {
    forget_group(request.group);
  }
  reply(GroupChanged{request.group, settled.verdict.refused}, request.ref);
  return {};
}

}  // namespace wa::messaging
