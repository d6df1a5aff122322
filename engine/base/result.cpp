#include "engine/base/result.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace wa {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::truncated: return "truncated";
    case Errc::malformed: return "malformed";
    case Errc::auth_failed: return "auth_failed";
    case Errc::unexpected_message: return "unexpected_message";
    case Errc::too_large: return "too_large";
    case Errc::timed_out: return "timed_out";
    case Errc::transport: return "transport";
    case Errc::not_found: return "not_found";
    case Errc::conflict: return "conflict";
    case Errc::environment: return "environment";
    case Errc::usage: return "usage";
    case Errc::fenced: return "fenced";
  }
  return "unknown";
}

std::string to_string(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.detail;
}

std::ostream& operator<<(std::ostream& out, const Error& error) {
  return out << to_string(error);
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, expression);
  std::abort();
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(to_string(error));
}

}  // namespace wa
