#pragma once

#include "mockserver/core/iq_routes.hpp"

namespace wa::mock {

/// `<usync>`: for each user in its list what the query asks for of devices, lid (unless it is asked
/// by LID), contact and disappearing_mode; other protocols come back without contents. A user is
/// named by phone number, by LID, or by a
/// `<contact>` child with the number as text. People without WhatsApp are left out, unless
/// `contact` is asked, which says so.
///
/// The device list carries the signed key-index list: RS does not believe in companions without it.
///
/// Source: docs/protocol/connection.md, After login.
wire::NodeBuilder answer_usync(IqContext& context);

}  // namespace wa::mock
