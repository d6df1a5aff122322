#include "mockserver/core/json_members.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "mockserver/core/settings.hpp"

namespace wa::mock {

namespace json = boost::json;

namespace {

std::string_view kind_name(const json::value& value) {
  return json::to_string(value.kind());
}

/// What was given instead, short enough for a message.
std::string shown(const json::value& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = json::serialize(value);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "…";
  return text;
}

}  // namespace

Error usage(std::string detail) {
  return Error{Errc::usage, std::move(detail)};
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongestWord = 64;
  const std::string near = nearest(word.substr(0, kLongestWord), known);
  return near.empty() ? std::string() : "; did you mean \"" + near + "\"?";
}

Result<void> only_members(const json::object& object, std::string_view where,
                          const std::vector<std::string_view>& known) {
  for (const auto& member : object) {
    const std::string_view key = member.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return usage(std::string(where) + ": unknown member \"" + std::string(key) + "\"" +
                 (known.empty() ? "; it takes none" : did_you_mean(key, known)));
  }
  return {};
}

Result<json::object> object_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return json::object();
  if (value->is_array() && value->get_array().empty()) return json::object();
  if (!value->is_object()) {
    return usage("\"" + std::string(key) + "\" takes an object, not " +
                 std::string(kind_name(*value)));
  }
  return value->get_object();
}

Result<std::string> text_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return std::string();
  if (value->is_int64()) return std::to_string(value->get_int64());
  if (!value->is_string()) {
    return usage("\"" + std::string(key) + "\" takes text, not " + std::string(kind_name(*value)));
  }
  return std::string(value->get_string());
}

Result<std::optional<std::uint64_t>> count_at(const json::object& parent, std::string_view key,
                                              std::uint64_t least, std::uint64_t most) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return std::optional<std::uint64_t>();
  std::uint64_t number = 0;
  bool whole = false;
  if (value->is_int64() && value->get_int64() >= 0) {
    number = static_cast<std::uint64_t>(value->get_int64());
    whole = true;
  } else if (value->is_uint64()) {
    number = value->get_uint64();
    whole = true;
  }
  if (!whole || number < least || number > most) {
    return usage("\"" + std::string(key) + "\" takes a whole number from " + std::to_string(least) +
                 " to " + std::to_string(most) + ", not " + shown(*value));
  }
  return std::optional<std::uint64_t>(number);
}

Result<std::optional<Duration>> duration_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return std::optional<Duration>();
  if (!value->is_string()) {
    return usage("\"" + std::string(key) + "\" takes a duration such as \"5s\", not " +
                 shown(*value));
  }
  auto parsed = parse_duration(std::string_view(value->get_string()));
  if (!parsed) return usage("\"" + std::string(key) + "\": " + parsed.error().detail);
  return std::optional<Duration>(*parsed);
}

Result<std::optional<Duration>> offset_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr || !value->is_string()) return duration_at(parent, key);
  std::string_view text = value->get_string();
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  auto parsed = parse_duration(text);
  if (!parsed) return usage("\"" + std::string(key) + "\": " + parsed.error().detail);
  return std::optional<Duration>(negative ? -*parsed : *parsed);
}

Result<bool> flag_at(const json::object& parent, std::string_view key) {
  const auto* value = parent.if_contains(key);
  if (value == nullptr) return false;
  if (!value->is_bool()) {
    return usage("\"" + std::string(key) + "\" takes true or false, not " + shown(*value));
  }
  return value->get_bool();
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string list;
  for (const std::string_view word : words) {
    list += (list.empty() ? "" : ", ") + std::string(word);
  }
  return list;
}

Result<std::size_t> one_of(std::string_view key, std::string_view word,
                           const std::vector<std::string_view>& words) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  return usage("\"" + std::string(key) + "\" takes one of " + joined(words) + ", not \"" +
               std::string(word.substr(0, 60)) + "\"");
}

std::string duration_text(Duration duration) {
  const std::string sign = duration < Duration::zero() ? "-" : "";
  const auto count = static_cast<std::uint64_t>(std::abs(duration.count()));
  struct Unit {
    std::uint64_t nanoseconds;
    const char* name;
  };
  for (const Unit unit : {Unit{1'000'000'000, "s"}, Unit{1'000'000, "ms"}, Unit{1'000, "us"}}) {
    if (count % unit.nanoseconds == 0)
      return sign + std::to_string(count / unit.nanoseconds) + unit.name;
  }
  std::string nanoseconds = std::to_string(count % 1'000);
  nanoseconds.insert(0, 3 - nanoseconds.size(), '0');
  return sign + std::to_string(count / 1'000) + "." + nanoseconds + "us";
}

}  // namespace wa::mock
