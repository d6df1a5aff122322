#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/result.hpp"

namespace wa::mock {
struct LogKeys;
}

/// Files with the keys of connections, one line each:
/// `NOISE <client static> <client-to-server key> <server-to-client key>`, hexadecimal.
namespace wa::cli {

/// The keys of one connection.
struct TransportKeys {
  ByteArray<32> client_static;
  ByteArray<32> client_to_server;
  ByteArray<32> server_to_client;
};

/// Empty lines and lines of other kinds are skipped. Errors: `malformed`, naming the line.
Result<std::vector<TransportKeys>> parse_key_log(std::string_view text);

/// A key log that is being written. Each line is in the file when add() returns, as a whole:
/// several processes may append to one file. Whoever can read it can read what the connections
/// carried, so only its owner may.
class KeyLog {
 public:
  /// Appends to this file, or makes it; "-" is stdout. A file that others may read is taken from
  /// them. Errors: `environment`, naming the file and why.
  static Result<std::unique_ptr<KeyLog>> open(const std::string& path);
  ~KeyLog();
  KeyLog(const KeyLog&) = delete;
  KeyLog& operator=(const KeyLog&) = delete;

  void add(const mock::LogKeys& keys);
  /// Errors: `environment`: a line could not be written.
  const Result<void>& written() const { return written_; }

 private:
  KeyLog(int file, std::string path) : file_(file), path_(std::move(path)) {}
  int file_;
  std::string path_;
  Result<void> written_;
};

}  // namespace wa::cli
