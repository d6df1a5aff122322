#pragma once

#include <string>
#include <string_view>

namespace wa::mock {

/// Text of a client as JSON takes it: at most so many bytes, valid UTF-8, with U+FFFD for what is
/// none.
std::string legible(std::string_view text, std::size_t most_bytes = 4096);

/// Whether that changes nothing.
bool is_legible(std::string_view text, std::size_t most_bytes = 4096);

/// Whether it may be the id of a message: legible, and of at most 128 bytes.
bool is_word(std::string_view text);

}  // namespace wa::mock
