// The tables in docs/ are printed from the tables in the code. WA_UPDATE_GOLDEN=1 rewrites them.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "mockserver/core/events.hpp"
#include "mockserver/core/fault_record.hpp"
#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/settings.hpp"

namespace wa::mock {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void expect_document(const std::string& name, const std::string& text) {
  const std::string path = std::string(WA_DOCS "/") + name;
  if (std::getenv("WA_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path) << text;
  }
  EXPECT_EQ(read_file(path), text) << "docs/" << name << " is out of date: run this test with "
                                   << "WA_UPDATE_GOLDEN=1 and review the change";
}

TEST(DocsTest, ViolationsAreThoseOfTheCode) {
  std::string text =
      "# Violations\n\nWhat a client did that the real server would not forgive. Each is recorded "
      "in "
      "`/v1/violations`, and\nfails a scenario that does not declare it (`allow = { violations = "
      "{\"rule\"} }`). Sources are pages of\n[docs/protocol](protocol/).\n\n"
      "| rule | holds when | source |\n|---|---|---|\n";
  for (const ViolationRule& rule : violation_rules()) {
    text += "| `" + std::string(rule.id) + "` | " + std::string(rule.what) + " | " +
            std::string(rule.source) + " |\n";
  }
  expect_document("violations.md", text);
}

TEST(DocsTest, IqRoutesAreThoseOfTheCode) {
  std::string text =
      "# IQs that the mock answers\n\nThe first row that fits serves. Anything else gets an empty "
      "result and is counted in `/v1/coverage`.\n\n"
      "| xmlns | type | first child | before login | what | source |\n|---|---|---|---|---|---|\n";
  for (const IqRoute& route : iq_routes()) {
    text += "| `" + std::string(route.xmlns) + "` | " + std::string(route.type) + " | " +
            (route.child.empty() ? "any" : "`" + std::string(route.child) + "`") + " | " +
            (route.before_login ? "yes" : "") + " | " + std::string(route.what) + " | " +
            std::string(route.source) + " |\n";
  }
  expect_document("iq-routes.md", text);
}

TEST(DocsTest, FaultsAreThoseOfTheCode) {
  std::string text =
      "# Kinds of faults\n\nWhat a record may ask for, and what it takes. How records say where, "
      "when and until when: the guide\n[Faults](guides/faults.md). A *moment* does something once "
      "when it is triggered, and needs a trigger. A *standing* fault\nis on for a span. An "
      "*occasion* fault acts when its chance comes; of those marked 1 the first record that fires "
      "decides.\nDurations have a unit: `250ms`, `20s`, `2m`, `1h`. What is not needed may be left "
      "out.\n";
  std::optional<FaultLayer> layer;
  for (const FaultDescription& row : fault_table()) {
    if (layer != row.layer) {
      layer = row.layer;
      text += "\n## " + std::string(to_string(row.layer)) + "\n";
    }
    text += "\n### " + std::string(row.name) + "\n\n" + std::string(to_string(row.fault_class)) +
            (row.exclusive ? " 1" : "") + ": `" + std::string(row.name) + "` – " +
            std::string(row.what) + "\n";
    if (!row.args.empty()) text += "\n| arg | takes | what |\n|---|---|---|\n";
    for (const FaultArg& arg : row.args) {
      text += "| `" + std::string(arg.name) + "` | " + arg.takes + " | " + std::string(arg.what) +
              " |\n";
    }
    text += "\n```json\n" + std::string(row.example) + "\n```\n";
  }
  expect_document("faults.md", text);
}

TEST(DocsTest, SettingsAreThoseOfTheCode) {
  std::string text =
      "# Settings of the mock\n\nFor `testline mock --set KEY=VALUE`, `server = { … }` in a "
      "scenario, "
      "and `PUT /v1/t/{tenant}`.\nDurations have a unit: `250ms`, `20s`, `2m`, `1h`.\n\n"
      "| key | default | what |\n|---|---|---|\n";
  for (const SettingDescription& setting : settings_table()) {
    text += "| `" + std::string(setting.key) + "` | " + setting.value + " | " +
            std::string(setting.what) + " |\n";
  }
  text += "\nProfile `fast` sets `restart_delay` to 0.\n";
  expect_document("settings.md", text);
}

}  // namespace
}  // namespace wa::mock
