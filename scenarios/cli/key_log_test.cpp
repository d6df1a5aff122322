#include "scenarios/cli/key_log.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "mockserver/core/tenant.hpp"
#include "tests/support/test_support.hpp"

namespace wa::cli {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

mock::LogKeys some_keys(std::uint8_t fill) {
  mock::LogKeys keys;
  keys.client_static.bytes.fill(std::byte{fill});
  keys.client_to_server.fill(std::byte{0x11});
  keys.server_to_client.fill(std::byte{0x22});
  return keys;
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

::mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(KeyLogTest, ADamagedLineIsNamedAndOthersAreSkipped) {
  EXPECT_THAT(*parse_key_log("# a comment\n\nCLIENT_RANDOM 12 34\n"), SizeIs(0));
  const std::string key(64, 'a');
  EXPECT_THAT(*parse_key_log("NOISE " + key + " " + key + " " + key), SizeIs(1));
  EXPECT_THAT(*parse_key_log(" NOISE\t" + key + "  " + key + " " + key + " \r\n"), SizeIs(1));
  for (const std::string& bad : {"NOISE " + key + " " + key, "NOISE " + key + " " + key + " 12",
                                 std::string("NOISE x y z"), std::string("NOISE")}) {
    const auto keys = parse_key_log("\n" + bad + "\n");
    ASSERT_FALSE(keys) << bad;
    EXPECT_THAT(keys.error().detail, HasSubstr("line 2"));
  }
}

TEST(KeyLogTest, ALineIsInTheFileAtOnceAndCanBeRead) {
  test::TemporaryDirectory folder;
  const std::string path = folder / "keys.log";
  const auto log = KeyLog::open(path);
  ASSERT_TRUE(log) << log.error();
  (*log)->add(some_keys(0xab));
  EXPECT_EQ(contents(path), "NOISE " + repeated("ab", 32) + " " + repeated("11", 32) + " " +
                                repeated("22", 32) + "\n");
  const auto read = parse_key_log(contents(path));
  ASSERT_TRUE(read);
  ASSERT_THAT(*read, SizeIs(1));
  EXPECT_EQ(read->front().client_static, some_keys(0xab).client_static.bytes);
  EXPECT_EQ(mode_of(path), 0600u);
}

TEST(KeyLogTest, WhatIsThereStaysAndIsTakenFromOthers) {
  test::TemporaryDirectory folder;
  const std::string path = folder / "keys.log";
  std::ofstream(path) << "# mine\n";
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto log = KeyLog::open(path);
  ASSERT_TRUE(log);
  EXPECT_EQ(mode_of(path), 0600u);
  (*log)->add(some_keys(1));
  EXPECT_THAT(contents(path), testing::StartsWith("# mine\nNOISE 0101"));
}

TEST(KeyLogTest, ManyProcessesAppendWholeLines) {
  test::TemporaryDirectory folder;
  const std::string path = folder / "keys.log";
  constexpr int kProcesses = 4;
  constexpr int kLines = 500;
  std::vector<::pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const ::pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto log = KeyLog::open(path);
      for (int line = 0; log && line < kLines; ++line) {
        (*log)->add(some_keys(static_cast<std::uint8_t>(i)));
      }
      ::_exit(log && (*log)->written() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const ::pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const auto read = parse_key_log(contents(path));
  ASSERT_TRUE(read) << read.error();
  EXPECT_THAT(*read, SizeIs(kProcesses * kLines));
}

TEST(KeyLogTest, AFileThatCannotBeOpenedIsNamed) {
  test::TemporaryDirectory folder;
  for (const std::string& path : {folder / "no/such/keys.log", folder / ""}) {
    const auto log = KeyLog::open(path);
    ASSERT_FALSE(log) << path;
    EXPECT_EQ(log.error().code, Errc::environment);
    EXPECT_THAT(log.error().detail, HasSubstr("--key-log: cannot write " + path));
  }
}

TEST(KeyLogTest, AFullDiskIsSaid) {
  const auto log = KeyLog::open("/dev/full");
  ASSERT_TRUE(log);
  EXPECT_TRUE((*log)->written());
  (*log)->add(some_keys(1));
  ASSERT_FALSE((*log)->written());
  EXPECT_THAT((*log)->written().error().detail, HasSubstr("/dev/full"));
}

}  // namespace
}  // namespace wa::cli
