// Every row of the close-code table, said by the mock on a real stream: what the device shows, what
// becomes of its credentials, and when it comes back. The rows are those of the code
// (engine/client/close_policy.hpp); whether they are the right ones, close_policy_test.cpp says.

#include <gmock/gmock.h>

#include "engine/client/close_policy.hpp"
#include "scenarios/sim/world.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::sim {
namespace {

namespace json = boost::json;
using client::ClosePolicy;
using client::Element;
using client::Keys;
using client::Retry;
using client::Situation;
using client::State;
using stage::await;
using stage::Wait;

/// One row in one situation, with what the server says for it.
struct Cell {
  std::string name;
  json::object fault;  ///< kind and args
  Situation situation = Situation::paired;
  std::optional<int> code;
  const ClosePolicy* policy = nullptr;
};

void PrintTo(const Cell& cell, std::ostream* out) {
  *out << cell.name;
}

std::string name_of(std::string text) {
  for (char& c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return text;
}

json::object stream_error(std::optional<int> code, std::string_view child) {
  json::object args;
  if (code) args["code"] = *code;
  if (child.starts_with("conflict")) {
    args["conflict"] = child.size() > 9 ? child.substr(9) : "other";
  } else if (!child.empty()) {
    args["child"] = child;
  }
  return {{"fault", "stream_error"}, {"args", std::move(args)}};
}

/// The record by which the mock says such an end; a trigger is added by the test.
json::object fault_for(Element element, std::optional<int> code, std::string_view child) {
  if (element == Element::stream_error) return stream_error(code, child);
  if (element == Element::failure) {
    return {{"fault", "failure"}, {"args", {{"reason", *code}}}};
  }
  json::object node;
  if (element == Element::bulletin) {
    node = {{"tag", "ib"}, {"children", json::array{json::object{{"tag", child}}}}};
  } else {
    node = {{"tag", "xmlstreamend"}};
  }
  return {{"fault", "inject"}, {"args", {{"node", std::move(node)}}}};
}

Cell cell_of(Element element, std::optional<int> code, std::string_view child,
             Situation situation) {
  client::StreamEnd end{.element = element, .code = code, .child = std::string(child)};
  Cell cell;
  cell.fault = fault_for(element, code, child);
  cell.situation = situation;
  cell.code = code;
  cell.policy = &close_policy(end, situation);
  cell.name = name_of(std::string(client::to_string(element)) + " " +
                      (code ? std::to_string(*code) : "none") + " " + std::string(child) + " " +
                      std::string(client::to_string(situation)));
  return cell;
}

/// A code and a child that fit a row.
std::pair<std::optional<int>, std::string> example_of(const ClosePolicy& policy) {
  std::optional<int> code;
  if (policy.code >= 0) code = policy.code;
  if (policy.code == client::kAnyCode) code = 599;
  std::string child(policy.child);
  if (child == "*") child.clear();
  if (child == "conflict*") child = "conflict:other";
  if (policy.element == Element::bulletin) child = "downgrade_webclient";
  if (policy.element == Element::bulletin || policy.element == Element::stream_end) code.reset();
  return {code, child};
}

std::vector<Cell> cells() {
  std::vector<Cell> cells;
  for (const ClosePolicy& policy : client::close_policies()) {
    const bool said_by_server =
        policy.element == Element::stream_error || policy.element == Element::failure ||
        policy.element == Element::bulletin || policy.element == Element::stream_end;
    if (!said_by_server) continue;  // dials and our own ends: session_close_test.cpp
    const auto [code, child] = example_of(policy);
    for (const Situation situation :
         {Situation::unpaired, Situation::finishing, Situation::paired}) {
      if (policy.situation && policy.situation != situation) continue;
      // A failure stands in place of a success: it is for logins.
      if (policy.element == Element::failure && situation != Situation::paired) continue;
      cells.push_back(cell_of(policy.element, code, child, situation));
      EXPECT_EQ(cells.back().policy, &policy) << cells.back().name;
    }
  }
  return cells;
}

/// What no table knows.
std::vector<Cell> unknown_cells() {
  SeededRandom random(2026, "unknown closes");
  std::vector<Cell> cells;
  for (int i = 0; i < 50; ++i) {
    const auto code = static_cast<int>(600 + random.below(400));
    std::string child;
    for (auto letters = random.below(12); letters > 0; --letters) {
      child += static_cast<char>('a' + random.below(26));
    }
    const auto situation = static_cast<Situation>(random.below(3));
    cells.push_back(
        cell_of(Element::stream_error,
                random.below(4) == 0 && !child.empty() ? std::nullopt : std::optional(code), child,
                situation));
    cells.back().name = std::to_string(i) + "_" + cells.back().name;
  }
  return cells;
}

/// A device of its own world, brought to where the row is about, and then told its end.
class CloseTableTest : public testing::TestWithParam<Cell> {
 protected:
  void reaches(std::string state, Duration within) {
    Wait wait = Wait::for_state(world_, device_, std::move(state), {}, within);
    const auto failure = await(world_, wait);
    ASSERT_FALSE(failure) << to_string(*failure);
  }
  void passes(Duration duration) {
    Wait wait = Wait::pause(world_, duration);
    ASSERT_FALSE(await(world_, wait));
  }
  void shows_code(Bytes& picture) {
    Wait wait = Wait::for_qr(world_, device_, 2s);
    const auto failure = await(world_, wait);
    ASSERT_FALSE(failure) << to_string(*failure);
    picture = *wait.entry()->qr.png();
  }
  json::object inspect() {
    Wait wait = Wait::for_answer(world_, device_, device_.inspect(), "inspect", 1s);
    return await(world_, wait) ? json::object{} : wait.entry()->data;
  }
  void add_fault(json::object when) {
    json::object record = GetParam().fault;
    record["id"] = "the-end";
    record["when"] = std::move(when);
    const auto id = world_.server().fault(record);
    ASSERT_TRUE(id) << id.error();
  }
  static bool is_failure() { return GetParam().policy->element == Element::failure; }
  /// Up to the moment behind the end.
  void play() {
    Bytes picture;
    device_.start();
    ASSERT_NO_FATAL_FAILURE(shows_code(picture));
    const auto scan = [&] {
      auto outcome = world_.server().phone("15550100001").value()->scan(picture);
      Wait wait = Wait::for_outcome(world_, outcome, 10s);
      const auto failure = await(world_, wait);
      ASSERT_FALSE(failure) << to_string(*failure);
    };
    if (GetParam().situation == Situation::finishing) {
      ASSERT_NO_FATAL_FAILURE(add_fault({{"on_event", "pair_sign"}}));
      // The state changes with the end and not with pair-success: both come in one breath.
      ASSERT_NO_FATAL_FAILURE(scan());
      ASSERT_NO_FATAL_FAILURE(passes(100ms));
    } else {
      if (GetParam().situation == Situation::paired) {
        ASSERT_NO_FATAL_FAILURE(scan());
        ASSERT_NO_FATAL_FAILURE(reaches("connected", 10s));
        ASSERT_NO_FATAL_FAILURE(passes(10min));  // long after pairing: no rejection of the client
      }
      before_ = inspect();
      if (is_failure()) {  // the answer to the next login
        ASSERT_NO_FATAL_FAILURE(add_fault({{"nth", 1}}));
        device_.stop();
        ASSERT_NO_FATAL_FAILURE(passes(100ms));
        device_.start();
      } else {
        ASSERT_NO_FATAL_FAILURE(add_fault({{"manual", true}}));
        ASSERT_TRUE(world_.server().fire_fault("the-end")->value());
      }
      ASSERT_NO_FATAL_FAILURE(passes(100ms));
    }
    if (before_.empty()) before_ = inspect();
  }

  World world_{{}};
  stage::Device& device_ = **world_.device("engine", "shop-1", {});
  json::object before_;
};

TEST_P(CloseTableTest, Holds) {
  const Cell& cell = GetParam();
  const ClosePolicy& policy = *cell.policy;
  ASSERT_NO_FATAL_FAILURE(play());

  // What it shows.
  const bool immediate = policy.retry == Retry::now || policy.retry == Retry::restart;
  ASSERT_TRUE(device_.last_close());
  EXPECT_EQ(device_.last_close()->at("code"),
            cell.code ? json::value(*cell.code) : json::value(nullptr));
  if (policy.state != State::connecting) {
    EXPECT_EQ(device_.state(), client::to_string(policy.state));
    EXPECT_EQ(device_.reason(), policy.reason);
    EXPECT_TRUE(device_.qr().empty());
  } else if (!immediate) {
    const bool keeps_code = cell.situation == Situation::unpaired;
    EXPECT_EQ(device_.state(), keeps_code ? "waiting_for_scan" : "connecting");
    EXPECT_EQ(device_.reason(),
              cell.situation == Situation::finishing ? "finishing" : policy.reason);
    EXPECT_EQ(device_.qr().empty(), !keeps_code);
  }

  // What becomes of the credentials.
  const json::object behind = inspect();
  if (policy.keys == Keys::erase) {
    EXPECT_EQ(behind.at("credentials"), nullptr);
    EXPECT_FALSE(behind.at("stored").as_object().contains("credentials"));
    EXPECT_TRUE(behind.at("stored").as_object().contains("last_close"));
    EXPECT_EQ(behind.at("stored").as_object().contains("quarantine"),
              cell.situation != Situation::unpaired);
  } else {
    EXPECT_EQ(behind.at("credentials"), before_.at("credentials"));
    EXPECT_EQ(behind.at("credentials") != nullptr, cell.situation != Situation::unpaired);
  }

  // When it comes back.
  const auto connects = world_.server().connects("shop-1");
  const std::uint64_t at_the_end =
      (cell.situation == Situation::paired ? 2u : 1u) + (is_failure() ? 1u : 0u);
  if (policy.retry == Retry::stop) {
    ASSERT_NO_FATAL_FAILURE(passes(30min));
    EXPECT_EQ(world_.server().connects("shop-1"), at_the_end);
    EXPECT_EQ(device_.state(), client::to_string(policy.state));
  } else if (immediate) {
    EXPECT_EQ(connects, at_the_end + 1);
  } else {
    EXPECT_EQ(connects, at_the_end);
    const bool slow = policy.retry == Retry::slow;
    ASSERT_NO_FATAL_FAILURE(passes(slow ? 59s : 300ms));
    EXPECT_EQ(world_.server().connects("shop-1"), at_the_end);
    ASSERT_NO_FATAL_FAILURE(passes(slow ? 40s : 1s));
    EXPECT_EQ(world_.server().connects("shop-1"), at_the_end + 1);
  }

  // What it comes back with.
  device_.start();
  ASSERT_NO_FATAL_FAILURE(passes(2s));
  const bool linked = cell.situation != Situation::unpaired && policy.keys != Keys::erase;
  EXPECT_EQ(device_.state(), linked ? "connected" : "waiting_for_scan");
  const json::object later = inspect();
  const bool same_keys = policy.keys == Keys::keep && (linked || policy.retry != Retry::stop);
  EXPECT_EQ(later.at("attempt") == before_.at("attempt"), same_keys);
  if (linked) {
    EXPECT_EQ(later.at("credentials"), before_.at("credentials"));
  }

  for (const stage::Failure& failure : world_.finish()) ADD_FAILURE() << to_string(failure);
}

std::string cell_name(const testing::TestParamInfo<Cell>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Rows, CloseTableTest, testing::ValuesIn(cells()), cell_name);
INSTANTIATE_TEST_SUITE_P(Unknown, CloseTableTest, testing::ValuesIn(unknown_cells()), cell_name);

}  // namespace
}  // namespace wa::sim
