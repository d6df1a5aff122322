#pragma once

#include <boost/system/result.hpp>
#include <ostream>
#include <string>
#include <string_view>

#include "engine/base/result.hpp"

namespace wa::signal {

/// Why a message cannot be read (or made). The words are stable: scenarios, events and retry
/// receipts name them.
enum class Failure {
  no_session,         ///< no state with this device at all, or none to encrypt with
  bad_mac,            ///< no session's key makes the code that the message carries
  duplicate,          ///< its key was used already, or its counter is older than what is kept
  too_far,            ///< more than 2000 messages ahead of the chain, or the chain is used up
  bad_version,        ///< another version than 3
  malformed,          ///< cut short, a field missing, no protobuf
  invalid_key,        ///< a public key of small order or of a wrong length
  no_pre_key,         ///< it names a one-time pre-key that is gone
  no_signed_pre_key,  ///< it names a signed pre-key that is unknown
  bad_signature,      ///< of a signed pre-key or of a group message
  no_sender_key,      ///< no distribution came for this key id
  chain_closed,       ///< its chain ended, and this key was not among those announced
  bad_padding,        ///< authentic, but the padding inside is wrong
};

/// The stable word: "no_session", "bad_mac", …
std::string_view to_string(Failure failure);

/// The number of a retry receipt's `error`; 0 (unknown) for a duplicate, which asks for no retry.
/// Source: docs/protocol/signal.md, "Retry reasons".
int retry_reason(Failure failure);

struct Refusal {
  Failure why;
  std::string detail;  ///< for humans. Never secrets.
  bool operator==(const Refusal&) const = default;
};

/// "why: detail".
std::string to_string(const Refusal& refusal);
std::ostream& operator<<(std::ostream& out, const Refusal& refusal);

/// Boost's `result::value()` needs to know how a Refusal becomes an exception.
[[noreturn]] void throw_exception_from_error(const Refusal& refusal, const boost::source_location&);

/// A value or a `Refusal`. Not a `Result`, since the reason decides what goes on the wire (a retry
/// receipt and its number, an ack, or nothing), so it has to be finer than an `Errc`.
/// WA_TRY and WA_TRY_VOID work with it.
template <class T>
class [[nodiscard]] Outcome : public boost::system::result<T, Refusal> {
 public:
  using boost::system::result<T, Refusal>::result;
};

}  // namespace wa::signal
