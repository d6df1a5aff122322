#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/now.hpp"
#include "engine/protocol/wire/node.hpp"
#include "mockserver/core/groups.hpp"

namespace wa::mock {

/// A change of a group, for the devices of those whom it concerns.
struct GroupNews {
  wire::Jid group;
  Addressing form = Addressing::lid;  ///< of the names in it
  wire::NodeBuilder what;
  std::vector<std::string> to;  ///< ids of phones
};

/// What a route may look at and change while it answers one IQ of a client.
struct IqContext {
  IqContext(const wire::Node& asked, Accounts& all, Groups& all_groups, Now at, Random& source,
            std::function<void(std::string_view rule, std::string detail)> blame)
      : iq(asked),
        accounts(all),
        groups(all_groups),
        now(at),
        random(source),
        violate(std::move(blame)) {}

  const wire::Node& iq;
  Accounts& accounts;
  Groups& groups;
  Now now;
  Random& random;
  std::function<void(std::string_view rule, std::string detail)> violate;
  Companion* companion = nullptr;  ///< null while the connection is not logged in
  DeviceKey device;                ///< its name
  // What the answer brings about.
  bool became_active = false;             ///< passive/active was answered
  bool remove_companion = false;          ///< the device logs out
  std::vector<DeviceKey> low_on_prekeys;  ///< devices that have few left since now
  std::vector<GroupNews> group_news;
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
