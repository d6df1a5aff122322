#include "engine/store/sqlite_store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "engine/protocol/crypto/system_random.hpp"
#include "engine/store/sqlite_schema.hpp"
#include "engine/store/sqlite_tables.hpp"

namespace wa::store {

namespace asio = boost::asio;

namespace {

using Guard = asio::executor_work_guard<asio::io_context::executor_type>;

/// So many calls share a transaction at most.
constexpr std::size_t kMostJobs = 4096;
/// Pages in the write-ahead log until it is brought home: more than SQLite's 1,000, so that a
/// commit seldom waits for it.
constexpr const char* kConfigure =
    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY; "
    "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF";
/// A lease that cannot be renewed is tried again this often until it ends.
constexpr int kRenewRetries = 8;

Instant monotonic_clock() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

/// Never that of another owner, nor 0.
std::int64_t drawn_id() {
  ByteArray<8> bytes;
  crypto::SystemRandom().fill(bytes);
  return static_cast<std::int64_t>(read_big_endian(bytes) >> 1) | 1;
}

std::string name_of_this_process() {
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  // The time tells apart two processes that get the same number one after the other.
  return std::string(host) + "/" + std::to_string(::getpid()) + "/" +
         std::to_string(monotonic_clock().time_since_epoch().count());
}

/// One call to the store.
struct Job {
  Guard guard;  ///< its io_context runs until it is answered
  bool writes = false;
  /// On the store's thread, in a transaction. What it finds out, it keeps for `answer`.
  std::function<Result<void>(Tables&)> work;
  /// On the store's thread, once it is known whether what it wrote is durable.
  std::function<void(bool durable)> settle = {};
  std::function<void(const Result<void>&)> answer;  ///< on the io_context
};

}  // namespace

class SqliteStore::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, Options options, std::unique_ptr<Database> database)
      : io_(io),
        options_(std::move(options)),
        database_(std::move(database)),
        tables_(*database_),
        me_{drawn_id(), options_.owner, ::getpid(), boot_id()},
        thread_([this] { run(); }) {}

  /// Everything asked for is done, and what is owned is given back.
  void shut_down() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void open(std::string device, OnOpened on_opened, OnLost on_lost);
  void read(std::string device, OnRead on_read);
  void erase(std::string device, Done done);
  void commit(const std::string& device, std::int64_t token, std::vector<Change> changes,
              Done done);
  void load(const std::string& device, std::int64_t token, std::vector<RecordKey> keys,
            OnLoaded on_loaded);
  void release(const std::string& device, std::int64_t token);

 private:
  // ---- any thread ----

  void ask(Job job) {
    {
      const std::lock_guard lock(mutex_);
      if (!ending_) {
        queue_.push_back(std::move(job));
        wake_.notify_one();
        return;
      }
    }
    asio::post(io_, [answer = std::move(job.answer)] {
      answer(Error{Errc::environment, "the store is closed"});
    });
  }
  Guard guard() { return asio::make_work_guard(io_); }
  Instant now() const { return options_.clock ? options_.clock() : monotonic_clock(); }

  // ---- the store's thread ----

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      if (queue_.empty() && !ending_) wait(lock);
      std::vector<Job> jobs;
      for (; !queue_.empty() && jobs.size() < kMostJobs; queue_.pop_front()) {
        jobs.push_back(std::move(queue_.front()));
      }
      if (jobs.empty() && ending_) break;
      lock.unlock();
      if (!jobs.empty()) perform(std::move(jobs));
      keep_lease();
      lock.lock();
    }
    lock.unlock();
    if (!held_.empty()) (void)in_transaction(true, [&] { return tables_.leave(me_.id); });
    database_.reset();
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    if (held_.empty()) {
      wake_.wait(lock, [&] { return !queue_.empty() || ending_; });
      return;
    }
    const Duration left = renew_at_ - now();
    wake_.wait_for(lock, std::max(left, Duration::zero()),
                   [&] { return !queue_.empty() || ending_; });
  }

  /// In the order of the calls; all that write share transactions as far as they can.
  void perform(std::vector<Job> jobs) {
    std::vector<Result<void>> results(jobs.size(), Result<void>());
    std::size_t first = 0;
    while (first < jobs.size()) first = perform_some(jobs, first, results);
    asio::post(io_, [jobs = std::move(jobs), results = std::move(results)] {
      for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].answer(results[i]);
    });
  }

  /// One transaction from job `first` on. The first job that it did not reach.
  std::size_t perform_some(std::vector<Job>& jobs, std::size_t first,
                           std::vector<Result<void>>& results) {
    const bool writes = std::any_of(jobs.begin() + static_cast<std::ptrdiff_t>(first), jobs.end(),
                                    [](const Job& job) { return job.writes; });
    std::size_t end = first;
    const Result<void> all = in_transaction(writes, [&]() -> Result<void> {
      for (; end < jobs.size(); ++end) {
        results[end] = in_savepoint(jobs[end]);
        // After some errors SQLite has rolled everything back.
        if (!results[end] && !database_->in_transaction()) return results[end++];
      }
      return {};
    });
    if (!all && end == first) end = jobs.size();  // it did not even begin
    for (std::size_t i = first; i < end; ++i) {
      const Job& job = jobs[i];
      if (!all && results[i]) {
        // What was read is true all the same, without what was not written.
        results[i] = job.writes ? all : in_transaction(false, [&] { return job.work(tables_); });
      }
      if (job.settle) job.settle(results[i].has_value());
    }
    return end;
  }

  Result<void> in_savepoint(const Job& job) {
    if (!job.writes) return job.work(tables_);
    WA_TRY_VOID(database_->execute("SAVEPOINT job"));
    auto result = job.work(tables_);
    if (!result && database_->in_transaction()) {
      WA_TRY_VOID(database_->execute("ROLLBACK TO job"));
    }
    if (database_->in_transaction()) WA_TRY_VOID(database_->execute("RELEASE job"));
    return result;
  }

  template <class Work>
  Result<void> in_transaction(bool writes, Work work) {
    WA_TRY_VOID(database_->check_in_place());
    WA_TRY_VOID(writes ? database_->execute("BEGIN IMMEDIATE") : database_->execute("BEGIN"));
    Result<void> result = work();
    if (result) result = database_->execute("COMMIT");
    if (database_->in_transaction()) (void)database_->run("ROLLBACK");
    return result;
  }

  /// Renews the lease when it is due, and tells who has lost a device.
  void keep_lease() {
    const Instant at = now();
    if (held_.empty() || at < renew_at_) return;
    std::map<std::string, std::int64_t> owned;
    const Instant until = at + options_.lease;
    const auto renewed = in_transaction(true, [&]() -> Result<void> {
      WA_TRY(owned, tables_.owned_by(me_.id));
      return tables_.renew(me_, at, until);
    });
    if (renewed) {
      lease_ends_ = until;
      renew_at_ = at + options_.renew;
      for (auto it = held_.begin(); it != held_.end();) {
        const auto still = owned.find(it->first);
        const bool lost = still == owned.end() || still->second != it->second.token;
        if (lost) tell_lost(it->second, "another process has taken it over");
        it = lost ? held_.erase(it) : std::next(it);
      }
      return;
    }
    renew_at_ = at + options_.renew / kRenewRetries;
    if (at < lease_ends_) return;
    for (const auto& [device, held] : held_) {
      tell_lost(held, "its lease could not be renewed: " + renewed.error().detail);
    }
    held_.clear();
  }

  struct Held {
    std::int64_t token = 0;
    OnLost on_lost;
  };

  void tell_lost(const Held& held, std::string why) {
    if (!held.on_lost) return;
    asio::post(io_, [on_lost = held.on_lost, why = std::move(why)] { on_lost(why); });
  }

  Result<void> check_not_held(const std::string& device) const {
    if (!held_.contains(device)) return {};
    return Error{Errc::fenced, "device \"" + device + "\" is open already in this process"};
  }
  bool holds(const std::string& device, std::int64_t token) const {
    const auto found = held_.find(device);
    return found != held_.end() && found->second.token == token;
  }

  asio::io_context& io_;
  const Options options_;

  std::mutex mutex_;  ///< of the two below
  std::deque<Job> queue_;
  bool ending_ = false;
  std::condition_variable wake_;

  // Of the store's thread.
  std::unique_ptr<Database> database_;
  Tables tables_;
  Owner me_;
  std::map<std::string, Held> held_;
  Instant renew_at_;
  Instant lease_ends_;

  std::thread thread_;  ///< last: it uses all of the above
};

/// Answers of an earlier call of the same device come before its end, so `alive` is enough to keep
/// a dropped DeviceStore from being told of its loss.
class SqliteStore::Device final : public DeviceStore {
 public:
  Device(std::shared_ptr<Impl> impl, std::string device, std::int64_t token,
         std::shared_ptr<bool> alive)
      : impl_(std::move(impl)),
        device_(std::move(device)),
        token_(token),
        alive_(std::move(alive)) {}
  ~Device() override {
    *alive_ = false;
    impl_->release(device_, token_);
  }

  void commit(std::string_view, std::vector<Change> changes, Done done) override {
    impl_->commit(device_, token_, std::move(changes), std::move(done));
  }
  void load(std::vector<RecordKey> keys, OnLoaded on_loaded) override {
    impl_->load(device_, token_, std::move(keys), std::move(on_loaded));
  }

 private:
  const std::shared_ptr<Impl> impl_;
  const std::string device_;
  const std::int64_t token_;
  const std::shared_ptr<bool> alive_;  ///< of the io_context's thread
};

void SqliteStore::Impl::open(std::string device, OnOpened on_opened, OnLost on_lost) {
  auto taken = std::make_shared<Tables::Taken>();
  auto alive = std::make_shared<bool>(true);
  Job job{guard(), true, {}, {}, {}};
  job.work = [this, device, taken, alive,
              on_lost = std::move(on_lost)](Tables& tables) -> Result<void> {
    WA_TRY_VOID(check_not_held(device));
    const Instant at = now();
    if (held_.empty()) {
      // Who holds nothing does not renew: its lease begins anew.
      lease_ends_ = at + options_.lease;
      renew_at_ = at + options_.renew;
      WA_TRY_VOID(tables.renew(me_, at, lease_ends_));
    }
    const Tables::Kinds* given = options_.resident.empty() ? nullptr : &options_.resident;
    WA_TRY(*taken, tables.take(device, me_, at, given));
    Held held{taken->token, {}};
    if (on_lost) {
      held.on_lost = [alive, on_lost](const std::string& why) {
        if (*alive) on_lost(why);
      };
    }
    held_.emplace(device, std::move(held));
    return {};
  };
  job.settle = [this, device, taken](bool durable) {
    if (!durable && holds(device, taken->token)) held_.erase(device);
  };
  job.answer = [self = shared_from_this(), device, taken, alive,
                on_opened = std::move(on_opened)](const Result<void>& result) {
    if (!result) return on_opened(result.error());
    on_opened(Opened{std::make_shared<Device>(self, device, taken->token, alive),
                     std::move(taken->stored)});
  };
  ask(std::move(job));
}

void SqliteStore::Impl::read(std::string device, OnRead on_read) {
  auto stored = std::make_shared<Stored>();
  Job job{guard(), false, {}, {}, {}};
  job.work = [device = std::move(device), stored](Tables& tables) -> Result<void> {
    WA_TRY(*stored, tables.read(device));
    return {};
  };
  job.answer = [stored, on_read = std::move(on_read)](const Result<void>& result) {
    if (!result) return on_read(result.error());
    on_read(std::move(*stored));
  };
  ask(std::move(job));
}

void SqliteStore::Impl::erase(std::string device, Done done) {
  Job job{guard(), true, {}, {}, std::move(done)};
  job.work = [this, device = std::move(device)](Tables& tables) -> Result<void> {
    WA_TRY_VOID(check_not_held(device));
    return tables.erase(device, me_, now());
  };
  ask(std::move(job));
}

void SqliteStore::Impl::commit(const std::string& device, std::int64_t token,
                               std::vector<Change> changes, Done done) {
  Job job{guard(), true, {}, {}, std::move(done)};
  job.work = [this, device, token, changes = std::move(changes)](Tables& tables) -> Result<void> {
    if (!holds(device, token)) {
      return Error{Errc::fenced, "the device is no longer this process's own"};
    }
    return tables.commit(device, token, changes);
  };
  ask(std::move(job));
}

void SqliteStore::Impl::load(const std::string& device, std::int64_t token,
                             std::vector<RecordKey> keys, OnLoaded on_loaded) {
  auto loaded = std::make_shared<Loaded>();
  Job job{guard(), false, {}, {}, {}};
  job.work = [device, token, keys = std::move(keys), loaded](Tables& tables) -> Result<void> {
    WA_TRY(*loaded, tables.load(device, token, keys));
    return {};
  };
  job.answer = [loaded, on_loaded = std::move(on_loaded)](const Result<void>& result) {
    if (!result) return on_loaded(result.error());
    on_loaded(std::move(*loaded));
  };
  ask(std::move(job));
}

void SqliteStore::Impl::release(const std::string& device, std::int64_t token) {
  Job job{guard(), true, {}, {}, [](const Result<void>&) {}};
  job.work = [this, device, token](Tables& tables) -> Result<void> {
    if (!holds(device, token)) return {};
    held_.erase(device);  // also when the row cannot be written: then the lease lapses
    return tables.release(device, token);
  };
  ask(std::move(job));
}

// ---- the store ----------------------------------------------------------------------------------

Result<std::unique_ptr<SqliteStore>> SqliteStore::at(asio::io_context& io, Options options) {
  const std::string directory = std::filesystem::path(options.path).parent_path().string();
  if (!directory.empty()) {
    std::error_code failure;
    const bool made = std::filesystem::create_directories(directory, failure);
    if (failure) {
      return Error{Errc::environment, "cannot make " + directory + ": " + failure.message()};
    }
    if (made) ::chmod(directory.c_str(), 0700);
  }
  if (options.owner.empty()) options.owner = name_of_this_process();
  WA_TRY_VOID(create_database(options.path, options.vfs));
  WA_TRY(auto database, Database::open(options.path, options.vfs, options.busy_timeout));
  WA_TRY_VOID(migrate(*database));
  WA_TRY_VOID(database->run("PRAGMA journal_mode = WAL"));
  WA_TRY_VOID(database->run(kConfigure));
  database->checkpoint_on_close(true);
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::make_shared<Impl>(io, std::move(options), std::move(database))));
}

SqliteStore::SqliteStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() {
  impl_->shut_down();
}

void SqliteStore::open(std::string device, OnOpened on_opened, OnLost on_lost) {
  impl_->open(std::move(device), std::move(on_opened), std::move(on_lost));
}
void SqliteStore::read(std::string device, OnRead on_read) {
  impl_->read(std::move(device), std::move(on_read));
}
void SqliteStore::erase(std::string device, Done done) {
  impl_->erase(std::move(device), std::move(done));
}

}  // namespace wa::store
