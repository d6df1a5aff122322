#pragma once

#include <string>

#include "engine/protocol/crypto/keys.hpp"

namespace wa::mock {

/// The server's long-lived identity: the root that clients trust, the intermediate, and the Noise
/// static key. All tenants of a server share it.
struct ServerKeys {
  crypto::KeyPair root;
  crypto::KeyPair intermediate;
  crypto::KeyPair noise_static;

  static ServerKeys generate(Random& random);

  /// JSON text for `--state`, and back. Errors: `malformed`.
  std::string save() const;
  static Result<ServerKeys> load(std::string_view json);
};

}  // namespace wa::mock
