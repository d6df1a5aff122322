#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "engine/client/actions.hpp"
#include "engine/client/credentials.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"
#include "engine/protocol/wire/node.hpp"

namespace wa::client {

/// One pairing code on one socket: its secrets, its stanzas, and how far the phone has come. The
/// code lives and dies with the socket; the session decides when to begin and what users see.
///
///   deriving ──key──▶ asking ──ref──▶ shown ──primary_hello──▶ unwrapping ──key──▶ finished
///                                       ▲                          ▲                  │
///                                       └──── unusable hello ──────┴──── next hello ──┘
///
/// Source: docs/protocol/pairing.md, "Pairing code".
class CodePairing {
 public:
  /// Phones that a person typed something into; the next one is not listened to.
  static constexpr int kMostHellos = 3;

  /// `number`: digits. The code can be used until `ends_at`. Draws the code.
  CodePairing(std::string number, Instant ends_at, Random& random);

  const std::string& number() const { return number_; }
  const std::string& code() const { return code_; }
  Instant ends_at() const { return ends_at_; }
  /// The phone has answered: it gets this long at least.
  void extend(Instant until) { ends_at_ = std::max(ends_at_, until); }

  /// The link key that is needed next, as a job for the shell; `job` is its id.
  DeriveLinkKey wanted_key() const;
  std::optional<std::uint32_t> job;
  /// Whether that key is for companion_hello; otherwise it is for companion_finish.
  bool deriving() const { return step_ == Step::deriving; }

  /// companion_hello, once the link key is there.
  wire::NodeBuilder hello(const std::string& iq_id, const pairing::LinkKey& key,
                          const crypto::PublicKey& noise_key, std::string_view os, Random& random);
  /// Whether the answer to companion_hello is due, and this is its id.
  bool awaits(std::string_view iq_id) const { return asking() && iq_id == hello_id_; }
  bool asking() const { return step_ == Step::asking; }
  /// The server's answer. Errors: `malformed` without a ref.
  Result<void> on_ref(const wire::Node& answer);
  /// Whether the code is to be on show.
  bool shown() const { return step_ >= Step::shown; }

  /// A notification of the phone. Errors: `malformed` (fields), `unexpected_message` (too early,
  /// too many, another ref); nothing has changed then.
  Result<void> on_primary_hello(const wire::Node& notification);
  /// companion_finish, once the link key is there. Errors: `auth_failed` (a key of small order).
  Result<wire::NodeBuilder> finish(const std::string& iq_id, const pairing::LinkKey& key,
                                   const crypto::KeyPair& identity, Random& random);

  /// What pair-success is bound to after companion_finish; empty before.
  const std::optional<pairing::AdvSecret>& adv_secret() const { return adv_secret_; }

 private:
  enum class Step { deriving, asking, shown, unwrapping, finished };
  wire::NodeBuilder iq(const std::string& id, wire::NodeBuilder content) const;

  std::string number_;
  std::string code_;
  Instant ends_at_;
  Step step_ = Step::deriving;
  crypto::KeyPair ephemeral_;
  pairing::CodeSalt salt_{};
  std::string hello_id_;
  Bytes ref_;
  int hellos_ = 0;
  pairing::WrappedEphemeral primary_ephemeral_;
  crypto::PublicKey primary_identity_;
  std::optional<pairing::AdvSecret> adv_secret_;
};

}  // namespace wa::client
