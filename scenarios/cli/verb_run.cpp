#include "scenarios/cli/verb_run.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "mockserver/core/settings.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/cli/run_merge.hpp"
#include "scenarios/cli/run_pool.hpp"

namespace wa::cli {

using report::Verdict;
using stage::Mode;

namespace {

volatile sig_atomic_t interrupted = 0;

/// The command line, understood.
struct Plan {
  std::vector<Mode> modes;
  Duration timeout{};
  Selection selection;
  PlayOptions play;
  std::size_t workers = 1;
};

Result<void> read_shard(const std::string& text, Selection& selection) {
  if (text.empty()) return {};
  unsigned shard = 0;
  unsigned shards = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%u/%u%c", &shard, &shards, &rest) != 2 || shard == 0 ||
      shard > shards) {
    return Error{Errc::usage, "--shard takes I/N, such as 1/4, not \"" + text + "\""};
  }
  selection.shard = shard;
  selection.shards = shards;
  return {};
}

Result<Duration> read_jitter(const RunOptions& options) {
  if (options.jitter.empty()) return Duration::zero();
  auto jitter = mock::parse_duration(options.jitter);
  if (!jitter) return Error{Errc::usage, "--jitter: " + jitter.error().detail};
  if (options.mode != "sim") {
    return Error{Errc::usage,
                 "--jitter is for simulated links: say --mode sim, or give a scenario a latency "
                 "fault"};
  }
  return *jitter;
}

Result<Plan> read_plan(const RunOptions& options) {
  Plan plan;
  if (options.mode == "sim" && !options.client.empty()) {
    return Error{Errc::usage,
                 "--client needs real sockets: leave --mode out, or say --mode loopback"};
  }
  if (options.mode.empty()) {
    plan.modes = options.client.empty() ? std::vector{Mode::sim, Mode::loopback}
                                        : std::vector{Mode::loopback};
  } else if (options.mode == "sim" || options.mode == "loopback") {
    plan.modes = {options.mode == "sim" ? Mode::sim : Mode::loopback};
  } else {
    const std::string near = mock::nearest(options.mode, {"sim", "loopback"});
    return Error{Errc::usage, "--mode takes sim or loopback, not \"" + options.mode + "\"" +
                                  (near.empty() ? "" : "; did you mean \"" + near + "\"?")};
  }
  auto timeout = mock::parse_duration(options.timeout);
  if (!timeout) return Error{Errc::usage, "--timeout: " + timeout.error().detail};
  if (*timeout <= Duration::zero()) return Error{Errc::usage, "--timeout must be above zero"};
  plan.timeout = *timeout;
  if (auto known = mock::Settings::profile(options.profile); !known) {
    return Error{Errc::usage, "--profile: " + known.error().detail};
  }
  if (options.repeat == 0) return Error{Errc::usage, "--repeat takes 1 or more"};
  if (options.seeds == 0) return Error{Errc::usage, "--seeds takes 1 or more"};
  WA_TRY(const Duration jitter, read_jitter(options));
  plan.selection.filter = options.filter;
  plan.selection.tags = options.tags;
  WA_TRY_VOID(read_shard(options.shard, plan.selection));
  plan.play.seed = options.seed;
  plan.play.seeds = options.seeds;
  plan.play.jitter = jitter;
  plan.play.profile = options.profile;
  plan.play.client = options.client;
  plan.play.trace_dir = options.trace;
  plan.play.repeat = options.repeat;
  plan.play.plan_out = options.plan_out;
  plan.play.record = !options.html.empty();
  plan.workers =
      options.jobs > 0 ? options.jobs : std::max(1u, std::thread::hardware_concurrency());
  return plan;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

int list_scenarios(const std::vector<ScenarioFile>& files, const std::string& symptom) {
  std::vector<const ScenarioFile*> shown;
  if (symptom.empty()) {
    for (const ScenarioFile& file : files) shown.push_back(&file);
  } else {
    auto log = symptom == "-" ? read_file("-") : Result<Bytes>(to_bytes(symptom));
    if (!log) {
      complain(log.error().detail);
      return kEnvironment;
    }
    shown = rank_by_symptom(files, as_text(*log));
  }
  std::string text;
  int exit_code = kOk;
  for (const ScenarioFile* file : shown) {
    if (file->unreadable) {
      complain(file->unreadable->detail);
      exit_code = kUsage;
      continue;
    }
    text += file->path + "\t" + file->declaration.scenario.name + "\t" +
            joined(file->declaration.scenario.tags) + "\n";
  }
  if (!write_stdout(as_bytes(text))) return kEnvironment;
  std::set<std::string> rows;
  for (const ScenarioFile* file : shown) {
    for (const std::string& tag : file->declaration.scenario.tags) {
      if (report::is_field_row(tag)) rows.insert(tag);
    }
  }
  if (!rows.empty()) {
    std::fprintf(stderr, "field bugs: %zu of %zu rows have a scenario\n", rows.size(),
                 report::kFieldRows);
  }
  if (!symptom.empty() && shown.empty()) {
    complain("no scenario knows this symptom");
    return kFailed;
  }
  return exit_code;
}

/// A bar on stderr while it is a terminal.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total), shown_(isatty(2) == 1) {}
  ~Progress() { wipe(); }
  void began(const std::string& path) {
    now_ = path;
    show();
  }
  void ended(bool failed) {
    ++done_;
    if (failed) ++failed_;
    show();
  }
  /// And no more of it.
  void wipe() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
  }

 private:
  void show() const {
    if (!shown_) return;
    constexpr std::size_t kWidth = 24;
    const std::size_t filled = total_ == 0 ? kWidth : done_ * kWidth / total_;
    const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
    std::fprintf(stderr, "\r\x1b[K[%s] %zu/%zu, %zu failed  %.40s", bar.c_str(), done_, total_,
                 failed_, now_.c_str());
    std::fflush(stderr);
  }
  std::size_t total_;
  std::size_t done_ = 0;
  std::size_t failed_ = 0;
  bool shown_;
  std::string now_;
};

struct Rows {
  std::vector<report::Result> results;
  int exit_code = kOk;

  void add(JobResult job) {
    exit_code = worse(exit_code, job.exit_code);
    results.push_back(std::move(job.result));
  }
};

/// Rows for what is not played: unreadable files, modes that a scenario is not for.
bool add_unplayed(Rows& rows, const Job& job, const PlayOptions& options) {
  const stage::Scenario& scenario = job.file->declaration.scenario;
  if (job.file->unreadable) {
    JobResult row{blank_result(job, options), kUsage};
    row.result.verdict = Verdict::error;
    row.result.failures = {{"script", job.file->unreadable->detail, {}, {}, {}, {}}};
    rows.add(std::move(row));
    return true;
  }
  if (scenario.has_mode(job.mode)) return false;
  JobResult row{blank_result(job, options), kOk};
  row.result.verdict = Verdict::skipped;
  row.result.reason =
      "not in " + std::string(stage::to_string(job.mode)) + ": " + scenario.modes_reason;
  rows.add(std::move(row));
  return true;
}

Result<void> write_report(const std::string& path, const std::string& text) {
  if (path.empty()) return {};
  if (path == "-") return write_stdout(as_bytes(text));
  std::error_code ignored;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  return write_file(path, as_bytes(text));
}

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

Result<void> write_html(const Rows& rows, const RunOptions& options) {
  if (options.html.empty()) return {};
  return write_report(options.html, report::to_html(rows.results, time_of_day()));
}

/// The trace of a run goes into the report; its file stays only if it was asked for, or tells of a
/// failure.
void take_trace(JobResult& run, const RunOptions& options) {
  report::Result& result = run.result;
  if (options.html.empty() || result.trace_file.empty()) return;
  if (const auto trace = read_file(result.trace_file)) result.trace = as_text(*trace);
  if (run.exit_code != kOk || !options.trace.empty() || options.repeat > 1) return;
  std::error_code ignored;
  std::filesystem::remove(result.trace_file, ignored);
  result.trace_file.clear();
}

/// Gathers the runs of one scenario in one mode with one seed, each a round of `repeat` jobs, and
/// makes one result of them as soon as all have ended: a long run keeps no traces that agree.
class Rounds {
 public:
  Rounds(std::size_t jobs, const RunOptions& options)
      : options_(options), rounds_(jobs / options.repeat) {}

  void add(std::size_t job, JobResult run) {
    const std::size_t number = job / options_.repeat;
    Round& round = rounds_[number];
    round.runs.emplace(job, std::move(run));
    if (round.runs.size() < options_.repeat) return;
    round.merged = merge(round);
    // A report shows one network, and those on which something did not hold.
    const bool shown = number % options_.seeds == 0 || round.merged->exit_code != kOk;
    if (!shown) round.merged->result.trace = {};
  }
  /// Empty: an interrupt came before any of its runs had ended.
  std::optional<JobResult> take(std::size_t number) {
    Round& round = rounds_[number];
    if (!round.merged && !round.runs.empty()) return merge(round);
    return std::move(round.merged);
  }

 private:
  struct Round {
    std::map<std::size_t, JobResult> runs;
    std::optional<JobResult> merged;
  };
  JobResult merge(Round& round) const {
    std::vector<JobResult> runs;
    for (auto& [job, run] : round.runs) runs.push_back(std::move(run));
    round.runs.clear();
    take_trace(runs.front(), options_);
    return options_.repeat == 1 ? std::move(runs.front())
                                : merge_runs(std::move(runs), !options_.trace.empty());
  }
  const RunOptions& options_;
  std::vector<Round> rounds_;
};

int tell(const Rows& rows, const RunOptions& options, Teller teller, bool was_interrupted) {
  const bool color = isatty(1) == 1 && std::getenv("NO_COLOR") == nullptr;
  int exit_code = was_interrupted ? kInterrupted : rows.exit_code;
  // With a report on stdout the table would spoil it.
  const bool table = options.plan_out != "-" && options.junit != "-" && options.json != "-" &&
                     options.html != "-" && options.key_log != "-";
  std::string text = table ? teller(rows.results, color) : std::string();
  if (was_interrupted && table) text += "interrupted\n";
  for (const auto& written :
       {write_stdout(as_bytes(text)), write_report(options.junit, report::to_junit(rows.results)),
        write_report(options.json, report::to_json(rows.results)), write_html(rows, options)}) {
    if (written) continue;
    complain(written.error().detail);
    if (exit_code == kOk || exit_code == kFailed) exit_code = kEnvironment;
  }
  return exit_code;
}

}  // namespace

namespace {

/// What is to be played: the scenario of the plan, or what the paths and the selection say.
Result<std::vector<ScenarioFile>> find_files(const RunOptions& options, Plan& plan) {
  if (!options.plan.empty()) {
    if (!options.paths.empty()) {
      return Error{Errc::usage, "--plan says what is played: leave the paths out"};
    }
    WA_TRY(ScenarioFile file, read_plan_file(options.plan));
    plan.play.seed = file.plan->seed;
    plan.play.jitter = file.plan->jitter;
    plan.play.profile = file.plan->profile;
    plan.play.plan = options.plan;
    std::vector<ScenarioFile> files;
    files.push_back(std::move(file));
    return files;
  }
  std::vector<std::string> paths = options.paths;
  if (paths.empty()) {
    WA_TRY(std::string library, find_library());
    paths.push_back(std::move(library));
  }
  WA_TRY(std::vector<ScenarioFile> found, read_scenarios(paths, options.seed));
  WA_TRY(std::vector<ScenarioFile> files, select(std::move(found), plan.selection));
  if (!options.plan_out.empty() && files.size() != 1) {
    return Error{Errc::usage, "--plan-out takes one scenario, not " + std::to_string(files.size())};
  }
  return files;
}

}  // namespace

int run_scenarios(const RunOptions& options, Teller teller) {
  const auto fail = [](const Error& error) {
    complain(error.detail);
    return error.code == Errc::environment ? kEnvironment : kUsage;
  };
  auto plan = read_plan(options);
  if (!plan) return fail(plan.error());
  const auto files = find_files(options, *plan);
  if (!files) return fail(files.error());
  if (options.list || !options.symptom.empty()) return list_scenarios(*files, options.symptom);

  std::unique_ptr<KeyLog> key_log;
  if (!options.key_log.empty()) {
    auto opened = KeyLog::open(options.key_log);
    if (!opened) return fail(opened.error());
    key_log = std::move(*opened);
    plan->play.key_log = key_log.get();
  }

  std::vector<Job> jobs;
  for (const Mode mode : plan->modes) {
    for (const ScenarioFile& file : *files) {
      if (file.unreadable || !file.declaration.scenario.has_mode(mode)) continue;
      for (std::uint32_t seed = 0; seed < options.seeds; ++seed) {
        for (std::uint32_t i = 0; i < options.repeat; ++i) {
          jobs.push_back({&file, mode, i, plan->play.seed + seed});
        }
      }
    }
  }
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGINT, &action, &before);
  Progress progress(jobs.size());
  PoolEvents events;
  events.began = [&](std::size_t job) { progress.began(jobs[job].file->path); };
  Rounds rounds(jobs.size(), options);
  events.ended = [&](std::size_t job, JobResult result) {
    progress.ended(result.exit_code != kOk);
    rounds.add(job, std::move(result));
  };
  events.interrupted = [] { return interrupted != 0; };
  play_jobs(jobs, plan->play, {plan->workers, plan->timeout, options.repeat > 1}, events);
  sigaction(SIGINT, &before, nullptr);
  progress.wipe();

  Rows rows;
  std::size_t next = 0;
  for (const Mode mode : plan->modes) {
    for (const ScenarioFile& file : *files) {
      if (add_unplayed(rows, Job{&file, mode, 0, plan->play.seed}, plan->play)) continue;
      std::vector<JobResult> seeds;
      for (std::uint32_t i = 0; i < options.seeds; ++i, ++next) {
        if (auto round = rounds.take(next)) seeds.push_back(std::move(*round));
      }
      if (seeds.empty()) continue;
      rows.add(options.seeds == 1 ? std::move(seeds.front())
                                  : merge_seeds(std::move(seeds), options.repeat));
    }
  }
  return tell(rows, options, teller, interrupted != 0);
}

}  // namespace wa::cli
