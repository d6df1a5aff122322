#include "engine/net/http_answer.hpp"

#include <boost/beast/http/status.hpp>

namespace wa::net {

std::string_view reason_of(int status) {
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

void answer_and_close(const ByteStream& stream, int status, std::string_view body,
                      std::string_view extra_headers) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " ";
  answer += reason_of(status);
  answer += "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: ";
  answer += std::to_string(body.size()) + "\r\n";
  answer += extra_headers;
  answer += "\r\n";
  answer += body;
  auto kept = std::make_shared<const std::string>(std::move(answer));
  stream.write_all(as_bytes(*kept), [stream, kept](error_code ec, std::size_t) {
    ec ? stream.close() : stream.close_gently({});
  });
}

}  // namespace wa::net
