#pragma once

#include <map>
#include <optional>

#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/wire/node.hpp"

/// What the server holds of the keys that begin Signal sessions, and what a phone holds itself.
/// Source: docs/protocol/connection.md, "Pre-keys".
namespace wa::mock {

/// The byte before a Curve25519 key where its kind is said.
inline constexpr std::byte kKeyType{5};

/// Pre-key ids travel in 3 bytes, and 0 is left out: some clients take it for none.
inline constexpr std::uint32_t kMaxPreKeyId = 0xff'ffff;

/// `<skey>` or `<key>`, as stanzas have them, without a signature.
wire::NodeBuilder key_node(std::string tag, std::uint32_t id, const crypto::PublicKey& key);

/// A one-time pre-key as it is handed out.
struct OneTimeKey {
  std::uint32_t id = 0;
  crypto::PublicKey key;
  bool operator==(const OneTimeKey&) const = default;
};

/// All that is needed to begin a session with a device.
struct DeviceBundle {
  std::uint32_t registration_id = 0;
  crypto::PublicKey identity;
  std::uint32_t signed_pre_key_id = 0;
  crypto::PublicKey signed_pre_key;
  crypto::Signature signed_pre_key_signature{};
  std::optional<OneTimeKey> one_time;  ///< none: they are used up
  Bytes device_identity;               ///< ADVSignedDeviceIdentity; empty for a phone
};

/// The one-time keys that a companion has uploaded. None is ever handed out twice, whatever is
/// uploaded again.
class PreKeyStock {
 public:
  enum class Upload {
    added,
    known,        ///< came before with the same key; a client may not have heard our answer
    handed_out,   ///< the same key, and somebody has it: it is not offered again
    conflicting,  ///< its id came before with another key, which it replaces
  };
  Upload add(std::uint32_t id, const crypto::PublicKey& key);
  /// The key with the lowest id, which is gone then.
  std::optional<OneTimeKey> take();

  std::size_t size() const { return offered_.size(); }
  bool empty() const { return offered_.empty(); }
  /// Clients upload when fewer than 5 are left: true whenever that is to be said anew.
  bool runs_low() const;
  const std::map<std::uint32_t, crypto::PublicKey>& offered() const { return offered_; }
  /// Those handed out last, for saving.
  const std::map<std::uint32_t, crypto::PublicKey>& handed_out() const { return handed_out_; }
  void set_handed_out(std::uint32_t id, const crypto::PublicKey& key);

 private:
  std::map<std::uint32_t, crypto::PublicKey> offered_;
  std::map<std::uint32_t, crypto::PublicKey> handed_out_;  ///< bounded: the lowest ids go first
};

/// The Signal registration of a virtual phone, with its secrets. One-time keys are made when they
/// are asked for.
struct PhoneKeys {
  std::uint32_t registration_id = 0;
  pairing::SignedPreKey signed_pre_key;
  std::uint32_t next_one_time_id = 1;
  /// Handed out, and no message has used them yet; the oldest go when there are too many.
  std::map<std::uint32_t, crypto::KeyPair> one_time;

  static PhoneKeys make(const crypto::KeyPair& identity, Random& random);
  OneTimeKey hand_out(Random& random);
  DeviceBundle bundle(const crypto::PublicKey& identity, Random& random);
};

}  // namespace wa::mock
