#include "engine/runtime/session_shell.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "engine/base/overloaded.hpp"
#include "engine/client/records.hpp"
#include "engine/net/websocket.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"
#include "engine/runtime/action_gate.hpp"
#include "engine/runtime/clock.hpp"

namespace wa::runtime {

namespace asio = boost::asio;
using client::Generation;
using client::State;

namespace {

/// The server refuses clients that do not come from its own pages.
constexpr const char* kOrigin = "https://web.whatsapp.com";
/// Failures of the store in a row, then `store_error`.
constexpr int kStoreFailures = 3;
constexpr std::string_view kOwnedElsewhere = "owned_elsewhere";

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

std::vector<store::Change> stored_form(std::vector<client::Change> changes) {
  std::vector<store::Change> stored;
  stored.reserve(changes.size());
  const auto rows = Overloaded{
      [&](client::Put& put) {
        stored.emplace_back(
            store::Put{std::move(put.kind), std::move(put.key), std::move(put.bytes)});
      },
      [&](client::Erase& erase) {
        stored.emplace_back(store::Erase{std::move(erase.kind), std::move(erase.key)});
      },
  };
  for (client::Change& change : changes) std::visit(rows, change);
  return stored;
}

bool wants_to_run(const client::Event& command) {
  return std::holds_alternative<client::StartRequested>(command) ||
         std::holds_alternative<client::PairingCodeRequested>(command);
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
        alarm_(surroundings.io) {}

  /// Posted, so that no callback runs inside a call, and a callback may call.
  void command(client::Event event, Done done) {
    ++posted_;
    idle_ = false;
    asio::post(io_, [weak = weak_from_this(),
                     command = Command{std::move(event), std::move(done)}]() mutable {
      if (const auto self = weak.lock()) {
        --self->posted_;
        self->on_command(std::move(command));
        self->arm();
      }
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
    if (posted_ == 0 && !store_deadline_ && !erasing_) return then();
    when_durable_.push_back(std::move(then));
  }

  const client::Status& status() const { return status_; }
  bool has_timer() const { return reopen_at_ || (session_ && session_->next_deadline()); }
  bool idle() const {
    return phase_ != Phase::opening && posted_ == 0 && !link_ && closing_.empty() &&
           !store_deadline_ && !erasing_ && !has_timer();
  }

 private:
  enum class Phase { closed, opening, running };

  struct Command {
    client::Event event;
    Done done;
  };

  // ---- commands ----

  void on_command(Command command) {
    const bool starts = wants_to_run(command.event);
    const bool removes = std::holds_alternative<client::DeleteRequested>(command.event);
    const bool waited = std::exchange(reopen_at_, {}).has_value();
    if (phase_ == Phase::closed && !starts && !removes) {
      answer(command, {});
      if (waited) show_stopped();
      return;
    }
    wanted_ = command.event;
    if (phase_ == Phase::running) {
      answer(command, {});
      return feed(command.event);
    }
    waiting_.push_back(std::move(command));
    if (phase_ == Phase::closed) open();
  }

  static void answer(const Command& command, Result<void> result) {
    if (command.done) command.done(std::move(result));
  }

  // ---- the store ----

  void open() {
    phase_ = Phase::opening;
    expect_store();
    const std::uint32_t incarnation = ++incarnation_;
    auto on_opened = [weak = weak_from_this(), incarnation](auto opened) {
      const auto self = weak.lock();
      if (!self || self->incarnation_ != incarnation) return;
      self->on_opened(std::move(opened));
      self->arm();
    };
    auto on_lost = [weak = weak_from_this(), incarnation](const std::string& why) {
      const auto self = weak.lock();
      if (!self || self->incarnation_ != incarnation) return;
      self->on_fenced(why);
      self->arm();
    };
    store_.open(device_, std::move(on_opened), std::move(on_lost));
    arm();
  }

  void on_opened(Result<store::Store::Opened> opened) {
    store_deadline_.reset();
    if (!opened) return on_open_failed(std::move(opened).error());
    auto stored = usable(opened->stored);
    if (!stored) {
      opened->device.reset();  // given back before anybody may want to delete it
      return on_open_failed(std::move(stored).error());
    }

    session_ = std::make_unique<client::Session>(options_.config, std::move(*stored), random_);
    device_store_ = std::move(opened->device);
    generation_ = opened->stored.generation;
    phase_ = Phase::running;
    if (std::exchange(reopening_, false)) feed(wanted_);
    std::vector<Command> commands;
    commands.swap(waiting_);
    for (Command& command : commands) {
      answer(command, {});
      // The machine may be gone again: a command led to a commit, but that fails only later.
      feed(command.event);
    }
  }

  Result<client::Stored> usable(const store::Stored& stored) const {
    if (stored.generation < generation_) {
      return Error{Errc::malformed, "an old copy of the store was put in its place: generation " +
                                        std::to_string(stored.generation) + " instead of " +
                                        std::to_string(generation_)};
    }
    return client::Stored::read(stored.records);
  }

  void on_open_failed(Error error) {
    ++incarnation_;
    store_deadline_.reset();
    phase_ = Phase::closed;
    const bool fenced = error.code == Errc::fenced;
    const bool reopening = std::exchange(reopening_, false);
    // One failure of the store is no more than another.
    if (reopening && waiting_.empty() && error.code == Errc::environment &&
        ++store_failures_ < kStoreFailures) {
      report(client::Report::Level::warning, error.detail);
      return reopen();
    }
    bool show = reopening;
    std::vector<Command> commands;
    commands.swap(waiting_);
    for (Command& command : commands) {
      if (std::holds_alternative<client::DeleteRequested>(command.event)) {
        erase(std::move(command));
        show = false;
      } else {
        // Who starts a device that runs elsewhere gets it when it is free.
        answer(command, fenced ? Result<void>() : error);
        show = true;
      }
    }
    store_failures_ = 0;  // the next start has as many
    if (!show) return;
    if (fenced) return show_fenced(error.detail);
    report(client::Report::Level::warning, error.detail);
    show_store_error(error.code == Errc::malformed ? "damaged" : "unavailable");
  }

  void reopen() {
    reopening_ = true;
    open();
  }

  /// What cannot be opened can still be deleted.
  void erase(Command command) {
    erasing_ = true;
    auto done = [weak = weak_from_this(), command = std::move(command)](Result<void> result) {
      const auto self = weak.lock();
      if (!self) return;
      self->erasing_ = false;
      answer(command, result);
      client::Status status;
      status.reason = "deleted";
      if (result) {
        self->generation_ = 0;
        self->publish(std::move(status));
      } else if (result.error().code == Errc::fenced) {
        self->show_fenced(result.error().detail);
      } else {
        self->show_store_error("unavailable");
      }
      self->arm();
    };
    store_.erase(device_, std::move(done));
  }

  void commit(client::Commit commit) {
    expect_store();
    device_store_->commit(
        commit.point, stored_form(std::move(commit.changes)),
        [weak = weak_from_this(), incarnation = incarnation_](Result<void> result) {
          const auto self = weak.lock();
          if (!self || self->incarnation_ != incarnation) return;
          self->on_committed(std::move(result));
          self->arm();
        });
  }

  void on_committed(Result<void> result) {
    store_deadline_.reset();
    if (!result && result.error().code == Errc::fenced) return on_fenced(result.error().detail);
    if (!result) return rebuild(result.error().detail);
    store_failures_ = 0;
    ++generation_;
    perform(gate_.durable());
  }

  /// Its sockets are closed, what it held back is dropped, and nothing of it is written.
  void destroy_machine() {
    close_link(client::CloseHow::normal);
    close_machine();
  }

  /// The device is given back.
  void close_machine() {
    ++incarnation_;
    store_deadline_.reset();
    session_.reset();
    gate_.clear();
    device_store_.reset();
    phase_ = Phase::closed;
  }

  /// What the machine believes to be durable is not: it is made anew from what is.
  void rebuild(std::string_view why) {
    destroy_machine();
    report(client::Report::Level::warning, "a commit failed: " + std::string(why));
    if (++store_failures_ >= kStoreFailures) {
      store_failures_ = 0;  // the next start has as many
      return show_store_error("commit_failed");
    }
    client::Status status = without_session();
    if (wants_to_run(wanted_)) {
      status.state = State::connecting;
      status.reason = "rebuilding";
    }
    publish(std::move(status));
    reopen();
  }

  /// Another process owns the device by now: this one does nothing more in its name.
  void on_fenced(const std::string& why) {
    destroy_machine();
    show_fenced(why);
  }

  void show_fenced(const std::string& why) {
    if (status_.reason != kOwnedElsewhere) report(client::Report::Level::warning, why);
    client::Status status = without_session();
    status.reason = kOwnedElsewhere;
    if (wants_to_run(wanted_)) {
      reopen_at_ = now().mono + options_.config.timings.owned_retry;
      status.next_attempt_at = reopen_at_;
    }
    publish(std::move(status));
  }

  void show_stopped() {
    client::Status status = without_session();
    status.reason = "stopped";
    publish(std::move(status));
  }

  /// What stays true without a machine.
  client::Status without_session() const {
    client::Status status;
    status.jid = status_.jid;
    status.last_close = status_.last_close;
    return status;
  }

  Now now() const { return clock_ ? clock_->now() : read_clocks(); }
  void expect_store() { store_deadline_ = now().mono + options_.store_patience; }

  void on_store_late() {
    const std::string why = "the store did not answer in time";
    if (phase_ == Phase::opening) return on_open_failed({Errc::environment, why});
    rebuild(why);
  }

  void show_store_error(std::string_view reason) {
    client::Status status = without_session();
    status.state = State::store_error;
    status.reason = reason;
    publish(std::move(status));
  }

  // ---- the machine ----

  void feed(const client::Event& event) {
    if (!session_) return;
    perform(gate_.admit(session_->step(event, now())));
    arm();
  }

  void perform(std::vector<client::Action> actions) {
    for (client::Action& action : actions) perform(action);
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
        [&](client::Compute& compute) { run_job(std::move(compute)); },
        [&](client::PublishStatus& published) { publish(std::move(published.status)); },
        [&](const client::Report& said) { report(said.level, said.text); },
    };
    std::visit(rows, action);
  }

  void run_job(client::Compute compute) {
    pool_.run(std::move(compute.job), [weak = weak_from_this(), incarnation = incarnation_,
                                       job = compute.job_id](client::ComputeValue value) {
      const auto self = weak.lock();
      if (self && self->incarnation_ == incarnation)
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
      return arm();
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
  void arm() {
    if (phase_ == Phase::running && at_rest()) close_machine();
    set_alarm();
    if (posted_ == 0 && !store_deadline_ && !erasing_) {
      for (const auto& then : std::exchange(when_durable_, {})) then();
    }
    const bool was_idle = std::exchange(idle_, idle());
    if (idle_ && !was_idle && events_.on_idle) events_.on_idle();
  }

  /// It was stopped, and nothing is under way any more.
  bool at_rest() const {
    return std::holds_alternative<client::StopRequested>(wanted_) && posted_ == 0 && !link_ &&
           !gate_.committing() && !session_->next_deadline();
  }

  void set_alarm() {
    std::optional<Instant> next;
    for (const auto& deadline :
         {store_deadline_, reopen_at_, session_ ? session_->next_deadline() : std::nullopt}) {
      if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    if (next == armed_) return;
    armed_ = next;
    if (!next) {
      alarm_.cancel();
      return;
    }
    alarm_.expires_at(std::chrono::steady_clock::time_point(next->time_since_epoch()));
    alarm_.async_wait([weak = weak_from_this()](const boost::system::error_code& failure) {
      if (failure) return;
      if (const auto self = weak.lock()) self->on_alarm();
    });
  }

  void on_alarm() {
    armed_.reset();
    const Instant at = now().mono;
    if (store_deadline_ && at >= *store_deadline_) {
      on_store_late();
    } else if (reopen_at_ && at >= *reopen_at_) {
      reopen_at_.reset();
      reopen();
    } else {
      feed(client::DeadlineReached{});
    }
    arm();
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

  Phase phase_ = Phase::closed;
  std::uint32_t incarnation_ = 0;  ///< of the machine; what an earlier one began is void
  std::size_t posted_ = 0;
  std::vector<Command> waiting_;  ///< for the store
  client::Event wanted_;          ///< the last command
  bool reopening_ = false;        ///< by itself, to go on with wanted_
  bool idle_ = true;              ///< as last told
  bool erasing_ = false;
  int store_failures_ = 0;        ///< in a row
  std::uint64_t generation_ = 0;  ///< of what is durable, as far as known: it never falls
  std::optional<Instant> store_deadline_;
  std::optional<Instant> reopen_at_;  ///< the device may be free again

  std::unique_ptr<client::Session> session_;
  std::shared_ptr<store::DeviceStore> device_store_;
  ActionGate gate_;
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
