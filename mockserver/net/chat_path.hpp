#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.hpp"

namespace wa::mock {

/// The tenant that an upgrade's target asks for: empty for "/ws/chat", NAME for "/t/NAME/ws/chat";
/// a query may follow. Errors: `not_found`, naming the right paths.
Result<std::string> tenant_of_target(std::string_view target);

}  // namespace wa::mock
