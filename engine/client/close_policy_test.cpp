#include "engine/client/close_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace wa::client {
namespace {

struct Case {
  Element element;
  std::optional<int> code;
  const char* child;
  Situation situation;
  Keys keys;
  Retry retry;
  State state;
};

StreamEnd end_of(const Case& one) {
  return {one.element, one.code, one.child, {}, {}};
}

using enum Element;
constexpr auto kUnpaired = Situation::unpaired;
constexpr auto kFinishing = Situation::finishing;
constexpr auto kPaired = Situation::paired;
constexpr auto kNone = std::nullopt;

// Every cell of the documented policy.
TEST(ClosePolicyTest, DecidesAsDocumented) {
  for (const Case& one : std::initializer_list<Case>{
           {stream_error, 515, "", kFinishing, Keys::keep, Retry::now, State::connecting},
           {stream_error, 515, "", kPaired, Keys::keep, Retry::restart, State::connecting},
           {stream_error, 515, "", kUnpaired, Keys::renew, Retry::exp, State::connecting},
           {stream_error, 401, "conflict:device_removed", kPaired, Keys::erase, Retry::stop,
            State::logged_out},
           {stream_error, kNone, "conflict:device_removed", kPaired, Keys::erase, Retry::stop,
            State::logged_out},
           {stream_error, 401, "", kPaired, Keys::keep, Retry::stop, State::needs_relink},
           {stream_error, 401, "conflict:replaced", kPaired, Keys::keep, Retry::stop,
            State::replaced},
           {stream_error, 516, "", kPaired, Keys::erase, Retry::stop, State::logged_out},
           {stream_error, 516, "", kFinishing, Keys::erase, Retry::stop, State::logged_out},
           {stream_error, kNone, "conflict:replaced", kPaired, Keys::keep, Retry::stop,
            State::replaced},
           {stream_error, kNone, "conflict:", kPaired, Keys::keep, Retry::stop, State::replaced},
           {stream_error, 409, "", kPaired, Keys::keep, Retry::stop, State::replaced},
           {stream_error, 440, "conflict:replaced", kPaired, Keys::keep, Retry::stop,
            State::replaced},
           {stream_error, 429, "", kPaired, Keys::keep, Retry::slow, State::throttled},
           {stream_error, 503, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {stream_error, 500, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {stream_error, kNone, "ack", kPaired, Keys::keep, Retry::recycle, State::connecting},
           {stream_error, kNone, "xml-not-well-formed", kPaired, Keys::keep, Retry::exp,
            State::connecting},
           {stream_error, kNone, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {stream_error, kNone, "ping", kPaired, Keys::keep, Retry::exp, State::connecting},
           {stream_error, 777, "whatever", kPaired, Keys::keep, Retry::exp, State::connecting},
           {failure, 401, "", kPaired, Keys::erase, Retry::stop, State::logged_out},
           {failure, 402, "", kPaired, Keys::keep, Retry::stop, State::temporarily_banned},
           {failure, 403, "", kPaired, Keys::erase, Retry::stop, State::account_locked},
           {failure, 406, "", kPaired, Keys::erase, Retry::stop, State::banned},
           {failure, 405, "", kPaired, Keys::keep, Retry::stop, State::client_outdated},
           {failure, 409, "", kPaired, Keys::keep, Retry::stop, State::config_error},
           {failure, 411, "", kPaired, Keys::keep, Retry::stop, State::needs_relink},
           {failure, 413, "", kPaired, Keys::keep, Retry::slow, State::config_error},
           {failure, 414, "", kPaired, Keys::keep, Retry::slow, State::config_error},
           {failure, 415, "", kPaired, Keys::keep, Retry::slow, State::config_error},
           {failure, 418, "", kPaired, Keys::keep, Retry::slow, State::config_error},
           {failure, 500, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {failure, 503, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {failure, 400, "", kPaired, Keys::keep, Retry::slow, State::connecting},
           {failure, 501, "", kPaired, Keys::keep, Retry::slow, State::connecting},
           {failure, 599, "", kPaired, Keys::keep, Retry::slow, State::connecting},
           {failure, kNone, "", kPaired, Keys::keep, Retry::slow, State::connecting},
           {bulletin, kNone, "downgrade_webclient", kPaired, Keys::keep, Retry::stop,
            State::needs_relink},
           {stream_end, kNone, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {dial, kNone, "resolve", kPaired, Keys::keep, Retry::exp, State::connecting},
           {dial, 401, "upgrade", kPaired, Keys::keep, Retry::exp, State::connecting},
           {dial, 403, "upgrade", kPaired, Keys::keep, Retry::exp, State::connecting},
           {dial, 503, "upgrade", kPaired, Keys::keep, Retry::exp, State::connecting},
           {dial, kNone, "proxy", kPaired, Keys::keep, Retry::exp, State::proxy_error},
           {dial, 403, "proxy", kPaired, Keys::keep, Retry::exp, State::proxy_error},
           {dial, 407, "upgrade", kPaired, Keys::keep, Retry::exp, State::proxy_error},
           {socket, kNone, "", kPaired, Keys::keep, Retry::exp, State::connecting},
           {local, 408, "refs_ended", kUnpaired, Keys::keep, Retry::now, State::qr_expired},
           {local, kNone, "dead_socket", kPaired, Keys::keep, Retry::now_once, State::connecting},
           {local, kNone, "login_timeout", kPaired, Keys::keep, Retry::exp, State::connecting},
           {local, kNone, "bad_certificate", kPaired, Keys::keep, Retry::slow, State::config_error},
           {local, kNone, "stream_broken", kPaired, Keys::keep, Retry::exp, State::connecting},
           {local, kNone, "hmac_mismatch", kUnpaired, Keys::renew, Retry::stop,
            State::pairing_failed},
       }) {
    SCOPED_TRACE(std::string(to_string(one.element)) + " " +
                 (one.code ? std::to_string(*one.code) : "none") + " " + one.child);
    const auto& policy = close_policy(end_of(one), one.situation);
    EXPECT_EQ(policy.keys, one.keys);
    EXPECT_EQ(to_string(policy.retry), to_string(one.retry));
    EXPECT_EQ(to_string(policy.state), to_string(one.state));
    EXPECT_FALSE(policy.reason.empty());
  }
}

TEST(ClosePolicyTest, CredentialsDieOnlyByTheFewEndsThatSaySo) {
  const std::vector<std::string> children = {
      "", "ack", "conflict:replaced", "conflict:odd", "ping", "text", "conflict:device_removed"};
  for (const Element element : {stream_error, failure, bulletin, stream_end, dial, socket, local}) {
    for (int code = -1; code <= 1000; ++code) {
      for (const auto& name : children) {
        const StreamEnd end{element, code < 0 ? std::nullopt : std::optional(code), name, {}, {}};
        const bool deadly =
            (element == failure && (code == 401 || code == 403 || code == 406)) ||
            (element == stream_error &&
             (code == 516 || ((code == 401 || code == -1) && name == "conflict:device_removed")));
        const auto& policy = close_policy(end, kPaired);
        EXPECT_EQ(policy.keys == Keys::erase, deadly) << code << " " << name;
        EXPECT_TRUE(policy.keys != Keys::erase || policy.retry == Retry::stop);
      }
    }
  }
}

TEST(ClosePolicyTest, EveryRowCanBeReached) {
  for (const auto& policy : close_policies()) {
    SCOPED_TRACE(std::string(to_string(policy.element)) + " " + std::string(policy.child) + " " +
                 std::to_string(policy.code));
    StreamEnd end{policy.element, {}, std::string(policy.child), {}, {}};
    if (policy.code >= 0) end.code = policy.code;
    if (policy.code == kAnyCode) end.code = 999;
    if (end.child.ends_with('*')) end.child = end.child.substr(0, end.child.size() - 1) + "x";
    const auto situation = policy.situation.value_or(kPaired);
    EXPECT_EQ(&close_policy(end, situation), &policy);
  }
}

TEST(ClosePolicyTest, IsPrintedWithOneLinePerRow) {
  const std::string table = print_close_policies();
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(table, '\n')), close_policies().size() + 2);
  EXPECT_NE(table.find("| stream:error | 401 | `conflict:device_removed` | any | erase | stop | "
                       "`logged_out` | `device_removed` |"),
            std::string::npos);
}

// docs/close-codes.md is this table. WA_UPDATE_GOLDEN=1 rewrites it.
TEST(ClosePolicyTest, TheDocumentIsTheTableOfTheCode) {
  const std::string text =
      "# Close codes\n\nHow a stream can end, and what our engine makes of it. The first row that "
      "fits decides; codes and\nchildren decide, never a text. Meanings and sources: "
      "[How streams end](protocol/connection.md#how-streams-end).\n\n"
      "- seen as: `dial` is a socket that did not open (the code is an HTTP status, the child the "
      "phase), `local`\n  an end of our own making.\n"
      "- child: the tag of the first child, with its type for a conflict. `*` stands for "
      "anything.\n"
      "- credentials: `renew` is for a device that is not paired yet; `erase` moves them into "
      "quarantine for\n  a day, in the commit that stores the reason.\n"
      "- reconnect: [Back-off](protocol/connection.md#back-off).\n\n" +
      print_close_policies() +
      "\nNot in the table, because no stream says them: `store_error` (the store cannot be read or "
      "written;\ncredentials are never made anew over a damaged record) and `owned_elsewhere` "
      "(another process runs the\ndevice).\n";
  const std::string path = WA_DOCS "/close-codes.md";
  if (std::getenv("WA_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::stringstream document;
  document << std::ifstream(path).rdbuf();
  EXPECT_EQ(document.str(), text) << "docs/close-codes.md is out of date: run this test with "
                                     "WA_UPDATE_GOLDEN=1 and review the change";
}

}  // namespace
}  // namespace wa::client
