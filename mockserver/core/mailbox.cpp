#include "mockserver/core/mailbox.hpp"

#include <algorithm>

namespace wa::mock {
namespace {

using wire::NodeBuilder;

/// What a stanza takes up, roughly.
std::size_t bytes_of(const NodeBuilder& node) {
  constexpr std::size_t kPerNode = 64;
  constexpr std::size_t kPerAttribute = 48;
  std::size_t bytes = kPerNode + node.attributes().size() * kPerAttribute;
  if (const auto* content = std::get_if<Bytes>(&node.content())) {
    bytes += content->size();
  } else if (const auto* text = std::get_if<std::string>(&node.content())) {
    bytes += text->size();
  } else if (const auto* children = std::get_if<std::vector<NodeBuilder>>(&node.content())) {
    for (const NodeBuilder& child : *children) bytes += bytes_of(child);
  }
  return bytes;
}

const NodeBuilder::AttributeValue* attribute(const NodeBuilder& node, std::string_view key) {
  for (const auto& [name, value] : node.attributes()) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string text_of(const NodeBuilder& node, std::string_view key) {
  const auto* value = attribute(node, key);
  if (value == nullptr) return {};
  const auto* text = std::get_if<std::string>(value);
  return text != nullptr ? *text : std::get<wire::Jid>(*value).to_string();
}

bool comes_from(const NodeBuilder& node, const wire::Jid& sender) {
  const auto* value = attribute(node, "from");
  const auto* jid = value == nullptr ? nullptr : std::get_if<wire::Jid>(value);
  return jid != nullptr && *jid == sender;
}

}  // namespace

void Mailbox::add(NodeBuilder stanza) {
  Entry entry{std::move(stanza), {}, 0, false, false};
  entry.id = text_of(entry.stanza, "id");
  entry.bytes = bytes_of(entry.stanza);
  bytes_ += entry.bytes;
  entries_.push_back(std::move(entry));
  while (entries_.size() > max_stanzas_ || (bytes_ > max_bytes_ && entries_.size() > 1)) {
    erase(0);
    ++given_up_;
  }
}

std::vector<Mailbox::Kept> Mailbox::kept() const {
  std::vector<Kept> kept;
  for (const Entry& entry : entries_) kept.push_back({entry.stanza, entry.ever_sent});
  return kept;
}

void Mailbox::restore(NodeBuilder stanza, bool ever_sent) {
  add(std::move(stanza));
  entries_.back().ever_sent = ever_sent;
}

void Mailbox::begin_session() {
  sent_ = 0;
  for (Entry& entry : entries_) entry.waited = true;
}

std::optional<NodeBuilder> Mailbox::next() {
  if (sent_ == entries_.size()) return std::nullopt;
  Entry& entry = entries_[sent_++];
  entry.ever_sent = true;
  NodeBuilder stanza = entry.stanza;
  if (entry.waited) stanza.set_attr("offline", std::string("0"));
  return stanza;
}

bool Mailbox::next_is_offline() const {
  return sent_ < entries_.size() && entries_[sent_].waited;
}

bool Mailbox::acknowledge(const Receipted& receipted) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.ever_sent || entry.id != receipted.id || entry.stanza.tag() != receipted.ack_class) {
      continue;
    }
    if (!found) found = i;
    if (!receipted.to) break;
    if (comes_from(entry.stanza, *receipted.to)) {
      found = i;
      break;
    }
  }
  if (!found) return false;
  erase(*found);
  return true;
}

bool Mailbox::holds(std::string_view ack_class, std::string_view id) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.id == id && entry.stanza.tag() == ack_class;
  });
}

void Mailbox::erase(std::size_t index) {
  bytes_ -= entries_[index].bytes;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
  if (index < sent_) --sent_;
}

Mailbox::Counts Mailbox::unsent() const {
  Counts counts;
  for (std::size_t i = sent_; i < entries_.size(); ++i) {
    const std::string& tag = entries_[i].stanza.tag();
    if (tag == "message") ++counts.message;
    if (tag == "receipt") ++counts.receipt;
    if (tag == "notification") ++counts.notification;
    if (tag == "call") ++counts.call;
  }
  return counts;
}

std::size_t Mailbox::offline_in_flight() const {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(sent_),
                    [](const Entry& entry) { return entry.waited; }));
}

}  // namespace wa::mock
