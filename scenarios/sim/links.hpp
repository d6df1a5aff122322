#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/random.hpp"
#include "engine/client/actions.hpp"
#include "mockserver/core/tenant.hpp"
#include "scenarios/sim/event_queue.hpp"

namespace wa::sim {

/// One direction of a link.
struct Lane {
  std::optional<SeededRandom> jitter;  ///< from the first message on that has some
  Instant last_due = Instant::min();   ///< nothing arrives before what was sent earlier
};

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
  Lane to_server;
  Lane to_client;
};

/// How long a message is under way: `latency`, and up to `jitter` more, drawn for each message from
/// a stream of its link and direction.
struct Delays {
  Duration latency{};
  Duration jitter{};
  std::uint64_t seed = 1;
};

/// The virtual network: all links have the same delays, each way, and keep order. A side that
/// closes hears nothing more; the other side hears of it one delay later, after what was under
/// way (fin) or instead of it (rst).
class Links {
 public:
  Links(EventQueue& queue, Delays delays) : queue_(queue), delays_(delays) {}

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
  /// When what is sent now to that side arrives.
  Instant at_server(std::uint32_t link, Instant now);
  Instant at_client(std::uint32_t link, Instant now);
  Instant due(Lane& lane, std::uint32_t link, std::string_view side, Instant now);

  EventQueue& queue_;
  Delays delays_;
  std::vector<Link> links_;
};

}  // namespace wa::sim
