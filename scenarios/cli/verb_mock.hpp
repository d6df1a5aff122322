#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wa::cli {

/// `testline mock`: the mock server on real sockets, until SIGINT or SIGTERM.
struct MockOptions {
  std::string listen = "127.0.0.1:7780";   ///< WebSockets
  std::string control = "127.0.0.1:7781";  ///< the control API
  std::string plan;                        ///< a file; empty: none
  std::optional<std::string> profile;      ///< over the plan's
  std::vector<std::string> set;            ///< KEY=VALUE, over profile and plan
  std::string state;                       ///< a directory; empty keeps nothing
  /// Names and IP addresses of this machine besides localhost; the first stands in URLs.
  std::vector<std::string> host_names;
  std::optional<std::uint64_t> seed;  ///< over the plan's
  std::string ready_file;             ///< gets /v1/info once both ports listen
  std::string key_log;                ///< a file, or "-": gets the keys of every connection
  std::string token;                  ///< of the control API
  std::string version;
};
/// The exit code: 0 after SIGTERM, 130 after SIGINT.
int run_mock(const MockOptions& options);

}  // namespace wa::cli
