#include "engine/runtime/session_shell.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>

#include "engine/client/records.hpp"
#include "engine/net/websocket.hpp"
#include "engine/store/memory_store.hpp"
#include "engine/store/sqlite_store.hpp"
#include "tests/support/test_support.hpp"

namespace wa::runtime {
namespace {

using namespace std::chrono_literals;
using client::State;
using client::Status;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

/// A store whose answers are given by hand, over one that works.
class ManualStore final : public store::Store {
 public:
  explicit ManualStore(boost::asio::io_context& io) : below_(io) {}

  int fail_opens = 0;
  Error open_error{Errc::malformed, "a damaged file"};
  Error commit_error{Errc::environment, "disk full"};
  int fail_commits = 0;
  bool hold_commits = false;
  bool hold_opens = false;
  bool forget_generation = false;
  int opened = 0;
  int erased = 0;
  OnLost lose;  ///< of who opened last
  std::deque<std::function<void()>> held;
  std::vector<std::string> points;

  store::MemoryStore& below() { return below_; }

  void open(std::string device, OnOpened on_opened, OnLost on_lost = {}) override {
    ++opened;
    lose = std::move(on_lost);
    auto answer = [this, on_opened](Result<Opened> result) {
      if (fail_opens > 0) {
        --fail_opens;
        result = open_error;  // nobody has it open
        return on_opened(open_error);
      }
      if (result && forget_generation) result->stored.generation = 0;
      if (result) result->device = std::make_shared<Device>(*this, std::move(result->device));
      if (!hold_opens) return on_opened(std::move(result));
      held.push_back([on_opened, result]() mutable { on_opened(std::move(result)); });
    };
    below_.open(std::move(device), answer);
  }
  void read(std::string device, OnRead on_read) override {
    below_.read(std::move(device), std::move(on_read));
  }
  void erase(std::string device, store::Done done) override {
    ++erased;
    below_.erase(std::move(device), std::move(done));
  }

 private:
  class Device final : public store::DeviceStore {
   public:
    Device(ManualStore& owner, std::shared_ptr<DeviceStore> below)
        : owner_(owner), below_(std::move(below)) {}

    void commit(std::string_view point, std::vector<store::Change> changes,
                store::Done done) override {
      owner_.points.emplace_back(point);
      if (owner_.hold_commits) {
        // Durable only when it is let go, unless its owner is gone.
        owner_.held.push_back(
            [below = std::weak_ptr(below_), changes = std::move(changes), done]() mutable {
              if (const auto device = below.lock()) {
                device->commit({}, std::move(changes), done);
              } else {
                done({});
              }
            });
        return;
      }
      const bool fails = owner_.fail_commits > 0;
      if (fails) --owner_.fail_commits;
      below_->commit(point, fails ? std::vector<store::Change>{} : std::move(changes),
                     [done, fails, error = owner_.commit_error](Result<void> result) {
                       done(fails ? Result<void>(error) : result);
                     });
    }

    void load(std::vector<RecordKey> keys, store::OnLoaded on_loaded) override {
      below_->load(std::move(keys), std::move(on_loaded));
    }

   private:
    ManualStore& owner_;
    std::shared_ptr<DeviceStore> below_;
  };

  store::MemoryStore below_;
};

/// A server that takes what comes and says nothing by itself.
class SessionShellTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listening =
        net::WebSocketServer::listen(io_, "127.0.0.1:0", [this](net::UpgradeRequest request) {
          origins_.push_back(request.header("Origin"));
          targets_.push_back(request.target());
          if (refuse_ != 0) return request.refuse(refuse_, "no");
          request.accept([this](net::WebSocketPtr socket) {
            if (!socket) return;
            auto& peer = peers_.emplace_back();
            peer.socket = std::move(socket);
            peer.socket->start(
                {.on_message = [&peer](ByteSpan m) { peer.messages.push_back(to_bytes(m)); },
                 .on_closed = [&peer](const net::ClosedInfo&) { peer.closed = true; }});
          });
        });
    ASSERT_TRUE(listening) << listening.error();
    server_ = std::move(*listening);
    options_.config.url = "ws://127.0.0.1:" + std::to_string(server_->port()) + "/ws/chat?device=a";
    options_.config.timings = client::Timings{}.scaled(0.02);
    make_shell();
  }

  void make_shell() {
    SessionShell::Events events;
    events.on_status = [this](const Status& status, Now) { statuses_.push_back(status); };
    events.on_report = [this](const client::Report& report, Now) {
      reports_.push_back(report.text);
    };
    events.on_idle = [this] { ++idles_; };
    shell_ = std::make_unique<SessionShell>(Surroundings{io_, pool_, store_, random_}, "a",
                                            options_, std::move(events));
  }

  template <class Condition>
  bool run_until(Condition condition, Duration limit = 10s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.restart();
      if (io_.run_one_until(end) == 0) break;
    }
    return condition();
  }
  void settle() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }

  /// Gives a command and runs until it is answered.
  template <class Command>
  Result<void> tell(Command command) {
    std::optional<Result<void>> answered;
    ((*shell_).*command)([&](Result<void> result) { answered = std::move(result); });
    EXPECT_FALSE(answered) << "answered inside the call";
    run_until([&] { return answered.has_value(); });
    return answered.value_or(Error{Errc::timed_out, "no answer"});
  }
  bool shows(State state, std::string_view reason = {}) {
    return run_until([&] {
      return shell_->status().state == state &&
             (reason.empty() || shell_->status().reason == reason);
    });
  }
  std::vector<State> states() const {
    std::vector<State> states;
    for (const Status& status : statuses_) states.push_back(status.state);
    return states;
  }
  std::optional<client::Credentials> stored() {
    std::optional<store::Stored> read_back;
    store_.read("a", [&](Result<store::Stored> read) { read_back = std::move(*read); });
    run_until([&] { return read_back.has_value(); });
    const Bytes* record =
        store::find(read_back->records, client::kCredentialsKind, client::kCredentialsKey);
    if (!record) return {};
    return client::Credentials::decode(*record).value();
  }

  struct Peer {
    net::WebSocketPtr socket;
    std::vector<Bytes> messages;
    bool closed = false;
  };

  boost::asio::io_context io_{1};
  ComputePool pool_{io_, 1};
  ManualStore store_{io_};
  SeededRandom random_{1};
  std::unique_ptr<net::WebSocketServer> server_;
  std::deque<Peer> peers_;
  std::vector<std::string> origins_;
  std::vector<std::string> targets_;
  int refuse_ = 0;
  SessionShell::Options options_;
  std::vector<Status> statuses_;
  std::vector<std::string> reports_;
  int idles_ = 0;
  std::unique_ptr<SessionShell> shell_;
};

TEST_F(SessionShellTest, DialsWithTheOriginOfTheServersOwnPagesAndSpeaksFirst) {
  EXPECT_TRUE(shell_->idle());
  ASSERT_TRUE(tell(&SessionShell::start));
  ASSERT_TRUE(run_until([&] { return !peers_.empty() && !peers_[0].messages.empty(); }));
  EXPECT_EQ(origins_.at(0), "https://web.whatsapp.com");
  EXPECT_EQ(targets_.at(0), "/ws/chat?device=a");
  EXPECT_EQ(as_text(ByteSpan(peers_[0].messages[0]).first(2)), "WA");
  EXPECT_EQ(shell_->status().state, State::connecting);
  EXPECT_FALSE(shell_->idle());
  EXPECT_TRUE(shell_->has_timer());
}

TEST_F(SessionShellTest, DialsOnlyWhenItsKeysAreDurable) {
  store_.hold_commits = true;
  ASSERT_TRUE(tell(&SessionShell::start));
  settle();
  ASSERT_EQ(store_.held.size(), 1u);
  EXPECT_THAT(origins_, IsEmpty());
  EXPECT_FALSE(stored());

  store_.held.front()();
  ASSERT_TRUE(run_until([&] { return !origins_.empty(); }));
  EXPECT_TRUE(stored());
}

TEST_F(SessionShellTest, AServerThatClosesIsDialledAgain) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  peers_[0].socket->close(net::CloseHow::rst);
  ASSERT_TRUE(run_until([&] { return peers_.size() == 2; }));
  ASSERT_TRUE(shell_->status().last_close);
}

TEST_F(SessionShellTest, AnUpgradeThatIsRefusedIsAFailedDialWithItsStatus) {
  refuse_ = 503;
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return shell_->status().last_close.has_value(); }));
  EXPECT_THAT(shell_->status().last_close->cause, HasSubstr("503"));
}

TEST_F(SessionShellTest, AUrlThatCannotBeReadIsAFailedDial) {
  options_.config.url = "nonsense";
  make_shell();
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return shell_->status().last_close.has_value(); }));
  EXPECT_THAT(shell_->status().last_close->cause, HasSubstr("resolve"));
}

TEST_F(SessionShellTest, APairingCodeIsAskedForWithANumberOnlyAndStarts) {
  Result<void> refused;
  bool answered = false;
  shell_->request_pairing_code("12", [&](Result<void> result) {
    refused = std::move(result);
    answered = true;
  });
  EXPECT_FALSE(answered);
  settle();
  ASSERT_TRUE(answered);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::usage);
  EXPECT_EQ(store_.opened, 0);

  shell_->request_pairing_code("+1 555 010 0001", {});
  EXPECT_TRUE(run_until([&] { return !peers_.empty(); }));
  // This server never offers a ref.
  EXPECT_TRUE(run_until(
      [&] { return std::ranges::count(statuses_, "pairing_code_timeout", &Status::reason) > 0; }));
}

TEST_F(SessionShellTest, StopClosesTheSocketAndLeavesNothingUnderWay) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  const auto keys = stored();
  ASSERT_TRUE(tell(&SessionShell::stop));
  ASSERT_TRUE(run_until([&] { return shell_->idle(); }));
  EXPECT_GT(idles_, 0);
  EXPECT_TRUE(shows(State::disconnected, "stopped"));
  ASSERT_TRUE(run_until([&] { return peers_[0].closed; }));
  EXPECT_FALSE(shell_->has_timer());
  EXPECT_EQ(stored(), keys);
}

TEST_F(SessionShellTest, CommandsBeforeTheFirstStartDoNothing) {
  EXPECT_TRUE(tell(&SessionShell::stop));
  EXPECT_TRUE(tell(&SessionShell::logout));
  settle();
  EXPECT_EQ(store_.opened, 0);
  EXPECT_THAT(statuses_, IsEmpty());
  EXPECT_TRUE(shell_->idle());
}

TEST_F(SessionShellTest, CommandsWaitWhileTheStoreIsOpened) {
  store_.hold_opens = true;
  std::vector<int> order;
  shell_->start([&](Result<void>) { order.push_back(1); });
  shell_->stop([&](Result<void>) { order.push_back(2); });
  settle();
  EXPECT_THAT(order, IsEmpty());
  EXPECT_FALSE(shell_->idle());
  store_.held.front()();
  ASSERT_TRUE(run_until([&] { return shell_->idle(); }));
  EXPECT_THAT(order, testing::ElementsAre(1, 2));
  EXPECT_EQ(shell_->status().state, State::disconnected);
}

TEST_F(SessionShellTest, ADamagedStoreIsAnErrorAndAState) {
  store_.fail_opens = 1;
  const auto started = tell(&SessionShell::start);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::malformed);
  EXPECT_TRUE(shows(State::store_error, "damaged"));
  settle();
  EXPECT_THAT(origins_, IsEmpty());
  EXPECT_TRUE(shell_->idle());

  EXPECT_TRUE(tell(&SessionShell::start)) << "a later start tries again";
}

TEST_F(SessionShellTest, CredentialsThatCannotBeDecodedAreDamagedAndStay) {
  std::shared_ptr<store::DeviceStore> device;
  store_.below().open("a", [&](Result<store::Store::Opened> opened) { device = opened->device; });
  settle();
  const Bytes nonsense = to_bytes("nonsense");
  device->commit({}, {store::Put{"credentials", "self", nonsense}}, [](Result<void>) {});
  device.reset();
  settle();

  ASSERT_FALSE(tell(&SessionShell::start));
  EXPECT_TRUE(shows(State::store_error, "damaged"));
  std::optional<store::Stored> read_back;
  store_.read("a", [&](Result<store::Stored> read) { read_back = std::move(*read); });
  settle();
  EXPECT_EQ(*store::find(read_back->records, "credentials", "self"), nonsense);

  ASSERT_TRUE(tell(&SessionShell::remove)) << "who says so gets rid of it";
  EXPECT_EQ(store_.erased, 1);
  EXPECT_TRUE(shows(State::disconnected, "deleted"));
  EXPECT_TRUE(tell(&SessionShell::start));
}

TEST_F(SessionShellTest, AFailedCommitRebuildsTheMachineFromWhatIsDurable) {
  store_.fail_commits = 1;
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return !origins_.empty(); }));
  EXPECT_EQ(store_.opened, 2);
  EXPECT_THAT(reports_, Contains(HasSubstr("disk full")));
  EXPECT_THAT(states(), testing::Not(Contains(State::store_error)));
  EXPECT_TRUE(stored()) << "the second machine's keys";
}

TEST_F(SessionShellTest, ThreeFailedCommitsAreAStoreError) {
  store_.fail_commits = 3;
  tell(&SessionShell::start).value();
  EXPECT_TRUE(shows(State::store_error, "commit_failed"));
  settle();
  EXPECT_EQ(store_.opened, 3);
  EXPECT_THAT(origins_, IsEmpty());
  EXPECT_TRUE(shell_->idle());

  ASSERT_TRUE(tell(&SessionShell::start)) << "a later start has as many";
  EXPECT_TRUE(run_until([&] { return !origins_.empty(); }));
}

TEST_F(SessionShellTest, ACommitThatTakesTooLongCounts) {
  options_.store_patience = 50ms;
  make_shell();
  store_.hold_commits = true;
  tell(&SessionShell::start).value();
  EXPECT_TRUE(shows(State::store_error, "commit_failed"));
  EXPECT_EQ(store_.held.size(), 3u);

  // What comes back late concerns nobody.
  const std::size_t before = statuses_.size();
  for (const auto& late : store_.held) late();
  settle();
  EXPECT_EQ(statuses_.size(), before);
  EXPECT_THAT(origins_, IsEmpty());
}

TEST_F(SessionShellTest, AStoreThatDoesNotOpenInTimeIsAnError) {
  options_.store_patience = 50ms;
  make_shell();
  store_.hold_opens = true;
  const auto started = tell(&SessionShell::start);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::environment);
  EXPECT_TRUE(shows(State::store_error, "unavailable"));
  store_.held.front()();
  settle();
  EXPECT_THAT(origins_, IsEmpty());
}

TEST_F(SessionShellTest, EveryCommitSaysWhatMadeIt) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return !origins_.empty(); }));
  EXPECT_EQ(store_.points, std::vector<std::string>{std::string(client::kPointKeys)});
}

TEST_F(SessionShellTest, AFailureToOpenCountsAsAFailedCommitDoes) {
  store_.fail_commits = 1;
  store_.open_error = {Errc::environment, "no space"};
  tell(&SessionShell::start).value();
  store_.fail_opens = 1;
  ASSERT_TRUE(run_until([&] { return !origins_.empty(); }));
  EXPECT_EQ(store_.opened, 3);
  EXPECT_THAT(states(), testing::Not(Contains(State::store_error)));
}

TEST_F(SessionShellTest, AStoreThatFailsThreeTimesOneWayOrTheOtherIsAStoreError) {
  store_.fail_commits = 1;
  store_.open_error = {Errc::environment, "no space"};
  ASSERT_TRUE(tell(&SessionShell::start));
  store_.fail_opens = 2;
  EXPECT_TRUE(shows(State::store_error, "unavailable"));
  EXPECT_TRUE(shell_->idle());
  EXPECT_THAT(origins_, IsEmpty());
}

TEST_F(SessionShellTest, AnOldCopyOfTheStoreIsDamage) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  store_.forget_generation = true;
  store_.fail_commits = 1;
  ASSERT_TRUE(tell(&SessionShell::remove));
  EXPECT_TRUE(shows(State::store_error, "damaged"));
  EXPECT_THAT(reports_, Contains(HasSubstr("an old copy")));
}

// ---- owners -------------------------------------------------------------------------------------

TEST_F(SessionShellTest, ADeviceThatRunsElsewhereIsTriedAgainUntilItIsFree) {
  options_.config.timings.owned_retry = 20ms;
  make_shell();
  store_.fail_opens = 3;
  store_.open_error = {Errc::fenced, "run by another"};
  ASSERT_TRUE(tell(&SessionShell::start));
  ASSERT_TRUE(shows(State::disconnected, "owned_elsewhere"));
  EXPECT_TRUE(shell_->status().next_attempt_at);
  EXPECT_FALSE(shell_->idle());
  EXPECT_THAT(origins_, IsEmpty());
  ASSERT_TRUE(run_until([&] { return !origins_.empty(); }));
  EXPECT_EQ(store_.opened, 4);
  EXPECT_EQ(std::ranges::count(reports_, "run by another"), 1);
}

TEST_F(SessionShellTest, StopEndsTheWaitForAnotherOwner) {
  store_.fail_opens = 1;
  store_.open_error = {Errc::fenced, "run by another"};
  ASSERT_TRUE(tell(&SessionShell::start));
  ASSERT_TRUE(shows(State::disconnected, "owned_elsewhere"));
  ASSERT_TRUE(tell(&SessionShell::stop));
  EXPECT_TRUE(shows(State::disconnected, "stopped"));
  EXPECT_FALSE(shell_->status().next_attempt_at);
  EXPECT_TRUE(shell_->idle());
}

TEST_F(SessionShellTest, AStoppedDeviceIsGivenBack) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  ASSERT_TRUE(tell(&SessionShell::stop));
  ASSERT_TRUE(run_until([&] { return shell_->idle(); }));
  std::optional<Result<store::Store::Opened>> opened;
  store_.below().open("a", [&](auto result) { opened = std::move(result); });
  ASSERT_TRUE(run_until([&] { return opened.has_value(); }));
  EXPECT_TRUE(*opened) << "somebody else may have it";
  opened.reset();
  ASSERT_TRUE(tell(&SessionShell::start));
  EXPECT_TRUE(run_until([&] { return peers_.size() == 2; })) << "and it may come back";
}

TEST_F(SessionShellTest, ALostLeaseClosesTheSocketAtOnceAndWritesNothing) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1 && !peers_[0].messages.empty(); }));
  const auto commits = store_.points.size();
  store_.lose("taken over");
  EXPECT_TRUE(shows(State::disconnected, "owned_elsewhere"));
  ASSERT_TRUE(run_until([&] { return peers_[0].closed; }));
  EXPECT_EQ(store_.points.size(), commits);
  EXPECT_TRUE(shell_->status().next_attempt_at);
  EXPECT_THAT(reports_, Contains("taken over"));
}

TEST_F(SessionShellTest, AFencedCommitIsNoFailureOfTheStore) {
  store_.fail_commits = 1;
  store_.commit_error = {Errc::fenced, "no longer ours"};
  ASSERT_TRUE(tell(&SessionShell::start));
  EXPECT_TRUE(shows(State::disconnected, "owned_elsewhere"));
  EXPECT_EQ(store_.opened, 1) << "it is not rebuilt at once";
  EXPECT_THAT(origins_, IsEmpty());
}

TEST_F(SessionShellTest, OfTwoProcessesOnOneFileOneRunsTheDevice) {
  test::TemporaryDirectory directory;
  std::atomic<Duration::rep> time = Duration(1h).count();
  const auto store_of = [&](const char* owner) {
    store::SqliteStore::Options stored;
    stored.path = directory / "testline.db";
    stored.owner = owner;
    stored.clock = [&] { return Instant(Duration(time.load())); };
    stored.renew = 1ms;
    return store::SqliteStore::at(io_, std::move(stored)).value();
  };
  const auto one = store_of("one");
  const auto two = store_of("two");
  options_.config.timings.owned_retry = 20ms;
  const auto shell_on = [&](store::Store& on) {
    return std::make_unique<SessionShell>(Surroundings{io_, pool_, on, random_}, "a", options_,
                                          SessionShell::Events{});
  };
  auto first = shell_on(*one);
  auto second = shell_on(*two);
  first->start({});
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  second->start({});
  ASSERT_TRUE(run_until([&] { return second->status().reason == "owned_elsewhere"; }));
  EXPECT_EQ(peers_.size(), 1u);

  // A clean end gives it back.
  first.reset();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 2; }));
  EXPECT_NE(second->status().reason, "owned_elsewhere");
}

TEST_F(SessionShellTest, DeleteForgetsEverything) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  ASSERT_TRUE(stored());
  ASSERT_TRUE(tell(&SessionShell::remove));
  ASSERT_TRUE(run_until([&] { return shell_->idle(); }));
  EXPECT_FALSE(stored());
  EXPECT_TRUE(shows(State::disconnected, "deleted"));
}

TEST_F(SessionShellTest, DeleteWithoutAStartForgetsWhatIsStored) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  make_shell();  // as another process would
  ASSERT_TRUE(tell(&SessionShell::remove));
  ASSERT_TRUE(run_until([&] { return shell_->idle(); }));
  EXPECT_FALSE(stored());
}

TEST_F(SessionShellTest, WhenDurableWaitsForTheCommit) {
  store_.hold_commits = true;
  tell(&SessionShell::start).value();
  settle();
  bool durable = false;
  shell_->when_durable([&] { durable = true; });
  settle();
  EXPECT_FALSE(durable);
  store_.held.front()();
  EXPECT_TRUE(run_until([&] { return durable; }));
}

TEST_F(SessionShellTest, AShellThatIsDroppedCallsNobody) {
  tell(&SessionShell::start).value();
  ASSERT_TRUE(run_until([&] { return peers_.size() == 1; }));
  shell_->stop([](Result<void>) { ADD_FAILURE() << "called after its end"; });
  shell_.reset();
  const std::size_t before = statuses_.size();
  ASSERT_TRUE(run_until([&] { return peers_[0].closed; }));
  EXPECT_EQ(statuses_.size(), before);
}

}  // namespace
}  // namespace wa::runtime
