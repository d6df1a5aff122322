#pragma once

#include <functional>
#include <string>

#include "scenarios/loopback/client.hpp"
#include "scenarios/loopback/stored_records.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::loopback {

/// The options that a scenario gave a device, as `start` takes them.
boost::json::object start_options(const stage::DeviceOptions& options,
                                  const stage::TimeScale& scale);

/// A device that a client process runs.
class Device final : public stage::Device {
 public:
  /// What a device needs of the world around it.
  struct Setup {
    std::string url;
    stage::TimeScale scale;
    std::string proxy;  ///< a URL; empty: none
    /// Run once, before the first start: copies what another device has stored.
    std::function<Result<void>(Device& copy)> clone;
    /// Notes that the client lacks a capability that was needed.
    std::function<void(std::string_view capability)> lacks;
  };
  Device(ClientSurroundings& world, Client& client, std::string engine, std::string name,
         stage::DeviceOptions options, stage::Trace& trace, Setup setup);

  void kill() override;
  stage::Ref hold(std::string point, stage::HoldPhase phase, std::uint32_t nth) override;
  stage::Ref release() override;
  stage::Ref inspect() override;
  Result<std::string> stored_digest() override;
  Result<std::size_t> copy_stored() override;

  /// Switches a fault of its host; answered in the history.
  void host_fault(const boost::json::object& record, bool on);
  /// SIGKILL to its process at this commit. `on_death`: just before.
  void kill_at(std::string point, stage::HoldPhase phase, std::function<void()> on_death);

  Client& client() { return client_; }
  /// For the client: what it said.
  void said(stage::Entry entry) { push(std::move(entry)); }

 private:
  void do_start(stage::Ref ref, std::string pairing_number) override;
  void do_stop(stage::Ref ref) override { tell(ref, "stop"); }
  void do_logout(stage::Ref ref) override { tell(ref, "logout"); }
  void do_remove(stage::Ref ref) override { ask(ref, "delete", "delete"); }
  void do_send(stage::Ref ref, boost::json::object message) override;
  void do_read(stage::Ref ref, std::string chat, std::vector<std::string> ids) override;
  void do_trust(stage::Ref ref, std::string account) override {
    ask(ref, "trust", "trust", {{"account", account}});
  }
  void do_wish(stage::Ref ref, std::string command, boost::json::object fields) override;
  Result<stage::DamagedRecord> do_damage(const stage::Damage& damage) override;
  Result<void> do_restore(std::size_t copy) override;
  /// What the client keeps of it. Errors: `environment` (nobody knows how).
  Result<StoredDevice> records();
  Instant now() const override { return world_.now().mono; }
  void pushed(const stage::Entry& entry) override;
  /// Sends a command; to a process that does not run there is nothing to say.
  void tell(stage::Ref ref, std::string_view command);
  /// Sends a command that needs a capability, and a process.
  void ask(stage::Ref ref, std::string_view command, std::string_view capability,
           boost::json::object fields = {});
  void done(stage::Ref ref);
  void error(stage::Ref ref, std::string_view code, std::string_view text);

  ClientSurroundings& world_;
  Client& client_;
  Setup setup_;
  std::vector<StoredCopy> copies_;
  std::function<void()> on_death_;  ///< it is to die when it is held next
};

}  // namespace wa::loopback
