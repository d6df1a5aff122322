#include "engine/protocol/signal/failure.hpp"

#include <stdexcept>

namespace wa::signal {

std::string_view to_string(Failure failure) {
  switch (failure) {
    case Failure::no_session: return "no_session";
    case Failure::bad_mac: return "bad_mac";
    case Failure::duplicate: return "duplicate";
    case Failure::too_far: return "too_far";
    case Failure::bad_version: return "bad_version";
    case Failure::malformed: return "malformed";
    case Failure::invalid_key: return "invalid_key";
    case Failure::no_pre_key: return "no_pre_key";
    case Failure::no_signed_pre_key: return "no_signed_pre_key";
    case Failure::bad_signature: return "bad_signature";
    case Failure::no_sender_key: return "no_sender_key";
    case Failure::chain_closed: return "chain_closed";
    case Failure::bad_padding: return "bad_padding";
  }
  WA_UNREACHABLE("a Failure without a word");
}

int retry_reason(Failure failure) {
  switch (failure) {
    case Failure::no_session: return 1;
    case Failure::bad_mac: return 7;
    case Failure::duplicate: return 0;
    case Failure::too_far: return 6;
    case Failure::bad_version: return 4;
    case Failure::malformed: return 4;
    case Failure::invalid_key: return 2;
    case Failure::no_pre_key: return 3;
    case Failure::no_signed_pre_key: return 3;
    case Failure::bad_signature: return 5;
    case Failure::no_sender_key: return 1;
    case Failure::chain_closed: return 9;
    case Failure::bad_padding: return 4;
  }
  WA_UNREACHABLE("a Failure without a retry reason");
}

std::string to_string(const Refusal& refusal) {
  return std::string(to_string(refusal.why)) + ": " + refusal.detail;
}

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
  return out << to_string(refusal);
}

void throw_exception_from_error(const Refusal& refusal, const boost::source_location&) {
  throw std::runtime_error(to_string(refusal));
}

}  // namespace wa::signal
