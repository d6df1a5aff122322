#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/base/bytes.hpp"
#include "engine/base/limits.hpp"
#include "engine/base/now.hpp"

namespace boost::asio {
class io_context;
}

/// A small HTTP/1.1 server for control and gateway APIs: routes, JSON bodies, server-sent events,
/// keep-alive. Runs on the io_context's one thread.
namespace wa::net {

struct HttpRequest {
  std::string method;
  std::string path;                               ///< decoded, without the query
  std::map<std::string, std::string> query;       ///< decoded
  std::map<std::string, std::string> headers;     ///< names in lower case
  std::map<std::string, std::string> parameters;  ///< of the route: "{id}" → its segment, decoded
  Bytes body;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;
};

/// Answers one request, now or later, exactly once. Copies share the answer; an answer to a client
/// that has gone is dropped. When the last copy goes without an answer the client gets 500, and an
/// event stream ends. Of two answers the first counts.
class HttpReply {
 public:
  class Impl;
  explicit HttpReply(std::shared_ptr<Impl> impl);

  void send(HttpResponse response) const;
  /// Begins a text/event-stream; then each event() is one message, until end() or the client goes.
  /// A reader that lets limits::kMaxSendQueueBytes pile up is cut off.
  void start_events() const;
  void event(std::string_view id, std::string_view data) const;
  void end() const;
  /// False once the client has gone or has its whole answer. A client that only closed its sending
  /// half counts as gone, but gets an answer that is sent all the same.
  bool open() const;

 private:
  std::shared_ptr<Impl> impl_;
};

/// What a server bears of its clients. Beyond `connections` a client is told 503 and closed; where
/// more than `held_bytes` are kept for all of them, those that hold more than their share are told
/// 503, or cut off while they stream.
struct HttpLimits {
  std::size_t connections = limits::kMaxHttpConnections;
  std::size_t held_bytes = limits::kMaxHttpHeldBytes;
  std::chrono::milliseconds idle_time =
      std::chrono::seconds(60);  ///< for a head, for news of a body
  std::chrono::milliseconds body_time = std::chrono::seconds(300);  ///< for a whole body
};

class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest&, HttpReply)>;
  class Impl;

  explicit HttpServer(boost::asio::io_context& io, HttpLimits limits = {});
  ~HttpServer();

  /// `pattern` is a path whose segments may be "{name}". A known path with another method answers
  /// 405 with Allow; an unknown one 404. Bodies above `max_body_bytes` answer 413 before they are
  /// read. A handler that throws answers 500.
  void route(std::string method, std::string pattern, Handler handler,
             std::size_t max_body_bytes = 1024 * 1024);
  /// Every request must carry "Authorization: Bearer TOKEN" (compared in constant time).
  void require_token(std::string token);
  /// The body of errors that the server makes itself: `make(status, code, message)`.
  void on_error(std::function<HttpResponse(int, std::string, std::string)> make);

  /// `address` is "HOST:PORT"; port 0 takes a free one. Errors: `usage`, `environment`.
  Result<void> listen(std::string_view address);
  std::uint16_t port() const;
  /// Ends the listener and all connections; an answer that is being written is finished. No handler
  /// runs after this.
  void stop();

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::net
