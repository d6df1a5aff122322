#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/base/result.hpp"

/// Members of JSON objects that people write: what is wrong is said with the member's name and with
/// what it takes. All errors are `usage`. Absent members are empty. Private to mockserver/core.
namespace wa::mock {

Error usage(std::string detail);
/// "; did you mean \"close\"?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known);

/// Refuses members that are not in the list, naming the nearest one that is.
Result<void> only_members(const boost::json::object& object, std::string_view where,
                          const std::vector<std::string_view>& known);
/// An empty list counts as an empty object: so arrives an empty Lua table.
Result<boost::json::object> object_at(const boost::json::object& parent, std::string_view key);
/// Numbers are printed.
Result<std::string> text_at(const boost::json::object& parent, std::string_view key);
Result<std::optional<std::uint64_t>> count_at(const boost::json::object& parent,
                                              std::string_view key, std::uint64_t least,
                                              std::uint64_t most);
Result<std::optional<Duration>> duration_at(const boost::json::object& parent,
                                            std::string_view key);
/// A duration that may be negative: "-90s".
Result<std::optional<Duration>> offset_at(const boost::json::object& parent, std::string_view key);
Result<bool> flag_at(const boost::json::object& parent, std::string_view key);
/// Position of `word` among `words`.
Result<std::size_t> one_of(std::string_view key, std::string_view word,
                           const std::vector<std::string_view>& words);
/// "a, b, c".
std::string joined(const std::vector<std::string_view>& words);

/// "1.5s" as few letters as it takes, exactly: parses to the same duration.
std::string duration_text(Duration duration);

}  // namespace wa::mock
