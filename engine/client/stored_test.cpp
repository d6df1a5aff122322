#include "engine/client/stored.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "engine/client/records.hpp"

namespace wa::client {
namespace {

FinalClose some_close() {
  return {7, State::banned, "banned", {406, "<failure reason=\"406\"/>", {1'767'225'600'123}}};
}

Credentials paired(std::uint32_t attempt_id) {
  SeededRandom random(3);
  auto credentials = Credentials::generate(attempt_id, random);
  Account account;
  account.jid = wire::Jid("15550100001", wire::kServerPn, 7);
  account.account_key = crypto::generate_key_pair(random).public_key;
  credentials.account = account;
  return credentials;
}

void store(StoredRecords& records, const Put& put) {
  records[put.kind][put.key] = put.bytes;
}

TEST(StoredTest, RecordsAreReadAsTheyWereWritten) {
  EXPECT_EQ(FinalClose::decode(some_close().put().bytes).value(), some_close());
  auto without_code = some_close();
  without_code.close.code.reset();
  EXPECT_EQ(FinalClose::decode(without_code.put().bytes).value(), without_code);
  const Quarantined quarantined{some_close(), paired(7).encode()};
  EXPECT_EQ(Quarantined::decode(quarantined.put().bytes).value(), quarantined);
  auto credentials = paired(9);
  credentials.routing_info = to_bytes("route");
  const auto tombstone = Tombstone::of(credentials);
  EXPECT_EQ(Tombstone::decode(tombstone.put().bytes).value(), tombstone);
}

TEST(StoredTest, EverySpoiltByteAndEveryCutIsAnError) {
  const Bytes records[] = {some_close().put().bytes, Tombstone::of(paired(1)).put().bytes,
                           Quarantined{some_close(), {}}.put().bytes};
  for (const Bytes& whole : records) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      Bytes spoilt = whole;
      spoilt[at] ^= std::byte{1};
      for (const ByteSpan bytes : {ByteSpan(spoilt), ByteSpan(whole).first(at)}) {
        EXPECT_FALSE(FinalClose::decode(bytes));
        EXPECT_FALSE(Tombstone::decode(bytes));
        EXPECT_FALSE(Quarantined::decode(bytes));
      }
    }
  }
}

TEST(StoredTest, AnEmptyStoreIsANewDevice) {
  const auto stored = Stored::read({}).value();
  EXPECT_FALSE(stored.credentials);
  EXPECT_EQ(stored.last_attempt_id(), 0u);
}

TEST(StoredTest, EverythingIsFoundAndTheLastAttemptIsTheHighestOfAll) {
  StoredRecords records;
  records["credentials"]["self"] = paired(2).encode();
  store(records, some_close().put());
  store(records, Tombstone::of(paired(4)).put());
  store(records, Tombstone::of(paired(9)).put());
  store(records, Quarantined{some_close(), {}}.put());
  const auto stored = Stored::read(records).value();
  EXPECT_EQ(stored.credentials, paired(2));
  EXPECT_EQ(stored.last_close, some_close());
  EXPECT_EQ(stored.tombstones.size(), 2u);
  ASSERT_EQ(stored.quarantine.size(), 1u);
  EXPECT_EQ(stored.quarantine[0].key, "7");
  EXPECT_EQ(stored.quarantine[0].at, some_close().close.at);
  EXPECT_EQ(stored.last_attempt_id(), 9u);
}

TEST(StoredTest, DamagedOrHalfCredentialsAreAnErrorAndNeverANewDevice) {
  StoredRecords records;
  records["credentials"]["self"] = paired(2).encode();
  records["credentials"]["self"].pop_back();
  EXPECT_EQ(Stored::read(records).error().code, Errc::malformed);
  records["credentials"]["self"].clear();
  EXPECT_EQ(Stored::read(records).error().code, Errc::malformed);
  records.erase("credentials");
  EXPECT_TRUE(Stored::read(records));
  records["pre_key"]["1"] = to_bytes("key");
  EXPECT_EQ(Stored::read(records).error().code, Errc::malformed);
}

TEST(StoredTest, OtherDamagedRecordsDoNotStopADevice) {
  StoredRecords records;
  records["credentials"]["self"] = paired(2).encode();
  for (const char* kind : {"last_close", "tombstone", "quarantine"}) {
    records[kind]["self"] = to_bytes("damaged");
  }
  const auto stored = Stored::read(records).value();
  EXPECT_TRUE(stored.credentials);
  EXPECT_FALSE(stored.last_close);
  EXPECT_TRUE(stored.tombstones.empty());
  EXPECT_TRUE(stored.quarantine.empty());
}

// ---- who may delete credentials -------------------------------------------------------------

/// "file: calls" of every use of a name in the engine's code, its own lines of declaration and
/// definition left out.
std::map<std::string, int> users_of(const std::string& name) {
  const std::regex call("(^|[^A-Za-z_:])" + name + R"(\()");
  const std::regex declares(R"(^\s*(void|std::vector<Change>)\s)");
  std::map<std::string, int> users;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(WA_ENGINE)) {
    const std::string extension = entry.path().extension().string();
    const std::string file = entry.path().filename().string();
    if ((extension != ".cpp" && extension != ".hpp") || file.ends_with("_test.cpp")) continue;
    std::ifstream stream(entry.path());
    for (std::string line; std::getline(stream, line);) {
      if (std::regex_search(line, call) && !std::regex_search(line, declares)) ++users[file];
    }
  }
  return users;
}

TEST(DeletionTest, OneFunctionDeletesCredentialsAndTheseCallIt) {
  using Users = std::map<std::string, int>;
  // Final closes by the server (bury_account), and what the user asked for (finish_farewell).
  EXPECT_EQ(users_of("erase_account"), (Users{{"session_removal.cpp", 1}}));
  EXPECT_EQ(users_of("forget_account"),
            (Users{{"session_ends.cpp", 1}, {"session_removal.cpp", 1}}));
  EXPECT_EQ(users_of("bury_account"), (Users{{"session.cpp", 1}, {"session_ends.cpp", 1}}));

  std::size_t erasing = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(WA_ENGINE)) {
    if (entry.path().extension() != ".cpp") continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::string source = text.str();
    const std::regex erase(R"(Erase\{std::string\(kCredentialsKind\))");
    if (entry.path().filename() == "stored_test.cpp") continue;
    erasing += static_cast<std::size_t>(
        std::distance(std::sregex_iterator(source.begin(), source.end(), erase), {}));
  }
  EXPECT_EQ(erasing, 1u);
}

}  // namespace
}  // namespace wa::client
