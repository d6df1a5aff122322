#include "mockserver/net/tenant_shell.hpp"

#include "engine/base/overloaded.hpp"

namespace wa::mock {
namespace {

net::CloseHow on_socket(CloseHow how) {
  WA_ASSERT(how != CloseHow::blackhole);  // that one does not close
  if (how == CloseHow::normal) return net::CloseHow::normal;
  return how == CloseHow::fin ? net::CloseHow::fin : net::CloseHow::rst;
}

}  // namespace

TenantShell::TenantShell(boost::asio::io_context& io, TenantSurroundings& host, std::string name,
                         Tenant tenant)
    : host_(host), name_(std::move(name)), tenant_(std::move(tenant)), alarm_(io) {}

void TenantShell::upgrade(net::UpgradeRequest request) {
  const ConnectionId id = ++last_connection_;
  const UpgradeRequested event{request.target(), request.remote()};
  links_.emplace(id, Deciding{std::move(request)});
  feed(id, event);
}

void TenantShell::command(const Command& command, MockHost::Done done) {
  const auto self = shared_from_this();
  const RequestId id = ++last_request_;
  requests_.emplace(id, std::move(done));
  take(tenant_.command(id, command, host_.now()));
  if (std::holds_alternative<Reset>(command)) cut_what_answers_nothing();
}

std::optional<TlsFault::Kind> TenantShell::tls_fault() {
  if (stopped_) return {};
  const auto self = shared_from_this();
  Tenant::TlsDecision decision = tenant_.tls_decision(host_.now());
  if (!decision.actions.empty()) take(std::move(decision.actions));
  return decision.fault;
}

void TenantShell::feed(ConnectionId id, const ConnectionEvent& event) {
  if (stopped_) return;
  const auto self = shared_from_this();  // a subscriber may end the host
  take(tenant_.step(id, event, host_.now()));
}

void TenantShell::take(std::vector<Action> actions) {
  std::move(actions.begin(), actions.end(), std::back_inserter(actions_));
  drain();
}

void TenantShell::drain() {
  if (draining_) return;
  draining_ = true;
  while (!actions_.empty() && !stopped_) {
    Action action = std::move(actions_.front());
    actions_.pop_front();
    perform(action);
  }
  draining_ = false;
  if (stopped_) return;
  keep_alarm();
  host_.settled(name_);
}

void TenantShell::perform(Action& action) {
  if (auto* record = std::get_if<Record>(&action.what)) {
    host_.record(name_, std::move(record->event));
    return;
  }
  if (const auto* switched = std::get_if<HostFaultSwitched>(&action.what)) {
    host_.host_fault(*switched);
    return;
  }
  if (const auto* keys = std::get_if<LogKeys>(&action.what)) {
    host_.log_keys(*keys);
    return;
  }
  if (auto* answer = std::get_if<Answer>(&action.what)) {
    auto found = requests_.extract(answer->request);
    if (found && found.mapped()) found.mapped()(answer->result);
    return;
  }
  if (auto* compute = std::get_if<Compute>(&action.what)) {
    host_.compute(std::move(compute->job),
                  [weak = weak_from_this(), job = compute->job_id](const ComputeValue& value) {
                    const auto self = weak.lock();
                    if (!self || self->stopped_) return;
                    self->take(self->tenant_.computed(job, value, self->host_.now()));
                  });
    return;
  }
  const auto link = links_.find(action.connection);
  if (link == links_.end()) return;  // it went while the action was on its way
  if (auto* accepting = std::get_if<Accepting>(&link->second)) {
    accepting->waiting.push_back(std::move(action));
    return;
  }
  std::visit(
      Overloaded{[&](AcceptUpgrade accept) { perform(action.connection, accept); },
                 [&](RefuseUpgrade& refuse) { perform(action.connection, refuse); },
                 [&](SendBytes& send) { perform(action.connection, send); },
                 [&](CloseSocket close) { perform(action.connection, close); }, [](auto&) {}},
      action.what);
}

void TenantShell::perform(ConnectionId id, AcceptUpgrade) {
  Link& link = links_.at(id);
  auto* deciding = std::get_if<Deciding>(&link);
  WA_ASSERT(deciding != nullptr);
  net::UpgradeRequest request = std::move(deciding->request);
  link = Accepting{};
  request.accept([weak = weak_from_this(), id](net::WebSocketPtr socket) {
    if (const auto self = weak.lock()) self->on_accepted(id, std::move(socket));
  });
}

void TenantShell::perform(ConnectionId id, const RefuseUpgrade& refuse) {
  auto* deciding = std::get_if<Deciding>(&links_.at(id));
  WA_ASSERT(deciding != nullptr);
  deciding->request.refuse(refuse.status, refuse.body);
  disconnected(id, "the upgrade was refused with " + std::to_string(refuse.status));
}

void TenantShell::perform(ConnectionId id, SendBytes& send) {
  auto* open = std::get_if<Open>(&links_.at(id));
  WA_ASSERT(open != nullptr);
  if (!open->blackholed) open->socket->send(std::move(send.bytes));
}

void TenantShell::perform(ConnectionId id, CloseSocket close) {
  Link& link = links_.at(id);
  if (std::holds_alternative<Deciding>(link)) {
    disconnected(id, "cut before the upgrade was answered");
    return;
  }
  Open& open = std::get<Open>(link);
  if (close.how == CloseHow::blackhole) {
    open.blackholed = true;
    open.socket->stop_reading();
    return;
  }
  // A blackholed peer may have gone without our noticing: it is not waited for.
  open.socket->close(open.blackholed ? net::CloseHow::rst : on_socket(close.how));
}

void TenantShell::on_accepted(ConnectionId id, net::WebSocketPtr socket) {
  const auto link = links_.find(id);
  if (stopped_ || link == links_.end()) return;
  if (!socket) {
    disconnected(id, "the client went before its upgrade was answered");
    return;
  }
  std::deque<Action> waiting = std::move(std::get<Accepting>(link->second).waiting);
  link->second = Open{socket};
  net::WebSocket::Events events;
  events.on_message = [weak = weak_from_this(), id](ByteSpan message) {
    if (const auto self = weak.lock()) self->feed(id, BytesReceived{to_bytes(message)});
  };
  events.on_closed = [weak = weak_from_this(), id](const net::ClosedInfo& info) {
    if (const auto self = weak.lock()) self->disconnected(id, info.detail);
  };
  socket->start(std::move(events));
  // They are older than whatever is queued.
  actions_.insert(actions_.begin(), std::make_move_iterator(waiting.begin()),
                  std::make_move_iterator(waiting.end()));
  drain();
}

void TenantShell::disconnected(ConnectionId id, std::string detail) {
  if (stopped_ || links_.erase(id) == 0) return;
  feed(id, Disconnected{std::move(detail)});
}

/// Upgrades left hanging and blackholes: their clients may be gone for long, and nothing says so.
void TenantShell::cut_what_answers_nothing() {
  std::vector<ConnectionId> hanging;
  for (auto& [id, link] : links_) {
    if (std::holds_alternative<Deciding>(link)) hanging.push_back(id);
    if (auto* open = std::get_if<Open>(&link); open != nullptr && open->blackholed) {
      open->socket->close(net::CloseHow::rst);
    }
  }
  for (const ConnectionId id : hanging) disconnected(id, "cut by a reset");
}

void TenantShell::keep_alarm() {
  const std::optional<Instant> at = tenant_.next_deadline();
  if (at == alarm_at_) return;
  alarm_at_ = at;
  if (!at) {
    alarm_.cancel();
    return;
  }
  // This ends the wait before, if there is one: there is never more than one.
  alarm_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at->time_since_epoch())));
  alarm_.async_wait([weak = weak_from_this(), at](const boost::system::error_code& failure) {
    const auto self = weak.lock();
    // A wait that was replaced may have ended well before it was.
    if (failure || !self || self->stopped_ || self->alarm_at_ != at) return;
    self->alarm_at_.reset();
    self->take(self->tenant_.deadline_reached(self->host_.now()));
  });
}

std::size_t TenantShell::open_sockets() const {
  std::size_t count = 0;
  for (const auto& [id, link] : links_) count += std::holds_alternative<Deciding>(link) ? 0 : 1;
  return count;
}

void TenantShell::stop() {
  if (stopped_) return;
  stopped_ = true;
  alarm_.cancel();
  actions_.clear();
  for (auto& [id, link] : links_) {
    if (auto* open = std::get_if<Open>(&link)) {
      open->socket->close(open->blackholed ? net::CloseHow::rst : net::CloseHow::fin);
    }
  }
  links_.clear();
  const Problem problem{503, "stopping", "the mock server is stopping", ""};
  for (auto& [id, done] : std::exchange(requests_, {})) {
    if (done) done(problem);
  }
}

}  // namespace wa::mock
