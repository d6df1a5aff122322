#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/protocol/wire/node_codec.hpp"

/// What `testline decode` makes of a file: the frames, nodes and traces in it, one line each.
namespace wa::cli {

/// The keys of one connection: `NOISE <client static> <client-to-server key> <server-to-client
/// key>`, as `--key-log` writes them.
struct TransportKeys {
  ByteArray<32> client_static;
  ByteArray<32> client_to_server;
  ByteArray<32> server_to_client;
};
/// Empty lines and lines of other kinds are skipped. Errors: `malformed`, naming the line.
Result<std::vector<TransportKeys>> parse_key_log(std::string_view text);

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
