#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>

namespace wa::test {

/// The first column of the first row, as somebody beside the program finds it; empty without one.
inline std::string query_sqlite(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  std::string text;
  EXPECT_EQ(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  sqlite3_busy_timeout(database, 10'000);
  const auto row = [](void* out, int columns, char** values, char**) {
    auto& first = *static_cast<std::string*>(out);
    if (first.empty() && columns > 0 && values[0]) first = values[0];
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), row, &text, nullptr), SQLITE_OK)
      << sql << ": " << sqlite3_errmsg(database);
  sqlite3_close(database);
  return text;
}

}  // namespace wa::test
