#pragma once

#include <boost/assert.hpp>
#include <boost/system/result.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace wa {

/// Everything that can go wrong because of the outside world. Values are stable; scenarios name
/// them.
enum class Errc : int {
  truncated = 1,       ///< input ended inside a field; more bytes may fix it
  malformed,           ///< input can never become valid
  auth_failed,         ///< AEAD tag, signature or HMAC mismatch
  unexpected_message,  ///< well-formed, but not allowed in the current state
  too_large,           ///< above a limit of limits.hpp
  timed_out,           ///< a deadline passed
  transport,           ///< sockets, DNS, HTTP upgrade
  not_found,           ///< the named thing does not exist
  conflict,            ///< the named thing is in a state that forbids this
  environment,         ///< files, ports, permissions, missing programs
  usage,               ///< what the user wrote cannot be understood
  fenced,              ///< another owner has taken over; nothing may be written
};

/// The stable word for a code: "truncated", "auth_failed", …
std::string_view to_string(Errc code);

struct Error {
  Errc code;
  std::string detail;  ///< for humans: what was expected, what was found, where. Never secrets.
  bool operator==(const Error&) const = default;
};

/// "code: detail".
std::string to_string(const Error& error);
std::ostream& operator<<(std::ostream& out, const Error& error);

/// A value or an `Error`. The derived class exists for one reason: Boost 1.81's result is not
/// [[nodiscard]], and a dropped error must not compile.
template <class T>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
 public:
  using boost::system::result<T, Error>::result;
};

/// Ends the program with file, line and the broken promise. For what only our own bug can cause; on
/// in every build.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace wa

/// Boost's `result::value()` needs to know how an Error becomes an exception.
namespace wa {
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);
}

#define WA_ASSERT(condition) \
  (static_cast<bool>(condition) ? void(0) : ::wa::assertion_failed(#condition, __FILE__, __LINE__))

/// Marks what only a bug of ours can reach: `WA_UNREACHABLE("a State without a word");`
#define WA_UNREACHABLE(why) ::wa::assertion_failed(why, __FILE__, __LINE__)

#define WA_DETAIL_CONCAT_2(a, b) a##b
#define WA_DETAIL_CONCAT(a, b) WA_DETAIL_CONCAT_2(a, b)
#define WA_DETAIL_TRY(tmp, declaration, ...) \
  auto tmp = (__VA_ARGS__);                  \
  if (!tmp) return std::move(tmp).error();   \
  declaration = std::move(*tmp)

/// `WA_TRY(auto value, expression)`: unwraps a Result, or returns its error from this function.
#define WA_TRY(declaration, ...) \
  WA_DETAIL_TRY(WA_DETAIL_CONCAT(wa_try_, __LINE__), declaration, __VA_ARGS__)

/// `WA_TRY_VOID(expression)`: returns the error of a Result<void> from this function, if there is
/// one.
#define WA_TRY_VOID(...)                                        \
  if (auto WA_DETAIL_CONCAT(wa_try_, __LINE__) = (__VA_ARGS__); \
      !WA_DETAIL_CONCAT(wa_try_, __LINE__))                     \
  return std::move(WA_DETAIL_CONCAT(wa_try_, __LINE__)).error()
