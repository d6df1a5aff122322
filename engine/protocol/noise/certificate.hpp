#pragma once

#include "engine/base/now.hpp"
#include "engine/protocol/crypto/keys.hpp"

namespace wa::noise {

/// What a chain is issued for. Times are unix seconds. The root's serial is 0 by definition.
struct ChainSpec {
  crypto::PublicKey server_static;
  std::uint32_t intermediate_serial = 1;
  std::uint32_t leaf_serial = 2;
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;
};

/// A serialized CertChain that satisfies every known client: root → intermediate → leaf, with the
/// root's serial 0 written explicitly. Source: docs/protocol/transport.md, "Certificate chain".
Bytes issue_chain(const ChainSpec& spec, const crypto::KeyPair& root,
                  const crypto::KeyPair& intermediate, Random& random);

/// Checks everything the strictest client checks: presence, lengths, both signatures, serials, the
/// leaf key against the decrypted server static key, both validity windows.
/// Errors: `malformed`, `auth_failed`; the detail names the certificate and the field.
Result<void> verify_chain(ByteSpan chain, const crypto::PublicKey& root,
                          const crypto::PublicKey& server_static, UnixMillis now);

}  // namespace wa::noise
