#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>

#include "engine/net/process_limits.hpp"
#include "scenarios/loopback/child_process.hpp"
#include "scenarios/loopback/command_line.hpp"
#include "scenarios/loopback/lines.hpp"
#include "tests/support/test_support.hpp"

namespace wa::loopback {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

// ---- the command line ---------------------------------------------------------------------------

struct Split {
  const char* name;
  const char* line;
  std::vector<std::string> words;
};
void PrintTo(const Split& split, std::ostream* out) {
  *out << split.name;
}

class SplitTest : public testing::TestWithParam<Split> {};

TEST_P(SplitTest, TakesALineApartAsAShellDoes) {
  const auto words = split_command(GetParam().line);
  ASSERT_TRUE(words) << words.error();
  EXPECT_EQ(*words, GetParam().words);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, SplitTest,
    testing::Values(Split{"one", "client", {"client"}},
                    Split{"blanks", "  node \t a.mjs\n", {"node", "a.mjs"}},
                    Split{"single_quotes", "a 'b \"c\\' d", {"a", "b \"c\\", "d"}},
                    Split{"double_quotes", R"(a "b 'c' \"d\" \\ \n")", {"a", R"(b 'c' "d" \ \n)"}},
                    Split{"backslash", R"(a\ b c\"d)", {"a b", "c\"d"}},
                    Split{"joined", R"(a'b'"c"d)", {"abcd"}},
                    Split{"empty_words", R"(a '' "")", {"a", "", ""}},
                    Split{"no_shell", "a $HOME | b; *", {"a", "$HOME", "|", "b;", "*"}}),
    [](const auto& split) { return split.param.name; });

TEST(SplitTest, RefusesWhatIsNoCommand) {
  for (const char* line : {"", "  ", "a 'b", "a \"b", "a \\"}) {
    const auto words = split_command(line);
    ASSERT_FALSE(words) << line;
    EXPECT_EQ(words.error().code, Errc::usage);
  }
}

// ---- lines --------------------------------------------------------------------------------------

struct Pipe {
  int read = -1;
  int write = -1;
};
Pipe make_pipe() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  return {ends[0], ends[1]};
}

class LinesTest : public testing::Test {
 protected:
  void SetUp() override { net::ignore_sigpipe(); }

  LineReader::Events collect() {
    return {.on_line = [this](std::string_view line) { lines_.emplace_back(line); },
            .on_end = [this](std::string why) { end_ = std::move(why); }};
  }
  void put(int descriptor, std::string_view text) {
    ASSERT_EQ(::write(descriptor, text.data(), text.size()), static_cast<::ssize_t>(text.size()));
  }

  boost::asio::io_context io_;
  std::vector<std::string> lines_;
  std::optional<std::string> end_;
};

TEST_F(LinesTest, ReadsLinesHoweverTheBytesAreCut) {
  const std::string text = "one\ntwo\r\n\nlast";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    SCOPED_TRACE(cut);
    lines_.clear();
    end_.reset();
    const Pipe pipe = make_pipe();
    const LineReader reader(io_, pipe.read, 100, collect());
    put(pipe.write, text.substr(0, cut));
    io_.restart();
    io_.poll();
    EXPECT_FALSE(end_);
    put(pipe.write, text.substr(cut));
    ::close(pipe.write);
    io_.run();
    EXPECT_THAT(lines_, ElementsAre("one", "two", "", "last"));
    EXPECT_EQ(end_, "");
  }
}

TEST_F(LinesTest, ReadsMoreThanOneReadAtOnce) {
  const Pipe pipe = make_pipe();
  const LineReader reader(io_, pipe.read, 100, collect());
  LineWriter writer(io_, pipe.write, 10'000'000, [](const std::string&) {});
  constexpr int kLines = 50'000;
  for (int i = 0; i < kLines; ++i) ASSERT_TRUE(writer.write("line " + std::to_string(i)));
  writer.close();
  io_.run();
  ASSERT_EQ(lines_.size(), static_cast<std::size_t>(kLines));
  EXPECT_EQ(lines_.back(), "line 49999");
  EXPECT_EQ(end_, "");
}

TEST_F(LinesTest, EndsAtALineThatIsTooLong) {
  for (const char* text : {"12345678901\n", "12345678901"}) {
    lines_.clear();
    const Pipe pipe = make_pipe();
    const LineReader reader(io_, pipe.read, 10, collect());
    put(pipe.write, "1234567890\n");
    put(pipe.write, text);
    io_.restart();
    io_.run();
    EXPECT_THAT(lines_, ElementsAre("1234567890"));
    EXPECT_THAT(end_.value_or(""), testing::HasSubstr("longer than 10 bytes"));
    ::close(pipe.write);
  }
}

TEST_F(LinesTest, AReaderMayBeDestroyedByItsCallback) {
  const Pipe pipe = make_pipe();
  std::optional<LineReader> reader;
  int lines = 0;
  reader.emplace(io_, pipe.read, 100,
                 LineReader::Events{.on_line =
                                        [&](std::string_view) {
                                          ++lines;
                                          reader.reset();
                                        },
                                    .on_end = {}});
  put(pipe.write, "one\ntwo\n");
  io_.run();
  EXPECT_EQ(lines, 1);
  ::close(pipe.write);
}

TEST_F(LinesTest, ReadsARegularFile) {
  char name[] = "/tmp/lines-test-XXXXXX";
  const int file = ::mkostemp(name, O_CLOEXEC);
  ::unlink(name);
  put(file, "one\ntwo\n");
  ::lseek(file, 0, SEEK_SET);
  const LineReader reader(io_, file, 100, collect());
  io_.run();
  EXPECT_THAT(lines_, ElementsAre("one", "two"));
}

TEST_F(LinesTest, AWriterWhoseReaderSleepsDropsAndNeverBlocks) {
  const Pipe pipe = make_pipe();
  bool failed = false;
  LineWriter writer(io_, pipe.write, 200'000, [&](const std::string&) { failed = true; });
  const std::string line(999, 'x');
  int taken = 0;
  while (writer.write(line)) {
    ++taken;
    io_.restart();
    io_.poll();
    ASSERT_LT(taken, 10'000);
  }
  // The pipe's own 64 KiB are full, and then the queue is.
  EXPECT_GE(writer.queued_bytes(), 199'000u);
  EXPECT_FALSE(failed);

  ::close(pipe.read);
  io_.restart();
  io_.run();
  EXPECT_TRUE(failed);
}

TEST_F(LinesTest, AClosedWriterSaysWhenAllIsWritten) {
  const Pipe pipe = make_pipe();
  LineWriter writer(io_, pipe.write, 1'000'000, [](const std::string&) {});
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(writer.write(std::string(500, 'x')));
  bool closed = false;
  writer.close([&] { closed = true; });
  EXPECT_FALSE(writer.write("more"));
  io_.poll();
  EXPECT_FALSE(closed) << "nobody has read";
  const LineReader reader(io_, pipe.read, 1000, collect());
  io_.restart();
  io_.run();
  EXPECT_TRUE(closed);
  EXPECT_EQ(lines_.size(), 1000u);
}

// ---- child processes ----------------------------------------------------------------------------

class ChildProcessTest : public LinesTest {
 protected:
  std::unique_ptr<ChildProcess> shell(const std::string& script,
                                      ChildProcess::Environment environment = {}) {
    ChildProcess::Events events;
    events.on_stdout = [this](std::string_view line) { lines_.emplace_back(line); };
    events.on_stderr = [this](std::string_view line) { errors_.emplace_back(line); };
    events.on_exit = [this](std::string how, bool success) {
      exit_ = std::move(how);
      success_ = success;
    };
    auto process = ChildProcess::spawn(io_, {"sh", "-c", script}, environment, std::move(events));
    WA_ASSERT(process);
    return std::move(*process);
  }
  template <class Condition>
  void run_until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (!condition() && std::chrono::steady_clock::now() < limit) {
      io_.restart();
      io_.run_one_until(limit);
    }
    ASSERT_TRUE(condition());
  }
  void run_to_exit() {
    run_until([this] { return exit_.has_value(); });
  }

  std::vector<std::string> errors_;
  std::optional<std::string> exit_;
  bool success_ = false;
};

TEST_F(ChildProcessTest, SpeaksInLines) {
  const auto process = shell("read a; echo got $a; echo oops >&2; read b || echo end");
  EXPECT_TRUE(process->write("hello"));
  process->close_stdin();
  run_to_exit();
  EXPECT_THAT(lines_, ElementsAre("got hello", "end"));
  EXPECT_THAT(errors_, ElementsAre("oops"));
  EXPECT_EQ(exit_, "exited with status 0");
  EXPECT_TRUE(success_);
  EXPECT_FALSE(process->running());
}

TEST_F(ChildProcessTest, SaysHowItEnded) {
  {
    const auto process = shell("echo one; echo two >&2; exit 3");
    run_to_exit();
    EXPECT_EQ(exit_, "exited with status 3");
    EXPECT_FALSE(success_);
    EXPECT_EQ(process->last_words(), "\n  two");
  }
  exit_.reset();
  const auto process = shell("kill -TERM $$; read a");
  run_to_exit();
  EXPECT_THAT(*exit_, testing::HasSubstr("signal 15"));
}

TEST_F(ChildProcessTest, ManyLinesAtItsEndAreNotLost) {
  const auto process = shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done");
  run_to_exit();
  EXPECT_EQ(lines_.size(), 3000u);
}

TEST_F(ChildProcessTest, HasTheVariablesThatItIsGiven) {
  ::setenv("TESTLINE_TEST_KEPT", "kept", 1);
  ::setenv("TESTLINE_TEST_REPLACED", "old", 1);
  const auto process = shell("echo $TESTLINE_TEST_KEPT $TESTLINE_TEST_REPLACED $TESTLINE_TEST_NEW",
                             {{"TESTLINE_TEST_REPLACED", "new one"}, {"TESTLINE_TEST_NEW", "x=y"}});
  run_to_exit();
  EXPECT_THAT(lines_, ElementsAre("kept new one x=y"));
}

TEST_F(ChildProcessTest, HasNoDescriptorOfOurs) {
  // Without O_CLOEXEC on purpose: sockets of libraries are like that.
  const int leak = ::dup(STDERR_FILENO);
  const auto process = shell("ls /proc/self/fd | wc -l");
  run_to_exit();
  ::close(leak);
  EXPECT_THAT(lines_, ElementsAre("4")) << "stdin, stdout, stderr and the directory that ls reads";
}

TEST_F(ChildProcessTest, IsEndedByKillAtOnce) {
  const auto process = shell("trap '' TERM INT HUP; echo ready; while :; do read a; done");
  run_until([this] { return !lines_.empty(); });
  process->kill();
  EXPECT_FALSE(process->running());
  EXPECT_EQ(::kill(process->pid(), 0), -1) << "the process is gone, and was waited for";
  io_.restart();
  io_.poll();
  EXPECT_FALSE(exit_) << "who killed it knows";
}

TEST_F(ChildProcessTest, WhatItWroteBeforeItWasKilledIsGiven) {
  // A named pipe tells that the line was written, without our io_context.
  const test::TemporaryDirectory folder;
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto process = shell("echo before; echo > " + fifo + "; read a");
  const int told = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  char byte = 0;
  ASSERT_EQ(::read(told, &byte, 1), 1);
  process->kill();
  EXPECT_THAT(lines_, ElementsAre("before"));
  ::close(told);
}

TEST_F(ChildProcessTest, ItsEndIsAlsoThatOfItsObject) {
  int pid = 0;
  {
    const auto process = shell("read a");
    pid = process->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(ChildProcessTest, WritingToOneThatHasGoneIsNoHarm) {
  const auto process = shell("exec 0<&-; echo closed; read a <&1");
  run_until([this] { return !lines_.empty(); });
  for (int i = 0; i < 100; ++i) process->write("into the void");
  io_.restart();
  io_.poll();
  process->kill();
}

TEST_F(ChildProcessTest, AProgramThatIsMissingIsAnErrorWithItsName) {
  const auto process = ChildProcess::spawn(io_, {"/nowhere/client", "x"}, {}, {});
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, Errc::environment);
  EXPECT_THAT(process.error().detail, testing::HasSubstr("/nowhere/client: No such file"));
}

}  // namespace
}  // namespace wa::loopback
