#pragma once

#include <string>

namespace wa::cli {

/// `testline qr TEXT|-`
struct QrOptions {
  std::string text;  ///< "-" reads stdin
  std::string out;   ///< a file, or "-"; empty shows it on the terminal
  bool svg = false;
  int module_pixels = 4;
};
/// The exit code.
int run_qr(const QrOptions& options);

/// `testline scan FILE`: prints what the virtual phone's camera reads.
struct ScanOptions {
  std::string file;  ///< PNG or JPEG; "-" reads stdin
};
int run_scan(const ScanOptions& options);

}  // namespace wa::cli
