#pragma once

#include "engine/protocol/wire/node.hpp"

namespace wa::wire {

/// The token tables that a connection uses, chosen by the fourth byte of the client's header.
enum class Dictionary : std::uint8_t { v2 = 2, v3 = 3 };

/// Decodes a transport plaintext: a flag byte (bit 1: the rest is zlib), then exactly one node.
/// Takes the plaintext over, since the nodes view it.
///
/// Errors: `truncated`, `malformed` (unknown tag, trailing bytes, a list where text is due, an
/// empty plaintext, …), `too_large` (depth, inflated size, memory of the tree). The detail names
/// the offset.
///
/// Source: docs/protocol/nodes.md (vectors: tests/vectors/binary-nodes.json).
Result<Frame> decode(Bytes plaintext, Dictionary dictionary);

/// Encodes flag byte 00 and the node, appended to `out`. JIDs are written with JID tags, text as
/// token, packed or raw; text that merely looks like a JID stays text. A JID's device is cut to
/// what its form holds, as in whatsmeow: 8 bits for users, none for groups and other servers.
/// A node has at most 65,535 children and 32,766 attributes.
void encode(const NodeBuilder& node, Dictionary dictionary, Bytes& out);
void encode(const Node& node, Dictionary dictionary, Bytes& out);

Bytes encode(const NodeBuilder& node, Dictionary dictionary);

}  // namespace wa::wire
