#include "scenarios/stage/expectations.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

namespace wa::stage {

namespace json = boost::json;

namespace {

std::string text(const json::value& value) {
  return value.is_null() ? "nil" : json::serialize(value);
}

std::string text(double number) {
  return number == static_cast<double>(static_cast<std::int64_t>(number))
             ? std::to_string(static_cast<std::int64_t>(number))
             : json::serialize(json::value(number));
}

/// Numbers are compared by value: 2 equals 2.0.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  if (a.is_array() && b.is_array()) return std::ranges::equal(a.get_array(), b.get_array(), same);
  return a == b;
}

}  // namespace

Expectation::Expectation(Expectations& owner, json::value found, std::string what,
                         std::string where)
    : owner_(owner), found_(std::move(found)), what_(std::move(what)), where_(std::move(where)) {}

bool Expectation::note(bool held, std::string expected) {
  if (!held) {
    owner_.fail({"expectation",
                 what_ + " is not what was expected",
                 std::move(expected),
                 text(found_),
                 where_,
                 {}});
  }
  return held;
}

bool Expectation::equals(const json::value& expected) {
  return note(same(found_, expected), text(expected));
}

bool Expectation::differs(const json::value& unexpected) {
  return note(!same(found_, unexpected), "anything but " + text(unexpected));
}

bool Expectation::at_least(double least) {
  return note(found_.is_number() && found_.to_number<double>() >= least, "at least " + text(least));
}

bool Expectation::at_most(double most) {
  return note(found_.is_number() && found_.to_number<double>() <= most, "at most " + text(most));
}

bool Expectation::is_true() {
  return note(found_.is_bool() && found_.get_bool(), "true");
}

bool Expectation::is_nil() {
  return note(found_.is_null(), "nil");
}

bool Expectation::is_not_nil() {
  return note(!found_.is_null(), "not nil");
}

bool Expectation::contains(const json::value& part) {
  bool held = false;
  if (const auto* whole = found_.if_string(); whole && part.is_string()) {
    held = std::string_view(*whole).find(std::string_view(part.get_string())) !=
           std::string_view::npos;
  } else if (const auto* array = found_.if_array()) {
    held = std::ranges::any_of(*array,
                               [&](const json::value& element) { return same(element, part); });
  } else if (const auto* object = found_.if_object(); object && part.is_string()) {
    held = object->contains(part.get_string());
  }
  return note(held, "something with " + text(part));
}

Expectation Expectations::that(json::value found, std::string what, std::string where) {
  return {*this, std::move(found), std::move(what), std::move(where)};
}

void Expectations::never(Device& device, std::string state, std::string where) {
  nevers_.push_back({&device, std::move(state), std::move(where)});
}

void Expectations::judge_nevers(Instant began) {
  for (const Never& never : nevers_) {
    const auto& history = never.device->history();
    // Before the first start() there is no history, but the world may have said something.
    for (std::size_t i = never.device->started_at().value_or(history.size()); i < history.size();
         ++i) {
      const Entry& entry = history[i];
      const json::value* state = entry.data.if_contains("state");
      if (entry.kind != "state" || !state || *state != json::string_view(never.state)) continue;
      fail({"never",
            "device " + never.device->name() + " was in a state that it must never be in",
            "never " + never.state,
            describe(entry) + " at " + to_text(entry.at - began),
            never.where,
            {}});
      break;
    }
  }
  nevers_.clear();
}

}  // namespace wa::stage
