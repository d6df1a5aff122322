#pragma once

#include "engine/client/credentials.hpp"
#include "engine/protocol/wire/node.hpp"

/// The end of pairing: what the server says when a phone has scanned, and our answers.
/// Source: docs/protocol/pairing.md, "Scan" and "Device identity".
namespace wa::client {

struct PairSuccess {
  Account account;
  std::uint32_t key_index = 0;
  Bytes signed_reply;  ///< ADVSignedDeviceIdentity for pair-device-sign
};

/// Checks everything in `<pair-success>`: that the phone knew our ADV secret, that the account's
/// key vouches for our identity key, that the JIDs are ones we can log in with. Errors:
/// `malformed`; `auth_failed` with detail "hmac…" or "account signature…".
Result<PairSuccess> accept_pair_success(const wire::Node& pair_success,
                                        const Credentials& credentials, Random& random);

/// `<iq type="result">` with `pair-device-sign`.
wire::NodeBuilder pair_device_sign(std::string_view iq_id, const PairSuccess& success);

/// How an unacceptable pair-success is answered. Nothing secret is in it.
struct PairRefusal {
  int code;
  std::string_view text;    ///< as other clients word it
  std::string_view reason;  ///< the local end of the stream, a child in the close policy
};
PairRefusal refusal_for(const Error& error);
wire::NodeBuilder refuse_pair_success(std::string_view iq_id, const PairRefusal& refusal);

}  // namespace wa::client
