#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/protocol/wire/jid.hpp"

namespace wa::wire {

struct Node;

/// The value of an attribute, or content that is not bytes: text or a JID.
using Value = std::variant<std::string_view, JidView>;

struct Attribute {
  std::string_view key;
  Value value;
};

/// A binary XML node as it was received: a view tree whose text, bytes and lists live in its Frame.
/// Who keeps a node longer than its Frame copies it (`NodeBuilder::copy_of`).
///
/// Source: docs/protocol/nodes.md.
struct Node {
  using Content = std::variant<std::monostate, std::span<const Node>, ByteSpan, Value>;

  std::string_view tag;
  std::span<const Attribute> attributes;
  Content content;

  /// The attribute as text; empty when it is absent or a JID. Duplicate keys: the last one counts.
  std::string_view attr(std::string_view key) const;
  bool has_attr(std::string_view key) const;
  /// The attribute as a JID: one that was sent as a JID, or text that parses as one.
  std::optional<Jid> jid(std::string_view key) const;
  /// The attribute printed, whichever kind it is; empty when absent. For logs, traces and matching.
  std::string printed(std::string_view key) const;
  /// The attribute as a decimal number.
  std::optional<std::uint64_t> number(std::string_view key) const;

  std::span<const Node> children() const;
  /// The first child, or the first with a tag; null when there is none.
  const Node* first_child() const;
  const Node* child(std::string_view tag_name) const;
  /// The content as bytes, whether it came as bytes or as text (clients send short values as
  /// tokens or packed digits). Empty when there is none; `malformed` never.
  ByteSpan bytes() const;
};

/// One-line XML-like text for logs and traces; binary content as {n bytes}.
std::string to_xml(const Node& node);

/// A node that owns everything, for sending. Attribute order is kept.
///
///     NodeBuilder("iq").attr("to", Jid::server_itself()).attr("type", "result").attr("id", id)
///         .child(NodeBuilder("ref").bytes(ref))
class NodeBuilder {
 public:
  using Text = std::string;
  using AttributeValue = std::variant<std::string, Jid>;
  using Content = std::variant<std::monostate, std::vector<NodeBuilder>, Bytes, std::string, Jid>;

  explicit NodeBuilder(std::string tag) : tag_(std::move(tag)) {}
  static NodeBuilder copy_of(const Node& node);

  NodeBuilder& attr(std::string key, std::string value) &;
  NodeBuilder& attr(std::string key, const Jid& value) &;
  template <std::same_as<std::string_view> View>
  NodeBuilder& attr(std::string key, View value) & {
    return attr(std::move(key), std::string(value));
  }
  template <std::integral Number>
  NodeBuilder& attr(std::string key, Number value) & {
    return attr(std::move(key), std::to_string(value));
  }
  /// Replaces the attribute, or removes it when there is no value. For faults.
  void set_attr(std::string_view key, std::optional<AttributeValue> value);

  NodeBuilder& child(NodeBuilder node) &;
  NodeBuilder& bytes(ByteSpan content) &;
  NodeBuilder& text(std::string content) &;

  // The same on temporaries, so that a whole node is one expression.
  template <class V>
  NodeBuilder&& attr(std::string key, V&& value) && {
    attr(std::move(key), std::forward<V>(value));
    return std::move(*this);
  }
  NodeBuilder&& child(NodeBuilder node) && { return std::move(child(std::move(node))); }
  NodeBuilder&& bytes(ByteSpan content) && { return std::move(bytes(content)); }
  NodeBuilder&& text(std::string content) && { return std::move(text(std::move(content))); }

  const std::string& tag() const { return tag_; }
  const std::vector<std::pair<std::string, AttributeValue>>& attributes() const {
    return attributes_;
  }
  const Content& content() const { return content_; }
  Content& content() { return content_; }
  bool operator==(const NodeBuilder&) const = default;

 private:
  std::string tag_;
  std::vector<std::pair<std::string, AttributeValue>> attributes_;
  Content content_;
};

/// A received plaintext with the node tree that views it. Movable; the views stay valid.
class Frame {
 public:
  struct Storage;
  explicit Frame(std::unique_ptr<Storage> storage);
  ~Frame();
  Frame(Frame&&) noexcept;
  Frame& operator=(Frame&&) noexcept;

  const Node& root() const;
  /// The node's bytes as they were decoded (inflated, without the flag byte).
  ByteSpan plaintext() const;

 private:
  std::unique_ptr<Storage> storage_;
};

}  // namespace wa::wire
