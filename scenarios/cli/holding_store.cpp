#include "scenarios/cli/holding_store.hpp"

namespace wa::cli {

using stage::HoldPhase;
using store::Change;
using store::Done;

struct HoldingStore::Hold {
  std::string point;
  HoldPhase phase = HoldPhase::before;
  std::uint32_t left = 1;            ///< commits of the point, up to the one that is meant
  bool over = false;                 ///< it was released
  std::function<void()> go_on = {};  ///< what is held
};

class HoldingStore::Device final : public store::DeviceStore {
 public:
  Device(HoldingStore& owner, std::string device, std::shared_ptr<DeviceStore> below)
      : owner_(owner), device_(std::move(device)), below_(std::move(below)) {}

  void commit(std::string_view point, std::vector<Change> changes, Done done) override {
    const auto hold = owner_.reached(device_, point);
    if (!hold) return below_->commit(point, std::move(changes), std::move(done));
    std::string word(point);
    if (hold->phase == HoldPhase::before) {
      // Whoever has been dropped by then commits nothing.
      hold->go_on = [below = std::weak_ptr(below_), point, changes = std::move(changes),
                     done = std::move(done)]() mutable {
        if (const auto device = below.lock()) {
          device->commit(point, std::move(changes), std::move(done));
        }
      };
      return owner_.on_held_(device_, word);
    }
    below_->commit(point, std::move(changes),
                   [on_held = owner_.on_held_, hold, device = device_, word = std::move(word),
                    done = std::move(done)](Result<void> result) {
                     // It was let go meanwhile, or there is nothing durable to hold at.
                     if (hold->over || !result) return done(std::move(result));
                     hold->go_on = [done, result = std::move(result)] { done(result); };
                     on_held(device, word);
                   });
  }
  /// A shell looks at what it has not committed yet by itself, so what is held is not missed here.
  void load(std::vector<RecordKey> keys, store::OnLoaded on_loaded) override {
    below_->load(std::move(keys), std::move(on_loaded));
  }

 private:
  HoldingStore& owner_;
  const std::string device_;
  const std::shared_ptr<DeviceStore> below_;
};

HoldingStore::HoldingStore(store::Store& below, OnHeld on_held)
    : below_(below), on_held_(std::move(on_held)) {}
HoldingStore::~HoldingStore() = default;

std::shared_ptr<HoldingStore::Hold> HoldingStore::reached(const std::string& device,
                                                          std::string_view point) {
  const auto found = holds_.find(device);
  if (found == holds_.end()) return nullptr;
  Hold& hold = *found->second;
  const bool meant = hold.point.empty() || hold.point == point;
  if (!meant || hold.left == 0 || --hold.left > 0) return nullptr;
  return found->second;
}

void HoldingStore::hold(const std::string& device, std::string point, HoldPhase phase,
                        std::uint32_t nth) {
  release(device);
  holds_[device] = std::make_shared<Hold>(Hold{std::move(point), phase, nth});
}

void HoldingStore::release(const std::string& device) {
  const auto found = holds_.find(device);
  if (found == holds_.end()) return;
  const std::shared_ptr<Hold> hold = std::move(found->second);
  holds_.erase(found);
  hold->over = true;
  if (hold->go_on) hold->go_on();
}

void HoldingStore::open(std::string device, OnOpened on_opened, OnLost on_lost) {
  auto wrap = [this, device, on_opened = std::move(on_opened)](Result<Opened> opened) {
    if (opened) opened->device = std::make_shared<Device>(*this, device, std::move(opened->device));
    on_opened(std::move(opened));
  };
  below_.open(std::move(device), std::move(wrap), std::move(on_lost));
}
void HoldingStore::read(std::string device, OnRead on_read) {
  below_.read(std::move(device), std::move(on_read));
}
void HoldingStore::erase(std::string device, Done done) {
  below_.erase(std::move(device), std::move(done));
}

}  // namespace wa::cli
