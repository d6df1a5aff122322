#include "mockserver/control/documents.hpp"

#include <boost/json/array.hpp>

namespace wa::mock::control {
namespace {

std::string_view source_of(std::string_view rule) {
  for (const ViolationRule& known : violation_rules()) {
    if (known.id == rule) return known.source;
  }
  return {};
}

std::string actor_of(const TenantEvent& event) {
  if (!event.device.empty()) return event.device;
  if (event.connection != 0) return "connection " + std::to_string(event.connection);
  return "server";
}

}  // namespace

boost::json::object to_json(const CompanionInfo& companion) {
  return {{"device_jid", companion.device_jid},
          {"label", companion.label},
          {"platform", companion.platform},
          {"online", companion.online},
          {"prekeys", companion.prekeys}};
}

boost::json::object to_json(const PhoneInfo& phone) {
  return {{"id", phone.id},   {"number", phone.number}, {"name", phone.name},
          {"jid", phone.jid}, {"lid", phone.lid},       {"devices", to_json_list(phone.devices)}};
}

boost::json::object to_json(const PhoneMessage& message) {
  boost::json::object document = {{"id", message.id},        {"from_me", message.from_me},
                                  {"chat", message.chat},    {"from", message.from},
                                  {"kind", message.kind},    {"text", message.text},
                                  {"t_ms", message.at.value}};
  if (!message.about.empty()) document["about"] = message.about;
  if (message.failures != 0) {
    document["why"] = message.why;
    document["failures"] = message.failures;
  }
  if (!message.error.empty()) document["error"] = message.error;
  boost::json::object receipts;
  for (const auto& [device, word] : message.receipts) {
    receipts[device.empty() ? "server" : device] = word;
  }
  if (!receipts.empty()) document["receipts"] = std::move(receipts);
  return document;
}

boost::json::object to_json(const ConnectionInfo& connection) {
  return {{"id", connection.id},
          {"label", connection.label},
          {"device_jid", connection.device_jid},
          {"phase", connection.phase},
          {"remote", connection.remote},
          {"frames_in", connection.frames_in},
          {"frames_out", connection.frames_out},
          {"dictionary", connection.dictionary}};
}

boost::json::object to_json(const Violation& violation) {
  return {{"rule", violation.rule},     {"source", source_of(violation.rule)},
          {"device", violation.device}, {"connection", violation.connection},
          {"detail", violation.detail}, {"stanza", violation.stanza}};
}

boost::json::object to_json(const CoverageRow& row) {
  return {{"stanza", row.stanza}, {"route", row.route}, {"count", row.count}};
}

boost::json::object to_json(const FaultEngine::Active& fault) {
  boost::json::object document = mock::to_json(fault.record);
  document["matches"] = fault.matches;
  document["fired"] = fault.fired;
  document["active"] = fault.active();
  document["healed"] = fault.healed;
  return document;
}

boost::json::object to_json(const LoggedEvent& logged) {
  boost::json::object data;
  for (const auto& [name, value] : logged.event.data) data[name] = value;
  return {{"seq", logged.seq},
          {"t_ms", logged.t_ms},
          {"tenant", logged.tenant},
          {"actor", actor_of(logged.event)},
          {"kind", to_string(logged.event.kind)},
          {"data", std::move(data)}};
}

}  // namespace wa::mock::control
