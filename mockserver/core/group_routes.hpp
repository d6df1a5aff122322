#pragma once

#include "mockserver/core/iq_routes.hpp"

/// IQs about groups (w:g2). Source: docs/protocol/routing.md, "Groups".
namespace wa::mock {

/// All groups of the account.
wire::NodeBuilder answer_participating(IqContext& context);
wire::NodeBuilder answer_group_query(IqContext& context);
wire::NodeBuilder answer_group_create(IqContext& context);
/// add, remove, promote, demote: each participant with its own verdict.
wire::NodeBuilder answer_group_members(IqContext& context);
wire::NodeBuilder answer_group_leave(IqContext& context);
wire::NodeBuilder answer_group_subject(IqContext& context);
wire::NodeBuilder answer_group_description(IqContext& context);
/// announcement, locked, ephemeral, member_add_mode and their opposites.
wire::NodeBuilder answer_group_setting(IqContext& context);
/// The code of a group's invite link; asked of the server: the group behind a code.
wire::NodeBuilder answer_group_invite(IqContext& context);
/// Another code; asked of the server: to join by one.
wire::NodeBuilder answer_group_invite_set(IqContext& context);

/// `<group>` with everything there is to know about it.
wire::NodeBuilder group_node(const Group& group, const Accounts& accounts);
/// The name of an account in one form as the attribute `key`, and in the other as `other_key`.
void add_names(wire::NodeBuilder& node, std::string key, std::string other_key, const Phone& phone,
               Addressing form);

}  // namespace wa::mock
