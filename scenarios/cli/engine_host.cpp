#include "scenarios/cli/engine_host.hpp"

#include <boost/asio/io_context.hpp>

namespace wa::cli {

using namespace std::chrono_literals;

namespace {

/// Of a look-up that a fault makes slow, in real time.
constexpr Duration kSlowLookup = 500ms;

}  // namespace

/// A look-up whose answer waits for its time.
struct EngineHost::Late {
  explicit Late(boost::asio::io_context& io) : timer(io) {}
  boost::asio::steady_timer timer;
  Lookup lookup;
};

EngineHost::EngineHost(boost::asio::io_context& io,
                       std::function<void(const std::string& id)> fired)
    : io_(io), fired_(std::move(fired)), system_(net::system_resolver(io)) {}
EngineHost::~EngineHost() = default;

Result<void> EngineHost::set(const mock::FaultRecord& record, bool on) {
  if (const auto* clock = std::get_if<mock::ClockFault>(&record.kind)) {
    wall_offset_ += clock->jump;
    fired_(record.id);
    return {};
  }
  if (!std::holds_alternative<mock::DnsFault>(record.kind)) {
    return Error{Errc::usage, "the fault " + std::string(record.name()) +
                                  " is not one of look-ups or the clock"};
  }
  faults_.remove_if([&](const stage::HostFault& fault) { return fault.record().id == record.id; });
  if (on) faults_.emplace_back(record, 0);
  return {};
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
