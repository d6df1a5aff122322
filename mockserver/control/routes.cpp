#include "mockserver/control/routes.hpp"

namespace wa::mock::control {
namespace {

constexpr std::string_view kDefaultPrefix = "/v1";
constexpr std::string_view kTenantPrefix = "/v1/t/{tenant}";

std::string joined(std::string_view prefix, std::string_view path) {
  return std::string(prefix) + std::string(path);
}

/// The tenant that the path names, or an answer that there is none.
void dispatch(const Route& route, Handlers& handlers, MockHost& host,
              const net::HttpRequest& request, const net::HttpReply& reply) {
  const auto named = request.parameters.find("tenant");
  const std::string name = named == request.parameters.end() ? "" : named->second;
  Tenant* tenant = named != request.parameters.end() && name.empty() ? nullptr : host.tenant(name);
  if (tenant == nullptr) {
    const std::vector<std::string> names = host.tenants();
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    reply.send(
        to_response(Problem{404, "unknown_tenant",
                            "there is no tenant \"" + name + "\"" + did_you_mean(name, candidates),
                            "make it with PUT /v1/t/" + name}));
    return;
  }
  if (route.handle != &Handlers::events && route.handle != &Handlers::close_connection) {
    if (const auto checked = check_query(request, {}); !checked) {
      reply.send(to_response(checked.error()));
      return;
    }
  }
  (handlers.*route.handle)(Call{request, reply, name, *tenant});
}

}  // namespace

const std::vector<Route>& tenant_routes() {
  static const std::vector<Route> routes = {
      {"GET", "/info", &Handlers::get_info},
      {"POST", "/phones", &Handlers::add_phone},
      {"GET", "/phones", &Handlers::list_phones},
      {"GET", "/phones/{id}", &Handlers::get_phone},
      {"POST", "/phones/{id}/scan", &Handlers::scan, limits::kMaxHttpBodyBytes},
      {"POST", "/phones/{id}/pairing-code", &Handlers::enter_pairing_code},
      {"POST", "/phones/{id}/messages", &Handlers::send_message},
      {"GET", "/phones/{id}/messages", &Handlers::list_messages},
      {"POST", "/phones/{id}/read", &Handlers::read_messages},
      {"POST", "/phones/{id}/unlink", &Handlers::unlink},
      {"GET", "/connections", &Handlers::list_connections},
      {"DELETE", "/connections/{id}", &Handlers::close_connection},
      {"POST", "/faults", &Handlers::add_fault, limits::kMaxFaultBodyBytes},
      {"GET", "/faults", &Handlers::list_faults},
      {"DELETE", "/faults/{id}", &Handlers::remove_fault},
      {"POST", "/faults/{id}/fire", &Handlers::fire_fault},
      {"POST", "/faults/{id}/heal", &Handlers::heal_fault},
      {"GET", "/events", &Handlers::events},
      {"GET", "/violations", &Handlers::violations},
      {"GET", "/coverage", &Handlers::coverage},
      {"POST", "/reset", &Handlers::reset},
  };
  return routes;
}

std::vector<std::string> served_routes() {
  std::vector<std::string> served;
  for (const std::string_view prefix : {kDefaultPrefix, kTenantPrefix}) {
    for (const Route& route : tenant_routes()) {
      served.push_back(std::string(route.method) + " " + joined(prefix, route.path));
    }
  }
  served.push_back("PUT " + std::string(kTenantPrefix));
  served.push_back("GET /metrics");
  served.push_back("GET /healthz");
  return served;
}

void install_routes(net::HttpServer& server, Handlers& handlers, MockHost& host) {
  for (const std::string_view prefix : {kDefaultPrefix, kTenantPrefix}) {
    for (const Route& route : tenant_routes()) {
      server.route(
          std::string(route.method), joined(prefix, route.path),
          [&route, &handlers, &host](const net::HttpRequest& request, net::HttpReply reply) {
            dispatch(route, handlers, host, request, reply);
          },
          route.max_body_bytes);
    }
  }
  server.route(
      "PUT", std::string(kTenantPrefix),
      [&handlers](const net::HttpRequest& request, net::HttpReply reply) {
        handlers.add_tenant(request, reply);
      },
      limits::kMaxJsonBodyBytes);
  server.route("GET", "/metrics", [&handlers](const net::HttpRequest&, net::HttpReply reply) {
    handlers.metrics(reply);
  });
  server.route("GET", "/healthz", [](const net::HttpRequest&, net::HttpReply reply) {
    reply.send(to_response(200, json::object{{"status", "ok"}}));
  });
}

}  // namespace wa::mock::control
