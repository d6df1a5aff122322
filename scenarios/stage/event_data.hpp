#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string_view>

#include "mockserver/core/events.hpp"

/// What is read out of the events of servers and devices. A view lives as long as the event.
namespace wa::stage {

/// The datum of a server's event, or "".
inline std::string_view datum(const mock::TenantEvent& event, std::string_view name) {
  for (const auto& [key, value] : event.data) {
    if (key == name) return value;
  }
  return {};
}

/// The text member of a device's event, or "".
inline std::string_view text(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

}  // namespace wa::stage
