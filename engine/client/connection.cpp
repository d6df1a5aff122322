#include "engine/client/connection.hpp"

#include <algorithm>

namespace wa::client {
namespace {

Keepalive::Config keepalive_config(const Timings& timings) {
  return {.ping_min = timings.ping_min,
          .ping_max = timings.ping_max,
          .ping_answer = timings.ping_answer,
          .dead = timings.dead_socket,
          .silence = timings.truthful};
}

}  // namespace

std::string_view timeout_word(Stage stage) {
  switch (stage) {
    case Stage::dialing: return "dial_timeout";
    case Stage::handshaking: return "handshake_timeout";
    case Stage::awaiting_refs: return "first_ref_timeout";
    case Stage::passkey: return "passkey_timeout";
    case Stage::finishing: return "finish_timeout";
    case Stage::logging_in: return "login_timeout";
    case Stage::showing_qr:
    case Stage::online:
    case Stage::ending: return "";
  }
  WA_UNREACHABLE("a Stage without a word");
}

Connection::Connection(Generation generation, const Config& config, Now now)
    : login(config.initial_prekeys),
      timings_(config.timings),
      generation_(generation),
      keepalive_(keepalive_config(config.timings)) {
  // The shell answers within `dial` and says more about a failure than a deadline could; ours is
  // for a shell that does not.
  enter(Stage::dialing, now.mono + timings_.dial + timings_.dial / 8);
}

void Connection::enter(Stage stage, std::optional<Instant> deadline) {
  stage_ = stage;
  stage_deadline_ = deadline;
}

void Connection::open(Stream::Config config, Now now, Random& random,
                      std::vector<Action>& actions) {
  enter(Stage::handshaking, now.mono + timings_.handshake);
  stream_.emplace(std::move(config), random);
  actions.push_back(SendBytes{generation_, stream_->hello()});
}

void Connection::establish(Bytes client_finish, Now now, Random& random,
                           std::vector<Action>& actions) {
  requests_.emplace(random);
  actions.push_back(SendBytes{generation_, std::move(client_finish)});
  keepalive_.step(Keepalive::Opened{}, now.mono, random);
  keepalive_.step(Keepalive::BytesSent{}, now.mono, random);
}

void Connection::receive(ByteSpan bytes, Now now, Random& random) {
  stream_->feed(bytes);
  keepalive_.step(Keepalive::BytesReceived{}, now.mono, random);
}

template <class Node>
void Connection::seal_and_send(const Node& node, Now now, Random& random,
                               std::vector<Action>& actions) {
  if (broken_) return;
  SendBytes send{generation_, {}};
  if (!stream_->seal(node, send.bytes)) {
    broken_ = true;
    return;
  }
  actions.push_back(std::move(send));
  keepalive_.step(Keepalive::BytesSent{}, now.mono, random);
}

void Connection::send(const wire::Node& node, Now now, Random& random,
                      std::vector<Action>& actions) {
  seal_and_send(node, now, random, actions);
}

void Connection::send(const wire::NodeBuilder& node, Now now, Random& random,
                      std::vector<Action>& actions) {
  seal_and_send(node, now, random, actions);
}

std::optional<Instant> Connection::next_deadline() const {
  std::optional<Instant> next = stage_deadline_;
  const auto consider = [&next](std::optional<Instant> other) {
    if (other && (!next || *other < *next)) next = other;
  };
  if (stage_ == Stage::ending) return next;
  consider(keepalive_.next_deadline());
  consider(code_changes_at);
  if (code) consider(code->ends_at());
  consider(upload_again_at);
  consider(rotate_at);
  if (requests_) consider(requests_->next_deadline());
  return next;
}

}  // namespace wa::client
