#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "engine/net/websocket.hpp"
#include "mockserver/net/mock_host.hpp"

namespace wa::mock {

/// What a tenant's shell needs of its host.
class TenantSurroundings {
 public:
  virtual ~TenantSurroundings() = default;
  virtual Now now() const = 0;
  /// An event to be logged and told to subscribers.
  virtual void record(const std::string& tenant, TenantEvent event) = 0;
  virtual void host_fault(const HostFaultSwitched& switched) = 0;
  virtual void log_keys(const LogKeys& keys) = 0;
  /// Runs the job on a thread and `done` on the io_context; not at all once the host stops.
  virtual void compute(ComputeJob job, std::function<void(ComputeValue)> done) = 0;
  /// All actions of a step have been performed.
  virtual void settled(const std::string& tenant) = 0;
};

/// One Tenant on real sockets: feeds it what happens, performs its actions in order, keeps one
/// alarm.
///
/// A connection's way: the tenant decides (its UpgradeRequest is kept, for ever if nothing is
/// answered), then accepting (actions wait), then open.
class TenantShell : public std::enable_shared_from_this<TenantShell> {
 public:
  TenantShell(boost::asio::io_context& io, TenantSurroundings& host, std::string name,
              Tenant tenant);

  Tenant& tenant() { return tenant_; }

  void upgrade(net::UpgradeRequest request);
  void command(const Command& command, MockHost::Done done);
  /// What is wrong with the TLS handshake that begins now.
  std::optional<TlsFault::Kind> tls_fault();

  std::size_t open_sockets() const;
  /// Cuts every connection, ends the alarm, answers what is unanswered. Nothing happens afterwards.
  void stop();

 private:
  struct Deciding {
    net::UpgradeRequest request;
  };
  struct Accepting {
    std::deque<Action> waiting;
  };
  struct Open {
    net::WebSocketPtr socket;
    bool blackholed = false;
  };
  using Link = std::variant<Deciding, Accepting, Open>;

  void take(std::vector<Action> actions);
  /// Performs what is queued, unless that is already going on further up the stack.
  void drain();
  void perform(Action& action);
  void perform(ConnectionId id, AcceptUpgrade);
  void perform(ConnectionId id, const RefuseUpgrade& refuse);
  void perform(ConnectionId id, SendBytes& send);
  void perform(ConnectionId id, CloseSocket close);
  void on_accepted(ConnectionId id, net::WebSocketPtr socket);
  void feed(ConnectionId id, const ConnectionEvent& event);
  void disconnected(ConnectionId id, std::string detail);
  void cut_what_answers_nothing();
  void keep_alarm();

  TenantSurroundings& host_;
  std::string name_;
  Tenant tenant_;
  boost::asio::steady_timer alarm_;
  std::optional<Instant> alarm_at_;
  std::map<ConnectionId, Link> links_;
  std::map<RequestId, MockHost::Done> requests_;
  std::deque<Action> actions_;
  ConnectionId last_connection_ = 0;
  RequestId last_request_ = 0;
  bool draining_ = false;
  bool stopped_ = false;
};

}  // namespace wa::mock
