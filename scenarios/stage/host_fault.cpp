#include "scenarios/stage/host_fault.hpp"

namespace wa::stage {

bool HostFault::acts() {
  const mock::FaultWhen& when = record_.when;
  if (record_.budget && acted_ >= *record_.budget) return false;
  ++chances_;
  if (when.nth && chances_ != *when.nth) return false;
  if (when.every && (*when.every == 0 || chances_ % *when.every != 0)) return false;
  if (when.probability) {
    constexpr std::uint64_t kGrains = std::uint64_t{1} << 32;
    const auto limit = static_cast<std::uint64_t>(*when.probability * static_cast<double>(kGrains));
    if (random_.below(kGrains) >= limit) return false;
  }
  ++acted_;
  return true;
}

bool is_about(const mock::FaultRecord& record, std::string_view label, const Device& device,
              std::string_view jid) {
  const auto fits = [](std::string_view pattern, std::string_view text) {
    return pattern.empty() || pattern == "*" || pattern == text;
  };
  if (!fits(record.where.host, device.engine())) return false;
  if (!label.empty()) return label == device.name() || (!jid.empty() && label == jid);
  const std::string_view number = jid.substr(0, jid.find_first_of(":@"));
  const std::string& wanted = record.where.device;
  return fits(wanted, device.name()) || (!jid.empty() && (wanted == jid || wanted == number));
}

KillPoint parse_kill_point(std::string_view text) {
  for (const HoldPhase phase : {HoldPhase::before, HoldPhase::after}) {
    const std::string suffix = "." + std::string(to_string(phase));
    if (text.ends_with(suffix))
      return {std::string(text.substr(0, text.size() - suffix.size())), phase};
  }
  return {std::string(text), HoldPhase::before};
}

}  // namespace wa::stage
