#include "engine/messaging/messenger_impl.hpp"

/// Who is there, and who writes: worth nothing later, so nothing of it is stored or acknowledged.
/// Source: docs/protocol/delivery.md, "Presence".
namespace wa::messaging {
namespace {

using wire::NodeBuilder;

NodeBuilder subscription(const wire::Jid& to) {
  return NodeBuilder("presence").attr("type", "subscribe").attr("to", to);
}

}  // namespace

void Messenger::Impl::on(const AvailabilityChanged& event) {
  available_ = event.available;
  if (streaming_) say_presence();
}

void Messenger::Impl::say_presence() {
  NodeBuilder presence("presence");
  presence.attr("type", available_ ? "available" : "unavailable");
  if (const std::string& name = keys_.push_name(); !name.empty()) presence.attr("name", name);
  actions_.push_back(SendStanza{std::move(presence)});
}

/// What the server forgets with every stream.
void Messenger::Impl::resume_presence() {
  if (available_) say_presence();
  for (const wire::Jid& of : followed_) actions_.push_back(SendStanza{subscription(of)});
}

void Messenger::Impl::on(const PresenceWanted& event) {
  const wire::Jid of = event.of.without_device();
  if (!is_account(of)) return;
  if (followed_.size() >= limits::kMaxPresenceSubscriptions && !followed_.contains(of)) {
    return complain("too many accounts are followed");
  }
  followed_.insert(of);
  if (streaming_) actions_.push_back(SendStanza{subscription(of)});
}

void Messenger::Impl::on(const TypingShown& event) {
  if (!streaming_ || !(is_account(event.chat) || is_many(event.chat))) return;
  NodeBuilder state(event.typing == Typing::paused ? "paused" : "composing");
  if (event.typing == Typing::recording) state.attr("media", "audio");
  actions_.push_back(SendStanza{
      NodeBuilder("chatstate").attr("to", event.chat.without_device()).child(std::move(state))});
}

void Messenger::Impl::on_presence(const wire::Node& stanza) {
  if (auto seen = read_presence(stanza)) actions_.push_back(Publish{{0, std::move(*seen), {}}});
}

void Messenger::Impl::on_chatstate(const wire::Node& stanza) {
  auto seen = read_chatstate(stanza);
  if (!seen || is_ours(seen->sender)) return;
  actions_.push_back(Publish{{0, std::move(*seen), {}}});
}

}  // namespace wa::messaging
