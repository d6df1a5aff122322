#pragma once

#include <boost/json/array.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/net/http_server.hpp"
#include "mockserver/control/api_result.hpp"

namespace wa::mock::control {

/// Which events somebody wants.
struct EventQuery {
  std::string tenant;
  std::uint64_t from = 0;        ///< this number and later
  std::vector<EventKind> kinds;  ///< empty: all
  std::string device;            ///< label or JID; empty: all

  /// Reads `from`, `kind` (several with commas) and `device`. Codes: bad_parameter.
  static ApiResult<EventQuery> parse(const net::HttpRequest& request, std::string tenant);
  bool wants(const LoggedEvent& event) const;
};

/// `GET /v1/events`: those that are logged, then those that come.
class EventFeed {
 public:
  /// `most`: streams and long polls at a time; more are answered 429.
  EventFeed(boost::asio::io_context& io, MockHost& host, std::size_t most);
  ~EventFeed();

  /// Server-sent events, until the client goes.
  void stream(EventQuery query, net::HttpReply reply);

  /// A long poll: answers as soon as `limit` events are there; after `within` with 408 and what did
  /// arrive; without `within` at once.
  struct Poll {
    EventQuery query;
    std::size_t limit = 0;
    std::optional<Duration> within;
  };
  void poll(Poll poll, net::HttpReply reply);

  /// Ends every stream and answers every poll.
  void stop();

 private:
  struct Stream {
    EventQuery query;
    net::HttpReply reply;
  };
  struct Waiting;

  void on_event(const LoggedEvent& event);
  /// False, and the client was told, when there are too many readers already.
  bool has_room(const net::HttpReply& reply);

  boost::asio::io_context& io_;
  MockHost& host_;
  std::size_t most_;
  MockHost::Subscription subscription_;
  std::list<Stream> streams_;
  std::list<std::shared_ptr<Waiting>> polls_;
};

}  // namespace wa::mock::control
