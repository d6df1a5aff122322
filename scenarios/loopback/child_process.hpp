#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::loopback {

/// A child process that is spoken to in lines. It gets three pipes and no other descriptor of ours,
/// the default signals and a process group of its own, so that Ctrl-C reaches us alone. It is
/// waited for, and ended, by its pid.
class ChildProcess {
 public:
  /// Callbacks run on the io_context, or inside kill(). They may not destroy the object.
  struct Events {
    std::function<void(std::string_view line)> on_stdout;
    std::function<void(std::string_view line)> on_stderr;
    /// Once, after its last line, unless it was ended by kill(): "exited with status 3".
    std::function<void(std::string how, bool success)> on_exit;
  };
  using Environment = std::vector<std::pair<std::string, std::string>>;

  /// `environment` is put over ours. Errors: `environment` (not found, not executable, no pipes
  /// left).
  static Result<std::unique_ptr<ChildProcess>> spawn(boost::asio::io_context& io,
                                                     const std::vector<std::string>& command,
                                                     const Environment& environment, Events events);
  /// Ends the process, if it still runs, and waits for its end.
  ~ChildProcess();

  int pid() const;
  bool running() const;
  /// False: the process does not read its stdin.
  bool write(std::string_view line);
  /// After what is queued. Commands the process to end, by the protocol.
  void close_stdin();
  /// SIGKILL; returns when it has ended. What it wrote before is given to the callbacks.
  void kill();
  /// Its last lines on stderr.
  std::string last_words() const;

 private:
  class Impl;
  explicit ChildProcess(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::loopback
