#include "mockserver/core/test_client.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "engine/protocol/pairing/device_identity.hpp"
#include "engine/protocol/pairing/qr_text.hpp"
#include "mockserver/core/prekeys.hpp"

namespace wa::mock::test {
namespace {

ConnectionId next_connection_id(Bench& bench) {
  return bench.messages.size() + bench.refused.size() + 1;
}

ByteSpan frame_payload(const Bytes& message) {
  return ByteSpan(message).subspan(3);
}

Bytes framed(ByteSpan payload) {
  Bytes out;
  wire::append_frame_header(payload.size(), out);
  append(out, payload);
  return out;
}

}  // namespace

Bench::Bench(Settings settings, std::uint64_t seed, Tenant::Options options)
    : random_(seed),
      keys(ServerKeys::generate(random_)),
      tenant(settings, keys, seed, random_, std::move(options)) {
  now_.mono = Instant(std::chrono::hours(1));
  now_.wall = UnixMillis{1'767'225'600'000};
}

void Bench::take(std::vector<Action> actions) {
  for (Action& action : actions) {
    if (std::holds_alternative<AcceptUpgrade>(action.what)) {
      messages[action.connection];
    } else if (auto* send = std::get_if<SendBytes>(&action.what)) {
      messages[action.connection].push_back(std::move(send->bytes));
    } else if (const auto* close = std::get_if<CloseSocket>(&action.what)) {
      closed[action.connection] = close->how;
    } else if (auto* answer = std::get_if<Answer>(&action.what)) {
      answers.emplace(answer->request, std::move(answer->result));
    } else if (auto* record = std::get_if<Record>(&action.what)) {
      events.push_back(std::move(record->event));
    } else if (auto* compute = std::get_if<Compute>(&action.what)) {
      jobs.push_back(std::move(*compute));
    } else if (const auto* logged = std::get_if<LogKeys>(&action.what)) {
      logged_keys.push_back(*logged);
    } else if (const auto* refuse = std::get_if<RefuseUpgrade>(&action.what)) {
      refused[action.connection] = refuse->status;
    }
  }
  if (!hold_jobs) finish_jobs();
}

void Bench::finish_jobs() {
  for (const Compute& job : std::exchange(jobs, {})) {
    take(tenant.computed(job.job_id, compute(job.job), now_));
  }
}

void Bench::step(ConnectionId id, const ConnectionEvent& event) {
  take(tenant.step(id, event, now_));
}

std::optional<std::variant<CommandResult, Problem>> Bench::command(const Command& asked) {
  const RequestId request = next_request++;
  take(tenant.command(request, asked, now_));
  const auto found = answers.find(request);
  if (found == answers.end()) return std::nullopt;
  return found->second;
}

void Bench::advance(Duration duration) {
  const Instant end = now_.mono + duration;
  const auto move_to = [&](Instant at) {
    now_.wall.value +=
        std::chrono::duration_cast<std::chrono::milliseconds>(at - now_.mono).count();
    now_.mono = at;
  };
  for (;;) {
    const auto next = tenant.next_deadline();
    if (!next || *next > end) break;
    move_to(std::max(*next, now_.mono));
    take(tenant.deadline_reached(now_));
  }
  move_to(end);
}

std::vector<std::string> Bench::rules() const {
  std::vector<std::string> rules;
  for (const Violation& violation : tenant.violations()) rules.push_back(violation.rule);
  return rules;
}

std::size_t Bench::count(EventKind kind) const {
  return static_cast<std::size_t>(std::count_if(
      events.begin(), events.end(), [&](const TenantEvent& event) { return event.kind == kind; }));
}

DeviceKeys::DeviceKeys(Random& random) {
  noise = crypto::generate_key_pair(random);
  identity = crypto::generate_key_pair(random);
  signed_pre_key.id = 1;
  signed_pre_key.key = crypto::generate_key_pair(random);
  const Bytes message =
      concat(ByteSpan(&kKeyType, 1), ByteSpan(signed_pre_key.key.public_key.bytes));
  signed_pre_key.signature = crypto::sign(identity, message, random);
  adv_secret = random.array<32>();
}

pairing::Registration DeviceKeys::registration() const {
  pairing::Registration registration;
  registration.version = {2, 3000, 1043857760};
  registration.registration_id = 4242;
  registration.identity = identity.public_key;
  registration.signed_pre_key_id = signed_pre_key.id;
  registration.signed_pre_key = signed_pre_key.key.public_key;
  registration.signed_pre_key_signature = signed_pre_key.signature;
  registration.os = "Ubuntu";
  registration.platform_type = 1;
  return registration;
}

TestClient::TestClient(Bench& bench, const DeviceKeys& keys, std::string label,
                       wire::Dictionary dictionary)
    : id(next_connection_id(bench)),
      bench_(bench),
      keys_(keys),
      label_(std::move(label)),
      dictionary_(dictionary) {
  bench_.messages[id];
}

void TestClient::connect(ByteSpan payload, Random* random) {
  bench_.step(id, UpgradeRequested{"/ws/chat?device=" + label_, "127.0.0.1:1"});
  const auto prologue = noise::prologue(static_cast<std::uint8_t>(dictionary_));
  noise::Initiator initiator(prologue, keys_.noise, random ? *random : bench_.random());
  const Bytes client_hello =
      resume_with ? *initiator.resume_hello(*resume_with, payload) : initiator.client_hello();
  first_bytes = concat(ByteSpan(prologue), ByteSpan(framed(client_hello)));
  send_raw(first_bytes);
  if (resume_with && !has_message()) return;  // refused
  ASSERT_TRUE(has_message());
  const Bytes hello = std::move(bench_.messages[id].front());
  bench_.messages[id].pop_front();
  ASSERT_EQ(read_big_endian(ByteSpan(hello).first(3)), hello.size() - 3) << "alone in its message";
  const auto answer = initiator.on_server_hello(frame_payload(hello));
  ASSERT_TRUE(answer);
  pattern = answer->pattern;
  certificate_chain = answer->certificate_chain;
  Bytes finish;
  if (*pattern != noise::Pattern::ik) finish = *initiator.client_finish(payload);
  transport_keys = initiator.split();
  send_cipher_.emplace(transport_keys.client_to_server);
  receive_cipher_.emplace(transport_keys.server_to_client);
  if (*pattern != noise::Pattern::ik) send_raw(framed(finish));
}

void TestClient::register_device() {
  connect(pairing::encode_registration(keys_.registration()));
}

void TestClient::log_in(const PhoneInfo& phone, std::uint32_t device, bool passive) {
  pairing::Login login;
  login.version = {2, 3000, 1043857760};
  login.username = std::stoull(phone.number);
  login.device = device;
  login.passive = passive;
  connect(pairing::encode_login(login));
}

Bytes TestClient::seal(ByteSpan plaintext) {
  Bytes message;
  EXPECT_TRUE(send_cipher_->seal_frame(plaintext, message));
  return message;
}

Bytes TestClient::receive_plaintext() {
  auto& queue = bench_.messages[id];
  if (queue.empty()) {
    ADD_FAILURE() << "the server has sent nothing";
    return {std::byte{0}, std::byte{0xf8}, std::byte{1}, std::byte{2}};
  }
  const Bytes message = std::move(queue.front());
  queue.pop_front();
  auto plaintext = receive_cipher_->open(frame_payload(message));
  EXPECT_TRUE(plaintext);
  return std::move(*plaintext);
}

wire::Frame TestClient::receive() {
  auto frame = wire::decode(receive_plaintext(), dictionary_);
  EXPECT_TRUE(frame);
  return std::move(*frame);
}

bool TestClient::has_message() const {
  return !bench_.messages[id].empty();
}

void TestClient::drop_messages() {
  while (has_message()) (void)receive();
}

std::optional<CloseHow> TestClient::closed() const {
  const auto found = bench_.closed.find(id);
  if (found == bench_.closed.end()) return std::nullopt;
  return found->second;
}

std::string TestClient::qr_text(std::size_t k) const {
  pairing::QrPayload payload;
  payload.ref = refs.at(k);
  payload.noise_key = keys_.noise.public_key;
  payload.identity_key = keys_.identity.public_key;
  payload.adv_secret = keys_.adv_secret;
  payload.client_type = "1";
  return pairing::format_qr_text(payload);
}

void TestClient::answer_pair_device() {
  const wire::Frame frame = receive();
  const wire::Node& iq = frame.root();
  ASSERT_NE(iq.child("pair-device"), nullptr) << wire::to_xml(iq);
  refs.clear();
  for (const wire::Node& ref : iq.child("pair-device")->children()) {
    refs.emplace_back(as_text(ref.bytes()));
  }
  send(wire::NodeBuilder("iq")
           .attr("to", wire::Jid::server_itself())
           .attr("type", "result")
           .attr("id", std::string(iq.attr("id"))));
}

void TestClient::answer_pair_success() {
  const wire::Frame frame = receive();
  const wire::Node& iq = frame.root();
  const wire::Node* success = iq.child("pair-success");
  ASSERT_NE(success, nullptr) << wire::to_xml(iq);
  const auto accepted =
      pairing::accept_device_identity(success->child("device-identity")->bytes(), keys_.identity,
                                      keys_.adv_secret, bench_.random());
  ASSERT_TRUE(accepted);
  send(wire::NodeBuilder("iq")
           .attr("to", wire::Jid::server_itself())
           .attr("type", "result")
           .attr("id", std::string(iq.attr("id")))
           .child(wire::NodeBuilder("pair-device-sign")
                      .child(wire::NodeBuilder("device-identity")
                                 .attr("key-index", accepted->key_index)
                                 .bytes(accepted->reply))));
}

Linked link_device(Bench& bench, const DeviceKeys& keys, std::string number) {
  (void)bench.command(AddPhone{number, ""});
  TestClient client(bench, keys);
  client.register_device();
  client.answer_pair_device();
  (void)bench.command(Scan{number, client.qr_text()});
  client.answer_pair_success();
  bench.advance(std::chrono::seconds(1));
  client.disconnect();
  Linked linked;
  linked.phone = *bench.tenant.phone(number);
  EXPECT_FALSE(linked.phone.devices.empty());
  const auto jid = wire::Jid::parse(linked.phone.devices.back().device_jid);
  linked.device = jid->device;
  return linked;
}

std::string problem_code(const std::optional<std::variant<CommandResult, Problem>>& answer) {
  if (!answer) return "pending";
  const auto* problem = std::get_if<Problem>(&*answer);
  return problem == nullptr ? "ok" : problem->code;
}

void add_fault(Bench& bench, std::string_view text) {
  auto record = FaultRecord::parse(boost::json::parse(text));
  ASSERT_TRUE(record) << record.error();
  EXPECT_EQ(problem_code(bench.command(AddFault{std::move(*record)})), "ok") << text;
}

wire::NodeBuilder query(std::string xmlns, std::string type, std::string id, std::string child) {
  wire::NodeBuilder iq("iq");
  iq.attr("to", wire::Jid::server_itself());
  iq.attr("xmlns", std::move(xmlns)).attr("type", std::move(type)).attr("id", std::move(id));
  if (!child.empty()) iq.child(wire::NodeBuilder(std::move(child)));
  return iq;
}

wire::NodeBuilder ping(std::string id) {
  return query("w:p", "get", std::move(id));
}

}  // namespace wa::mock::test
