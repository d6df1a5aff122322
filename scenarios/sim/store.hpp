#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/client/actions.hpp"

namespace wa::sim {

/// What one device has made durable. Outlives its sessions.
class Store {
 public:
  void apply(const std::vector<client::Change>& changes);
  /// Null when there is none.
  const Bytes* find(std::string_view kind, std::string_view key) const;
  using Kinds = std::map<std::string, std::map<std::string, Bytes, std::less<>>, std::less<>>;
  const Kinds& kinds() const { return kinds_; }

 private:
  Kinds kinds_;
};

}  // namespace wa::sim
