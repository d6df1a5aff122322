#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.hpp"

namespace wa::lua {

/// A pattern as string.find, match, gmatch and gsub take it (Lua 5.4 manual, 6.4.1), compiled, and
/// matched with a budget: backtracking can take exponential time, and no instruction is counted
/// meanwhile.
class Pattern {
 public:
  static constexpr std::size_t kMaxPatternBytes = 2000;
  static constexpr std::size_t kMaxCaptures = 32;

  /// `anchors`: a leading ^ is an anchor (not in gmatch). Errors: `malformed`, `too_large`.
  static Result<Pattern> compile(std::string_view text, bool anchors);

  struct Capture {
    std::size_t begin = 0;
    std::size_t length = 0;
    bool is_position = false;
  };
  struct Found {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::vector<Capture> captures;
  };
  /// Matches exactly at `begin`. `steps` is decreased by the work done; Errors: `too_large` when it
  /// would fall below zero, `malformed` for captures that only matching shows to be wrong.
  Result<std::optional<Found>> match_at(std::string_view subject, std::size_t begin,
                                        std::int64_t& steps) const;
  /// The first match at or after `begin`; only at `begin` when anchored.
  Result<std::optional<Found>> search(std::string_view subject, std::size_t begin,
                                      std::int64_t& steps) const;
  bool anchored() const { return anchored_; }

 private:
  using Set = std::bitset<256>;
  enum class Kind : std::uint8_t {
    one,
    open,
    close,
    position,
    back_reference,
    balance,
    frontier,
    end
  };
  enum class Repeat : std::uint8_t { once, optional, greedy, greedy_one, lazy };
  struct Item {
    Kind kind = Kind::one;
    Repeat repeat = Repeat::once;
    Set set;                  ///< one, frontier
    unsigned char first = 0;  ///< balance; back_reference: which capture
    unsigned char second = 0;
  };
  class Parser;
  class Matcher;

  std::vector<Item> items_;
  bool anchored_ = false;
};

}  // namespace wa::lua
