#pragma once

#include <boost/system/result.hpp>
#include <compare>
#include <optional>
#include <vector>

#include "engine/base/change.hpp"
#include "engine/base/now.hpp"
#include "engine/base/result.hpp"
#include "engine/protocol/wire/jid.hpp"

namespace wa::messaging {

/// Something that the server is asked for. One query is under way for each, whoever wants it.
struct Fetch {
  enum class What : std::uint8_t {
    devices,  ///< which devices an account has; `of` has no device
    bundle,   ///< the pre-keys of one device
    group,    ///< who is in a group
  };
  What what = What::devices;
  wire::Jid of;
  auto operator<=>(const Fetch&) const = default;
};

/// Why a handler could not be run to its end: what has to be there first. What it did is forgotten,
/// and it is run again from its start.
struct Blocked {
  std::vector<RecordKey> records = {};
  std::vector<Fetch> fetches = {};
  std::optional<Instant> until = {};
};

[[noreturn]] inline void throw_exception_from_error(const Blocked&, const boost::source_location&) {
  WA_UNREACHABLE("the value of a blocked attempt");
}

/// A value, or what is missing. WA_TRY and WA_TRY_VOID work with it, so that handlers are straight
/// lines.
template <class T>
class [[nodiscard]] Attempt : public boost::system::result<T, Blocked> {
 public:
  using boost::system::result<T, Blocked>::result;
};

}  // namespace wa::messaging
