#pragma once

#include <string>

namespace wa::cli {

/// `testline decode FILE`: prints the frames, nodes or trace lines in it.
struct DecodeOptions {
  std::string file;     ///< "-" reads stdin
  std::string key_log;  ///< a file of `NOISE …` lines; empty: none
  int dictionary = 3;   ///< of a decrypted frame, and of what a server sent
};
/// The exit code.
int run_decode(const DecodeOptions& options);

}  // namespace wa::cli
