#include "scenarios/cli/key_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "mockserver/core/tenant.hpp"

namespace wa::cli {
namespace {

constexpr std::string_view kLabel = "NOISE";
constexpr ::mode_t kOwnerOnly = 0600;
constexpr ::mode_t kOthers = 0077;

Error key_log_failed(const std::string& what, const std::string& path) {
  return Error{Errc::environment,
               "--key-log: cannot " + what + " " + path + ": " + std::strerror(errno)};
}

/// Takes the first word off a text.
std::string_view take_word(std::string_view& rest) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(kSpace)));
  const std::string_view word = rest.substr(0, rest.find_first_of(kSpace));
  rest.remove_prefix(word.size());
  return word;
}

Result<ByteArray<32>> key_of(std::string_view hex, std::size_t line) {
  const auto bytes = from_hex(hex);
  ByteArray<32> key{};
  if (!bytes || bytes->size() != key.size()) {
    return Error{Errc::malformed, "key log, line " + std::to_string(line) +
                                      ": a key is 64 hexadecimal digits, not \"" +
                                      std::string(hex.substr(0, 80)) + "\""};
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

}  // namespace

Result<std::vector<TransportKeys>> parse_key_log(std::string_view text) {
  std::vector<TransportKeys> keys;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (take_word(line) != kLabel) continue;
    TransportKeys made;
    WA_TRY(made.client_static, key_of(take_word(line), number));
    WA_TRY(made.client_to_server, key_of(take_word(line), number));
    WA_TRY(made.server_to_client, key_of(take_word(line), number));
    keys.push_back(made);
  }
  return keys;
}

Result<std::unique_ptr<KeyLog>> KeyLog::open(const std::string& path) {
  if (path == "-") return std::unique_ptr<KeyLog>(new KeyLog(STDOUT_FILENO, "stdout"));
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kOwnerOnly);
  if (file < 0) return key_log_failed("write", path);
  std::unique_ptr<KeyLog> log(new KeyLog(file, path));
  struct stat status {};
  if (::fstat(file, &status) != 0) return key_log_failed("write", path);
  const bool readable = S_ISREG(status.st_mode) && (status.st_mode & kOthers) != 0;
  if (readable && ::fchmod(file, kOwnerOnly) != 0)
    return key_log_failed("keep others from reading", path);
  return log;
}

KeyLog::~KeyLog() {
  if (file_ != STDOUT_FILENO) ::close(file_);
}

void KeyLog::add(const mock::LogKeys& keys) {
  if (!written_) return;
  const std::string line = std::string(kLabel) + " " + to_hex(keys.client_static.bytes) + " " +
                           to_hex(keys.client_to_server) + " " + to_hex(keys.server_to_client) +
                           "\n";
  // What the program prints itself stays before or behind it.
  if (file_ == STDOUT_FILENO) std::fflush(stdout);
  // One call for the whole line: it is appended in one piece, whoever else writes.
  std::string_view rest = line;
  while (!rest.empty()) {
    const ::ssize_t count = ::write(file_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      written_ = key_log_failed("write", path_);
      return;
    }
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace wa::cli
