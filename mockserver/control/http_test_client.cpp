#include "mockserver/control/http_test_client.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace wa::mock::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return text;
}

}  // namespace

boost::json::value HttpAnswer::json() const {
  return boost::json::parse(body);
}

TestSocket::TestSocket(std::uint16_t port)
    : file_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (file_ < 0) fail("socket");
  const timeval patience{20, 0};
  ::setsockopt(file_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(file_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(file_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    ::close(file_);
    errno = error;
    fail("connect");
  }
}

TestSocket::~TestSocket() {
  ::close(file_);
}

void TestSocket::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ::ssize_t count = ::send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) fail("send");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string TestSocket::read_some() {
  if (!buffer_.empty()) return std::exchange(buffer_, {});
  char part[16 * 1024];
  const ::ssize_t count = ::recv(file_, part, sizeof part, 0);
  if (count < 0) fail("recv");
  return std::string(part, static_cast<std::size_t>(count));
}

std::string TestSocket::read_until(std::string_view end) {
  std::string text;
  while (true) {
    const std::string more = read_some();
    if (more.empty()) throw std::runtime_error("the stream ended after: " + text);
    text += more;
    const std::size_t found = text.find(end);
    if (found == std::string::npos) continue;
    buffer_ = text.substr(found + end.size());
    text.resize(found + end.size());
    return text;
  }
}

std::string TestSocket::read_bytes(std::size_t count) {
  std::string text;
  while (text.size() < count) {
    const std::string more = read_some();
    if (more.empty()) throw std::runtime_error("the stream ended early");
    text += more;
  }
  buffer_ = text.substr(count);
  text.resize(count);
  return text;
}

HttpAnswer TestSocket::read_answer() {
  HttpAnswer answer;
  const std::string head = read_until("\r\n\r\n");
  answer.status = std::stoi(head.substr(head.find(' ') + 1));
  for (std::size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
    const std::size_t end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    answer.headers[lower(line.substr(0, colon))] =
        line.substr(line.find_first_not_of(' ', colon + 1));
    at = end + 2;
  }
  const auto length = answer.headers.find("content-length");
  if (length != answer.headers.end()) answer.body = read_bytes(std::stoul(length->second));
  return answer;
}

std::string http_request(std::string_view method, std::string_view target, std::string_view body,
                         const HttpHeaders& headers) {
  std::string text =
      std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + std::string(body);
}

HttpAnswer http_call(std::uint16_t port, std::string_view method, std::string_view target,
                     std::string_view body, const HttpHeaders& headers) {
  TestSocket socket(port);
  socket.write(http_request(method, target, body, headers));
  return socket.read_answer();
}

HttpAnswer websocket_upgrade(TestSocket& socket, std::string_view target) {
  socket.write(http_request("GET", target, {},
                            {{"Upgrade", "websocket"},
                             {"Connection", "Upgrade"},
                             {"Sec-WebSocket-Version", "13"},
                             {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}}));
  return socket.read_answer();
}

void websocket_ping(TestSocket& socket, std::string_view text) {
  std::string frame = {'\x89', static_cast<char>(0x80 | text.size()), 0, 0, 0, 0};  // mask of zeros
  socket.write(frame + std::string(text));
  const std::string pong = {'\x8a', static_cast<char>(text.size())};
  socket.read_until(pong + std::string(text));
}

}  // namespace wa::mock::test
