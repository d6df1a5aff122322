#include "engine/net/http_server.hpp"

#include <unordered_set>

#include "engine/net/http_connection.hpp"
#include "engine/net/listener.hpp"

namespace wa::net {
namespace {

/// Connections beyond the limit that are still being told so; more are closed without a word.
constexpr std::size_t kTurnedAway = 50;

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (code < 0x20 || code == 0x7f) {
      out += "\\u00";
      out += "0123456789abcdef"[code / 16];
      out += "0123456789abcdef"[code % 16];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

HttpResponse default_error(int status, const std::string& code, const std::string& message) {
  HttpResponse response;
  response.status = status;
  response.body =
      R"({"error":{"code":)" + json_string(code) + R"(,"message":)" + json_string(message) + "}}\n";
  return response;
}

}  // namespace

class HttpReply::Impl {
 public:
  explicit Impl(std::shared_ptr<HttpConnection> connection)
      : connection_(std::move(connection)), number_(connection_->request_number()) {}
  ~Impl() {
    if (is_current()) connection_->abandon();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  HttpConnection& connection() const { return *connection_; }
  bool is_current() const { return connection_->request_number() == number_; }

 private:
  std::shared_ptr<HttpConnection> connection_;
  std::uint64_t number_;
};

HttpReply::HttpReply(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

void HttpReply::send(HttpResponse response) const {
  if (impl_->is_current()) impl_->connection().answer(response);
}

void HttpReply::start_events() const {
  if (impl_->is_current()) impl_->connection().begin_events();
}

void HttpReply::event(std::string_view id, std::string_view data) const {
  if (impl_->is_current()) impl_->connection().send_event(id, data);
}

void HttpReply::end() const {
  if (impl_->is_current()) impl_->connection().end_events();
}

bool HttpReply::open() const {
  return impl_->is_current() && impl_->connection().awaits_more();
}

HttpReply make_reply(std::shared_ptr<HttpConnection> connection) {
  return HttpReply(std::make_shared<HttpReply::Impl>(std::move(connection)));
}

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, HttpLimits limits) : io_(io) {
    rules_->limits = limits;
    rules_->make_error = default_error;
  }

  HttpRules& rules() { return *rules_; }

  Result<void> listen(std::string_view address) {
    WA_ASSERT(!listener_);
    WA_TRY(listener_, Listener::open(io_, address, [weak = weak_from_this()](Socket socket) {
             if (const auto self = weak.lock()) self->on_socket(std::move(socket));
           }));
    return {};
  }

  std::uint16_t port() const { return listener_ ? listener_->port() : std::uint16_t{0}; }

  void stop() {
    if (listener_) listener_->stop();
    const auto connections = std::exchange(connections_, {});
    for (const auto& connection : connections) connection->stop();
  }

 private:
  void on_socket(Socket socket) {
    const bool full = connections_.size() - turned_away_ >= rules_->limits.connections;
    if (full && turned_away_ >= kTurnedAway) return;
    auto connection = std::make_shared<HttpConnection>(
        ByteStream(std::move(socket)), rules_, [weak = weak_from_this()](const auto& ended) {
          const auto self = weak.lock();
          if (!self || self->connections_.erase(ended) == 0) return;
          if (ended->was_turned_away()) --self->turned_away_;
        });
    connections_.insert(connection);
    if (!full) return connection->start();
    ++turned_away_;
    connection->turn_away();
  }

  boost::asio::io_context& io_;
  std::shared_ptr<HttpRules> rules_ = std::make_shared<HttpRules>();
  std::shared_ptr<Listener> listener_;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
  std::size_t turned_away_ = 0;  ///< of them
};

HttpServer::HttpServer(boost::asio::io_context& io, HttpLimits limits)
    : impl_(std::make_shared<Impl>(io, limits)) {}
HttpServer::~HttpServer() {
  stop();
}

void HttpServer::route(std::string method, std::string pattern, Handler handler,
                       std::size_t max_body_bytes) {
  impl_->rules().routes.add(
      {std::move(method), RouteTable::split(pattern), std::move(handler), max_body_bytes});
}

void HttpServer::require_token(std::string token) {
  impl_->rules().token = std::move(token);
}

void HttpServer::on_error(std::function<HttpResponse(int, std::string, std::string)> make) {
  impl_->rules().make_error = std::move(make);
}

Result<void> HttpServer::listen(std::string_view address) {
  return impl_->listen(address);
}
std::uint16_t HttpServer::port() const {
  return impl_->port();
}
void HttpServer::stop() {
  impl_->stop();
}

}  // namespace wa::net
