#include "engine/base/overloaded.hpp"
#include "engine/runtime/clock.hpp"
#include "scenarios/cli/engine_devices.hpp"
#include "scenarios/stage/wishes.hpp"

/// What devices of a client under test say and hear.
namespace wa::cli {

namespace json = boost::json;

namespace {

constexpr const char* kNotRunning = "the device does not run: start it first";

std::string_view code_for(const Error& error) {
  return error.code == Errc::not_found ? "not_found" : "bad_request";
}

}  // namespace

void EngineDevices::send(Device& device, const json::object& command, const Request& request) {
  if (!device.shell) return error(request, "not_running", kNotRunning);
  json::object message = command;
  for (const char* name : {"cmd", "ref", "device"}) message.erase(name);
  auto wanted = device.correspondence.send(message, device.shown.jid, runtime::read_clocks().wall);
  if (!wanted) return error(request, code_for(wanted.error()), wanted.error().detail);

  const std::uint64_t ref = ++last_send_;
  wanted->ref = ref;
  device.sends.emplace(ref, Sending{request, *wanted});
  device.shell->send(std::move(*wanted), [this, &device, ref, request](Result<void> result) {
    if (result) return;  // on_event answers
    device.sends.erase(ref);
    error(request, "not_running", result.error().detail);
  });
}

void EngineDevices::read(Device& device, const json::object& command, const Request& request) {
  if (!device.shell) return error(request, "not_running", kNotRunning);
  const json::value* chat = command.if_contains("chat");
  const json::value* ids = command.if_contains("ids");
  if (!chat || !chat->is_string() || !ids || !ids->is_array()) {
    return error(request, "bad_request", "read takes a chat (a JID) and ids (a list)");
  }
  std::vector<std::string> named;
  for (const json::value& id : ids->get_array()) {
    if (!id.is_string())
      return error(request, "bad_request", "ids holds something else than texts");
    named.emplace_back(id.get_string());
  }
  auto wanted = device.correspondence.read(std::string_view(chat->get_string()), named);
  if (!wanted) return error(request, code_for(wanted.error()), wanted.error().detail);
  for (client::ReadRequested& one : *wanted) device.shell->read(std::move(one), {});
  done(request);
}

void EngineDevices::trust(Device& device, const json::object& command, const Request& request) {
  if (!device.shell) return error(request, "not_running", kNotRunning);
  const json::value* account = command.if_contains("account");
  const auto jid = account && account->is_string()
                       ? wire::Jid::parse(std::string_view(account->get_string()))
                       : Error{Errc::usage, "trust takes an account (a JID)"};
  if (!jid) return error(request, "bad_request", jid.error().detail);
  device.shell->trust({*jid}, {});
  done(request);
}

void EngineDevices::wish(Device& device, std::string_view cmd, const json::object& command,
                         const Request& request) {
  if (!device.shell) return error(request, "not_running", kNotRunning);
  auto wish = stage::wish_of(cmd, command);
  if (!wish) return error(request, code_for(wish.error()), wish.error().detail);
  if (auto* group = std::get_if<client::GroupRequested>(&*wish)) {
    const std::uint64_t ref = group->ref = ++last_send_;
    device.group_wishes.emplace(ref, request);
    device.shell->change_group(std::move(*group), [this, &device, ref, request](auto result) {
      if (result) return;  // on_event answers
      device.group_wishes.erase(ref);
      error(request, "not_running", result.error().detail);
    });
    return;
  }
  const auto show = Overloaded{
      [](client::GroupRequested&) {},
      [&](auto& one) { device.shell->show(std::move(one), answer(request)); },
  };
  std::visit(show, *wish);
}

bool EngineDevices::answer_wish(Device& device, std::uint64_t ref,
                                const messaging::AppEvent::What& what) {
  auto answer = stage::group_answer(what);
  const auto found =
      answer ? device.group_wishes.extract(ref) : decltype(device.group_wishes)::node_type();
  if (!found) return false;
  if (answer->code.empty()) {
    done(found.mapped(), std::move(answer->done));
  } else {
    error(found.mapped(), answer->code, answer->text);
  }
  return true;
}

void EngineDevices::on_event(Device& device, const messaging::AppEvent& event, Now now) {
  device.correspondence.note(event);
  const bool answers = event.ref && (answer_send(device, *event.ref, event.what) ||
                                     answer_wish(device, *event.ref, event.what));
  if (!answers) {
    const auto name = device.name.empty() ? std::nullopt : std::optional(device.name);
    for (stage::Entry& entry : stage::entries_of(event, now.mono)) {
      emit(entry.kind, name, std::move(entry.data), entry.at);
    }
  }
  // The line is on its way, and whoever reads it is the application.
  if (event.seq != 0) device.shell->taken(event.seq);
}

/// Whether the event is the answer to a `send`, and not what became of it later.
bool EngineDevices::answer_send(Device& device, std::uint64_t ref,
                                const messaging::AppEvent::What& what) {
  const auto found = device.sends.find(ref);
  if (found == device.sends.end()) return false;
  const auto* accepted = std::get_if<messaging::SendAccepted>(&what);
  const auto* failed = std::get_if<messaging::SendFailed>(&what);
  if (!accepted && !failed) return false;
  const Sending sending = std::move(found->second);
  device.sends.erase(found);
  if (accepted) {
    device.correspondence.said(accepted->id, sending.message);
    done(sending.request, {{"id", accepted->id}});
  } else {
    error(sending.request, failed->reason, "the device cannot send");
  }
  return true;
}

}  // namespace wa::cli
