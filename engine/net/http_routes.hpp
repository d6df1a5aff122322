#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/net/http_server.hpp"

/// What an HTTP request asks for: the target taken apart, and the table of routes. Pure; internal
/// to engine/net.
namespace wa::net {

/// "%41" → "A". Errors: `malformed` (cut short, not hexadecimal, or an encoded NUL).
Result<std::string> percent_decoded(std::string_view text);

/// The target of a request, decoded only after it was taken apart, so an encoded "/" stays in its
/// segment.
struct RequestTarget {
  std::string path;                          ///< decoded
  std::vector<std::string> segments;         ///< decoded; "/a/" has two, the last of them empty
  std::map<std::string, std::string> query;  ///< decoded, "+" is a blank; the last of a name wins

  /// Errors: `malformed`.
  static Result<RequestTarget> parse(std::string_view target);
};

struct Route {
  std::string method;
  std::vector<std::string> pattern;  ///< segments; "{name}" takes any that is not empty
  HttpServer::Handler handler;
  std::size_t max_body_bytes;
};

class RouteTable {
 public:
  void add(Route route);
  static std::vector<std::string> split(std::string_view pattern);

  struct Match {
    const Route* route = nullptr;  ///< stays valid when routes are added
    std::map<std::string, std::string> parameters;
    std::string allowed;  ///< methods of this path, when `route` is empty: "GET, POST"
  };
  /// The most particular route: from the left, a literal segment beats "{name}". Empty when no
  /// route has this path.
  std::optional<Match> find(std::string_view method,
                            const std::vector<std::string>& segments) const;

 private:
  std::deque<Route> routes_;
};

/// Takes a time that depends on `offered` alone.
bool equal_in_constant_time(std::string_view secret, std::string_view offered);

}  // namespace wa::net
