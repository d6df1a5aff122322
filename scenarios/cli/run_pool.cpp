#include "scenarios/cli/run_pool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>

#include "scenarios/cli/exit_code.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::cli {

using Clock = std::chrono::steady_clock;

namespace {

/// Where a worker stands, in memory that it shares with its parent: there also after it was ended.
struct Standing {
  char wait[512];
  char where[256];
};

void put(char* to, std::size_t size, const std::string& text) {
  const std::size_t length = std::min(size - 1, text.size());
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

struct Worker {
  pid_t pid = 0;
  stage::Mode mode = stage::Mode::sim;
  int to = -1;
  int from = -1;
  int stderr_file = -1;
  Standing* standing = nullptr;
  std::string received;
  std::optional<std::size_t> job;
  Clock::time_point deadline{};
};

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string tail_of(int file) {
  constexpr off_t kShown = 4096;
  const off_t size = lseek(file, 0, SEEK_END);
  if (size <= 0) return {};
  std::string text(static_cast<std::size_t>(std::min(size, kShown)), '\0');
  const ssize_t count = pread(file, text.data(), text.size(), std::max<off_t>(0, size - kShown));
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

/// Memory elsewhere than in other repetitions: what depends on addresses shows.
void shift_memory(std::uint32_t repetition) {
  static std::vector<std::unique_ptr<char[]>> held;
  for (std::uint32_t i = 0; i < repetition * 100; ++i) {
    held.push_back(std::make_unique<char[]>(16 + i * 37 % 4000));
    if (i % 3 == 0) held.back().reset();
  }
}

/// The life of a worker: job numbers in, results out, until its input ends.
[[noreturn]] void work(const Worker& worker, const std::vector<Job>& jobs,
                       const PlayOptions& options) {
  if (worker.mode == stage::Mode::sim) install_tripwires();
  FILE* input = fdopen(worker.to, "r");
  unsigned long number = 0;
  while (input && std::fscanf(input, "%lu", &number) == 1) {
    const Job& job = jobs.at(number);
    shift_memory(job.repetition);
    const JobResult result =
        play_job(job, options, [&](const std::string& what, const std::string& where) {
          put(worker.standing->wait, sizeof(worker.standing->wait), what);
          put(worker.standing->where, sizeof(worker.standing->where), where);
        });
    if (!write_all(worker.from, encode(result) + "\n")) break;
  }
  // Not exit(): what the parent had buffered and registered is the parent's.
  _exit(0);
}

class Pool {
 public:
  Pool(const std::vector<Job>& jobs, const PlayOptions& options, const PoolOptions& pool,
       const PoolEvents& events)
      : jobs_(jobs), options_(options), pool_(pool), events_(events), results_(jobs.size()) {
    for (std::size_t i = 0; i < jobs.size(); ++i) waiting_.push_back(i);
    // Writing to a worker that died is no reason to die as well.
    signal(SIGPIPE, SIG_IGN);
  }
  ~Pool() {
    while (!workers_.empty()) end(0, SIGKILL);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::vector<PoolResult> play() {
    while (!interrupted_ && (!waiting_.empty() || busy() > 0)) {
      feed();
      listen();
      interrupted_ = events_.interrupted && events_.interrupted();
      end_overdue();
    }
    return std::move(results_);
  }

 private:
  std::size_t busy() const {
    return static_cast<std::size_t>(
        std::count_if(workers_.begin(), workers_.end(),
                      [](const Worker& worker) { return worker.job.has_value(); }));
  }

  /// Gives every idle worker a job, starts workers and lets those go that have nothing left to do.
  void feed() {
    for (std::size_t i = 0; i < workers_.size();) {
      if (workers_[i].job) {
        ++i;
        continue;
      }
      const auto next = std::find_if(waiting_.begin(), waiting_.end(), [&](std::size_t job) {
        return jobs_[job].mode == workers_[i].mode;
      });
      if (next == waiting_.end() || pool_.fresh_processes) {
        end(i, 0);
        continue;
      }
      give(workers_[i], next);
      ++i;
    }
    while (!waiting_.empty() && workers_.size() < std::max<std::size_t>(1, pool_.workers)) {
      if (!start(jobs_[waiting_.front()].mode)) return;
      give(workers_.back(), waiting_.begin());
    }
  }

  void give(Worker& worker, std::deque<std::size_t>::iterator next) {
    const std::size_t job = *next;
    waiting_.erase(next);
    worker.job = job;
    worker.deadline = Clock::now() + pool_.timeout;
    *worker.standing = {};
    if (events_.began) events_.began(job);
    // A worker that is dead already is noticed when it is listened to.
    static_cast<void>(write_all(worker.to, std::to_string(job) + "\n"));
  }

  bool start(stage::Mode mode) {
    int input[2];
    int output[2];
    Worker worker;
    worker.mode = mode;
    void* memory =
        mmap(nullptr, sizeof(Standing), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe2(input, O_CLOEXEC) != 0) return give_up("pipe");
    if (pipe2(output, O_CLOEXEC) != 0) return give_up("pipe");
    worker.standing = static_cast<Standing*>(memory);
    worker.stderr_file = memfd_create("stderr", MFD_CLOEXEC);
    std::fflush(nullptr);
    const pid_t parent = getpid();
    worker.pid = fork();
    if (worker.pid < 0) return give_up("fork");
    if (worker.pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(0);
      signal(SIGINT, SIG_IGN);  // the parent decides what an interrupt means
      signal(SIGPIPE, SIG_IGN);
      if (worker.stderr_file >= 0) dup2(worker.stderr_file, 2);
      for (const Worker& other : workers_) {
        close(other.to);
        close(other.from);
      }
      close(input[1]);
      close(output[0]);
      worker.to = input[0];
      worker.from = output[1];
      work(worker, jobs_, options_);
    }
    close(input[0]);
    close(output[1]);
    worker.to = input[1];
    worker.from = output[0];
    workers_.push_back(std::move(worker));
    return true;
  }

  /// No worker can be started: nothing that waits can be played.
  bool give_up(const char* what) {
    const std::string message = std::string(what) + ": " + std::strerror(errno);
    while (!waiting_.empty()) {
      const std::size_t job = waiting_.front();
      waiting_.pop_front();
      JobResult result{blank_result(jobs_[job], options_), kEnvironment};
      result.result.verdict = report::Verdict::error;
      result.result.failures = {{"environment", "no worker process: " + message, {}, {}, {}, {}}};
      finish(job, std::move(result));
    }
    return false;
  }

  void listen() {
    std::vector<pollfd> files;
    auto next = Clock::now() + std::chrono::milliseconds(200);
    for (const Worker& worker : workers_) {
      files.push_back({worker.from, POLLIN, 0});
      if (worker.job) next = std::min(next, worker.deadline);
    }
    const auto patience = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
    if (poll(files.data(), files.size(), static_cast<int>(std::max<std::int64_t>(0, patience))) <=
        0)
      return;
    // From the back, since workers that died are taken out.
    for (std::size_t i = files.size(); i-- > 0;) {
      if (files[i].revents != 0) read_from(i);
    }
  }

  void read_from(std::size_t index) {
    Worker& worker = workers_[index];
    char buffer[64 * 1024];
    const ssize_t count = read(worker.from, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) {
      died(index);
      return;
    }
    worker.received.append(buffer, static_cast<std::size_t>(count));
    const std::size_t end_of_line = worker.received.find('\n');
    if (end_of_line == std::string::npos || !worker.job) return;
    auto result = decode(std::string_view(worker.received).substr(0, end_of_line));
    worker.received.erase(0, end_of_line + 1);
    const std::size_t job = *std::exchange(worker.job, std::nullopt);
    if (result) {
      finish(job, std::move(*result));
    } else {
      finish(job, broken(worker, job, result.error().detail));
    }
  }

  JobResult broken(const Worker& worker, std::size_t job, const std::string& why) const {
    JobResult result{blank_result(jobs_[job], options_), kFailed};
    result.result.verdict = report::Verdict::error;
    const std::string wait = worker.standing->wait;
    std::string message = why;
    message += wait.empty() ? " before its first wait" : " while it waited for: " + wait;
    result.result.failures = {{"worker", std::move(message), {}, {}, worker.standing->where, {}}};
    result.result.output = tail_of(worker.stderr_file);
    return result;
  }

  void died(std::size_t index) {
    const int status = end(index, 0, false);
    Worker worker = take(index);
    if (worker.job) {
      const std::string how = WIFSIGNALED(status)
                                  ? "the process that played it was ended by signal " +
                                        std::to_string(WTERMSIG(status)) + " (" +
                                        strsignal(WTERMSIG(status)) + ")"
                                  : "the process that played it ended with status " +
                                        std::to_string(WEXITSTATUS(status));
      finish(*worker.job, broken(worker, *worker.job, how));
    }
    release(worker);
  }

  void end_overdue() {
    for (std::size_t i = workers_.size(); i-- > 0;) {
      if (!workers_[i].job || Clock::now() < workers_[i].deadline) continue;
      end(i, SIGKILL, false);
      Worker worker = take(i);
      JobResult result = broken(
          worker, *worker.job,
          "it did not end within --timeout " + stage::to_text(pool_.timeout) + " and was stopped");
      result.result.wall_time = pool_.timeout;
      finish(*worker.job, std::move(result));
      release(worker);
    }
  }

  void finish(std::size_t job, JobResult result) {
    results_[job] = {true, std::move(result)};
    if (events_.ended) events_.ended(job, results_[job].job);
  }

  /// Ends a worker, with this signal or by the end of its input, and returns its status.
  int end(std::size_t index, int with_signal, bool remove = true) {
    Worker& worker = workers_[index];
    close(std::exchange(worker.to, -1));
    if (with_signal != 0) kill(worker.pid, with_signal);
    int status = 0;
    while (waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (remove) {
      Worker taken = take(index);
      release(taken);
    }
    return status;
  }
  Worker take(std::size_t index) {
    Worker worker = std::move(workers_[index]);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(index));
    return worker;
  }
  static void release(Worker& worker) {
    close(worker.from);
    if (worker.stderr_file >= 0) close(worker.stderr_file);
    munmap(worker.standing, sizeof(Standing));
  }

  const std::vector<Job>& jobs_;
  const PlayOptions& options_;
  const PoolOptions& pool_;
  const PoolEvents& events_;
  std::vector<PoolResult> results_;
  std::deque<std::size_t> waiting_;
  std::vector<Worker> workers_;
  bool interrupted_ = false;
};

}  // namespace

std::vector<PoolResult> play_jobs(const std::vector<Job>& jobs, const PlayOptions& options,
                                  const PoolOptions& pool, const PoolEvents& events) {
  return Pool(jobs, options, pool, events).play();
}

}  // namespace wa::cli
