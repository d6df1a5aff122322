// What a user asks of the tenant: phones, unlinking, faults, reset.

#include "engine/base/overloaded.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {

void Tenant::Impl::answer(RequestId request, std::variant<CommandResult, Problem> result) {
  actions_.push_back({0, Answer{request, std::move(result)}});
}

void Tenant::Impl::on_command(RequestId request, const Command& command, Now now) {
  const auto rows = Overloaded{
      [&](const AddPhone& add) {
        const auto phone = accounts.add_phone(add.number, add.name, random);
        if (phone) {
          answer(request, CommandResult{(*phone)->id});
        } else {
          const bool taken = phone.error().code == Errc::conflict;
          answer(request, Problem{taken ? 409 : 422, taken ? "phone_exists" : "bad_number",
                                  phone.error().detail, "e.g. {\"number\": \"15550100001\"}"});
        }
      },
      [&](const Scan& asked) { scan(request, asked, now); },
      [&](const EnterPairingCode& entered) { enter_pairing_code(request, entered, now); },
      [&](const Unlink& asked) {
        const Phone* phone = accounts.find(asked.phone);
        if (phone == nullptr) {
          answer(request, Problem{404, "unknown_phone", "there is no phone " + asked.phone,
                                  "GET /v1/phones lists them"});
          return;
        }
        for (const auto& [device, companion] : phone->companions) {
          if (phone->jid(device).to_string() != asked.device_jid) continue;
          unlink(DeviceKey{phone->id, device}, "device_removed", now);
          answer(request, CommandResult{});
          return;
        }
        answer(request, Problem{404, "unknown_device",
                                "phone " + asked.phone + " has no device " + asked.device_jid,
                                "GET /v1/phones/" + phone->id + " lists its devices"});
      },
      [&](const CloseConnection& asked) { close_connection(request, asked, now); },
      [&](const AddFault& add) { add_fault(request, add, now); },
      [&](const RemoveFault& asked) {
        if (const auto removed = faults.remove(asked.id, now); !removed) {
          answer(request, Problem{404, "unknown_fault", removed.error().detail,
                                  "GET /v1/faults lists them"});
          return;
        }
        answer(request, CommandResult{});
      },
      [&](const FireFault& asked) { fire_fault(request, asked, now); },
      [&](const HealFault& asked) {
        if (const auto healed = faults.heal(asked.id, now); !healed) {
          answer(request,
                 Problem{404, "unknown_fault", healed.error().detail, "GET /v1/faults lists them"});
          return;
        }
        answer(request, CommandResult{asked.id});
      },
      [&](const SendMessage& send) { send_message(request, send, now); },
      [&](const ReadMessages& read) { read_messages(request, read, now); },
      [&](const CreateGroup& asked) { create_group(request, asked, now); },
      [&](const ChangeGroup& asked) { change_group(request, asked, now); },
      [&](const ShowPresence& shown) { show_presence(request, shown, now); },
      [&](const ShowTyping& shown) { show_typing(request, shown, now); },
      [&](const Reset&) {
        reset(now);
        answer(request, CommandResult{});
      },
  };
  std::visit(rows, command);
}

void Tenant::Impl::close_connection(RequestId request, const CloseConnection& asked, Now now) {
  Peer* peer = find(asked.connection);
  if (peer == nullptr) {
    answer(request, Problem{404, "unknown_connection",
                            "there is no connection " + std::to_string(asked.connection),
                            "GET /v1/connections lists them"});
    return;
  }
  if (asked.how != "fin" && asked.how != "rst" && asked.how != "blackhole" && !asked.how.empty()) {
    answer(request, Problem{422, "bad_how", "\"" + asked.how + "\" is no way to close a connection",
                            "how is fin, rst or blackhole"});
    return;
  }
  const CloseHow how = asked.how == "rst"         ? CloseHow::rst
                       : asked.how == "blackhole" ? CloseHow::blackhole
                                                  : CloseHow::fin;
  close(*peer, how, "closed by the operator", now);
  answer(request, CommandResult{});
}

void Tenant::Impl::add_fault(RequestId request, const AddFault& add, Now now) {
  if (add.record.is_host() && !options.host_faults) {
    answer(request,
           Problem{422, "needs_engine",
                   std::string(add.record.name()) + " happens to the client's host, and nobody "
                                                    "here can do that to it",
                   "play it in a scenario: testline run, with a client that has host_faults"});
    return;
  }
  if (add.record.when.on_state || std::holds_alternative<FailureFault>(add.record.kind)) {
    // States are followed only while there are records.
    for (const auto& [id, peer] : peers_) faults.seen(peer.subject(), now);
  }
  const auto id = faults.add(add.record, now);
  if (id) {
    answer(request, CommandResult{*id});
  } else {
    answer(request, Problem{409, "fault_exists", id.error().detail, "leave \"id\" out"});
  }
}

void Tenant::Impl::fire_fault(RequestId request, const FireFault& asked, Now now) {
  const FaultEngine::Active* active = faults.find(asked.id);
  const bool moment =
      active != nullptr && active->record.description().fault_class == FaultClass::moment;
  std::vector<ConnectionId> targets;
  if (moment && !active->record.is_host()) {
    for (const auto& [id, peer] : peers_) {
      if (active->record.where.matches(peer.subject())) targets.push_back(id);
    }
    if (targets.empty()) {
      answer(request, Problem{409, "no_match", "no live connection matches fault " + asked.id,
                              "GET /v1/connections shows labels and devices"});
      return;
    }
  }
  const Result<const FaultRecord*> fault = faults.fire(asked.id, now);
  if (!fault) {
    const bool missing = fault.error().code == Errc::not_found;
    const bool healed = !missing && active->healed;
    answer(request, Problem{missing ? 404 : 409,
                            missing  ? "unknown_fault"
                            : healed ? "fault_healed"
                                     : "budget_used",
                            fault.error().detail, "GET /v1/faults lists them"});
    return;
  }
  if (moment && (*fault)->is_host()) {
    carry_out({{FaultEngine::Due::What::perform, *fault, (*fault)->where.device}}, now);
  }
  for (const ConnectionId id : targets) {
    if (Peer* peer = find(id)) perform(**fault, *peer, now);
  }
  answer(request, CommandResult{asked.id});
}

void Tenant::Impl::reset(Now now) {
  while (!peers_.empty()) close(peers_.begin()->second, CloseHow::fin, "reset", now);
  refuse_early_codes(Instant::max());
  cut_links();
  accounts.clear();
  faults.clear();
  violations.clear();
  coverage_.clear();
  old_refs.clear();
  online_.clear();
  to_phones_.clear();
  sent_.clear();
  sent_order_.clear();
  presences.clear();
  groups.clear();
  media_.clear();
  media_order_.clear();
}

}  // namespace wa::mock
