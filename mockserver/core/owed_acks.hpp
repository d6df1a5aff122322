#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/node.hpp"

namespace wa::mock {

/// A stanza of ours that wants an ack: class → what the ack must repeat.
struct OwedAck {
  std::string ack_class;
  std::string id;
  std::string participant;
  std::string type;
  bool receipted = false;                        ///< a receipt came for it: the ack may stay out
  std::optional<Instant> due = {};               ///< a fault ends the stream then
  std::optional<wire::NodeBuilder> stanza = {};  ///< with `due`

  /// Messages may repeat their type or leave it out (clients differ); the others repeat it.
  bool has_type(std::string_view said) const {
    return said == type || (said.empty() && ack_class == "message");
  }
};

/// What a connection owes us, oldest first. Some clients answer messages by a receipt and never by
/// an ack: the latest of those are remembered, so that an ack that comes all the same is none too
/// many.
class OwedAcks {
 public:
  OwedAcks() = default;
  OwedAcks(OwedAcks&&) = default;
  OwedAcks& operator=(OwedAcks&&) = default;

  void add(OwedAck owed);
  /// What an ack is for, which then is no longer owed: the oldest that it fits whole, else the
  /// oldest of its class and id. Empty: nothing.
  std::optional<OwedAck> take(std::string_view ack_class, const std::string& id,
                              std::string_view participant, std::string_view type);
  /// A receipt came for a message.
  void receipted(const std::string& id);

  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }

 private:
  using Place = std::list<OwedAck>::iterator;
  void erase(Place place);

  std::list<OwedAck> entries_;
  std::unordered_map<std::string, std::vector<Place>> places_;  ///< by id, oldest first
  std::size_t receipted_ = 0;
};

}  // namespace wa::mock
