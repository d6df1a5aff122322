#include "mockserver/net/mock_host.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>

#include "mockserver/net/chat_path.hpp"
#include "mockserver/net/compute_thread.hpp"
#include "mockserver/net/listen_address.hpp"
#include "mockserver/net/tenant_shell.hpp"
#include "mockserver/net/tls_authority.hpp"

namespace wa::mock {
namespace {

/// Functions to be called until their handle is dropped. A call may add and drop handles.
template <class... Arguments>
class Listeners {
 public:
  using Function = std::function<void(Arguments...)>;

  std::shared_ptr<void> add(Function function) {
    auto entry = std::make_shared<Function>(std::move(function));
    entries_.push_back(entry);
    return entry;
  }

  void call(const Arguments&... arguments) {
    bool some_gone = false;
    // By index, and only those that were there: the list may grow meanwhile.
    const std::size_t count = entries_.size();
    ++depth_;
    for (std::size_t i = 0; i < count; ++i) {
      if (const auto function = entries_[i].lock()) {
        (*function)(arguments...);
      } else {
        some_gone = true;
      }
    }
    if (--depth_ == 0 && some_gone) {
      std::erase_if(entries_, [](const auto& entry) { return entry.expired(); });
    }
  }

 private:
  std::vector<std::weak_ptr<Function>> entries_;
  int depth_ = 0;
};

/// A name or an address, without brackets.
bool is_host(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
  return !text.empty() && text.size() <= 253 &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string without_brackets(std::string host) {
  if (host.starts_with('[') && host.ends_with(']')) return host.substr(1, host.size() - 2);
  return host;
}

std::string with_brackets(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

class MockHost::Impl final : public TenantSurroundings {
 public:
  Impl(boost::asio::io_context& io, HostOptions options, ServerKeys keys, Random& random)
      : io_(io), options_(std::move(options)), keys_(std::move(keys)), random_(random) {
    make_tenant({}, options_.settings);
  }
  ~Impl() override { stop(); }

  Result<void> listen() {
    std::vector<std::string> hosts = options_.host_names;
    for (const std::string& host : hosts) {
      if (is_host(host)) continue;
      return Error{Errc::usage, "\"" + host + "\" is no name of a host and no IP address"};
    }
    // Only what is between brackets or before a port: the listener judges the rest.
    const std::string dialled = without_brackets(dialled_host(options_.listen));
    if (is_host(dialled)) hosts.push_back(dialled);
    if (options_.tls_authority.empty()) {
      authority_ = TlsAuthority::make(std::move(hosts));
    } else {
      WA_TRY(authority_, TlsAuthority::load(options_.tls_authority, std::move(hosts)));
    }
    const auto on_request = [this](net::UpgradeRequest request) { on_upgrade(std::move(request)); };
    WA_TRY(server_, net::WebSocketServer::listen(
                        io_, options_.listen, on_request,
                        {.tls = [this] { return tls_answer(); },
                         .files = [this](std::string_view target) { return media(target); }}));
    return {};
  }

  std::string url(std::string_view scheme, std::string_view tenant) const {
    const std::string host = options_.host_names.empty()
                                 ? dialled_host(options_.listen)
                                 : with_brackets(options_.host_names.front());
    const std::string prefix = tenant.empty() ? "" : "/t/" + std::string(tenant);
    return std::string(scheme) + "://" + host + ":" + std::to_string(server_->port()) + prefix +
           "/ws/chat";
  }

  Now now() const override {
    const auto mono = std::chrono::steady_clock::now().time_since_epoch();
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return Now{Instant(std::chrono::duration_cast<Duration>(mono)),
               UnixMillis{std::chrono::duration_cast<std::chrono::milliseconds>(wall).count()}};
  }

  void record(const std::string& tenant, TenantEvent event) override {
    Entry& entry = *entries_.at(tenant);
    LoggedEvent logged;
    logged.seq = ++entry.last_seq;
    const Duration since_start = now().mono - started_;
    logged.t_ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
    logged.tenant = tenant;
    logged.event = std::move(event);
    if (entry.log.size() == kLogSize) forget_oldest(entry);
    if (logged_ >= options_.limits.events) {
      const auto largest = std::max_element(
          entries_.begin(), entries_.end(), [](const auto& one, const auto& other) {
            return one.second->log.size() < other.second->log.size();
          });
      if (!largest->second->log.empty()) forget_oldest(*largest->second);
    }
    entry.log.push_back(logged);
    ++logged_;
    on_event_.call(logged);
  }

  void host_fault(const HostFaultSwitched& switched) override {
    if (options_.on_host_fault) options_.on_host_fault(switched);
  }

  void log_keys(const LogKeys& keys) override { options_.on_keys(keys); }

  void compute(ComputeJob job, std::function<void(ComputeValue)> done) override {
    compute_.run(std::move(job), std::move(done));
  }

  void settled(const std::string& tenant) override { on_settled_.call(tenant); }

  Result<void> add_tenant(std::string_view name, Settings settings) {
    if (!is_name(name)) {
      return Error{Errc::usage, "a tenant's name is 1 to 64 letters, digits, _ and -"};
    }
    if (entries_.contains(name)) {
      return Error{Errc::conflict, "there is already a tenant \"" + std::string(name) + "\""};
    }
    if (entries_.size() >= options_.limits.tenants) {
      return Error{Errc::too_large, "there are " + std::to_string(entries_.size()) +
                                        " tenants already, which is the most"};
    }
    make_tenant(std::string(name), std::move(settings));
    return {};
  }

  void command(std::string_view tenant, const Command& command, Done done) {
    const auto entry = entries_.find(tenant);
    if (entry == entries_.end()) {
      const Problem problem{404, "unknown_tenant",
                            "there is no tenant \"" + std::string(tenant) + "\"",
                            "make it with PUT /v1/t/" + std::string(tenant)};
      if (done) done(problem);
      return;
    }
    if (stopped_) {
      if (done) done(Problem{503, "stopping", "the mock server is stopping", ""});
      return;
    }
    if (const auto full = no_room_for(command)) {
      if (done) done(*full);
      return;
    }
    const auto shell = entry->second->shell;
    shell->command(command, std::move(done));
    count(*entry->second);
    // The log is this shell's part of what a Reset forgets. Numbers go on, so that who follows the
    // events sees no number twice.
    if (std::holds_alternative<Reset>(command)) {
      logged_ -= entry->second->log.size();
      entry->second->log.clear();
    }
  }

  void stop() {
    if (std::exchange(stopped_, true)) return;
    if (server_) server_->stop();
    for (auto& [name, entry] : entries_) entry->shell->stop();
    compute_.stop();
  }

  struct Entry {
    std::shared_ptr<TenantShell> shell;
    std::deque<LoggedEvent> log;
    std::uint64_t last_seq = 0;
    std::size_t phones = 0;  ///< as counted last
    std::size_t faults = 0;
  };

  boost::asio::io_context& io_;
  HostOptions options_;
  ServerKeys keys_;
  Random& random_;
  Instant started_ = now().mono;
  std::optional<TlsAuthority> authority_;
  std::unique_ptr<net::WebSocketServer> server_;
  ComputeThread compute_{io_};
  std::map<std::string, std::unique_ptr<Entry>, std::less<>> entries_;
  Listeners<LoggedEvent> on_event_;
  Listeners<std::string> on_settled_;
  std::size_t phones_ = 0;  ///< of all tenants
  std::size_t faults_ = 0;
  std::size_t logged_ = 0;
  bool stopped_ = false;

 private:
  std::optional<Problem> no_room_for(const Command& command) const {
    const auto full = [](std::string_view what, std::size_t most, std::string hint) {
      return Problem{429, "too_many_" + std::string(what),
                     "there are " + std::to_string(most) + " " + std::string(what) +
                         " in all tenants, which is the most",
                     std::move(hint)};
    };
    const HostLimits& limits = options_.limits;
    if (std::holds_alternative<AddPhone>(command) && phones_ >= limits.phones) {
      return full("phones", limits.phones, "POST /v1/t/TENANT/reset forgets those of a tenant");
    }
    if (std::holds_alternative<AddFault>(command) && faults_ >= limits.faults) {
      return full("faults", limits.faults, "DELETE /v1/faults/ID removes one, POST /v1/reset all");
    }
    return std::nullopt;
  }

  void forget_oldest(Entry& entry) {
    entry.log.pop_front();
    --logged_;
  }

  void count(Entry& entry) {
    const Tenant& tenant = entry.shell->tenant();
    phones_ += tenant.phone_count() - std::exchange(entry.phones, tenant.phone_count());
    const std::size_t faults = tenant.faults().records().size();
    faults_ += faults - std::exchange(entry.faults, faults);
  }

  /// Nothing is known of who connects, its tenant neither: the default one decides for all.
  net::TlsAnswer tls_answer() {
    using Flaw = TlsAuthority::Flaw;
    const auto fault = entries_.find("")->second->shell->tls_fault();
    if (!fault) return authority_->identity(Flaw::none);
    switch (*fault) {
      case TlsFault::Kind::expired: return authority_->identity(Flaw::expired);
      case TlsFault::Kind::not_yet_valid: return authority_->identity(Flaw::not_yet_valid);
      case TlsFault::Kind::self_signed: return authority_->identity(Flaw::self_signed);
      case TlsFault::Kind::wrong_name: return authority_->identity(Flaw::wrong_name);
      case TlsFault::Kind::unknown_ca: return authority_->identity(Flaw::unknown_ca);
      case TlsFault::Kind::hang: return net::TlsHang{};
      case TlsFault::Kind::cut: return net::TlsCut{};
    }
    WA_UNREACHABLE("a TLS fault without an answer");
  }

  /// What clients fetch from the host of their phones' media.
  std::optional<Bytes> media(std::string_view target) const {
    for (const auto& [name, entry] : entries_) {
      const Tenant& tenant = entry->shell->tenant();
      if (const Bytes* file = tenant.media(target)) return *file;
    }
    return std::nullopt;
  }

  void make_tenant(std::string name, Settings settings) {
    const std::uint64_t seed =
        name.empty() ? options_.seed : SeededRandom(options_.seed, "tenant", name).next_u64();
    Tenant::Options tenant_options;
    tenant_options.name = name;
    tenant_options.host_faults = name.empty() && options_.on_host_fault;
    tenant_options.key_log = static_cast<bool>(options_.on_keys);
    auto entry = std::make_unique<Entry>();
    entry->shell = std::make_shared<TenantShell>(
        io_, *this, name,
        Tenant(std::move(settings), keys_, seed, random_, std::move(tenant_options)));
    entries_.emplace(std::move(name), std::move(entry));
  }

  void on_upgrade(net::UpgradeRequest request) {
    if (stopped_) return;
    const auto name = tenant_of_target(request.target());
    if (!name) return request.refuse(404, name.error().detail + "\n");
    const auto entry = entries_.find(*name);
    if (entry == entries_.end()) {
      return request.refuse(404, "there is no tenant \"" + *name + "\"; make it with PUT /v1/t/" +
                                     *name + " on the control port\n");
    }
    entry->second->shell->upgrade(std::move(request));
  }
};

MockHost::MockHost(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MockHost::~MockHost() = default;

Result<std::unique_ptr<MockHost>> MockHost::start(boost::asio::io_context& io, HostOptions options,
                                                  ServerKeys keys, Random& random) {
  auto impl = std::make_unique<Impl>(io, std::move(options), std::move(keys), random);
  WA_TRY_VOID(impl->listen());
  return std::unique_ptr<MockHost>(new MockHost(std::move(impl)));
}

std::uint16_t MockHost::port() const {
  return impl_->server_->port();
}

std::string MockHost::ws_url(std::string_view tenant) const {
  return impl_->url("ws", tenant);
}
std::string MockHost::wss_url(std::string_view tenant) const {
  return impl_->url("wss", tenant);
}
const std::string& MockHost::tls_ca_pem() const {
  return impl_->authority_->ca_pem();
}

const ServerKeys& MockHost::keys() const {
  return impl_->keys_;
}
Now MockHost::now() const {
  return impl_->now();
}

Tenant* MockHost::tenant(std::string_view name) {
  const auto entry = impl_->entries_.find(name);
  return entry == impl_->entries_.end() ? nullptr : &entry->second->shell->tenant();
}

Result<void> MockHost::add_tenant(std::string_view name, Settings settings) {
  return impl_->add_tenant(name, std::move(settings));
}

std::vector<std::string> MockHost::tenants() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : impl_->entries_) names.push_back(name);
  return names;
}

void MockHost::command(std::string_view tenant, Command command, Done done) {
  impl_->command(tenant, command, std::move(done));
}

const std::deque<LoggedEvent>& MockHost::log(std::string_view tenant) const {
  static const std::deque<LoggedEvent> empty;
  const auto entry = impl_->entries_.find(tenant);
  return entry == impl_->entries_.end() ? empty : entry->second->log;
}

MockHost::Subscription MockHost::subscribe(std::function<void(const LoggedEvent&)> on_event) {
  return impl_->on_event_.add(std::move(on_event));
}

MockHost::Subscription MockHost::subscribe_changes(
    std::function<void(const std::string&)> on_changed) {
  return impl_->on_settled_.add(std::move(on_changed));
}

std::size_t MockHost::open_sockets() const {
  std::size_t count = 0;
  for (const auto& [name, entry] : impl_->entries_) count += entry->shell->open_sockets();
  return count;
}

void MockHost::stop() {
  impl_->stop();
}

}  // namespace wa::mock
