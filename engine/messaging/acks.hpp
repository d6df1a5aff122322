#pragma once

#include <array>
#include <optional>
#include <span>

#include "engine/protocol/wire/node.hpp"

/// What answers a stanza at transport level, decided by a table. One place builds acks, because a
/// server ends the stream over an ack that is missing, doubled or of the wrong shape.
///
/// Source: docs/protocol/connection.md, "Acks".
namespace wa::messaging {

/// A row of the table: stanzas with this tag.
struct AckFamily {
  std::string_view tag;
  bool acked;        ///< if it has an id
  bool echoes_type;  ///< `type` is copied into the ack
};

/// The known tags. Unknown stanzas with an id are acked with their own tag as class and their type:
/// an unacked one is sent again at every login until the server gives up on us.
std::span<const AckFamily> ack_families();

/// An ack, viewing the stanza it answers.
class Ack {
 public:
  /// `id`, `class` = tag, `to` = from, `participant`, `recipient` and `type` as they were received;
  /// empty when the stanza gets none.
  static std::optional<Ack> for_stanza(const wire::Node& stanza);

  wire::Node node() const { return {"ack", std::span(attributes_).first(count_), {}}; }

 private:
  void add(std::string_view key, const wire::Value& value) { attributes_[count_++] = {key, value}; }

  std::array<wire::Attribute, 6> attributes_;
  std::size_t count_ = 0;
};

}  // namespace wa::messaging
