#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/limits.hpp"
#include "mockserver/control/handlers.hpp"

namespace wa::mock::control {

/// One call of the control API. docs/openapi.json lists the same, which a test compares.
struct Route {
  std::string_view method;
  std::string_view path;  ///< below /v1 and /v1/t/{tenant}
  void (Handlers::*handle)(const Call&);
  std::size_t max_body_bytes = limits::kMaxJsonBodyBytes;
};

/// Every call that a tenant answers.
const std::vector<Route>& tenant_routes();

/// "METHOD /pattern" of everything that the server serves.
std::vector<std::string> served_routes();

/// Puts all of them on the server.
void install_routes(net::HttpServer& server, Handlers& handlers, MockHost& host);

}  // namespace wa::mock::control
