#include "scenarios/cli/run_job.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <filesystem>

#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/loopback/world.hpp"
#include "scenarios/lua/script.hpp"
#include "scenarios/sim/world.hpp"
#include "scenarios/stage/gates.hpp"

namespace wa::cli {

namespace json = boost::json;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using report::Verdict;

namespace {

constexpr double kFastScale = 1.0 / 50;
constexpr std::size_t kOutputBytes = 64 * 1024;

using Standing = std::function<void(const std::string&, const std::string&)>;

/// Other people's clients start up and make their keys in real time, and have deadlines that
/// nothing scales: what is played faster than this grades the machine.
constexpr double kFastestForOthers = 1.0 / 20;
constexpr Duration kPatienceWithOthers = std::chrono::seconds(5);

double scale_of(const ScenarioFile& file, const PlayOptions& options) {
  const double wanted = file.declaration.sets_loopback_scale
                            ? file.declaration.scenario.loopback_scale
                        : options.profile == "fast" ? kFastScale
                                                    : 1;
  return options.client.empty() ? wanted : std::max(wanted, kFastestForOthers);
}

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("-_./:,=@%+").find(c) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

/// "scenarios/library/pairing/happy.lua" → "pairing.happy.sim.jsonl"
std::string trace_name(const Job& job, const PlayOptions& options) {
  std::string name = job.file->path;
  constexpr std::string_view kLibrary = "library/";
  if (const std::size_t found = name.rfind(kLibrary); found != std::string::npos) {
    name = name.substr(found + kLibrary.size());
  } else {
    name = fs::path(name).filename().string();
  }
  if (name.ends_with(".lua")) name.resize(name.size() - 4);
  std::replace(name.begin(), name.end(), '/', '.');
  name += "." + std::string(stage::to_string(job.mode));
  if (options.seeds > 1) name += ".seed" + std::to_string(job.seed);
  if (job.repetition > 0) name += "." + std::to_string(job.repetition + 1);
  return name + ".jsonl";
}

/// Writes the trace; the file's name, or a note why there is none.
std::string write_trace(const Job& job, const PlayOptions& options, const stage::Trace& trace) {
  const fs::path folder =
      options.trace_dir.empty() ? fs::path(kTraceDir) : fs::path(options.trace_dir);
  std::error_code failure;
  fs::create_directories(folder, failure);
  std::string text;
  for (const std::string& line : trace.lines()) text += line + "\n";
  const std::string path = (folder / trace_name(job, options)).string();
  if (auto written = write_file(path, as_bytes(text)); !written)
    return "(not written: " + written.error().detail + ")";
  return path;
}

JobResult failed_to_play(const Job& job, const PlayOptions& options, const Error& error) {
  JobResult result{blank_result(job, options), error.code == Errc::usage ? kUsage : kEnvironment};
  result.result.verdict = Verdict::error;
  result.result.failures = {
      {error.code == Errc::usage ? "script" : "environment", error.detail, {}, {}, {}, {}}};
  return result;
}

void write_plan(stage::Plan plan, std::uint64_t seed, const PlayOptions& options,
                lua::Outcome& outcome) {
  plan.seed = seed;
  plan.jitter = options.jitter;
  plan.profile = options.profile;
  auto written = options.plan_out == "-" ? write_stdout(as_bytes(plan.to_text()))
                                         : write_file(options.plan_out, as_bytes(plan.to_text()));
  if (written) return;
  outcome.script_error = "environment";
  outcome.failures.push_back({"environment", written.error().detail, {}, {}, {}, {}});
}

/// Plays the script in the world and judges.
JobResult play_in(stage::World& world, lua::Script& script, const Job& job,
                  const PlayOptions& options, const Standing& standing) {
  JobResult out{blank_result(job, options), kOk};
  const Instant began = world.now().mono;
  lua::Outcome outcome = script.play(world, standing);
  if (!options.plan_out.empty()) write_plan(script.declared(), job.seed, options, outcome);
  out.result.scenario_time = world.now().mono - began;
  out.result.output = std::move(outcome.printed);
  const auto skipped =
      std::find_if(outcome.failures.begin(), outcome.failures.end(),
                   [](const stage::Failure& failure) { return failure.kind == "skipped"; });
  if (skipped != outcome.failures.end()) {
    out.result.verdict = Verdict::skipped;
    out.result.reason = stage::to_string(*skipped);
    return out;
  }
  out.result.failures = std::move(outcome.failures);
  if (out.result.failures.empty()) return out;
  out.result.verdict = outcome.script_error.empty() ? Verdict::failed : Verdict::error;
  out.exit_code = outcome.script_error == "usage" ? kUsage
                  : outcome.script_error.empty()  ? kFailed
                                                  : kEnvironment;
  return out;
}

std::function<void(const mock::LogKeys&)> key_writer(const PlayOptions& options) {
  if (options.key_log == nullptr) return {};
  return [log = options.key_log](const mock::LogKeys& keys) { log->add(keys); };
}

JobResult play_sim(const Job& job, const PlayOptions& options, const mock::Settings& settings,
                   bool record, const Standing& standing) {
  lua::Script script(job.file->path, job.file->text, job.seed);
  if (auto declared = script.declare(); !declared)
    return failed_to_play(job, options, declared.error());
  script.use(job.file->plan);
  sim::Options wanted;
  wanted.settings = settings;
  wanted.seed = job.seed;
  wanted.record = record;
  wanted.costs.jitter = options.jitter;
  wanted.on_keys = key_writer(options);
  sim::World world(std::move(wanted));
  JobResult out = play_in(world, script, job, options, standing);
  out.result.trace_hash = world.trace().hash();
  if (record) out.result.trace_file = write_trace(job, options, world.trace());
  return out;
}

JobResult play_loopback(const Job& job, const PlayOptions& options, const mock::Settings& settings,
                        const Standing& standing) {
  lua::Script script(job.file->path, job.file->text, job.seed);
  if (auto declared = script.declare(); !declared)
    return failed_to_play(job, options, declared.error());
  script.use(job.file->plan);
  std::string log;
  loopback::Options wanted;
  wanted.settings = settings;
  wanted.seed = job.seed;
  wanted.scale = stage::TimeScale::loopback(scale_of(*job.file, options));
  if (!options.client.empty()) wanted.scale.shortest_within = kPatienceWithOthers;
  wanted.needs = job.file->declaration.scenario.needs;
  wanted.client_command = options.client;
  wanted.record = true;
  wanted.on_keys = key_writer(options);
  wanted.log = [&log](std::string_view source, std::string_view line) {
    if (log.size() + line.size() > kOutputBytes) return;
    log.append(source).append(": ").append(line).append("\n");
  };
  auto world = loopback::World::start(std::move(wanted));
  if (!world) return failed_to_play(job, options, world.error());
  JobResult out = play_in(**world, script, job, options, standing);
  const bool failed = out.exit_code != kOk;
  if (failed) out.result.output += log;
  if (failed || options.record || !options.trace_dir.empty()) {
    out.result.trace_file = write_trace(job, options, (*world)->trace());
  }
  return out;
}

}  // namespace

report::Result blank_result(const Job& job, const PlayOptions& options) {
  const stage::Scenario& scenario = job.file->declaration.scenario;
  report::Result result;
  result.name = scenario.name.empty() ? job.file->path : scenario.name;
  result.path = job.file->path;
  result.mode = job.mode;
  result.tags = scenario.tags;
  result.scale = job.mode == stage::Mode::loopback ? scale_of(*job.file, options) : 1;
  result.replay = "testline run --mode " + std::string(stage::to_string(job.mode));
  if (!options.plan.empty()) {
    result.replay += " --plan " + quoted(options.plan);
    return result;
  }
  result.replay += " --seed " + std::to_string(job.seed);
  if (options.jitter > Duration::zero()) {
    result.replay += " --jitter " + stage::to_text(options.jitter);
  }
  if (options.profile != "default") result.replay += " --profile " + quoted(options.profile);
  if (!options.client.empty()) result.replay += " --client " + quoted(options.client);
  result.replay += " " + quoted(job.file->path);
  return result;
}

JobResult play_job(const Job& job, const PlayOptions& options, const Standing& standing) {
  const auto began = Clock::now();
  auto settings = stage::settings_of(job.file->declaration.scenario, options.profile);
  JobResult out;
  if (!settings) {
    out = failed_to_play(job, options, settings.error());
  } else if (job.mode == stage::Mode::loopback) {
    out = play_loopback(job, options, *settings, standing);
  } else {
    const bool record = options.record || !options.trace_dir.empty() || options.repeat > 1;
    out = play_sim(job, options, *settings, record, standing);
    // The same again, this time with a trace: that costs nothing while everything holds.
    if (out.exit_code != kOk && !record) {
      const std::string hash = out.result.trace_hash;
      out = play_sim(job, options, *settings, true, standing);
      if (out.result.trace_hash != hash) {
        out.result.failures.push_back({"nondeterminism",
                                       "the run differed when it was repeated for its trace",
                                       hash,
                                       out.result.trace_hash,
                                       {},
                                       {}});
        out.exit_code = kNondeterminism;
      }
    }
  }
  if (options.key_log != nullptr && !options.key_log->written()) {
    const Error& error = options.key_log->written().error();
    out.result.verdict = Verdict::error;
    out.result.failures.push_back({"environment", error.detail, {}, {}, {}, {}});
    out.exit_code = worse(out.exit_code, kEnvironment);
  }
  out.result.wall_time = Clock::now() - began;
  return out;
}

std::string encode(const JobResult& result) {
  json::object line;
  line["exit_code"] = result.exit_code;
  line["report"] = json::parse(report::to_json({result.result}));
  return json::serialize(line);
}

Result<JobResult> decode(std::string_view line) {
  boost::system::error_code failure;
  const json::value value = json::parse(line, failure);
  if (failure) return Error{Errc::malformed, "a worker said " + std::string(line.substr(0, 200))};
  const json::object& row = value.at("report").at("results").at(0).as_object();
  const auto text = [](const json::object& object, const char* key) {
    return std::string(object.at(key).as_string());
  };
  const auto duration = [&](const char* key) {
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(row.at(key).to_number<double>()));
  };
  JobResult out;
  out.exit_code = value.at("exit_code").to_number<int>();
  report::Result& result = out.result;
  result.name = text(row, "name");
  result.path = text(row, "path");
  result.mode = text(row, "mode") == "sim" ? stage::Mode::sim : stage::Mode::loopback;
  for (const Verdict verdict :
       {Verdict::passed, Verdict::failed, Verdict::error, Verdict::skipped}) {
    if (report::to_string(verdict) == text(row, "verdict")) result.verdict = verdict;
  }
  for (const json::value& failure_value : row.at("failures").as_array()) {
    const json::object& failed = failure_value.as_object();
    result.failures.push_back({text(failed, "kind"), text(failed, "message"),
                               text(failed, "expected"), text(failed, "found"),
                               text(failed, "where"), text(failed, "rule")});
  }
  result.reason = text(row, "reason");
  result.scenario_time = duration("scenario_seconds");
  result.wall_time = duration("wall_seconds");
  result.scale = row.at("scale").to_number<double>();
  result.trace_hash = text(row, "trace_hash");
  result.trace_file = text(row, "trace_file");
  result.replay = text(row, "replay");
  result.output = text(row, "output");
  for (const json::value& tag : row.at("tags").as_array())
    result.tags.emplace_back(tag.as_string());
  return out;
}

int worse(int a, int b) {
  const auto rank = [](int code) {
    switch (code) {
      case kOk: return 0;
      case kFailed: return 1;
      case kNondeterminism: return 2;
      case kEnvironment: return 3;
      default: return 4;
    }
  };
  return rank(a) >= rank(b) ? a : b;
}

}  // namespace wa::cli
