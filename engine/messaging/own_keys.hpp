#pragma once

#include "engine/base/change.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/signal/session.hpp"
#include "engine/protocol/wire/jid.hpp"

namespace wa::messaging {

/// Who we are: what a messenger needs of its session's credentials. All of it is in memory.
class OwnKeys {
 public:
  virtual ~OwnKeys() = default;

  virtual const signal::LocalIdentity& identity() const = 0;
  /// The one that bundles name.
  virtual const pairing::SignedPreKey& signed_pre_key() const = 0;
  /// One that a peer names; earlier ones are kept for a while.
  virtual std::optional<crypto::KeyPair> signed_pre_key(std::uint32_t id) const = 0;
  virtual const wire::Jid& jid() const = 0;
  /// Without a server while it is unknown.
  virtual const wire::Jid& lid() const = 0;
  /// What others are shown as our name; empty while it is unknown.
  virtual const std::string& push_name() const = 0;
  /// ADVSignedDeviceIdentity.
  virtual ByteSpan signed_device_identity() const = 0;

  /// A one-time pre-key that nobody was given yet. Its private half, and the mark by which its id
  /// is never given again, are appended to `changes`.
  virtual signal::PreKeyBundle::OneTime make_pre_key(Random& random,
                                                     std::vector<Change>& changes) = 0;
};

}  // namespace wa::messaging
