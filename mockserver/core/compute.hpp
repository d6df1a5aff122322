#pragma once

#include <string>
#include <variant>

#include "engine/protocol/pairing/pairing_code.hpp"

/// Work of a tenant that takes more than a millisecond: pure functions of their inputs, run by the
/// shell on a thread, and in place in the simulator.
namespace wa::mock {

/// The two keys that the code on a phone opens: the companion's hello with one, its own with the
/// other.
struct DeriveLinkKeys {
  std::string code;
  pairing::CodeSalt companion_salt{};
  pairing::CodeSalt phone_salt{};
};
struct LinkKeys {
  pairing::LinkKey companion{};
  pairing::LinkKey phone{};
};

using ComputeJob = std::variant<DeriveLinkKeys>;
using ComputeValue = std::variant<LinkKeys>;
ComputeValue compute(const ComputeJob& job);

}  // namespace wa::mock
