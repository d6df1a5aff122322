#include "mockserver/core/settings.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <variant>

namespace wa::mock {
namespace {

using Member = std::variant<std::uint32_t Settings::*, Duration Settings::*, bool Settings::*,
                            noise::IkPolicy Settings::*>;

constexpr std::pair<noise::IkPolicy, std::string_view> kIkWords[] = {
    {noise::IkPolicy::accept, "accept"},
    {noise::IkPolicy::fallback, "fallback"},
    {noise::IkPolicy::refuse, "refuse"}};

struct Row {
  SettingDescription description;
  Member member;
  bool is_deadline = false;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {{"refs.count", "QR refs offered per registration", ""}, &Settings::refs_count},
      {{"refs.first", "life of the first ref", ""}, &Settings::refs_first},
      {{"refs.rest", "life of each further ref", ""}, &Settings::refs_rest},
      {{"refs.grace", "a ref is accepted this long after its end", ""}, &Settings::refs_grace},
      {{"refs.linger", "an unpaired socket is closed this long after its last ref's end", ""},
       &Settings::refs_linger},
      {{"restart_delay", "from pair-device-sign to stream:error 515", ""},
       &Settings::restart_delay},
      {{"first_frame_delay", "first frame after the handshake, for clients of dictionary 2", ""},
       &Settings::first_frame_delay},
      {{"scan_timeout", "from pair-success to pair-device-sign", ""},
       &Settings::scan_timeout,
       true},
      {{"pairing_code.life", "how long a phone takes the code that a companion shows", ""},
       &Settings::pairing_code_life,
       true},
      {{"handshake_timeout", "from the open socket to ClientFinish", ""},
       &Settings::handshake_timeout,
       true},
      {{"server_ping", "the server pings a logged-in client this often; 0ms: never", ""},
       &Settings::server_ping},
      {{"edge_routing", "send routing info after login", ""}, &Settings::edge_routing},
      {{"initial_history",
        "the phone sends a companion its app-state key and history after the first login", ""},
       &Settings::initial_history},
      {{"noise.ik", "a client that resumes with Noise IK: accept, fallback (XXfallback), refuse",
        ""},
       &Settings::noise_ik},
  };
  return table;
}

std::string default_text(const Row& row) {
  const Settings defaults;
  if (const auto* number = std::get_if<std::uint32_t Settings::*>(&row.member)) {
    return std::to_string(defaults.**number);
  }
  if (const auto* flag = std::get_if<bool Settings::*>(&row.member)) {
    return defaults.**flag ? "true" : "false";
  }
  if (const auto* policy = std::get_if<noise::IkPolicy Settings::*>(&row.member)) {
    for (const auto& [value, word] : kIkWords) {
      if (defaults.**policy == value) return std::string(word);
    }
  }
  const Duration duration = defaults.*std::get<Duration Settings::*>(row.member);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (milliseconds % 1000 == 0 && milliseconds > 0)
    return std::to_string(milliseconds / 1000) + "s";
  return std::to_string(milliseconds) + "ms";
}

/// Optimal string alignment without transpositions; words are short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(3, word.size() / 2) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return std::string(best);
}

Result<Duration> parse_duration(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Error{Errc::usage, "\"" + std::string(text) + "\" is not a duration: " +
                                  std::string(why) + " (write \"250ms\", \"20s\", \"2m\", \"1h\")"};
  };
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || !std::isfinite(number))
    return bad("it does not begin with a number");
  if (number < 0) return bad("it is negative");
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double nanoseconds = 0;
  if (unit == "us") {
    nanoseconds = 1e3;
  } else if (unit == "ms") {
    nanoseconds = 1e6;
  } else if (unit == "s") {
    nanoseconds = 1e9;
  } else if (unit == "m") {
    nanoseconds = 60e9;
  } else if (unit == "h") {
    nanoseconds = 3600e9;
  } else if (unit == "d") {
    nanoseconds = 86400e9;
  } else {
    return bad(unit.empty() ? "it has no unit" : "unknown unit \"" + std::string(unit) + "\"");
  }
  constexpr double kLongest = 3650.0 * 86400e9;
  if (number * nanoseconds > kLongest) return bad("it is longer than ten years");
  return Duration(std::llround(number * nanoseconds));
}

Result<Settings> Settings::profile(std::string_view name) {
  Settings settings;
  if (name == "default" || name.empty()) return settings;
  if (name == "fast") {
    settings.restart_delay = 0ms;
    return settings;
  }
  return Error{Errc::usage,
               "unknown profile \"" + std::string(name) + "\"; there are \"default\" and \"fast\""};
}

Result<void> Settings::set(std::string_view key, std::string_view value) {
  for (const Row& row : rows()) {
    if (row.description.key != key) continue;
    const auto bad = [&](std::string_view takes) {
      return Error{Errc::usage, std::string(key) + " takes " + std::string(takes) + ", not \"" +
                                    std::string(value) + "\""};
    };
    if (const auto* number = std::get_if<std::uint32_t Settings::*>(&row.member)) {
      std::uint32_t parsed = 0;
      const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), parsed);
      if (status != std::errc() || end != value.data() + value.size() || parsed > 1000) {
        return bad("a whole number from 0 to 1000");
      }
      this->** number = parsed;
    } else if (const auto* duration = std::get_if<Duration Settings::*>(&row.member)) {
      auto parsed = parse_duration(value);
      if (!parsed) return Error{Errc::usage, std::string(key) + ": " + parsed.error().detail};
      this->** duration = *parsed;
    } else if (const auto* flag = std::get_if<bool Settings::*>(&row.member)) {
      if (value != "true" && value != "false") return bad("true or false");
      this->** flag = value == "true";
    } else {
      const auto* word = std::find_if(std::begin(kIkWords), std::end(kIkWords),
                                      [&](const auto& entry) { return entry.second == value; });
      if (word == std::end(kIkWords)) return bad("accept, fallback or refuse");
      this->*std::get<noise::IkPolicy Settings::*>(row.member) = word->first;
    }
    return {};
  }
  std::vector<std::string_view> keys;
  for (const Row& row : rows()) keys.push_back(row.description.key);
  const std::string near = nearest(key, keys);
  return Error{Errc::usage, "unknown setting \"" + std::string(key) + "\"" +
                                (near.empty() ? "" : "; did you mean \"" + near + "\"?")};
}

Settings Settings::scaled(double factor) const {
  Settings result = *this;
  for (const Row& row : rows()) {
    const auto* member = std::get_if<Duration Settings::*>(&row.member);
    if (!member) continue;
    Duration& duration = result.**member;
    if (duration == Duration::zero() || factor == 1) continue;
    const Duration floor = row.is_deadline ? Duration(250ms) : Duration(20ms);
    const auto product = static_cast<double>(duration.count()) * factor;
    duration = std::max(floor, Duration(std::llround(product)));
  }
  return result;
}

std::vector<SettingDescription> settings_table() {
  std::vector<SettingDescription> table;
  for (const Row& row : rows()) {
    table.push_back(row.description);
    table.back().value = default_text(row);
  }
  return table;
}

}  // namespace wa::mock
