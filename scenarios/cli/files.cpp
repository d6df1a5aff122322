#include "scenarios/cli/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace wa::cli {
namespace {

Error failed(const std::string& what, const std::string& path) {
  return Error{Errc::environment, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Result<Bytes> read_file(const std::string& path) {
  const bool is_stdin = path == "-";
  std::unique_ptr<std::FILE, CloseFile> opened;
  if (!is_stdin) {
    opened.reset(std::fopen(path.c_str(), "rbe"));
    if (!opened) return failed("read", path);
  }
  std::FILE* file = is_stdin ? stdin : opened.get();
  Bytes contents;
  ByteArray<64 * 1024> part;
  while (const std::size_t count = std::fread(part.data(), 1, part.size(), file)) {
    append(contents, ByteSpan(part).first(count));
  }
  if (std::ferror(file)) return failed("read", is_stdin ? "stdin" : path);
  return contents;
}

Result<void> write_file(const std::string& path, ByteSpan contents) {
  const std::string beside = path + ".new-" + std::to_string(::getpid());
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failed("write", path);
  ByteSpan rest = contents;
  while (!rest.empty()) {
    const ::ssize_t count = ::write(file, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = failed("write", path);
      ::close(file);
      ::unlink(beside.c_str());
      return error;
    }
    rest = rest.subspan(static_cast<std::size_t>(count));
  }
  ::close(file);
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    const Error error = failed("write", path);
    ::unlink(beside.c_str());
    return error;
  }
  return {};
}

Result<void> write_stdout(ByteSpan contents) {
  const bool all = std::fwrite(contents.data(), 1, contents.size(), stdout) == contents.size();
  if (!all || std::fflush(stdout) != 0) return failed("write to", "stdout");
  return {};
}

void complain(const std::string& message) {
  std::fprintf(stderr, "testline: %s\n", message.c_str());
}

}  // namespace wa::cli
