#include "mockserver/net/listen_address.hpp"

namespace wa::mock {

std::string dialled_host(std::string_view listen) {
  const std::size_t colon = listen.rfind(':');
  const std::string_view host = colon == std::string_view::npos ? listen : listen.substr(0, colon);
  if (host.empty() || host == "0.0.0.0") return "127.0.0.1";
  if (host == "[::]") return "[::1]";
  return std::string(host);
}

}  // namespace wa::mock
