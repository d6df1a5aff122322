#pragma once

#include <string>
#include <string_view>

#include "engine/base/random.hpp"
#include "mockserver/core/fault_record.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/disk.hpp"

namespace wa::stage {

/// A fault of the host of a client that is switched on. The server's fault engine decides when;
/// which of the single chances meanwhile (dials, look-ups, commits) it takes is decided here, where
/// the chances are: nth, every, probability and budget count them.
class HostFault {
 public:
  HostFault(mock::FaultRecord record, std::uint64_t seed)
      : record_(std::move(record)), random_(seed, "host fault", record_.id) {}

  const mock::FaultRecord& record() const { return record_; }
  /// Whether it takes only some of its chances.
  bool is_choosy() const {
    const mock::FaultWhen& when = record_.when;
    return record_.budget || when.nth || when.every || when.probability;
  }
  /// A chance has come: whether the fault acts on it.
  bool acts();
  std::uint64_t acted() const { return acted_; }

 private:
  mock::FaultRecord record_;
  SeededRandom random_;
  std::uint64_t chances_ = 0;
  std::uint64_t acted_ = 0;
};

/// Whether a host fault is about this device: `label` as HostFaultSwitched names it, or empty.
bool is_about(const mock::FaultRecord& record, std::string_view label, const Device& device,
              std::string_view jid);

/// `point` of a kill: "paired.before", "paired.after", or "paired", which is before.
struct KillPoint {
  std::string point;
  HoldPhase phase = HoldPhase::before;
};
KillPoint parse_kill_point(std::string_view text);

}  // namespace wa::stage
