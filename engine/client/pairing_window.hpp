#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/node.hpp"

namespace wa::client {

/// The refs of one `pair-device`, shown one after another as QR codes: the first for a long time,
/// the rest for a short one each. The server accepts a ref only while its time has not passed, so
/// what is published is the validity that remains, never a constant.
///
///   Showing ref 1 ──first──▶ ref 2 ──rest──▶ … ref n ──rest──▶ Ended
///
/// Source: docs/protocol/pairing.md, "Refs".
class PairingWindow {
 public:
  struct Config {
    Duration first{};
    Duration rest{};
  };

  /// What the server offered, in order; refs that could not stand in a QR text are left out, and of
  /// an absurd number only the first few are kept.
  static std::vector<std::string> refs_of(const wire::Node& pair_device);

  PairingWindow(std::vector<std::string> refs, const Config& config, Instant now);

  struct Code {
    const std::string& ref;
    Instant expires_at;
    Instant window_expires_at;
  };
  /// The code to show at this time; empty when the window has ended.
  std::optional<Code> current(Instant now) const;
  /// When `current` changes next; empty when it never does again.
  std::optional<Instant> next_change(Instant now) const;

 private:
  Instant end_of(std::size_t index) const;
  std::size_t index_at(Instant now) const;

  std::vector<std::string> refs_;
  Config config_;
  Instant opened_at_;
};

}  // namespace wa::client
