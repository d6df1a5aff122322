#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.hpp"

namespace wa::loopback {

/// A command line taken apart as a shell does, without a shell: blanks separate; '…' is taken as it
/// is; "…" too, but for \" and \\; elsewhere \ takes the next character as it is. Nothing is
/// expanded, and |, ; and the like mean themselves. Errors: `usage` (nothing in it, a quote that is
/// not closed).
Result<std::vector<std::string>> split_command(std::string_view line);

}  // namespace wa::loopback
