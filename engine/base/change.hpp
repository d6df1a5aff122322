#pragma once

#include <string>
#include <variant>

#include "engine/base/bytes.hpp"

/// Changes of stored state, as machines ask for them and stores perform them. Stores know kinds,
/// keys and bytes only.
namespace wa {

struct RecordKey {
  std::string kind;
  std::string key;
  auto operator<=>(const RecordKey&) const = default;
};
struct Put {
  std::string kind;
  std::string key;
  Bytes bytes;
  bool operator==(const Put&) const = default;
};
struct Erase {
  std::string kind;
  std::string key;  ///< empty: every key of the kind
  bool operator==(const Erase&) const = default;
};
using Change = std::variant<Put, Erase>;

}  // namespace wa
