#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>

#include "engine/net/resolver.hpp"
#include "engine/runtime/clock.hpp"
#include "scenarios/loopback/faulty_vfs.hpp"
#include "scenarios/stage/host_fault.hpp"

namespace wa::cli {

/// The host that one device of a client under test believes to run on: its look-ups and its wall
/// clock, with the faults that are switched on. `testline engine` only; nothing else links it.
class EngineHost final : public net::Resolver, public runtime::Clock {
 public:
  /// `disk`: of the process, and so of all its devices; null: it cannot fail. `fired`: a fault
  /// acted on one of its chances.
  EngineHost(boost::asio::io_context& io, loopback::FaultyVfs* disk,
             std::function<void(const std::string& id)> fired);
  ~EngineHost() override;

  /// Errors: `usage`: not a fault of look-ups, the clock or the disk.
  Result<void> set(const mock::FaultRecord& record, bool on);
  /// Says whether a fault of the disk has acted: before what came of it is said.
  void look_at_disk();
  /// The process is about to end.
  void stop();

  // net::Resolver
  [[nodiscard]] Lookup resolve(const std::string& host, Done done) override;
  // runtime::Clock
  Now now() const override;

 private:
  struct Late;
  /// Faults of the disk act on other threads: looks now and then whether they have.
  void watch_disk();

  boost::asio::io_context& io_;
  std::function<void(const std::string& id)> fired_;
  std::unique_ptr<net::Resolver> system_;
  std::list<stage::HostFault> faults_;  ///< of look-ups
  loopback::FaultyVfs* disk_;
  std::string disk_fault_;  ///< id; empty: none is on
  std::uint64_t disk_acts_ = 0;
  boost::asio::steady_timer disk_watch_;
  Duration wall_offset_{};
};

}  // namespace wa::cli
