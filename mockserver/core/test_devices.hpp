#pragma once

#include "mockserver/core/test_client.hpp"

/// Linked devices that talk to each other through a tenant.
namespace wa::mock::test {

/// One linked device of an account, and its connection.
class TestDevice {
 public:
  TestDevice(Bench& bench, std::string number, std::string label,
             wire::Dictionary dictionary = wire::Dictionary::v3);

  /// Logs in on a new connection and drops what the login itself brings.
  void log_in();
  /// The same, and nothing is read; `passive`: what waited comes after `<active/>`.
  void log_in_unread(bool passive = false);
  void disconnect() { client->disconnect(); }

  void send(const wire::NodeBuilder& node) { client->send(node); }
  /// Everything that has arrived since.
  std::vector<wire::Frame> inbox();
  /// What has arrived with one of these tags; all else is dropped.
  std::vector<wire::Frame> inbox(std::string_view tag);
  /// Reads everything that has arrived, and acknowledges what wants that.
  void settle();
  /// The answer to an IQ; what arrives before it is dropped.
  wire::Frame ask(const wire::NodeBuilder& iq);

  wire::Jid pn() const { return {linked.phone.number, wire::kServerPn, device()}; }
  wire::Jid lid() const;
  std::uint16_t device() const { return static_cast<std::uint16_t>(linked.device); }
  std::string phone_id() const { return linked.phone.id; }

  DeviceKeys keys;
  Linked linked;
  std::unique_ptr<TestClient> client;

 private:
  Bench& bench_;
  std::string label_;
  wire::Dictionary dictionary_;
};

/// `<enc v=2>` around a text that stands for ciphertext.
wire::NodeBuilder enc(std::string type, std::string_view body);

/// A direct or group message: every copy is an enc of type msg around the name of its device.
wire::NodeBuilder message_to(const wire::Jid& to, std::string id,
                             const std::vector<wire::Jid>& copies);

/// The receipt that a client sends for a message it got.
wire::NodeBuilder receipt_for(const wire::Node& message, std::string type = {});

}  // namespace wa::mock::test
