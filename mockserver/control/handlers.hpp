#pragma once

#include <functional>
#include <map>
#include <string>

#include "engine/net/http_server.hpp"
#include "mockserver/control/api_result.hpp"
#include "mockserver/control/control_api.hpp"
#include "mockserver/control/event_feed.hpp"
#include "mockserver/control/picture_reader.hpp"

namespace wa::mock::control {

/// One request for a tenant that exists.
struct Call {
  const net::HttpRequest& request;
  net::HttpReply reply;
  std::string tenant_name;
  Tenant& tenant;

  /// A segment of the path, by its name in the route.
  const std::string& parameter(const std::string& name) const;
};

/// What each call of the control API does. Every member function answers exactly once.
class Handlers {
 public:
  Handlers(boost::asio::io_context& io, MockHost& host, ControlOptions options);

  /// Known once the server listens: "http://127.0.0.1:PORT".
  void set_url(std::string url) { url_ = std::move(url); }
  const std::string& url() const { return url_; }
  json::object info(const std::string& tenant_name) const;

  void get_info(const Call& call);
  void add_phone(const Call& call);
  void list_phones(const Call& call);
  void get_phone(const Call& call);
  void scan(const Call& call);
  void enter_pairing_code(const Call& call);
  void unlink(const Call& call);
  void send_message(const Call& call);
  void list_messages(const Call& call);
  void read_messages(const Call& call);
  void list_connections(const Call& call);
  void close_connection(const Call& call);
  void add_fault(const Call& call);
  void list_faults(const Call& call);
  void remove_fault(const Call& call);
  void fire_fault(const Call& call);
  void heal_fault(const Call& call);
  void events(const Call& call);
  void violations(const Call& call);
  void coverage(const Call& call);
  void reset(const Call& call);

  /// These belong to no existing tenant.
  void add_tenant(const net::HttpRequest& request, const net::HttpReply& reply);
  void metrics(const net::HttpReply& reply);

  void stop();

 private:
  void change_fault(const Call& call, const Command& change);
  using Render = std::function<json::value(const CommandResult&)>;
  /// Has the command performed and answers with what it yields.
  void command(const Call& call, Command command, int status, Render render);
  ApiResult<Settings> read_settings(const json::object& body);

  MockHost& host_;
  ControlOptions options_;
  std::string url_;
  EventFeed feed_;
  PictureReader camera_;
  std::map<std::string, std::string> profiles_;  ///< of the tenants made here, by name
};

}  // namespace wa::mock::control
