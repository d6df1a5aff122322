#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

/// A blocking HTTP client for tests of HTTP servers that run on another thread or in another
/// process. Every wait ends after 20 s with an exception.
namespace wa::mock::test {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  boost::json::value json() const;
};

/// One TCP connection to 127.0.0.1.
class TestSocket {
 public:
  explicit TestSocket(std::uint16_t port);
  ~TestSocket();
  TestSocket(const TestSocket&) = delete;
  TestSocket& operator=(const TestSocket&) = delete;

  void write(std::string_view bytes);
  /// What is there, at least one byte; empty at the end of the stream.
  std::string read_some();
  /// Up to and with `end`.
  std::string read_until(std::string_view end);
  std::string read_bytes(std::size_t count);
  /// One answer with a Content-Length.
  HttpAnswer read_answer();

 private:
  int file_ = -1;
  std::string buffer_;
};

using HttpHeaders = std::map<std::string, std::string>;

/// The text of a request.
std::string http_request(std::string_view method, std::string_view target,
                         std::string_view body = {}, const HttpHeaders& headers = {});

/// One request on a connection of its own.
HttpAnswer http_call(std::uint16_t port, std::string_view method, std::string_view target,
                     std::string_view body = {}, const HttpHeaders& headers = {});

/// Asks for a WebSocket and reads the answer, which ends the request when it is a 101.
HttpAnswer websocket_upgrade(TestSocket& socket, std::string_view target);
/// Sends a WebSocket ping and reads up to its pong.
void websocket_ping(TestSocket& socket, std::string_view text);

}  // namespace wa::mock::test
