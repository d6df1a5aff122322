#include "scenarios/cli/engine_host.hpp"

#include <boost/asio/io_context.hpp>

namespace wa::cli {

using namespace std::chrono_literals;

namespace {

/// Of a look-up that a fault makes slow, in real time.
constexpr Duration kSlowLookup = 500ms;
constexpr Duration kDiskWatch = 10ms;

}  // namespace

/// A look-up whose answer waits for its time.
struct EngineHost::Late {
  explicit Late(boost::asio::io_context& io) : timer(io) {}
  boost::asio::steady_timer timer;
  Lookup lookup;
};

EngineHost::EngineHost(boost::asio::io_context& io, loopback::FaultyVfs* disk,
                       std::function<void(const std::string& id)> fired)
    : io_(io),
      fired_(std::move(fired)),
      system_(net::system_resolver(io)),
      disk_(disk),
      disk_watch_(io) {}
EngineHost::~EngineHost() = default;

Result<void> EngineHost::set(const mock::FaultRecord& record, bool on) {
  if (const auto* clock = std::get_if<mock::ClockFault>(&record.kind)) {
    wall_offset_ += clock->jump;
    fired_(record.id);
    return {};
  }
  if (const auto* fault = std::get_if<mock::DiskFault>(&record.kind); fault && disk_) {
    disk_->set(fault->kind, on, std::chrono::milliseconds(fault->ms.value_or(0)));
    disk_fault_ = on ? record.id : std::string();
    disk_acts_ = disk_->acts();
    watch_disk();
    return {};
  }
  if (!std::holds_alternative<mock::DnsFault>(record.kind)) {
    return Error{Errc::usage, "the fault " + std::string(record.name()) +
                                  " is not one of look-ups, the clock or the disk"};
  }
  faults_.remove_if([&](const stage::HostFault& fault) { return fault.record().id == record.id; });
  if (on) faults_.emplace_back(record, 0);
  return {};
}

void EngineHost::look_at_disk() {
  if (disk_fault_.empty()) return;
  const std::uint64_t acts = disk_->acts();
  if (std::exchange(disk_acts_, acts) != acts) fired_(disk_fault_);
}

void EngineHost::watch_disk() {
  disk_watch_.cancel();
  if (disk_fault_.empty()) return;
  disk_watch_.expires_after(kDiskWatch);
  disk_watch_.async_wait([this](boost::system::error_code cancelled) {
    if (cancelled) return;
    look_at_disk();
    watch_disk();
  });
}

void EngineHost::stop() {
  disk_fault_.clear();
  disk_watch_.cancel();
}

net::Resolver::Lookup EngineHost::resolve(const std::string& host, Done done) {
  for (stage::HostFault& fault : faults_) {
    if (!fault.acts()) continue;
    fired_(fault.record().id);
    auto late = std::make_shared<Late>(io_);
    switch (std::get<mock::DnsFault>(fault.record().kind).kind) {
      case mock::DnsFault::Kind::hang: break;
      case mock::DnsFault::Kind::fail:
        late->timer.expires_after(0ms);
        late->timer.async_wait([done = std::move(done), host](boost::system::error_code cancelled) {
          if (!cancelled) done(Error{Errc::not_found, "Host not found"});
        });
        break;
      case mock::DnsFault::Kind::slow:
        late->timer.expires_after(kSlowLookup);
        late->timer.async_wait([this, weak = std::weak_ptr(late), host,
                                done = std::move(done)](boost::system::error_code cancelled) {
          const auto self = weak.lock();
          if (!cancelled && self) self->lookup = system_->resolve(host, done);
        });
        break;
    }
    return late;
  }
  return system_->resolve(host, std::move(done));
}

Now EngineHost::now() const {
  Now now = runtime::read_clocks();
  now.wall.value += std::chrono::duration_cast<std::chrono::milliseconds>(wall_offset_).count();
  return now;
}

}  // namespace wa::cli
