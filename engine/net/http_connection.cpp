#include "engine/net/http_connection.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <exception>

#include "engine/base/limits.hpp"
#include "engine/net/http_answer.hpp"

namespace wa::net {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kMaxHeadBytes = 16 * 1024;
constexpr std::size_t kReadBytes = 4096;
/// Answers up to this size are given however much waits.
constexpr std::size_t kSmallAnswerBytes = 4096;
constexpr std::size_t kBodyReadBytes = 64 * 1024;
/// Most bytes of later requests that are taken while the current one waits for its answer.
constexpr std::size_t kMaxReadAhead = 64 * 1024;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// A header's value must not leave its line.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  return text;
}

std::string hex(std::size_t number) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[number % 16]);
    number /= 16;
  } while (number > 0);
  return digits;
}

template <class View>
std::string_view view(const View& text) {
  return {text.data(), text.size()};
}

}  // namespace

HttpConnection::HttpConnection(ByteStream stream, std::shared_ptr<const HttpRules> rules,
                               OnEnd on_end)
    : stream_(std::move(stream)),
      rules_(std::move(rules)),
      on_end_(std::move(on_end)),
      timer_(stream_.get_executor()) {
  ++rules_->load->connections;
}

HttpConnection::~HttpConnection() {
  --rules_->load->connections;
  rules_->load->bytes -= held_bytes_;
}

void HttpConnection::start() {
  begin_request();
}

void HttpConnection::turn_away() {
  turned_away_ = true;
  parser_.emplace();
  fail(503, "busy",
       "there are " + std::to_string(rules_->limits.connections) +
           " connections already, which is the most; close some, or try again later");
}

void HttpConnection::stop() {
  const bool answer_begun = phase_ == Phase::streaming || answer_complete_;
  if (queue_.empty() || !answer_begun) return end();
  keep_alive_ = false;
  answer_complete_ = true;
}

// ---- requests

void HttpConnection::begin_request() {
  phase_ = Phase::reading;
  ++request_number_;
  begun_ = false;
  answer_complete_ = false;
  request_ = {};
  route_ = nullptr;
  parser_.emplace();
  parser_->header_limit(kMaxHeadBytes);
  parser_->body_limit(boost::none);  // until the route is known
  arm_idle_timer();
  parse();
}

void HttpConnection::read() {
  if (reading_ || input_ended_ || phase_ == Phase::ended) return;
  reading_ = true;
  const bool in_body = phase_ == Phase::reading && parser_->is_header_done();
  incoming_.resize(in_body ? kBodyReadBytes : kReadBytes);
  stream_.async_read_some(
      asio::buffer(incoming_),
      [self = shared_from_this()](error_code ec, std::size_t count) { self->on_read(ec, count); });
}

void HttpConnection::on_read(error_code ec, std::size_t count) {
  reading_ = false;
  if (phase_ == Phase::ended) return;
  if (ec == asio::error::eof) return on_input_ended();
  if (ec) return end();
  append(buffer_, ByteSpan(incoming_).first(count));
  account();
  if (phase_ == Phase::reading && holds_too_much()) {
    return fail(503, "busy",
                "the server keeps " + std::to_string(rules_->limits.held_bytes) +
                    " bytes for its clients already, which is the most; try again later");
  }
  if (phase_ == Phase::reading) {
    // The head must arrive within its time; a body may take as long as it moves.
    if (parser_->is_header_done()) arm_idle_timer();
    return parse();
  }
  if (buffer_.size() < kMaxReadAhead) read();
}

void HttpConnection::on_input_ended() {
  input_ended_ = true;
  if (phase_ == Phase::streaming || (phase_ == Phase::reading && !begun_)) return end();
  if (phase_ == Phase::reading) {
    fail(400, "malformed", "the connection ended before the request was complete");
  }
  // While answering: a client that only closed its sending half still gets its answer.
}

void HttpConnection::parse() {
  while (true) {
    std::size_t blank = 0;  // lines between requests, which old clients send
    while (!begun_ && blank < buffer_.size() &&
           (buffer_[blank] == std::byte{'\r'} || buffer_[blank] == std::byte{'\n'})) {
      ++blank;
    }
    consume(blank);
    if (buffer_.empty()) return wait_for_more();

    begun_ = true;
    const bool had_head = parser_->is_header_done();
    error_code ec;
    const std::size_t used = parser_->put(asio::buffer(buffer_), ec);
    consume(used);
    if (ec == http::error::need_more) {
      // Only the head has a limit in the parser; an endless line between chunks would have none.
      if (buffer_.size() > kMaxHeadBytes) return on_parse_error(http::error::header_limit);
      return wait_for_more();
    }
    if (ec) return on_parse_error(ec);
    if (!had_head && parser_->is_header_done()) {
      if (!on_head()) return;
      arm_idle_timer();
    }
    if (parser_->is_done()) return on_request();
  }
}

void HttpConnection::consume(std::size_t count) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(count));
}

void HttpConnection::wait_for_more() {
  if (!input_ended_) return read();
  on_input_ended();
}

void HttpConnection::on_parse_error(error_code ec) {
  if (ec == http::error::header_limit) {
    return fail(431, "too_large", "the head of the request is larger than 16 KiB");
  }
  if (ec == http::error::body_limit) {
    return fail(413, "too_large",
                "the body is larger than " + std::to_string(route_ ? route_->max_body_bytes : 0) +
                    " bytes");
  }
  fail(400, "malformed", "this is not an HTTP request: " + ec.message());
}

/// The head is complete. False when the request was answered already.
bool HttpConnection::on_head() {
  const auto& message = parser_->get();
  const auto refuse = [this](auto&&... arguments) {
    fail(std::forward<decltype(arguments)>(arguments)...);
    return false;
  };
  request_.method = view(message.method_string());
  for (const auto& field : message) {
    auto& value = request_.headers[lower(view(field.name_string()))];
    value += (value.empty() ? "" : ", ") + std::string(view(field.value()));
  }
  if (rules_->token) {
    const std::string_view offered = request_.headers["authorization"];
    if (!equal_in_constant_time("Bearer " + *rules_->token, offered)) {
      return refuse(401, "unauthorized",
                    "the header Authorization: Bearer TOKEN is wrong or missing",
                    std::map<std::string, std::string>{{"WWW-Authenticate", "Bearer"}});
    }
  }
  auto target = RequestTarget::parse(view(message.target()));
  if (!target) return refuse(400, "malformed", target.error().detail);
  auto match = rules_->routes.find(request_.method, target->segments);
  if (!match) return refuse(404, "not_found", "there is nothing at " + target->path);
  if (!match->route) {
    return refuse(405, "method_not_allowed", target->path + " allows " + match->allowed,
                  std::map<std::string, std::string>{{"Allow", match->allowed}});
  }
  route_ = match->route;
  request_.path = std::move(target->path);
  request_.query = std::move(target->query);
  request_.parameters = std::move(match->parameters);

  const auto announced = parser_->content_length();
  if (announced && *announced > route_->max_body_bytes) {
    on_parse_error(http::error::body_limit);
    return false;
  }
  parser_->body_limit(route_->max_body_bytes);
  parser_->eager(true);
  body_due_ = std::chrono::steady_clock::now() + rules_->limits.body_time;
  if (!parser_->is_done() && lower(request_.headers["expect"]) == "100-continue") {
    write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return true;
}

void HttpConnection::on_request() {
  request_.body = std::move(parser_->get().body());
  phase_ = Phase::answering;
  timer_.cancel();
  read();  // notices when the client goes
  const HttpRequest request = std::move(request_);
  account();
  const HttpReply reply = make_reply(shared_from_this());
  const auto failed = [this](const char* what) {
    if (phase_ == Phase::streaming) return end();
    if (!answer_complete_) fail(500, "internal", what);
  };
  try {
    route_->handler(request, reply);
  } catch (const std::exception& error) {
    failed(error.what());
  } catch (...) {
    failed("unknown error");
  }
}

// ---- answers

void HttpConnection::fail(int status, std::string code, std::string message,
                          std::map<std::string, std::string> headers) {
  if (phase_ == Phase::ended) return;
  HttpResponse response = rules_->make_error(status, std::move(code), std::move(message));
  response.status = status;
  response.headers.merge(headers);
  phase_ = Phase::answering;
  answer(response);
}

void HttpConnection::answer(const HttpResponse& response) {
  if (phase_ != Phase::answering || answer_complete_) return;
  const std::size_t most = rules_->limits.held_bytes;
  if (response.body.size() > kSmallAnswerBytes &&
      rules_->load->bytes + response.body.size() > most) {
    return fail(503, "busy",
                "answers that clients have not read fill the " + std::to_string(most) +
                    " bytes that the server keeps for them; try again later");
  }
  // After a request that was not read to its end nobody knows where the next one begins.
  const bool whole = parser_->is_done();
  keep_alive_ = keep_alive_ && whole && parser_->keep_alive();
  const bool has_body = response.status != 204 && response.status != 304;
  std::string bytes =
      head(response, has_body ? "Content-Length: " + std::to_string(response.body.size()) + "\r\n"
                              : std::string());
  const bool head_only = parser_->is_header_done() && parser_->get().method() == http::verb::head;
  if (has_body && !head_only) bytes += response.body;
  answer_complete_ = true;
  write(std::move(bytes));
  if (phase_ != Phase::ended) arm_write_timer();
}

void HttpConnection::begin_events() {
  if (phase_ != Phase::answering || answer_complete_) return;
  phase_ = Phase::streaming;
  chunked_ = parser_->get().version() >= 11;
  keep_alive_ = keep_alive_ && chunked_ && parser_->keep_alive();
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers["Cache-Control"] = "no-cache";
  write(head(response, chunked_ ? "Transfer-Encoding: chunked\r\n" : ""));
  if (input_ended_) end();
}

void HttpConnection::send_event(std::string_view id, std::string_view data) {
  if (phase_ != Phase::streaming || answer_complete_) return;
  std::string event;
  if (!id.empty()) event += "id: " + one_line(std::string(id)) + "\n";
  while (true) {
    const std::size_t line_end = data.find_first_of("\r\n");
    event += "data: ";
    event += data.substr(0, line_end);
    event += '\n';
    if (line_end == std::string_view::npos) break;
    data.remove_prefix(line_end + (data.substr(line_end).starts_with("\r\n") ? 2 : 1));
  }
  event += '\n';
  if (chunked_) event = hex(event.size()) + "\r\n" + event + "\r\n";
  write(std::move(event));
}

void HttpConnection::end_events() {
  if (phase_ != Phase::streaming || answer_complete_) return;
  answer_complete_ = true;
  if (chunked_) return write("0\r\n\r\n");
  if (queue_.empty()) on_answer_written();
}

void HttpConnection::abandon() {
  if (phase_ == Phase::streaming) return end_events();
  if (phase_ == Phase::answering && !answer_complete_) {
    fail(500, "internal", "the request was not answered");
  }
}

std::string HttpConnection::head(const HttpResponse& response, std::string_view framing) const {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
  text += reason_of(response.status);
  text += "\r\n";
  if (!response.content_type.empty()) {
    text += "Content-Type: " + one_line(response.content_type) + "\r\n";
  }
  text += framing;
  for (const auto& [name, value] : response.headers) {
    text += one_line(name) + ": " + one_line(value) + "\r\n";
  }
  if (!keep_alive_) {
    text += "Connection: close\r\n";
  } else if (parser_->get().version() < 11) {
    text += "Connection: keep-alive\r\n";
  }
  return text + "\r\n";
}

void HttpConnection::write(std::string bytes) {
  if (phase_ == Phase::ended) return;
  queued_bytes_ += bytes.size();
  account();
  // A single answer may be of any size; an event stream that its reader does not keep up with ends.
  if (phase_ == Phase::streaming &&
      (queued_bytes_ > limits::kMaxSendQueueBytes || holds_too_much())) {
    stream_.reset();
    return end();
  }
  queue_.push_back(std::move(bytes));
  if (queue_.size() == 1) write_next();
}

void HttpConnection::write_next() {
  stream_.write_all(
      as_bytes(queue_.front()),
      [self = shared_from_this()](error_code ec, std::size_t) { self->on_written(ec); });
}

void HttpConnection::on_written(error_code ec) {
  if (phase_ == Phase::ended) {
    queue_.clear();
    queued_bytes_ = 0;
    return account();
  }
  if (ec) return end();
  queued_bytes_ -= queue_.front().size();
  queue_.pop_front();
  account();
  if (!queue_.empty()) return write_next();
  if (answer_complete_) on_answer_written();
}

void HttpConnection::on_answer_written() {
  if (keep_alive_ && !(input_ended_ && buffer_.empty())) return begin_request();
  // Gently: the client may still be sending a body that was refused, and must see why.
  phase_ = Phase::ended;
  timer_.cancel();
  stream_.close_gently([self = shared_from_this()] { self->on_end_(self); });
}

// ---- time and end

void HttpConnection::account() {
  const std::size_t body = parser_ ? parser_->get().body().size() : 0;
  const std::size_t holds = buffer_.size() + body + queued_bytes_;
  rules_->load->bytes += holds - held_bytes_;
  held_bytes_ = holds;
}

bool HttpConnection::holds_too_much() const {
  const HttpLoad& load = *rules_->load;
  const std::size_t most = rules_->limits.held_bytes;
  return load.bytes > most && held_bytes_ > most / load.connections;
}

void HttpConnection::arm_idle_timer() {
  const auto now = std::chrono::steady_clock::now();
  const bool in_body = phase_ == Phase::reading && parser_->is_header_done();
  const auto idle_until = now + rules_->limits.idle_time;
  timer_.expires_at(in_body ? std::min(idle_until, body_due_) : idle_until);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    // A timer that was set anew may have fired before.
    const bool stale = self->timer_.expiry() > std::chrono::steady_clock::now();
    if (ec || stale || self->phase_ != Phase::reading) return;
    if (!self->begun_) return self->end();
    self->fail(408, "timed_out", "the rest of the request did not come in time");
  });
}

/// Gives up on a client that takes no byte of its answer for the idle time.
void HttpConnection::arm_write_timer() {
  timer_.expires_after(rules_->limits.idle_time);
  timer_.async_wait([self = shared_from_this(), written = stream_.bytes_written()](error_code ec) {
    if (ec || self->phase_ == Phase::ended || self->queue_.empty()) return;
    if (self->stream_.bytes_written() != written) return self->arm_write_timer();
    self->stream_.reset();
    self->end();
  });
}

void HttpConnection::end() {
  if (phase_ == Phase::ended) return;
  phase_ = Phase::ended;
  timer_.cancel();
  stream_.close();
  on_end_(shared_from_this());
}

}  // namespace wa::net
