#include "mockserver/control/handlers.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include "engine/base/limits.hpp"
#include "mockserver/control/documents.hpp"
#include "mockserver/control/metrics.hpp"

namespace wa::mock::control {
namespace {

void refuse(const net::HttpReply& reply, const Problem& problem) {
  reply.send(to_response(problem));
}

void answer(const net::HttpReply& reply, const json::value& body) {
  reply.send(to_response(200, body));
}

std::string tenant_prefix(const std::string& name) {
  return name.empty() ? "" : "/t/" + name;
}

Problem unknown_phone(const Call& call, const std::string& id) {
  return {404, "unknown_phone", "there is no phone \"" + id + "\"",
          "make it with POST /v1" + tenant_prefix(call.tenant_name) + "/phones {\"number\":\"…\"}"};
}

}  // namespace

const std::string& Call::parameter(const std::string& name) const {
  const auto found = request.parameters.find(name);
  WA_ASSERT(found != request.parameters.end());
  return found->second;
}

Handlers::Handlers(boost::asio::io_context& io, MockHost& host, ControlOptions options)
    : host_(host),
      options_(std::move(options)),
      feed_(io, host, options_.event_feeds),
      camera_(io) {}

void Handlers::command(const Call& call, Command command, int status, Render render) {
  host_.command(call.tenant_name, std::move(command),
                [reply = call.reply, status,
                 render = std::move(render)](const std::variant<CommandResult, Problem>& result) {
                  if (const auto* problem = std::get_if<Problem>(&result)) {
                    return refuse(reply, *problem);
                  }
                  reply.send(to_response(status, render(std::get<CommandResult>(result))));
                });
}

json::object Handlers::info(const std::string& tenant_name) const {
  const auto own = profiles_.find(tenant_name);
  return {{"ws_url", host_.ws_url(tenant_name)},
          {"wss_url", host_.wss_url(tenant_name)},
          {"noise_root_public_key", to_hex(host_.keys().root.public_key.bytes)},
          {"tls_ca_pem", host_.tls_ca_pem()},
          {"control_url", url_},
          {"tenant", tenant_name},
          {"profile", own == profiles_.end() ? options_.profile : own->second},
          {"version", options_.version}};
}

void Handlers::get_info(const Call& call) {
  answer(call.reply, info(call.tenant_name));
}

// ---- phones ----------------------------------------------------------------------------------

void Handlers::add_phone(const Call& call) {
  const auto read = [&]() -> ApiResult<AddPhone> {
    WA_TRY(const json::object body, read_object(call.request.body, {"number", "name"}));
    AddPhone add;
    WA_TRY(add.number, required_text(body, "number"));
    WA_TRY(add.name, optional_text(body, "name"));
    if (add.name.size() > limits::kMaxPhoneNameBytes) {
      return Problem{422, "bad_name",
                     "a phone's name has up to " + std::to_string(limits::kMaxPhoneNameBytes) +
                         " bytes, not " + std::to_string(add.name.size()),
                     ""};
    }
    return add;
  };
  auto add = read();
  if (!add) return refuse(call.reply, add.error());
  command(call, std::move(*add), 201, [&tenant = call.tenant](const CommandResult& added) {
    const auto phone = tenant.phone(added.value);
    return phone ? to_json(*phone) : json::object{{"id", added.value}};
  });
}

void Handlers::list_phones(const Call& call) {
  answer(call.reply, json::object{{"phones", to_json_list(call.tenant.phones())}});
}

void Handlers::get_phone(const Call& call) {
  const std::string& id = call.parameter("id");
  const auto phone = call.tenant.phone(id);
  if (phone) return answer(call.reply, to_json(*phone));
  refuse(call.reply, unknown_phone(call, id));
}

void Handlers::scan(const Call& call) {
  auto input = read_scan_input(call.request.body);
  if (!input) return refuse(call.reply, picture_problem(input.error()));
  const auto scan_text = [this, tenant = call.tenant_name, phone = call.parameter("id")](
                             const net::HttpReply& reply, std::string text) {
    host_.command(tenant, Scan{phone, std::move(text)},
                  [reply](const std::variant<CommandResult, Problem>& result) {
                    if (const auto* problem = std::get_if<Problem>(&result)) {
                      return refuse(reply, *problem);
                    }
                    const std::string& jid = std::get<CommandResult>(result).value;
                    reply.send(to_response(200, json::object{{"device_jid", jid}}));
                  });
  };
  if (input->picture.empty()) return scan_text(call.reply, std::move(input->text));
  const auto started = camera_.read(std::move(input->picture),
                                    [scan_text, reply = call.reply](Result<std::string> text) {
                                      if (!text)
                                        return refuse(reply, picture_problem(text.error()));
                                      scan_text(reply, std::move(*text));
                                    });
  if (!started) refuse(call.reply, Problem{503, "busy", started.error().detail, ""});
}

void Handlers::enter_pairing_code(const Call& call) {
  const auto read = [&]() -> ApiResult<std::string> {
    WA_TRY(const json::object body, read_object(call.request.body, {"code"}));
    return required_text(body, "code");
  };
  auto code = read();
  if (!code) return refuse(call.reply, code.error());
  command(call, EnterPairingCode{call.parameter("id"), std::move(*code)}, 200,
          [](const CommandResult& linked) {
            return json::object{{"device_jid", linked.value}};
          });
}

void Handlers::unlink(const Call& call) {
  const auto read = [&]() -> ApiResult<std::string> {
    WA_TRY(const json::object body, read_object(call.request.body, {"device_jid"}));
    return required_text(body, "device_jid");
  };
  const auto jid = read();
  if (!jid) return refuse(call.reply, jid.error());
  command(call, Unlink{call.parameter("id"), *jid}, 200, [jid = *jid](const CommandResult&) {
    return json::object{{"device_jid", jid}};
  });
}

void Handlers::send_message(const Call& call) {
  const auto body = read_json(call.request.body);
  if (!body) return refuse(call.reply, body.error());
  if (!body->is_object()) {
    return refuse(call.reply, Problem{400, "wrong_type", "the body is not an object",
                                      "e.g. {\"to\": \"15550100002\", \"text\": \"hello\"}"});
  }
  auto send = SendMessage::parse(call.parameter("id"), body->get_object());
  if (!send) {
    Problem problem = to_problem(send.error(), "bad_message");
    problem.hint = "docs/guides/control-api.md shows messages";
    return refuse(call.reply, problem);
  }
  command(call, std::move(*send), 201, [](const CommandResult& sent) {
    return json::object{{"id", sent.value}};
  });
}

void Handlers::list_messages(const Call& call) {
  const std::string& id = call.parameter("id");
  const std::deque<PhoneMessage>* messages = call.tenant.messages(id);
  if (messages == nullptr) return refuse(call.reply, unknown_phone(call, id));
  json::array list;
  for (const PhoneMessage& message : *messages) {
    // What the account's devices tell each other is in /events.
    if (!message.peer) list.push_back(to_json(message));
  }
  answer(call.reply, json::object{{"messages", std::move(list)}});
}

void Handlers::read_messages(const Call& call) {
  const auto read = [&]() -> ApiResult<ReadMessages> {
    WA_TRY(const json::object body, read_object(call.request.body, {"ids"}));
    const json::value* ids = body.if_contains("ids");
    if (ids == nullptr || !ids->is_array()) {
      return Problem{400, "missing_member", "\"ids\" takes a list of message ids", ""};
    }
    ReadMessages messages{call.parameter("id"), {}};
    for (const json::value& id : ids->get_array()) {
      if (!id.is_string()) {
        return Problem{400, "wrong_type", "\"ids\" has an item that is no text", ""};
      }
      messages.ids.emplace_back(id.get_string());
    }
    return messages;
  };
  auto messages = read();
  if (!messages) return refuse(call.reply, messages.error());
  command(call, std::move(*messages), 200, [](const CommandResult&) { return json::object{}; });
}

// ---- connections and faults ------------------------------------------------------------------

void Handlers::list_connections(const Call& call) {
  answer(call.reply, json::object{{"connections", to_json_list(call.tenant.connections())}});
}

void Handlers::close_connection(const Call& call) {
  const auto read = [&]() -> ApiResult<CloseConnection> {
    WA_TRY_VOID(check_query(call.request, {"how"}));
    CloseConnection close;
    const auto how = call.request.query.find("how");
    close.how = how == call.request.query.end() ? "fin" : how->second;
    const std::vector<std::string_view> ways = {"fin", "rst", "blackhole"};
    if (std::find(ways.begin(), ways.end(), close.how) == ways.end()) {
      return Problem{400, "bad_parameter",
                     "\"how\" takes fin, rst or blackhole, not \"" + close.how + "\"" +
                         did_you_mean(close.how, ways),
                     ""};
    }
    const std::string& id = call.parameter("id");
    for (const ConnectionInfo& connection : call.tenant.connections()) {
      if (std::to_string(connection.id) == id) close.connection = connection.id;
    }
    if (close.connection == 0) {
      return Problem{404, "unknown_connection", "there is no live connection \"" + id + "\"",
                     "GET /v1" + tenant_prefix(call.tenant_name) + "/connections lists them"};
    }
    return close;
  };
  const auto close = read();
  if (!close) return refuse(call.reply, close.error());
  command(call, *close, 200, [close = *close](const CommandResult&) {
    return json::object{{"id", close.connection}, {"how", close.how}};
  });
}

void Handlers::add_fault(const Call& call) {
  const auto body = read_json(call.request.body);
  if (!body) return refuse(call.reply, body.error());
  auto record = FaultRecord::parse(*body);
  if (!record) {
    Problem problem = to_problem(record.error(), "bad_fault");
    problem.hint = "docs/guides/control-api.md shows records";
    return refuse(call.reply, problem);
  }
  command(call, AddFault{std::move(*record)}, 201,
          [&tenant = call.tenant](const CommandResult& added) {
            const FaultEngine::Active* fault = tenant.faults().find(added.value);
            return fault ? to_json(*fault) : json::object{{"id", added.value}};
          });
}

void Handlers::list_faults(const Call& call) {
  answer(call.reply, json::object{{"faults", to_json_list(call.tenant.faults().records())}});
}

void Handlers::remove_fault(const Call& call) {
  const std::string& id = call.parameter("id");
  command(call, RemoveFault{id}, 200, [id](const CommandResult&) {
    return json::object{{"id", id}};
  });
}

void Handlers::fire_fault(const Call& call) {
  change_fault(call, FireFault{call.parameter("id")});
}

void Handlers::heal_fault(const Call& call) {
  change_fault(call, HealFault{call.parameter("id")});
}

/// Answers with the record as it is afterwards.
void Handlers::change_fault(const Call& call, const Command& change) {
  const auto body = read_object(call.request.body, {});
  if (!body) return refuse(call.reply, body.error());
  const std::string& id = call.parameter("id");
  command(call, change, 200, [&tenant = call.tenant, id](const CommandResult&) {
    const FaultEngine::Active* fault = tenant.faults().find(id);
    return fault ? to_json(*fault) : json::object{{"id", id}};
  });
}

// ---- what is to be seen ----------------------------------------------------------------------

void Handlers::events(const Call& call) {
  const auto& headers = call.request.headers;
  const auto accept = headers.find("accept");
  const bool as_json =
      accept != headers.end() && accept->second.find("application/json") != std::string::npos;
  const auto read = [&]() -> ApiResult<EventFeed::Poll> {
    EventFeed::Poll poll;
    std::vector<std::string_view> known = {"from", "kind", "device"};
    if (as_json) known.insert(known.end(), {"limit", "within"});
    if (auto checked = check_query(call.request, known); !checked) {
      Problem problem = checked.error();
      if (!as_json &&
          (call.request.query.contains("limit") || call.request.query.contains("within"))) {
        problem.hint = "limit and within need the header Accept: application/json";
      }
      return problem;
    }
    WA_TRY(poll.query, EventQuery::parse(call.request, call.tenant_name));
    const auto within = call.request.query.find("within");
    if (within != call.request.query.end()) {
      const auto duration = parse_duration(within->second);
      if (!duration) return to_problem(duration.error(), "bad_parameter");
      poll.within = *duration;
    }
    const std::uint64_t otherwise = poll.within ? 1 : MockHost::kLogSize;
    WA_TRY(const std::uint64_t limit,
           number_in_query(call.request, "limit", otherwise, MockHost::kLogSize));
    poll.limit = static_cast<std::size_t>(limit);
    return poll;
  };
  auto poll = read();
  if (!poll) return refuse(call.reply, poll.error());
  if (as_json) return feed_.poll(std::move(*poll), call.reply);
  // A browser's EventSource says after a lost connection what it saw last.
  if (headers.contains("last-event-id") && !call.request.query.contains("from")) {
    net::HttpRequest resumed;
    resumed.query["from"] = headers.at("last-event-id");
    const auto last = number_in_query(resumed, "from", 0, 1ull << 62);
    if (last) poll->query.from = *last + 1;
  }
  feed_.stream(std::move(poll->query), call.reply);
}

void Handlers::violations(const Call& call) {
  answer(call.reply, json::object{{"violations", to_json_list(call.tenant.violations())}});
}

void Handlers::coverage(const Call& call) {
  answer(call.reply, json::object{{"coverage", to_json_list(call.tenant.coverage())}});
}

void Handlers::metrics(const net::HttpReply& reply) {
  net::HttpResponse response;
  response.content_type = "text/plain; version=0.0.4";
  response.body = metrics_text(host_);
  reply.send(std::move(response));
}

// ---- tenants ---------------------------------------------------------------------------------

void Handlers::reset(const Call& call) {
  const auto body = read_object(call.request.body, {});
  if (!body) return refuse(call.reply, body.error());
  command(call, Reset{}, 200, [name = call.tenant_name](const CommandResult&) {
    return json::object{{"tenant", name}};
  });
}

ApiResult<Settings> Handlers::read_settings(const json::object& body) {
  WA_TRY(std::string profile, optional_text(body, "profile"));
  if (profile.empty()) profile = options_.profile;
  auto settings = Settings::profile(profile);
  if (!settings) return to_problem(settings.error(), "bad_setting");
  const json::value* set = body.if_contains("set");
  if (set == nullptr) return std::move(*settings);
  if (!set->is_object()) {
    return Problem{400, "wrong_type",
                   "\"set\" takes an object such as {\"refs.count\":6}, not " +
                       std::string(json::to_string(set->kind())),
                   ""};
  }
  for (const auto& member : set->get_object()) {
    const json::value& value = member.value();
    const std::string text =
        value.is_string() ? std::string(value.get_string()) : json::serialize(value);
    const auto done = settings->set(member.key(), text);
    if (!done) return to_problem(done.error(), "bad_setting");
  }
  return std::move(*settings);
}

void Handlers::add_tenant(const net::HttpRequest& request, const net::HttpReply& reply) {
  const std::string& name = request.parameters.at("tenant");
  const auto body = read_object(request.body, {"profile", "set"});
  if (!body) return refuse(reply, body.error());
  auto settings = read_settings(*body);
  if (!settings) return refuse(reply, settings.error());
  const auto added = host_.add_tenant(name, std::move(*settings));
  if (!added) {
    if (added.error().code == Errc::too_large) {
      return refuse(reply, Problem{429, "too_many_tenants", added.error().detail,
                                   "POST /v1/t/TENANT/reset empties one for another use"});
    }
    const bool exists = added.error().code == Errc::conflict;
    Problem problem = to_problem(added.error(), exists ? "tenant_exists" : "bad_tenant_name");
    if (exists) problem.hint = "POST /v1/t/" + name + "/reset empties it; its settings stay";
    return refuse(reply, problem);
  }
  const auto profile = optional_text(*body, "profile");
  if (profile && !profile->empty()) profiles_[name] = *profile;
  reply.send(to_response(201, info(name)));
}

void Handlers::stop() {
  feed_.stop();
  camera_.stop();
}

}  // namespace wa::mock::control
