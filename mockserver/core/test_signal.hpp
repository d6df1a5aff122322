#pragma once

#include "engine/protocol/message/content.hpp"
#include "engine/protocol/signal/session.hpp"
#include "mockserver/core/test_client.hpp"

namespace wa::mock::test {

/// What a companion under test shares with one other device: it reads what that one writes and
/// answers it. `one_time` is the key that it uploads, if it uploads any.
class TestSignal {
 public:
  TestSignal(const DeviceKeys& keys, Random& random,
             std::optional<crypto::KeyPair> one_time = std::nullopt)
      : keys_(keys), random_(random), one_time_(std::move(one_time)) {}

  /// An upload of its one-time key, under id 1.
  wire::NodeBuilder upload() const;

  /// The envelope in the first `<enc>` of a message.
  signal::Outcome<message::Envelope> try_read(const wire::Node& stanza);
  message::Envelope read(const wire::Node& stanza);

  /// A message for the device, with one copy.
  wire::NodeBuilder write(std::string id, const wire::Jid& to, std::string text);

 private:
  signal::LocalIdentity local() const;

  const DeviceKeys& keys_;
  Random& random_;
  std::optional<crypto::KeyPair> one_time_;
  signal::Session session_;
};

}  // namespace wa::mock::test
