#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wa::cli {

/// `testline mock`: the mock server on real sockets, until SIGINT or SIGTERM.
struct MockOptions {
  std::string listen = "127.0.0.1:7780";   ///< WebSockets
  std::string control = "127.0.0.1:7781";  ///< the control API
  std::string profile = "default";
  std::vector<std::string> set;  ///< KEY=VALUE, over the profile
  std::string state;             ///< a directory; empty keeps nothing
  /// Names and IP addresses of this machine besides localhost; the first stands in URLs.
  std::vector<std::string> host_names;
  std::uint64_t seed = 1;
  std::string ready_file;  ///< gets /v1/info once both ports listen
  std::string key_log;     ///< a file, or "-": gets the keys of every connection
  std::string token;       ///< of the control API
  std::string version;
};
/// The exit code: 0 after SIGTERM, 130 after SIGINT.
int run_mock(const MockOptions& options);

}  // namespace wa::cli
