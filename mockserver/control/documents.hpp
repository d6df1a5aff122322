#pragma once

#include <boost/json/object.hpp>

#include "mockserver/net/mock_host.hpp"

/// What the control API shows, as JSON. Source: docs/openapi.json, components/schemas.
namespace wa::mock::control {

boost::json::object to_json(const CompanionInfo& companion);
boost::json::object to_json(const PhoneInfo& phone);
boost::json::object to_json(const PhoneMessage& message);
boost::json::object to_json(const ConnectionInfo& connection);
boost::json::object to_json(const Violation& violation);
boost::json::object to_json(const CoverageRow& row);
boost::json::object to_json(const FaultEngine::Active& fault);
/// One line of the trace: {seq, t_ms, tenant, actor, kind, data}.
boost::json::object to_json(const LoggedEvent& event);

/// Any of them in a list.
template <class Items>
boost::json::array to_json_list(const Items& items) {
  boost::json::array list;
  for (const auto& item : items) list.push_back(to_json(item));
  return list;
}

}  // namespace wa::mock::control
