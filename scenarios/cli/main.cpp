#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <functional>
#include <memory>

#include "mockserver/core/settings.hpp"
#include "scenarios/cli/completion.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"
#include "scenarios/cli/verb_conform.hpp"
#include "scenarios/cli/verb_decode.hpp"
#include "scenarios/cli/verb_engine.hpp"
#include "scenarios/cli/verb_mock.hpp"
#include "scenarios/cli/verb_qr.hpp"
#include "scenarios/cli/verb_run.hpp"

// The command line: CLI11 is used here and nowhere else. A verb is a row of kVerbs, a function that
// binds its options, and a file verb_*.cpp that does it.
namespace wa::cli {
namespace {

#ifndef WA_VERSION
#error "the build system names the version"
#endif

/// Runs the verb with the options that were parsed; gives the exit code.
using Run = std::function<int()>;

Run bind_mock(CLI::App& verb) {
  auto options = std::make_shared<MockOptions>();
  options->version = WA_VERSION;
  verb.add_option("--listen", options->listen, "HOST:PORT of the WebSockets; port 0: a free one")
      ->capture_default_str();
  verb.add_option("--control", options->control, "HOST:PORT of the control API")
      ->capture_default_str();
  verb.add_option(
      "--plan", options->plan,
      "begin with the settings, phones and faults of this plan; what else it says is for "
      "testline run");
  verb.add_option("--profile", options->profile,
                  "default, or fast: no delays; without: the plan's, else default");
  std::string keys = "KEY=VALUE, over the profile and the plan; may be repeated. Keys:";
  for (const auto& setting : mock::settings_table()) keys += " " + std::string(setting.key);
  verb.add_option("--set", options->set, keys)->allow_extra_args(false);
  verb.add_option("--state", options->state,
                  "a directory that keeps the server's keys and TLS authority, and the default "
                  "tenant's phones and "
                  "devices; without it all are new");
  verb.add_option("--host-name", options->host_names,
                  "a name or IP address of this machine, for TLS certificates; may be repeated; "
                  "the first stands in URLs")
      ->allow_extra_args(false);
  verb.add_option("--seed", options->seed,
                  "of faults and ids, not of keys; without: the plan's, else 1");
  verb.add_option("--ready-file", options->ready_file,
                  "gets the document of /v1/info once both ports listen; - is stdout");
  verb.add_option("--key-log", options->key_log,
                  "append the keys of every connection to this file, for decode; - is stdout");
  verb.add_option("--token", options->token, "bearer token that the control API asks for")
      ->envname("TESTLINE_TOKEN");
  return [options] { return run_mock(*options); };
}
constexpr const char* kMockExamples =
    "Examples:\n"
    "  testline mock\n"
    "  testline mock --listen 127.0.0.1:0 --control 127.0.0.1:0 --ready-file mock.json &\n"
    "  testline mock --profile fast --set refs.count=3 --set refs.first=5s\n"
    "  testline mock --state ./mock-state          devices stay linked over a restart\n"
    "  testline mock --plan plan.json --set refs.count=3\n"
    "  testline mock --key-log keys.log            then: testline decode --key-log keys.log FILE\n"
    "  docs/guides/control-api.md shows the calls of the control API.";

Run bind_engine(CLI::App&) {
  return [] { return run_engine({.version = WA_VERSION}); };
}
constexpr const char* kEngineExamples =
    "Settings come from the environment: TESTLINE_WS_URL, TESTLINE_NOISE_ROOT, "
    "TESTLINE_STATE_DIR,\n"
    "TESTLINE_KEEPALIVE_MS, TESTLINE_QR_FIRST_MS, TESTLINE_QR_MS, TESTLINE_TIME_SCALE.\n"
    "Example:\n"
    "  echo '{\"cmd\":\"inspect\",\"ref\":1,\"device\":\"shop-1\"}' |\n"
    "    TESTLINE_STATE_DIR=./engine-state testline engine";

Run bind_run(CLI::App& verb) {
  auto options = std::make_shared<RunOptions>();
  verb.add_option("path", options->paths, "files and directories; without: ./scenarios/library");
  verb.add_option("--mode", options->mode, "sim or loopback; without: both");
  verb.add_option("--client", options->client,
                  "command of the client under test; without: testline engine");
  verb.add_option("--seed", options->seed, "of everything that is drawn")->capture_default_str();
  verb.add_option("--seeds", options->seeds, "play each with so many seeds, from --seed on")
      ->capture_default_str();
  verb.add_option("--jitter", options->jitter,
                  "a duration: simulated messages take up to so much longer, each as it is drawn");
  verb.add_option("--profile", options->profile,
                  "default, or fast: no delays, and durations x 1/50 in loopback where a scenario "
                  "says nothing")
      ->capture_default_str();
  verb.add_option("--filter", options->filter, "glob over path and name");
  verb.add_option("--tag", options->tags, "only scenarios with this tag; may be repeated")
      ->allow_extra_args(false);
  verb.add_option("--shard", options->shard, "I/N: every Nth scenario, from the Ith");
  verb.add_option("--jobs", options->jobs, "worker processes; without: one per processor");
  verb.add_option("--timeout", options->timeout, "wall time of one scenario")
      ->capture_default_str();
  verb.add_option("--junit", options->junit, "write JUnit XML to this file; - is stdout");
  verb.add_option(
      "--html", options->html,
      "write a page with a sequence diagram of every scenario to this file; - is stdout");
  verb.add_option("--json", options->json, "write JSON to this file; - is stdout");
  verb.add_option("--trace", options->trace, "write the trace of every run into this directory");
  verb.add_option("--plan", options->plan,
                  "play this plan: its scenario with its settings and faults, or its steps");
  verb.add_option("--plan-out", options->plan_out,
                  "write the plan of the one scenario to this file; - is stdout");
  verb.add_option("--key-log", options->key_log,
                  "append the keys of every connection to this file, for decode; - is stdout");
  verb.add_option("--repeat", options->repeat,
                  "play each so often, in fresh processes; simulations must give one trace")
      ->capture_default_str();
  verb.add_flag("--list", options->list, "print path, name and tags; play nothing");
  verb.add_option("--symptom", options->symptom,
                  "list the scenarios that know this text; - ranks them by a log on stdin");
  return [options] { return run_scenarios(*options); };
}
constexpr const char* kRunExamples =
    "Examples:\n"
    "  testline run                                the whole library, in both modes\n"
    "  testline run --mode sim --repeat 2          is every simulation deterministic?\n"
    "  testline run --mode sim --seeds 100 --jitter 50ms --repeat 2    on a hundred networks\n"
    "  testline run --tag FB-001 --junit out/junit.xml\n"
    "  testline run --client 'scenarios/clients/baileys/run' --tag pairing\n"
    "  testline run --list --symptom - < gateway.log\n"
    "  testline run --mode sim --plan-out plan.json happy.lua && testline run --plan plan.json\n"
    "  testline run --client ./my-client --key-log keys.log happy.lua\n"
    "Exit codes: 0 all held, 1 something did not, 2 usage or an unreadable scenario,\n"
    "3 the environment, 4 nondeterminism, 130 interrupted.";

Run bind_conform(CLI::App& verb) {
  auto options = std::make_shared<RunOptions>();
  verb.add_option("path", options->paths, "files and directories; without: ./scenarios/library");
  verb.add_option("--client", options->client, "command of the client to be graded")->required();
  verb.add_option("--filter", options->filter, "glob over path and name");
  verb.add_option("--tag", options->tags, "only scenarios with this tag; may be repeated")
      ->allow_extra_args(false);
  verb.add_option("--jobs", options->jobs, "worker processes; without: one per processor");
  verb.add_option("--timeout", options->timeout, "wall time of one scenario")
      ->capture_default_str();
  verb.add_option("--html", options->html, "write a page with every sequence to this file");
  verb.add_option("--json", options->json, "write JSON to this file; - is stdout");
  return [options] { return run_conform(*options); };
}
constexpr const char* kConformExamples =
    "Plays every scenario with the client over real sockets, and says which hold, which do not, "
    "and\n"
    "which cannot be asked of it, by the capability that it lacks.\n"
    "Examples:\n"
    "  testline conform --client scenarios/clients/baileys/run --html out/baileys.html\n"
    "  testline conform --client './my-client --driver' --tag pairing";

Run bind_decode(CLI::App& verb) {
  auto options = std::make_shared<DecodeOptions>();
  verb.add_option("file", options->file,
                  "a trace, one direction of a connection, or a decrypted frame; as bytes or as "
                  "hexadecimal text; - reads stdin")
      ->required();
  verb.add_option("--key-log", options->key_log,
                  "NOISE lines with the keys of connections, as mock --key-log writes them");
  verb.add_option("--dictionary", options->dictionary,
                  "token tables of a decrypted frame, or of what a server sent: 2 or 3")
      ->capture_default_str();
  return [options] { return run_decode(*options); };
}
constexpr const char* kDecodeExamples =
    "Examples:\n"
    "  testline decode out/traces/field.FB-001-restart-is-a-login.sim.jsonl\n"
    "  testline decode --key-log keys.log from_client.bin\n"
    "  echo 00f80803 | testline decode -";

Run bind_qr(CLI::App& verb) {
  auto options = std::make_shared<QrOptions>();
  verb.add_option("text", options->text, "what the code says; - reads stdin")->required();
  verb.add_option("--out", options->out, "write a PNG (or SVG) to this file; - is stdout");
  verb.add_flag("--svg", options->svg, "an SVG instead of a PNG");
  verb.add_option("--module", options->module_pixels, "pixels per module of the PNG, 1 to 64")
      ->capture_default_str();
  return [options] { return run_qr(*options); };
}
constexpr const char* kQrExamples =
    "Examples:\n"
    "  testline qr 2@abc,def,ghi,jkl               on the terminal\n"
    "  testline qr - --out qr.png < ref.txt\n"
    "  testline qr hello --svg > qr.svg";

Run bind_scan(CLI::App& verb) {
  auto options = std::make_shared<ScanOptions>();
  verb.add_option("file", options->file, "PNG or JPEG; - reads stdin")->required();
  return [options] { return run_scan(*options); };
}
constexpr const char* kScanExamples =
    "Examples:\n"
    "  testline scan qr.png\n"
    "  curl -s http://gateway/qr.png | testline scan -";

Run bind_completion(CLI::App& verb) {
  auto shell = std::make_shared<std::string>();
  verb.add_option("shell", *shell, "bash")->required();
  const CLI::App* program = verb.get_parent();
  return [program, shell]() -> int {
    if (*shell != "bash") {
      complain("there is completion for bash, not for \"" + *shell + "\"");
      return kUsage;
    }
    std::vector<VerbWords> verbs;
    for (const CLI::App* other : program->get_subcommands({})) {
      VerbWords words{other->get_name(), {}};
      for (const CLI::Option* option : other->get_options()) {
        for (const std::string& name : option->get_lnames()) words.options.push_back("--" + name);
      }
      verbs.push_back(std::move(words));
    }
    return write_stdout(as_bytes(bash_completion(verbs))) ? kOk : kEnvironment;
  };
}
constexpr const char* kCompletionExamples =
    "Examples:\n"
    "  source <(testline completion bash)";

struct Verb {
  const char* name;
  const char* summary;
  Run (*bind)(CLI::App&);
  const char* examples;
};

constexpr Verb kVerbs[] = {
    {"run", "play scenarios", bind_run, kRunExamples},
    {"mock", "run the mock server", bind_mock, kMockExamples},
    {"engine", "run our engine as a client under test: JSON Lines on stdin and stdout", bind_engine,
     kEngineExamples},
    {"conform", "grade a client on the whole library", bind_conform, kConformExamples},
    {"decode", "print frames, nodes and traces", bind_decode, kDecodeExamples},
    {"qr", "draw a QR code", bind_qr, kQrExamples},
    {"scan", "read a QR code from a picture", bind_scan, kScanExamples},
    {"completion", "print a completion script for your shell", bind_completion,
     kCompletionExamples},
};

/// A mistyped verb is answered with the nearest one; CLI11 only says that it did not expect it.
bool is_unknown_verb(const CLI::App& program, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  const std::string word = argv[1];
  std::vector<std::string_view> names;
  for (const Verb& verb : kVerbs) names.push_back(verb.name);
  for (const std::string_view name : names) {
    if (name == word) return false;
  }
  const std::string near = mock::nearest(word, names);
  complain("there is no verb \"" + word + "\"" +
           (near.empty() ? "" : "; did you mean \"" + near + "\"?") + " " + program.get_name() +
           " --help lists them");
  return true;
}

int run_program(int argc, char** argv) {
  CLI::App program("Tests WhatsApp multi-device clients against a mock server.", "testline");
  program.set_version_flag("--version", std::string("testline ") + WA_VERSION);
  program.require_subcommand(1);
  Run run;
  for (const Verb& verb : kVerbs) {
    CLI::App* app = program.add_subcommand(verb.name, verb.summary);
    app->footer(verb.examples);
    app->final_callback([&run, bound = verb.bind(*app)] { run = bound; });
  }
  if (is_unknown_verb(program, argc, argv)) return kUsage;
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return program.exit(failure) == 0 ? kOk : kUsage;
  }
  return run();
}

}  // namespace
}  // namespace wa::cli

int main(int argc, char** argv) {
  try {
    return wa::cli::run_program(argc, argv);
  } catch (const std::exception& failure) {
    wa::cli::complain(failure.what());
    return wa::cli::kEnvironment;
  }
}
