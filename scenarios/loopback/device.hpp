#pragma once

#include <functional>
#include <string>

#include "scenarios/loopback/client.hpp"
#include "scenarios/stage/device.hpp"
#include "scenarios/stage/time_scale.hpp"

namespace wa::loopback {

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

  stage::Ref stop() override;
  stage::Ref logout() override;
  stage::Ref remove() override;
  void kill() override;
  stage::Ref inspect() override;

  Client& client() { return client_; }
  /// For the client: what it said.
  void said(stage::Entry entry) { push(std::move(entry)); }

 private:
  void do_start(stage::Ref ref) override;
  /// Sends a command; to a process that does not run there is nothing to say.
  stage::Ref tell(std::string_view command);
  /// Sends a command that needs a capability, and a process.
  stage::Ref ask(std::string_view command, std::string_view capability);
  void done(stage::Ref ref);
  void error(stage::Ref ref, std::string_view code, std::string_view text);
  boost::json::object start_options() const;

  ClientSurroundings& world_;
  Client& client_;
  Setup setup_;
};

}  // namespace wa::loopback
