#include "scenarios/lua/pattern.hpp"

#include <algorithm>

namespace wa::lua {

namespace {

Error malformed(std::string detail) {
  return Error{Errc::malformed, std::move(detail)};
}

bool in_class(char name, int c) {
  const bool lower = c >= 'a' && c <= 'z';
  const bool upper = c >= 'A' && c <= 'Z';
  const bool digit = c >= '0' && c <= '9';
  const bool graphic = c > 32 && c < 127;
  switch (name) {
    case 'a': return lower || upper;
    case 'c': return c < 32 || c == 127;
    case 'd': return digit;
    case 'g': return graphic;
    case 'l': return lower;
    case 'p': return graphic && !lower && !upper && !digit;
    case 's': return c == ' ' || (c >= 9 && c <= 13);
    case 'u': return upper;
    case 'w': return lower || upper || digit;
    default: return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  }
}

}  // namespace

class Pattern::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<Item>> parse(std::size_t begin) {
    at_ = begin;
    std::size_t captures = 0;
    std::vector<bool> open;
    while (at_ < text_.size()) {
      Item item;
      const char c = text_[at_];
      if (c == '(') {
        ++at_;
        if (++captures > kMaxCaptures) return malformed("too many captures");
        const bool position = at_ < text_.size() && text_[at_] == ')';
        if (position) ++at_;
        item.kind = position ? Kind::position : Kind::open;
        if (!position) open.push_back(true);
      } else if (c == ')') {
        ++at_;
        if (open.empty()) return malformed("invalid pattern capture");
        open.pop_back();
        item.kind = Kind::close;
      } else if (c == '$' && at_ + 1 == text_.size()) {
        ++at_;
        item.kind = Kind::end;
      } else if (c == '%' && at_ + 1 < text_.size() && text_[at_ + 1] == 'b') {
        if (at_ + 3 >= text_.size()) return malformed("missing arguments to '%b'");
        item.kind = Kind::balance;
        item.first = static_cast<unsigned char>(text_[at_ + 2]);
        item.second = static_cast<unsigned char>(text_[at_ + 3]);
        at_ += 4;
      } else if (c == '%' && at_ + 1 < text_.size() && text_[at_ + 1] == 'f') {
        at_ += 2;
        if (at_ >= text_.size() || text_[at_] != '[') {
          return malformed("missing '[' after '%f' in pattern");
        }
        item.kind = Kind::frontier;
        WA_TRY(item.set, single());
      } else if (c == '%' && at_ + 1 < text_.size() && text_[at_ + 1] >= '0' &&
                 text_[at_ + 1] <= '9') {
        const int number = text_[at_ + 1] - '0';
        if (number == 0 || static_cast<std::size_t>(number) > captures) {
          return malformed("invalid capture index %" + std::to_string(number) + " in pattern");
        }
        item.kind = Kind::back_reference;
        item.first = static_cast<unsigned char>(number - 1);
        at_ += 2;
      } else {
        WA_TRY(item.set, single());
        item.repeat = repeat();
      }
      items_.push_back(item);
    }
    if (!open.empty()) return malformed("unfinished capture");
    return std::move(items_);
  }

 private:
  /// One character, class or set.
  Result<Set> single() {
    const char c = text_[at_++];
    if (c == '[') return set();
    if (c == '%') {
      if (at_ >= text_.size()) return malformed("malformed pattern (ends with '%')");
      return escaped(text_[at_++]);
    }
    Set result;
    if (c == '.') {
      result.set();
    } else {
      result.set(static_cast<unsigned char>(c));
    }
    return result;
  }

  static Set escaped(char name) {
    Set result;
    const char lower = name >= 'A' && name <= 'Z' ? static_cast<char>(name - 'A' + 'a') : name;
    if (std::string_view("acdglpsuwx").find(lower) == std::string_view::npos) {
      result.set(static_cast<unsigned char>(name));
      return result;
    }
    for (int c = 0; c < 256; ++c) result.set(static_cast<std::size_t>(c), in_class(lower, c));
    return lower == name ? result : ~result;
  }

  /// Behind the '['.
  Result<Set> set() {
    const Error unfinished = malformed("malformed pattern (missing ']')");
    const bool complement = at_ < text_.size() && text_[at_] == '^';
    if (complement) ++at_;
    Set result;
    bool first = true;
    while (true) {
      if (at_ >= text_.size()) return unfinished;
      const char c = text_[at_++];
      if (c == ']' && !first) break;
      first = false;
      if (c == '%') {
        if (at_ >= text_.size()) return unfinished;
        result |= escaped(text_[at_++]);
      } else if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        const auto from = static_cast<unsigned char>(c);
        const auto to = static_cast<unsigned char>(text_[at_ + 1]);
        for (std::size_t i = from; i <= to; ++i) result.set(i);
        at_ += 2;
      } else {
        result.set(static_cast<unsigned char>(c));
      }
    }
    return complement ? ~result : result;
  }

  Repeat repeat() {
    if (at_ >= text_.size()) return Repeat::once;
    switch (text_[at_]) {
      case '?': ++at_; return Repeat::optional;
      case '*': ++at_; return Repeat::greedy;
      case '+': ++at_; return Repeat::greedy_one;
      case '-': ++at_; return Repeat::lazy;
      default: return Repeat::once;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Item> items_;
};

/// Recursion is per item, never per character, so its depth is bounded by the pattern.
class Pattern::Matcher {
 public:
  Matcher(const std::vector<Item>& items, std::string_view subject, std::int64_t& steps)
      : items_(items), subject_(subject), steps_(steps) {}

  Result<std::optional<Found>> match(std::size_t begin) {
    captures_.clear();
    const bool matched = here(0, begin);
    if (failed_) return *failed_;
    if (!matched) return std::optional<Found>();
    Found found{begin, end_, {}};
    for (const auto& capture : captures_) found.captures.push_back(capture.capture);
    return std::optional<Found>(std::move(found));
  }

 private:
  struct Open {
    Capture capture;
    bool closed = false;
  };

  bool charge(std::size_t work) {
    steps_ -= static_cast<std::int64_t>(work);
    if (steps_ < 0 && !failed_)
      failed_ = Error{Errc::too_large, "the pattern takes too many steps here"};
    return steps_ >= 0;
  }
  bool fits(const Item& item, std::size_t at) const {
    return at < subject_.size() && item.set[static_cast<unsigned char>(subject_[at])];
  }
  std::size_t run_length(const Item& item, std::size_t at) {
    std::size_t count = 0;
    while (fits(item, at + count)) ++count;
    return charge(count) ? count : 0;
  }

  bool here(std::size_t index, std::size_t at) {
    while (index < items_.size()) {
      if (!charge(1)) return false;
      const Item& item = items_[index];
      switch (item.kind) {
        case Kind::one: {
          if (item.repeat == Repeat::once) {
            if (!fits(item, at)) return false;
            ++at;
            break;
          }
          return repeated(item, index, at);
        }
        case Kind::open:
        case Kind::position: {
          captures_.push_back({{at, 0, item.kind == Kind::position}, item.kind == Kind::position});
          if (here(index + 1, at)) return true;
          captures_.pop_back();
          return false;
        }
        case Kind::close: {
          const auto open = std::find_if(captures_.rbegin(), captures_.rend(),
                                         [](const Open& capture) { return !capture.closed; });
          const auto which = static_cast<std::size_t>(captures_.rend() - open) - 1;
          captures_[which].closed = true;
          captures_[which].capture.length = at - captures_[which].capture.begin;
          if (here(index + 1, at)) return true;
          captures_[which].closed = false;
          return false;
        }
        case Kind::back_reference: {
          if (item.first >= captures_.size() || !captures_[item.first].closed) {
            failed_ = malformed("invalid capture index %" + std::to_string(item.first + 1));
            return false;
          }
          const Capture& capture = captures_[item.first].capture;
          const std::string_view text = subject_.substr(capture.begin, capture.length);
          if (!charge(text.size()) || subject_.substr(at, text.size()) != text) return false;
          at += text.size();
          break;
        }
        case Kind::balance: {
          const auto end = balanced(item, at);
          if (!end) return false;
          at = *end;
          break;
        }
        case Kind::frontier: {
          const auto byte = [&](std::size_t i) {
            const char c = i < subject_.size() ? subject_[i] : '\0';
            return static_cast<unsigned char>(c);
          };
          if (item.set[at == 0 ? 0 : byte(at - 1)] || !item.set[byte(at)]) return false;
          break;
        }
        case Kind::end: {
          if (at != subject_.size()) return false;
          break;
        }
      }
      ++index;
    }
    end_ = at;
    return true;
  }

  bool repeated(const Item& item, std::size_t index, std::size_t at) {
    switch (item.repeat) {
      case Repeat::optional:
        return (fits(item, at) && here(index + 1, at + 1)) || (!failed_ && here(index + 1, at));
      case Repeat::lazy:
        while (!failed_) {
          if (here(index + 1, at)) return true;
          if (failed_ || !fits(item, at)) return false;
          ++at;
        }
        return false;
      default: {
        const std::size_t least = item.repeat == Repeat::greedy_one ? 1 : 0;
        for (std::size_t count = run_length(item, at) + 1; count-- > least;) {
          if (failed_) return false;
          if (here(index + 1, at + count)) return true;
        }
        return false;
      }
    }
  }

  std::optional<std::size_t> balanced(const Item& item, std::size_t at) {
    if (at >= subject_.size() || static_cast<unsigned char>(subject_[at]) != item.first) return {};
    std::size_t depth = 1;
    for (std::size_t i = at + 1; i < subject_.size(); ++i) {
      if (!charge(1)) return {};
      const auto c = static_cast<unsigned char>(subject_[i]);
      if (c == item.second) {
        if (--depth == 0) return i + 1;
      } else if (c == item.first) {
        ++depth;
      }
    }
    return {};
  }

  const std::vector<Item>& items_;
  std::string_view subject_;
  std::int64_t& steps_;
  std::vector<Open> captures_;
  std::size_t end_ = 0;
  std::optional<Error> failed_;
};

Result<Pattern> Pattern::compile(std::string_view text, bool anchors) {
  if (text.size() > kMaxPatternBytes) {
    return Error{Errc::too_large,
                 "a pattern has at most " + std::to_string(kMaxPatternBytes) + " bytes"};
  }
  Pattern pattern;
  pattern.anchored_ = anchors && !text.empty() && text.front() == '^';
  WA_TRY(pattern.items_, Parser(text).parse(pattern.anchored_ ? 1 : 0));
  return pattern;
}

Result<std::optional<Pattern::Found>> Pattern::match_at(std::string_view subject, std::size_t begin,
                                                        std::int64_t& steps) const {
  return Matcher(items_, subject, steps).match(begin);
}

Result<std::optional<Pattern::Found>> Pattern::search(std::string_view subject, std::size_t begin,
                                                      std::int64_t& steps) const {
  Matcher matcher(items_, subject, steps);
  for (std::size_t at = begin; at <= subject.size(); ++at) {
    WA_TRY(auto found, matcher.match(at));
    if (found || anchored_) return found;
    if (--steps < 0) return Error{Errc::too_large, "the pattern takes too many steps here"};
  }
  return std::optional<Found>();
}

}  // namespace wa::lua
