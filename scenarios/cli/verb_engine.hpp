#pragma once

#include <string>

namespace wa::cli {

/// `testline engine`: our engine as a client under test. JSON Lines on stdin and stdout, as
/// docs/guides/client-driver.md says; settings come from the environment:
///
/// | variable | meaning |
/// |---|---|
/// | TESTLINE_WS_URL | where devices connect, unless their `start` says |
/// | TESTLINE_NOISE_ROOT | hex: the root key that signs the server's Noise certificates |
/// | TESTLINE_STATE_DIR | where credentials are kept, in testline.db; required |
/// | TESTLINE_OWNER | who it is to other processes on that file: one that comes back has its
/// devices | | TESTLINE_KEEPALIVE_MS | longest time between two pings; the shortest is half of it |
/// | TESTLINE_QR_FIRST_MS, TESTLINE_QR_MS | life of the first QR code and of each later one |
/// | TESTLINE_TIME_SCALE | factor on every other duration of the engine |
struct EngineOptions {
  std::string version;
};
/// Until the end of stdin, or SIGTERM; then devices are stopped, and their credentials stay. The
/// exit code.
int run_engine(const EngineOptions& options);

}  // namespace wa::cli
