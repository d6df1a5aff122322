#include "engine/runtime/session_shell.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "engine/base/overloaded.hpp"
#include "engine/net/websocket.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"
#include "engine/runtime/clock.hpp"
#include "engine/runtime/custody.hpp"

namespace wa::runtime {

namespace asio = boost::asio;
using client::Generation;

namespace {

constexpr const char* kNotRunning = "the device does not run: start it first";
/// The server refuses clients that do not come from its own pages.
constexpr const char* kOrigin = "https://web.whatsapp.com";

client::DialPhase phase_of(net::DialPhase phase) {
  switch (phase) {
    case net::DialPhase::resolve: return client::DialPhase::resolve;
    case net::DialPhase::connect: return client::DialPhase::connect;
    case net::DialPhase::proxy: return client::DialPhase::proxy;
    case net::DialPhase::tls: return client::DialPhase::tls;
    case net::DialPhase::upgrade: return client::DialPhase::upgrade;
  }
  return client::DialPhase::connect;
}

/// A dial, then the socket that it gave.
struct Link {
  Generation generation = 0;
  std::unique_ptr<net::Dial> dial;
  net::WebSocketPtr socket;
};

}  // namespace

class SessionShell::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Surroundings surroundings, std::string device, Options options, Events events)
      : io_(surroundings.io),
        pool_(surroundings.pool),
        store_(surroundings.store),
        random_(surroundings.random),
        resolver_(surroundings.resolver),
        clock_(surroundings.clock),
        device_(std::move(device)),
        options_(std::move(options)),
        events_(std::move(events)),
        custody_({options_.store_patience, options_.config.timings.owned_retry}),
        alarm_(surroundings.io) {}

  /// Posted, so that no callback runs inside a call, and a callback may call.
  void command(client::Event event, Done done) {
    ++posted_;
    idle_ = false;
    asio::post(
        io_, [weak = weak_from_this(), event = std::move(event), done = std::move(done)]() mutable {
          const auto self = weak.lock();
          if (!self) return;
          --self->posted_;
          const Custody::CommandId id = ++self->last_command_;
          self->unanswered_.emplace(id, std::move(done));
          self->tell(Custody::Commanded{id, std::move(event)});
        });
  }

  /// Something for a machine that runs.
  void tell_running(client::Event event, Done done) {
    ++posted_;
    idle_ = false;
    asio::post(
        io_, [weak = weak_from_this(), event = std::move(event), done = std::move(done)]() mutable {
          const auto self = weak.lock();
          if (!self) return;
          --self->posted_;
          const bool runs = self->session_ != nullptr;
          if (done) done(runs ? Result<void>() : Error{Errc::conflict, kNotRunning});
          self->feed(event);
        });
  }

  /// A command that cannot be begun.
  void refuse(Error error, Done done) {
    asio::post(io_, [weak = weak_from_this(), error = std::move(error), done = std::move(done)] {
      if (weak.lock() && done) done(error);
    });
  }

  /// What is under way is void from here on.
  void end() {
    alarm_.cancel();
    link_.reset();
    closing_.clear();
    when_durable_.clear();
    events_ = {};
  }

  void when_durable(std::function<void()> then) {
    if (is_durable()) return then();
    when_durable_.push_back(std::move(then));
  }

  const client::Status& status() const { return status_; }
  bool has_timer() const {
    return custody_.waits_for_owner() || (session_ && session_->next_deadline());
  }
  bool idle() const { return is_durable() && !link_ && closing_.empty() && !has_timer(); }

 private:
  bool is_durable() const { return posted_ == 0 && !custody_.busy(); }

  // ---- custody ----

  /// Something happened; what it leads to is performed.
  void tell(Custody::Event event) {
    decide(std::move(event));
    settle();
  }

  void decide(Custody::Event event) {
    for (Custody::Action& action : custody_.step(std::move(event), now())) perform(action);
  }

  void perform(Custody::Action& action) {
    const auto rows = Overloaded{
        [&](client::Action& of_machine) { perform(of_machine); },
        [&](const Custody::Open& open_action) {
          if (!open_action.why.empty()) warn(open_action.why);
          open();
        },
        [&](const Custody::DropMachine&) {
          close_link(client::CloseHow::normal);
          session_.reset();
          device_store_.reset();
        },
        [&](const Custody::GiveBack&) {
          session_.reset();
          device_store_.reset();
        },
        [&](const Custody::EraseStored& erase_action) { erase(erase_action.id); },
        [&](const Custody::Feed& fed) { step_machine(fed.event); },
        [&](const Custody::Answer& answer) {
          const Done done = std::move(unanswered_.extract(answer.id).mapped());
          if (done) done(answer.result);
        },
        [&](Custody::Show& shown) {
          if (!shown.why.empty()) warn(std::move(shown.why));
          publish(std::move(shown.status));
        },
        [&](Custody::Warn& warning) { warn(std::move(warning.text)); },
    };
    std::visit(rows, action);
  }

  // ---- the store ----

  void open() {
    const Custody::Incarnation incarnation = custody_.incarnation();
    auto on_opened = [weak = weak_from_this(), incarnation](auto opened) {
      const auto self = weak.lock();
      if (self) self->on_opened(incarnation, std::move(opened));
    };
    auto on_lost = [weak = weak_from_this(), incarnation](const std::string& why) {
      const auto self = weak.lock();
      if (self) self->tell(Custody::OwnershipLost{incarnation, why});
    };
    store_.open(device_, std::move(on_opened), std::move(on_lost));
  }

  void on_opened(Custody::Incarnation incarnation, Result<store::Store::Opened> opened) {
    if (incarnation != custody_.incarnation()) return;  // which gives the device back
    if (!opened) return tell(Custody::OpenFailed{incarnation, std::move(opened).error()});
    auto stored = client::Stored::read(opened->stored.records);
    if (!stored) {
      opened->device.reset();  // given back before anybody may want to delete it
      return tell(Custody::OpenFailed{incarnation, std::move(stored).error()});
    }
    session_ = std::make_unique<client::Session>(options_.config, std::move(*stored), random_);
    device_store_ = std::move(opened->device);
    tell(Custody::Opened{incarnation, opened->stored.generation});
  }

  void erase(Custody::CommandId id) {
    store_.erase(device_, [weak = weak_from_this(), id](Result<void> result) {
      const auto self = weak.lock();
      if (self) self->tell(Custody::EraseEnded{id, std::move(result)});
    });
  }

  void commit(client::Commit commit) {
    device_store_->commit(
        commit.point, std::move(commit.changes),
        [weak = weak_from_this(), incarnation = custody_.incarnation()](Result<void> result) {
          const auto self = weak.lock();
          if (self) self->tell(Custody::CommitEnded{incarnation, std::move(result)});
        });
  }

  void load(client::Load load) {
    Custody::Lookup lookup = custody_.look_up(std::move(load));
    std::vector<RecordKey> keys = lookup.keys;
    device_store_->load(
        std::move(keys), [weak = weak_from_this(), incarnation = custody_.incarnation(),
                          lookup = std::move(lookup)](Result<store::Loaded> found) mutable {
          const auto self = weak.lock();
          if (!self) return;
          self->tell(Custody::LookupEnded{incarnation, std::move(lookup), std::move(found)});
        });
  }

  Now now() const { return clock_ ? clock_->now() : read_clocks(); }

  // ---- the machine ----

  /// Something happened that concerns the machine alone.
  void feed(const client::Event& event) {
    step_machine(event);
    settle();
  }

  void step_machine(const client::Event& event) {
    if (session_) decide(Custody::Stepped{session_->step(event, now())});
  }

  void perform(client::Action& action) {
    const auto rows = Overloaded{
        [&](const client::DialSocket& dial_action) { dial(dial_action); },
        [&](client::SendBytes& send) {
          if (link_ && link_->generation == send.generation && link_->socket) {
            link_->socket->send(std::move(send.bytes));
          }
        },
        [&](const client::CloseSocket& close) {
          if (link_ && link_->generation == close.generation) close_link(close.how);
        },
        [&](client::Commit& changes) { commit(std::move(changes)); },
        [&](client::Load& wanted) { load(std::move(wanted)); },
        [&](client::Compute& compute) { run_job(std::move(compute)); },
        [&](client::PublishStatus& published) { publish(std::move(published.status)); },
        [&](const client::PublishEvent& published) {
          if (events_.on_event) events_.on_event(published.event, now());
        },
        [&](const client::Report& said) { report(said.level, said.text); },
    };
    std::visit(rows, action);
  }

  void run_job(client::Compute compute) {
    pool_.run(std::move(compute.job),
              [weak = weak_from_this(), incarnation = custody_.incarnation(),
               job = compute.job_id](client::ComputeValue value) {
                const auto self = weak.lock();
                if (self && self->custody_.incarnation() == incarnation)
                  self->feed(client::Computed{job, std::move(value)});
              });
  }

  void publish(client::Status status) {
    status_ = std::move(status);
    if (events_.on_status) events_.on_status(status_, now());
  }

  void report(client::Report::Level level, std::string text) {
    if (events_.on_report) events_.on_report({level, std::move(text)}, now());
  }

  void warn(std::string text) { report(client::Report::Level::warning, std::move(text)); }

  // ---- sockets ----

  void dial(const client::DialSocket& dial) {
    close_link(client::CloseHow::rst);
    link_ = Link{};
    link_->generation = dial.generation;
    const auto url = net::Url::parse(dial.url);
    if (!url) {
      asio::post(io_, [weak = weak_from_this(), generation = dial.generation, error = url.error()] {
        const auto self = weak.lock();
        if (!self || !self->link_ || self->link_->generation != generation) return;
        self->on_dialed(net::DialFailure{net::DialPhase::resolve, {}, error.detail});
      });
      return;
    }
    net::DialOptions options;
    options.timeout = dial.timeout;
    options.tls_ca_pem = options_.tls_ca_pem;
    options.proxy = options_.config.proxy;
    options.resolver = resolver_;
    options.headers = {{"Origin", kOrigin}};
    // Destroying the dial cancels it: the callback speaks of link_.
    link_->dial = std::make_unique<net::Dial>(io_, *url, std::move(options),
                                              [weak = weak_from_this()](auto outcome) {
                                                if (const auto self = weak.lock())
                                                  self->on_dialed(std::move(outcome));
                                              });
  }

  void on_dialed(std::variant<net::WebSocketPtr, net::DialFailure> outcome) {
    const Generation generation = link_->generation;
    if (auto* failure = std::get_if<net::DialFailure>(&outcome)) {
      link_.reset();
      return feed(client::DialFailed{generation, phase_of(failure->phase), failure->http_status,
                                     std::move(failure->detail)});
    }
    link_->dial.reset();
    link_->socket = std::move(std::get<net::WebSocketPtr>(outcome));
    const net::WebSocket* socket = link_->socket.get();
    link_->socket->start({
        .on_message =
            [weak = weak_from_this(), generation](ByteSpan message) {
              const auto self = weak.lock();
              if (self) self->feed(client::BytesReceived{generation, to_bytes(message)});
            },
        .on_closed =
            [weak = weak_from_this(), socket, generation](const net::ClosedInfo& info) {
              if (const auto self = weak.lock()) self->on_closed(socket, generation, info);
            },
    });
    feed(client::Dialed{generation});
  }

  void on_closed(const net::WebSocket* socket, Generation generation, const net::ClosedInfo& info) {
    if (!link_ || link_->socket.get() != socket) {
      closing_.erase(socket);
      return settle();
    }
    link_.reset();
    feed(client::SocketClosed{generation, info.detail});
  }

  /// A socket that is being closed is kept until it has ended, so that idle() knows.
  void close_link(client::CloseHow how) {
    if (!link_) return;
    net::WebSocketPtr socket = std::move(link_->socket);
    link_.reset();
    if (!socket) return;
    socket->close(how == client::CloseHow::rst ? net::CloseHow::rst : net::CloseHow::normal);
    const net::WebSocket* key = socket.get();
    closing_.emplace(key, std::move(socket));
  }

  // ---- the alarm ----

  /// After everything that happens.
  void settle() {
    if (session_ && posted_ == 0 && !link_ && !session_->next_deadline()) {
      decide(Custody::Rested{});
    }
    set_alarm();
    if (is_durable()) {
      for (const auto& then : std::exchange(when_durable_, {})) then();
    }
    const bool was_idle = std::exchange(idle_, idle());
    if (idle_ && !was_idle && events_.on_idle) events_.on_idle();
  }

  void set_alarm() {
    std::optional<Instant> next = custody_.next_deadline();
    const auto of_session = session_ ? session_->next_deadline() : std::nullopt;
    if (of_session && (!next || *of_session < *next)) next = of_session;
    if (next == armed_) return;
    armed_ = next;
    if (!next) {
      alarm_.cancel();
      return;
    }
    alarm_.expires_at(std::chrono::steady_clock::time_point(next->time_since_epoch()));
    alarm_.async_wait([weak = weak_from_this()](const boost::system::error_code& failure) {
      if (failure) return;
      const auto self = weak.lock();
      if (!self) return;
      self->armed_.reset();
      self->tell(Custody::DeadlineReached{});
    });
  }

  asio::io_context& io_;
  ComputePool& pool_;
  store::Store& store_;
  Random& random_;
  net::Resolver* const resolver_;
  const Clock* const clock_;
  const std::string device_;
  const Options options_;
  Events events_;

  Custody custody_;
  std::size_t posted_ = 0;  ///< commands
  Custody::CommandId last_command_ = 0;
  std::map<Custody::CommandId, Done> unanswered_;
  bool idle_ = true;  ///< as last told

  std::unique_ptr<client::Session> session_;
  std::shared_ptr<store::DeviceStore> device_store_;
  client::Status status_;

  std::vector<std::function<void()>> when_durable_;

  std::optional<Link> link_;
  std::map<const net::WebSocket*, net::WebSocketPtr> closing_;

  asio::steady_timer alarm_;
  std::optional<Instant> armed_;
};

SessionShell::SessionShell(Surroundings surroundings, std::string device, Options options,
                           Events events)
    : impl_(std::make_shared<Impl>(surroundings, std::move(device), std::move(options),
                                   std::move(events))) {}
SessionShell::~SessionShell() {
  impl_->end();
}

void SessionShell::start(Done done) {
  impl_->command(client::StartRequested{}, std::move(done));
}
void SessionShell::request_pairing_code(std::string_view number, Done done) {
  auto parsed = pairing::parse_phone_number(number);
  if (!parsed) return impl_->refuse(std::move(parsed).error(), std::move(done));
  impl_->command(client::PairingCodeRequested{std::move(*parsed)}, std::move(done));
}
void SessionShell::stop(Done done) {
  impl_->command(client::StopRequested{}, std::move(done));
}
void SessionShell::logout(Done done) {
  impl_->command(client::LogoutRequested{}, std::move(done));
}
void SessionShell::remove(Done done) {
  impl_->command(client::DeleteRequested{}, std::move(done));
}

void SessionShell::send(client::SendRequested request, Done done) {
  impl_->tell_running(std::move(request), std::move(done));
}
void SessionShell::read(client::ReadRequested request, Done done) {
  impl_->tell_running(std::move(request), std::move(done));
}
void SessionShell::trust(client::TrustRequested request, Done done) {
  impl_->tell_running(std::move(request), std::move(done));
}
void SessionShell::change_group(client::GroupRequested request, Done done) {
  impl_->tell_running(std::move(request), std::move(done));
}
void SessionShell::show(
    std::variant<client::AvailabilityChanged, client::PresenceWanted, client::TypingShown> what,
    Done done) {
  std::visit([&](auto& one) { impl_->tell_running(std::move(one), std::move(done)); }, what);
}
void SessionShell::taken(std::uint64_t seq) {
  impl_->tell_running(client::EventTaken{seq}, {});
}

void SessionShell::when_durable(std::function<void()> then) {
  impl_->when_durable(std::move(then));
}
const client::Status& SessionShell::status() const {
  return impl_->status();
}
bool SessionShell::has_timer() const {
  return impl_->has_timer();
}
bool SessionShell::idle() const {
  return impl_->idle();
}

}  // namespace wa::runtime
