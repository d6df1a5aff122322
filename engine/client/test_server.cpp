#include "engine/client/test_server.hpp"

#include <algorithm>

#include "engine/base/overloaded.hpp"
#include "engine/protocol/noise/certificate.hpp"
#include "engine/protocol/pairing/device_identity.hpp"
#include "engine/protocol/pairing/qr_text.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::client::test {
namespace {

constexpr auto kDictionary = wire::Dictionary::v3;
constexpr Instant kStart{1h};
constexpr std::int64_t kStartOfWallClock = 1'767'225'600'000;  // 2026-01-01T00:00:00Z

Now time_at(Instant mono) {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(mono - kStart);
  return {mono, UnixMillis{kStartOfWallClock + passed.count()}};
}

}  // namespace

// ---- nodes ----------------------------------------------------------------------------------

NodeBuilder server_iq(std::string type, std::string id, std::string xmlns) {
  NodeBuilder iq("iq");
  iq.attr("from", wire::Jid::server_itself())
      .attr("type", std::move(type))
      .attr("id", std::move(id));
  if (!xmlns.empty()) iq.attr("xmlns", std::move(xmlns));
  return iq;
}

NodeBuilder stream_error(std::optional<int> code, std::optional<NodeBuilder> child_node) {
  NodeBuilder node("stream:error");
  if (code) node.attr("code", *code);
  if (child_node) node.child(std::move(*child_node));
  return node;
}

NodeBuilder conflict(std::string type) {
  return NodeBuilder("conflict").attr("type", std::move(type));
}

NodeBuilder failure(int reason) {
  return NodeBuilder("failure").attr("reason", reason);
}

std::string attr(const NodeBuilder& node, std::string_view key) {
  for (const auto& [name, value] : node.attributes()) {
    if (name != key) continue;
    if (const auto* jid = std::get_if<wire::Jid>(&value)) return jid->to_string();
    return std::get<std::string>(value);
  }
  return {};
}

std::vector<NodeBuilder> children(const NodeBuilder& node) {
  const auto* list = std::get_if<std::vector<NodeBuilder>>(&node.content());
  return list ? *list : std::vector<NodeBuilder>();
}

const NodeBuilder* child(const NodeBuilder& node, std::string_view tag) {
  const auto* list = std::get_if<std::vector<NodeBuilder>>(&node.content());
  if (!list) return nullptr;
  const auto found = std::ranges::find(*list, tag, &NodeBuilder::tag);
  return found == list->end() ? nullptr : &*found;
}

// ---- ServerStream ---------------------------------------------------------------------------

ServerStream::ServerStream(const crypto::KeyPair& static_key, Bytes chain, Random& random)
    : responder_(noise::prologue(3), static_key, random), chain_(std::move(chain)) {}

void ServerStream::read_header() {
  if (header_read_) return;
  ByteSpan rest = header_;
  if (rest.size() >= 7 && rest[0] == std::byte{'E'}) {
    const auto routing_bytes = static_cast<std::size_t>(read_big_endian(rest.subspan(4, 3)));
    if (rest.size() < 7 + routing_bytes) return;
    routing_info = to_bytes(rest.subspan(7, routing_bytes));
    rest = rest.subspan(7 + routing_bytes);
  }
  if (rest.size() < 4) return;
  WA_ASSERT(equal(rest.first(4), noise::prologue(3)));
  header_read_ = true;
  splitter_.feed(rest.subspan(4));
}

Bytes ServerStream::receive(ByteSpan bytes) {
  if (header_read_) {
    splitter_.feed(bytes);
  } else {
    append(header_, bytes);
    read_header();
  }
  Bytes out;
  while (true) {
    auto frame = splitter_.next().value();
    if (!frame) return out;
    if (opening_) {
      Bytes plaintext = opening_->open(*frame).value();
      const auto decoded = wire::decode(std::move(plaintext), kDictionary).value();
      stanzas_.push_back(NodeBuilder::copy_of(decoded.root()));
    } else if (!hello_read_) {
      hello_read_ = true;
      const Bytes hello = responder_.on_client_hello(*frame, chain_).value().server_hello;
      wire::append_frame_header(hello.size(), out);
      append(out, hello);
    } else {
      const auto answer = responder_.on_client_finish(*frame).value();
      client_static = answer.client_static;
      payload = pairing::parse_client_payload(answer.payload).value();
      const auto keys = responder_.split();
      opening_.emplace(keys.client_to_server);
      sealing_.emplace(keys.server_to_client);
    }
  }
}

Bytes ServerStream::seal(const NodeBuilder& node) {
  return seal_plaintext(wire::encode(node, kDictionary));
}

Bytes ServerStream::seal_plaintext(ByteSpan plaintext) {
  Bytes out;
  sealing_->seal_frame(plaintext, out).value();
  return out;
}

// ---- World ----------------------------------------------------------------------------------

Config World::default_config() {
  Config config;
  config.url = "ws://127.0.0.1/ws/chat";
  config.initial_prekeys = 30;
  return config;
}

namespace {

Config with_root(Config config, const crypto::KeyPair& root) {
  config.noise_root = root.public_key;
  return config;
}

}  // namespace

World::World(Config asked, Stored stored, std::uint64_t seed)
    : random(seed, "world"),
      root(crypto::generate_key_pair(random)),
      now(time_at(kStart)),
      config(with_root(std::move(asked), root)),
      session(config, std::move(stored), random),
      intermediate_(crypto::generate_key_pair(random)),
      static_key_(crypto::generate_key_pair(random)),
      account_(crypto::generate_key_pair(random)) {}

void World::step(const Event& event) {
  events_.push_back(event);
  if (running_) return;
  running_ = true;
  while (!events_.empty()) {
    const Event next = std::move(events_.front());
    events_.pop_front();
    run(next);
  }
  running_ = false;
}

void World::run(const Event& event) {
  ++steps;
  for (auto& action : session.step(event, now)) perform(std::move(action));
}

void World::perform(Action action) {
  std::visit(
      Overloaded{
          [&](const DialSocket& dial) {
            dial_times.push_back(now.mono);
            WA_ASSERT(!open_socket);  // one socket at a time
            open_socket = dial.generation;
            const noise::ChainSpec spec{.server_static = static_key_.public_key,
                                        .not_before = now.wall.seconds() - 60,
                                        .not_after = now.wall.seconds() + 86'400};
            const crypto::KeyPair& signer = behaviour.valid_chain ? root : intermediate_;
            server = std::make_unique<ServerStream>(
                static_key_, noise::issue_chain(spec, signer, intermediate_, random), random);
            if (behaviour.on_dial == OnDial::accept) events_.push_back(Dialed{dial.generation});
            if (behaviour.on_dial == OnDial::fail) {
              open_socket.reset();
              const auto phase = behaviour.http_status ? DialPhase::upgrade : DialPhase::connect;
              events_.push_back(
                  DialFailed{dial.generation, phase, behaviour.http_status, "refused"});
            }
          },
          [&](const SendBytes& send) {
            if (open_socket != send.generation) return;
            // Only the hello: a frame that vanished in between would be one that does not open.
            if (!behaviour.answer_hello && !server->established()) return;
            Bytes reply = server->receive(send.bytes);
            if (!reply.empty()) events_.push_back(BytesReceived{send.generation, reply});
            serve();
          },
          [&](const CloseSocket& close) {
            if (open_socket == close.generation) open_socket.reset();
          },
          [&](const Commit& changes) { commit(changes); },
          [&](const Compute& job) {
            events_.push_back(Computed{job.job_id, compute(job.job)});
          },
          [&](const Load& load) {
            Loaded loaded{load.load_id, {}};
            for (const RecordKey& key : load.keys) {
              const auto& of_kind = store[key.kind];
              const auto found = of_kind.find(key.key);
              loaded.values.push_back(found == of_kind.end() ? std::nullopt
                                                             : std::optional(found->second));
            }
            std::erase_if(store, [](const auto& kind) { return kind.second.empty(); });
            events_.push_back(std::move(loaded));
          },
          [&](const PublishEvent& publish) { app_events.push_back(publish.event); },
          [&](const PublishStatus& publish) { statuses.push_back(publish.status); },
          [](const Report&) {},
      },
      action);
  if (keep_actions) actions.push_back(std::move(action));
}

void World::commit(const Commit& changes) {
  for (const Change& change : changes.changes) {
    if (const auto* put = std::get_if<Put>(&change)) {
      store[put->kind][put->key] = put->bytes;
      continue;
    }
    const auto& erase = std::get<Erase>(change);
    if (const auto found = store.find(erase.kind); found != store.end()) {
      std::erase_if(found->second, [&](const auto& record) {
        return erase.key.empty() || record.first == erase.key;
      });
      if (found->second.empty()) store.erase(found);
    }
  }
}

bool World::forgot_account() const {
  return !session.credentials() && !store.contains("credentials") && !store.contains("pre_key");
}

void World::serve() {
  if (server->established() && server->payload) {
    const bool login = std::holds_alternative<pairing::Login>(*server->payload);
    server->payload.reset();
    if (login && behaviour.send_success) {
      send(NodeBuilder("success")
               .attr("t", now.wall.seconds())
               .attr("lid", wire::Jid("987650001234567", wire::kServerLid, 7)));
    } else if (!login && behaviour.refs) {
      NodeBuilder pair_device("pair-device");
      for (std::size_t i = 0; i < *behaviour.refs; ++i) {
        pair_device.child(NodeBuilder("ref").bytes(
            as_bytes("2@ref-" + std::to_string(next_iq_) + "-" + std::to_string(i))));
      }
      send(server_iq("set", "I" + std::to_string(next_iq_++), "md").child(pair_device));
    }
  }
  for (const NodeBuilder& stanza : server->take_stanzas()) {
    stanzas.push_back(stanza);
    if (on_stanza && on_stanza(stanza)) continue;
    answer(stanza);
  }
}

void World::answer(const NodeBuilder& stanza) {
  if (stanza.tag() != "iq") return;
  const std::string id = attr(stanza, "id");
  const std::string xmlns = attr(stanza, "xmlns");
  if (const auto* sign = child(stanza, "pair-device-sign")) {
    const auto& reply = std::get<Bytes>(child(*sign, "device-identity")->content());
    const auto identity = session.credentials()->identity.public_key;
    pairing::verify_device_signature(reply, issued_container_, identity).value();
    if (behaviour.restart_after_sign) send_and_close(stream_error(515));
    return;
  }
  if (attr(stanza, "type") == "result" || attr(stanza, "type") == "error") return;
  if (xmlns == "w:p" ? !behaviour.answer_pings : !behaviour.answer_iqs) return;
  auto result = server_iq("result", id);
  if (child(stanza, "count")) {
    result.child(NodeBuilder("count").attr("value", behaviour.pre_key_count));
  }
  if (const auto* list = child(stanza, "list")) {
    behaviour.pre_key_count += children(*list).size();
  }
  send(result);
}

void World::send(const NodeBuilder& node) {
  send_bytes(server->seal(node));
}

void World::send_bytes(Bytes bytes) {
  step(BytesReceived{*open_socket, std::move(bytes)});
}

void World::close_from_server() {
  const auto generation = std::exchange(open_socket, std::nullopt);
  if (generation) step(SocketClosed{*generation, "end of stream"});
}

void World::send_and_close(const NodeBuilder& node) {
  send(node);
  close_from_server();
}

NodeBuilder World::pair_success(const Scan& scan) {
  const Credentials& companion = *session.credentials();
  auto secret = scan.adv_secret.value_or(companion.adv_secret);
  if (!scan.adv_secret) secret = pairing::parse_qr_text(status().qr->text).value().adv_secret;
  if (scan.spoil_hmac) secret[0] ^= std::byte{1};
  auto identity = companion.identity.public_key;
  if (scan.spoil_signature) identity.bytes[5] ^= std::byte{1};
  issued_container_ =
      pairing::issue_device_identity({1234, 1'767'225'600, 3}, account_, identity, secret, random);
  return server_iq("set", "I" + std::to_string(next_iq_++), "md")
      .child(NodeBuilder("pair-success")
                 .child(NodeBuilder("device-identity").bytes(issued_container_))
                 .child(NodeBuilder("platform").attr("name", "android"))
                 .child(NodeBuilder("device")
                            .attr("jid", wire::Jid::parse(scan.jid).value())
                            .attr("lid", wire::Jid("987650001234567", wire::kServerLid, 7))));
}

void World::scan(const Scan& how) {
  send(pair_success(how));
}

void World::advance(Duration duration) {
  const Instant end = now.mono + duration;
  std::size_t same_instant = 0;
  while (true) {
    const auto deadline = session.next_deadline();
    if (!deadline || *deadline > end) break;
    const Instant at = std::max(now.mono, *deadline);
    same_instant = at == now.mono ? same_instant + 1 : 0;
    WA_ASSERT(same_instant < 100);  // a hot loop
    now = time_at(at);
    step(DeadlineReached{});
  }
  now = time_at(end);
}

void World::pair() {
  start();
  scan();
  advance(10ms);
  WA_ASSERT(status().state == State::connected);
}

std::vector<NodeBuilder> World::sent(std::string_view tag) const {
  std::vector<NodeBuilder> found;
  std::ranges::copy_if(stanzas, std::back_inserter(found),
                       [&](const NodeBuilder& stanza) { return stanza.tag() == tag; });
  return found;
}

std::vector<NodeBuilder> World::sent_iqs(std::string_view child_tag) const {
  auto found = sent("iq");
  std::erase_if(found, [&](const NodeBuilder& iq) { return !child(iq, child_tag); });
  return found;
}

bool World::was_ever(State state) const {
  return std::ranges::any_of(statuses, [&](const Status& one) { return one.state == state; });
}

std::vector<Duration> World::dial_gaps() const {
  std::vector<Duration> gaps;
  for (std::size_t i = 1; i < dial_times.size(); ++i) {
    gaps.push_back(dial_times[i] - dial_times[i - 1]);
  }
  return gaps;
}

Credentials stored_credentials(const World& world) {
  return Credentials::decode(world.store.at("credentials").at("self")).value();
}

}  // namespace wa::client::test
