#pragma once

#include "engine/store/store.hpp"
#include "scenarios/stage/device.hpp"

namespace wa::cli {

/// A store that can stop a device at a commit, so that a harness may kill the process just there:
///
/// - before: the store below has not heard of the commit yet
/// - after: the commit is durable, and nobody knows
class HoldingStore final : public store::Store {
 public:
  /// Called when the device has come to its point.
  using OnHeld = std::function<void(const std::string& device, const std::string& point)>;

  /// `below` outlives it.
  HoldingStore(store::Store& below, OnHeld on_held);
  ~HoldingStore() override;

  /// Stops the device at the `nth` commit of this point from now on, 1 being the next; an empty
  /// point is any commit. Replaces what was asked for before, and lets go what is held.
  void hold(const std::string& device, std::string point, stage::HoldPhase phase,
            std::uint32_t nth);
  /// Lets go what is held, and forgets what was asked for.
  void release(const std::string& device);

  void open(std::string device, OnOpened on_opened, OnLost on_lost = {}) override;
  void read(std::string device, OnRead on_read) override;
  void erase(std::string device, store::Done done) override;

 private:
  class Device;
  struct Hold;
  /// Whether this commit of the device is the one to be held; counted.
  std::shared_ptr<Hold> reached(const std::string& device, std::string_view point);

  store::Store& below_;
  OnHeld on_held_;
  std::map<std::string, std::shared_ptr<Hold>> holds_;
};

}  // namespace wa::cli
