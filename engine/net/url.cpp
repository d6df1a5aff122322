#include <algorithm>
#include <charconv>

#include "engine/net/websocket.hpp"

namespace wa::net {
namespace {

Error usage(std::string_view text, const std::string& what) {
  return Error{Errc::usage, "URL \"" + std::string(text) + "\": " + what};
}

bool is_printable(char c) {
  return c > ' ' && c < 0x7f;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_' || c == '%';
}

/// Takes `scheme` off the front of `rest`, in either case.
bool take_scheme(std::string_view& rest, std::string_view scheme) {
  if (rest.size() < scheme.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = rest[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return false;
  }
  rest.remove_prefix(scheme.size());
  return true;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_printable)) {
    return usage("…", "only printable ASCII without blanks is allowed");
  }
  Url url;
  std::string_view rest = text;
  if (take_scheme(rest, "wss://")) {
    url.tls = true;
  } else if (!take_scheme(rest, "ws://")) {
    return usage(text, "the scheme must be ws:// or wss://");
  }
  const std::size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  std::string_view target = rest.substr(authority_end);
  if (target.find('#') != std::string_view::npos) return usage(text, "a fragment has no meaning");
  if (authority.find('@') != std::string_view::npos) {
    return usage(text, "user names and passwords are not supported");
  }

  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return usage(text, "the host lacks its \"]\"");
    url.host = std::string(authority.substr(1, bracket - 1));
    authority.remove_prefix(bracket + 1);
    if (url.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos ||
        url.host.find(':') == std::string::npos) {
      return usage(text, "the host in brackets is no IPv6 address");
    }
  } else {
    const std::size_t host_end = std::min(authority.find(':'), authority.size());
    url.host = std::string(authority.substr(0, host_end));
    authority.remove_prefix(host_end);
    if (!std::all_of(url.host.begin(), url.host.end(), is_host_character)) {
      return usage(text, "the host has characters that no host has");
    }
  }
  if (url.host.empty()) return usage(text, "the host is missing");

  url.port = url.tls ? 443 : 80;
  if (!authority.empty()) {
    if (authority.front() != ':') return usage(text, "after the host a port or a path must follow");
    authority.remove_prefix(1);
    const char* end = authority.data() + authority.size();
    const auto [stop, failed] = std::from_chars(authority.data(), end, url.port);
    if (failed != std::errc() || stop != end || url.port == 0) {
      return usage(text, "the port must be a number from 1 to 65535");
    }
  }
  if (!target.starts_with('/')) url.target = "/";
  url.target += target;
  return url;
}

}  // namespace wa::net
