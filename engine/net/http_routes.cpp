#include "engine/net/http_routes.hpp"

#include <algorithm>

namespace wa::net {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_parameter(const std::string& segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool matches(const Route& route, const std::vector<std::string>& segments) {
  return std::equal(route.pattern.begin(), route.pattern.end(), segments.begin(), segments.end(),
                    [](const std::string& pattern, const std::string& segment) {
                      return is_parameter(pattern) ? !segment.empty() : pattern == segment;
                    });
}

/// Both match the same path.
bool more_particular(const Route& a, const Route& b) {
  for (std::size_t i = 0; i < a.pattern.size(); ++i) {
    if (is_parameter(a.pattern[i]) != is_parameter(b.pattern[i])) {
      return !is_parameter(a.pattern[i]);
    }
  }
  return false;
}

Result<std::string> form_decoded(std::string text) {
  std::replace(text.begin(), text.end(), '+', ' ');
  return percent_decoded(text);
}

}  // namespace

Result<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (text.size() - i < 3) {
      return Error{Errc::malformed, "\"%\" must be followed by two hexadecimal digits"};
    }
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) {
      return Error{Errc::malformed, "\"" + std::string(text.substr(i, 3)) +
                                        "\": \"%\" must be followed by two hexadecimal digits"};
    }
    if (high == 0 && low == 0) return Error{Errc::malformed, "\"%00\" is not allowed"};
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

Result<RequestTarget> RequestTarget::parse(std::string_view target) {
  // A client that takes us for a proxy sends the whole URL.
  if (target.starts_with("http://")) {
    const std::size_t path = target.find_first_of("/?", 7);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  if (!target.starts_with('/')) {
    return Error{Errc::malformed, "the target of the request must begin with \"/\""};
  }
  const std::size_t path_end = std::min(target.find('?'), target.size());

  RequestTarget parsed;
  for (const std::string& segment : RouteTable::split(target.substr(0, path_end))) {
    WA_TRY(std::string plain, percent_decoded(segment));
    parsed.path += "/" + plain;
    parsed.segments.push_back(std::move(plain));
  }
  std::string_view query = target.substr(std::min(path_end + 1, target.size()));
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t name_end = std::min(pair.find('='), pair.size());
    WA_TRY(std::string name, form_decoded(std::string(pair.substr(0, name_end))));
    WA_TRY(std::string value,
           form_decoded(std::string(pair.substr(std::min(name_end + 1, pair.size())))));
    parsed.query.insert_or_assign(std::move(name), std::move(value));
  }
  return parsed;
}

std::vector<std::string> RouteTable::split(std::string_view pattern) {
  std::vector<std::string> segments;
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  while (true) {
    const std::size_t slash = pattern.find('/');
    segments.emplace_back(pattern.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    pattern.remove_prefix(slash + 1);
  }
}

void RouteTable::add(Route route) {
  routes_.push_back(std::move(route));
}

std::optional<RouteTable::Match> RouteTable::find(std::string_view method,
                                                  const std::vector<std::string>& segments) const {
  std::optional<Match> found;
  for (const Route& route : routes_) {
    if (!matches(route, segments)) continue;
    if (!found) found.emplace();
    if (route.method == method) {
      if (!found->route || more_particular(route, *found->route)) found->route = &route;
    } else if (found->allowed.find(route.method) == std::string::npos) {
      found->allowed += (found->allowed.empty() ? "" : ", ") + route.method;
    }
  }
  if (!found || !found->route) return found;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string& pattern = found->route->pattern[i];
    if (is_parameter(pattern)) {
      found->parameters[pattern.substr(1, pattern.size() - 2)] = segments[i];
    }
  }
  return found;
}

bool equal_in_constant_time(std::string_view secret, std::string_view offered) {
  unsigned difference = secret.size() == offered.size() ? 0 : 1;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
    const volatile unsigned both = static_cast<unsigned char>(expected ^ offered[i]);
    difference |= both;
  }
  return difference == 0;
}

}  // namespace wa::net
