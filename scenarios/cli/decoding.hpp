#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "scenarios/cli/key_log.hpp"

/// What `testline decode` makes of a file: the frames, nodes and traces in it, one line each.
namespace wa::cli {

struct DecodeContext {
  std::vector<TransportKeys> keys;
  wire::Dictionary dictionary = wire::Dictionary::v3;  ///< where the input does not say it
};

/// Understands, told apart by how it begins:
/// - a trace (JSON Lines, of `run --trace` or `/v1/events`);
/// - one direction of a connection, WebSocket payloads one behind the other, from its first byte
/// on:
///   handshake messages, and the stanzas if a key log has the connection's keys;
/// - one decrypted frame: the flag byte and a node.
/// Bytes may be given as hexadecimal text. What follows an error is not printed: the last line says
/// what is wrong. Errors: `malformed` (nothing of it can be understood).
Result<std::vector<std::string>> decode_lines(ByteSpan file, const DecodeContext& context);

}  // namespace wa::cli
