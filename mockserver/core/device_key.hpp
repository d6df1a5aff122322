#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace wa::mock {

/// The two names of an account: by phone number, and hidden.
enum class Addressing { pn, lid };

/// Names one device of an account; stays valid while the device may come and go. Device 0 is the
/// phone itself.
struct DeviceKey {
  std::string phone_id;
  std::uint16_t device = 0;
  bool is_phone() const { return device == 0; }
  auto operator<=>(const DeviceKey&) const = default;
};

}  // namespace wa::mock
