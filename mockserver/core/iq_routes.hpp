#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/node.hpp"
#include "mockserver/core/accounts.hpp"

namespace wa::mock {

/// What a route may look at and change while it answers one IQ of a client.
struct IqContext {
  const wire::Node& iq;
  Accounts& accounts;
  Companion* companion = nullptr;  ///< null while the connection is not logged in
  Now now;
  Random& random;
  std::function<void(std::string_view rule, std::string detail)> violate;
  bool became_active = false;     ///< out: passive/active was answered
  bool remove_companion = false;  ///< out: the device logs out
};

/// One row of the table of IQs that the server answers.
struct IqRoute {
  std::string_view xmlns;
  std::string_view type;   ///< get or set
  std::string_view child;  ///< tag of the first child; empty: whatever it is
  bool before_login;       ///< also answered to an unpaired client
  std::string_view what;
  std::string_view source;
  wire::NodeBuilder (*answer)(IqContext&);  ///< the whole reply
};

/// The rows, in the order of the documentation; the first that fits serves.
const std::vector<IqRoute>& iq_routes();

/// The row that serves an IQ, or null.
const IqRoute* find_route(const wire::Node& iq);

/// `<iq from=S type="result" id=…/>`, what an unknown IQ gets.
wire::NodeBuilder empty_result(const wire::Node& iq);
wire::NodeBuilder iq_error(const wire::Node& iq, int code, std::string_view text);

}  // namespace wa::mock
