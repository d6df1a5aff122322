#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/client/actions.hpp"
#include "mockserver/core/tenant.hpp"
#include "scenarios/sim/event_queue.hpp"

namespace wa::sim {

/// One virtual socket between a device and the tenant, with an end on each side. Number n of a
/// world is the tenant's connection n + 1.
struct Link {
  std::uint32_t device = 0;
  client::Generation generation = 0;
  std::string target;
  bool client_open = true;   ///< the client holds the socket, or dials it
  bool established = false;  ///< Dialed was given
  bool asking = false;       ///< the upgrade is with the tenant, which has not answered
  client::DialPhase phase = client::DialPhase::upgrade;  ///< in which its dial fails, if it does
  std::string failure = "timed out";
  bool server_open = false;     ///< the tenant accepted and has not ended it
  bool lost_to_server = false;  ///< reset by the client: what is under way to the server is lost
  bool lost_to_client = false;
  bool blackholed = false;
};

/// The virtual network: every link has the same latency, each way, and keeps order. A side that
/// closes hears nothing more; the other side hears of it one latency later, after what was under
/// way (fin) or instead of it (rst).
class Links {
 public:
  Links(EventQueue& queue, Duration latency) : queue_(queue), latency_(latency) {}

  std::uint32_t dial(std::uint32_t device, const client::DialSocket& dial, Instant now);
  void accept(std::uint32_t link, Instant now);
  void refuse(std::uint32_t link, int status, Instant now);
  /// The client hears that its dial has failed.
  void fail(std::uint32_t link, client::DialPhase phase, std::string failure, Instant now);

  void client_sends(std::uint32_t link, Bytes bytes, Instant now);
  void server_sends(std::uint32_t link, Bytes bytes, Instant now);
  void client_closes(std::uint32_t link, client::CloseHow how, Instant now);
  void server_closes(std::uint32_t link, mock::CloseHow how, Instant now);

  /// The link of that socket of a device; empty when it never was or is long gone.
  std::optional<std::uint32_t> find(std::uint32_t device, client::Generation generation) const;
  Link& operator[](std::uint32_t link) { return links_[link]; }
  const Link& operator[](std::uint32_t link) const { return links_[link]; }
  std::size_t size() const { return links_.size(); }
  std::size_t open() const;
  std::size_t open_of(std::uint32_t device) const;  ///< on the device's side

 private:
  EventQueue& queue_;
  Duration latency_;
  std::vector<Link> links_;
};

}  // namespace wa::sim
