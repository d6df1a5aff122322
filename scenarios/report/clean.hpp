#pragma once

#include <string>
#include <string_view>

namespace wa::report {

/// The text as valid UTF-8 without the control characters that XML 1.0 and terminals do not take;
/// what is neither becomes U+FFFD. Scripts and clients under test print what they like.
std::string clean(std::string_view text);

}  // namespace wa::report
