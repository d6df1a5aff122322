#pragma once

#include <boost/json/object.hpp>

#include "engine/protocol/wire/node.hpp"

namespace wa::mock {

/// A stanza that a person writes: `{"tag": "ib", "attrs": {"from": "@s.whatsapp.net"}, "children":
/// [{…}]}`, or with "text" or "hex" in place of "children". Attributes named from, to, jid, lid,
/// participant, recipient or target are sent as JIDs if they are ones. Errors: `usage`.
Result<wire::NodeBuilder> node_from_json(const boost::json::value& json);
/// What node_from_json reads as the same node.
boost::json::object to_json(const wire::NodeBuilder& node);

}  // namespace wa::mock
