#include "scenarios/loopback/child_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <optional>

#include "scenarios/loopback/lines.hpp"

extern char** environ;

namespace wa::loopback {

namespace asio = boost::asio;

namespace {

/// A line of the protocol: a QR picture is some kilobytes.
constexpr std::size_t kMaxLineBytes = 1024 * 1024;
/// Of commands that a client does not read.
constexpr std::size_t kMaxQueuedBytes = 1024 * 1024;
constexpr std::size_t kLastWords = 20;

Error failed(const std::string& what, int code) {
  return Error{Errc::environment, what + ": " + std::strerror(code)};
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

struct Pipe {
  Descriptor read;
  Descriptor write;

  static Result<Pipe> open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("no pipe for the client", errno);
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  }
};

void set_non_blocking(const Descriptor& descriptor) {
  ::fcntl(descriptor.get(), F_SETFL, ::fcntl(descriptor.get(), F_GETFL) | O_NONBLOCK);
}

std::string describe_end(int status) {
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  return "was ended by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

/// Our environment with some variables replaced, as exec wants it.
std::vector<std::string> merged(const ChildProcess::Environment& environment) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& [key, value] : environment) replaced |= key == name;
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [key, value] : environment) merged.push_back(key + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

/// 0, or an errno.
int start(std::vector<std::string> command, const ChildProcess::Environment& environment,
          const Pipe& in, const Pipe& out, const Pipe& err, ::pid_t& pid) {
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  // Sockets of the mock would stay open in the child after the mock has closed them.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);

  ::posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::sigset_t signals;
  ::sigfillset(&signals);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  ::sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);

  std::vector<std::string> variables = merged(environment);
  const int failure = ::posix_spawnp(&pid, command.front().c_str(), &actions, &attributes,
                                     pointers(command).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return failure;
}

}  // namespace

class ChildProcess::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, ::pid_t pid, int pid_descriptor, Events events)
      : io_(io), pid_(pid), pid_descriptor_(io, pid_descriptor), events_(std::move(events)) {}

  void begin(Pipe& in, Pipe& out, Pipe& err) {
    set_non_blocking(in.write);
    set_non_blocking(out.read);
    set_non_blocking(err.read);
    // Both pipes may end before or after the process; only the process counts.
    stdin_.emplace(io_, in.write.release(), kMaxQueuedBytes, [](const std::string&) {});
    stdout_.emplace(io_, out.read.release(), kMaxLineBytes,
                    LineReader::Events{.on_line =
                                           [this](std::string_view line) {
                                             if (events_.on_stdout) events_.on_stdout(line);
                                           },
                                       .on_end = [this](const std::string& why) { broken(why); }});
    stderr_.emplace(
        io_, err.read.release(), kMaxLineBytes,
        LineReader::Events{.on_line = [this](std::string_view line) { said(line); }, .on_end = {}});
    watch();
  }

  /// SIGKILL, and the end.
  void kill() {
    if (!running_) return;
    ::kill(pid_, SIGKILL);
    reap(0);
    drain();
  }

  void abandon() {
    events_ = {};
    kill();
  }

  bool write(std::string_view line) { return running_ && stdin_ && stdin_->write(line); }
  void close_stdin() {
    if (stdin_) stdin_->close();
  }

  int pid() const { return pid_; }
  bool running() const { return running_; }
  std::string last_words() const {
    std::string text;
    for (const std::string& line : last_words_) text += "\n  " + line;
    return text;
  }

 private:
  /// A wait may end early: Asio reuses what it keeps of a descriptor, and with it news of the one
  /// before. The process has ended when it can be waited for.
  void watch() {
    pid_descriptor_.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this()](const boost::system::error_code& failure) {
          if (failure || !self->running_) return;
          if (self->reap(WNOHANG)) return self->on_ended();
          self->watch();
        });
  }

  void on_ended() {
    drain();
    const bool success = WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
    if (events_.on_exit) events_.on_exit(describe_end(status_), success);
  }

  bool reap(int flags) {
    ::pid_t waited = 0;
    do {
      waited = ::waitpid(pid_, &status_, flags);
    } while (waited < 0 && errno == EINTR);
    if (waited == 0) return false;
    running_ = false;
    boost::system::error_code ignored;
    pid_descriptor_.close(ignored);
    return true;
  }

  void drain() {
    if (stdout_) stdout_->drain();
    if (stderr_) stderr_->drain();
    stdin_.reset();
  }

  /// Its stdout cannot be followed any more; if it only ended, the process ends too.
  void broken(const std::string& why) {
    if (why.empty()) return;
    said("(stdout: " + why + ")");
    if (running_) ::kill(pid_, SIGKILL);
  }

  void said(std::string_view line) {
    last_words_.emplace_back(line);
    if (last_words_.size() > kLastWords) last_words_.pop_front();
    if (events_.on_stderr) events_.on_stderr(line);
  }

  asio::io_context& io_;
  const ::pid_t pid_;
  asio::posix::stream_descriptor pid_descriptor_;
  Events events_;
  std::optional<LineWriter> stdin_;
  std::optional<LineReader> stdout_;
  std::optional<LineReader> stderr_;
  std::deque<std::string> last_words_;
  int status_ = 0;
  bool running_ = true;
};

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(asio::io_context& io,
                                                          const std::vector<std::string>& command,
                                                          const Environment& environment,
                                                          Events events) {
  WA_ASSERT(!command.empty());
  WA_TRY(Pipe in, Pipe::open());
  WA_TRY(Pipe out, Pipe::open());
  WA_TRY(Pipe err, Pipe::open());
  ::pid_t pid = 0;
  if (const int failure = start(command, environment, in, out, err, pid); failure != 0) {
    return failed("cannot run " + command.front(), failure);
  }
  // Not through <sys/pidfd.h>: in glibc 2.36 it cannot be linked from C++. Sets O_CLOEXEC by
  // itself.
  const auto pid_descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pid_descriptor < 0) {
    const Error error = failed("cannot watch the client", errno);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return error;
  }
  auto impl = std::make_shared<Impl>(io, pid, pid_descriptor, std::move(events));
  impl->begin(in, out, err);
  return std::unique_ptr<ChildProcess>(new ChildProcess(std::move(impl)));
}

ChildProcess::ChildProcess(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChildProcess::~ChildProcess() {
  impl_->abandon();
}
int ChildProcess::pid() const {
  return impl_->pid();
}
bool ChildProcess::running() const {
  return impl_->running();
}
bool ChildProcess::write(std::string_view line) {
  return impl_->write(line);
}
void ChildProcess::close_stdin() {
  impl_->close_stdin();
}
void ChildProcess::kill() {
  impl_->kill();
}
std::string ChildProcess::last_words() const {
  return impl_->last_words();
}

}  // namespace wa::loopback
