#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <list>
#include <optional>

#include "engine/net/byte_stream.hpp"
#include "engine/net/http_routes.hpp"

namespace wa::net {

/// What all connections of a server hold together.
struct HttpLoad {
  std::size_t connections = 0;
  std::size_t bytes = 0;  ///< bodies under way, and answers that were not read
};

/// What a connection asks of its server. Internal to engine/net.
struct HttpRules {
  HttpLimits limits;
  std::shared_ptr<HttpLoad> load = std::make_shared<HttpLoad>();
  RouteTable routes;
  std::optional<std::string> token;
  std::function<HttpResponse(int, std::string, std::string)> make_error;
};

/// A request body that grows as bytes arrive, never as they are announced.
struct GrowingBody {
  using value_type = Bytes;
  class reader {
   public:
    template <bool isRequest, class Fields>
    reader(boost::beast::http::header<isRequest, Fields>&, Bytes& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>&, error_code& ec) { ec = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, error_code& ec) {
      ec = {};
      std::size_t count = 0;
      for (auto at = boost::asio::buffer_sequence_begin(buffers);
           at != boost::asio::buffer_sequence_end(buffers); ++at) {
        const boost::asio::const_buffer part(*at);
        append(body_, ByteSpan(static_cast<const std::byte*>(part.data()), part.size()));
        count += part.size();
      }
      return count;
    }
    void finish(error_code& ec) { ec = {}; }

   private:
    Bytes& body_;
  };
};

/// One client: requests are read one after the other, each is answered before the next is looked
/// at.
///
///   reading ──request──▶ answering ──answer written──▶ reading, or ended
///                            └──start_events──▶ streaming ──end──▶ reading, or ended
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using OnEnd = std::function<void(const std::shared_ptr<HttpConnection>&)>;

  /// `rules` may outlive the server that made them; `on_end` runs once.
  HttpConnection(ByteStream stream, std::shared_ptr<const HttpRules> rules, OnEnd on_end);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void start();
  /// Instead of start(): there are too many already.
  void turn_away();
  bool was_turned_away() const { return turned_away_; }
  /// The server stops: an answer that is being written is finished, all else is cut.
  void stop();

  /// Counts requests: a reply that comes too late must not answer the next one.
  std::uint64_t request_number() const { return request_number_; }

  // What HttpReply calls while its request is the current one. The first answer wins.
  void answer(const HttpResponse& response);
  void begin_events();
  void send_event(std::string_view id, std::string_view data);
  void end_events();
  /// The last HttpReply of the current request is gone.
  void abandon();
  /// An error that the server makes itself.
  void fail(int status, std::string code, std::string message,
            std::map<std::string, std::string> headers = {});
  bool awaits_more() const { return phase_ != Phase::ended && !input_ended_ && !answer_complete_; }

 private:
  enum class Phase { reading, answering, streaming, ended };
  using Parser = boost::beast::http::request_parser<GrowingBody>;

  void begin_request();
  void read();
  void on_read(error_code ec, std::size_t count);
  void on_input_ended();
  void parse();
  void wait_for_more();
  void on_parse_error(error_code ec);
  bool on_head();
  void on_request();

  std::string head(const HttpResponse& response, std::string_view framing) const;
  void write(std::string bytes);
  void write_next();
  void on_written(error_code ec);
  void on_answer_written();
  void consume(std::size_t count);
  /// Tells the server's load what this connection holds now.
  void account();
  /// The server is over its limit, and this connection holds more than its share.
  bool holds_too_much() const;
  void arm_idle_timer();
  void arm_write_timer();
  void end();

  ByteStream stream_;
  std::shared_ptr<const HttpRules> rules_;
  OnEnd on_end_;
  boost::asio::steady_timer timer_;

  Bytes incoming_;  ///< where the read in flight writes
  Bytes buffer_;    ///< received, and not yet taken by the parser
  std::optional<Parser> parser_;
  HttpRequest request_;
  const Route* route_ = nullptr;
  std::uint64_t request_number_ = 0;

  std::list<std::string> queue_;  ///< to be written; the first is being written
  std::size_t queued_bytes_ = 0;
  std::size_t held_bytes_ = 0;  ///< as the load knows
  std::chrono::steady_clock::time_point body_due_{};
  Phase phase_ = Phase::reading;
  bool reading_ = false;
  bool input_ended_ = false;  ///< the client sends no more; perhaps it still listens
  bool begun_ = false;        ///< a byte of the current request has been parsed
  bool answer_complete_ = false;
  bool keep_alive_ = true;
  bool turned_away_ = false;
  bool chunked_ = true;  ///< an event stream to a client of HTTP/1.1
};

/// The reply to the current request of `connection`.
HttpReply make_reply(std::shared_ptr<HttpConnection> connection);

}  // namespace wa::net
