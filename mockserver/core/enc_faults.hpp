#pragma once

#include <map>

#include "mockserver/core/fault_record.hpp"

/// What faults of the end-to-end layer do to a stanza on its way. Each is false, and changes
/// nothing, when the stanza has nothing that the fault could change. Private to mockserver/core.
namespace wa::mock {

/// Every `<enc>` of a message, also those for single devices.
bool corrupt_enc(wire::NodeBuilder& stanza, CorruptEncFault::Part part);

/// A group message and the key that came with it.
bool spoil_sender_key(wire::NodeBuilder& stanza, SenderKeyFault::Kind kind);

/// The two names of the author of a message.
bool spoil_names(wire::NodeBuilder& stanza, LidFault::Kind kind);

/// The answer to a query for bundles. `handed_out` keeps the first one-time key that was seen of
/// each device.
bool spoil_bundles(wire::NodeBuilder& answer, BundleFault::Kind kind,
                   std::map<std::string, wire::NodeBuilder>& handed_out);

}  // namespace wa::mock
