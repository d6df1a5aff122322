// Actions of the tenant as bytes, for trace hashes.

#include <boost/json/serialize.hpp>

#include "engine/base/overloaded.hpp"
#include "mockserver/core/tenant.hpp"

namespace wa::mock {
namespace {

void put(Bytes& out, std::uint64_t number) {
  append(out, big_endian<8>(number));
}

void put(Bytes& out, std::string_view text) {
  put(out, text.size());
  append(out, as_bytes(text));
}

void put(Bytes& out, ByteSpan bytes) {
  put(out, as_text(bytes));
}

}  // namespace

void append_canonical(const Action& action, Bytes& out) {
  if (std::holds_alternative<LogKeys>(action.what)) return;
  put(out, action.connection);
  put(out, action.what.index());
  const auto rows = Overloaded{
      [](const AcceptUpgrade&) {},
      [&](const RefuseUpgrade& refuse) {
        put(out, static_cast<std::uint64_t>(refuse.status));
        put(out, refuse.body);
      },
      [&](const SendBytes& send) { put(out, ByteSpan(send.bytes)); },
      [&](const CloseSocket& close) { put(out, static_cast<std::uint64_t>(close.how)); },
      [&](const Answer& answer) {
        put(out, answer.request);
        if (const auto* result = std::get_if<CommandResult>(&answer.result)) {
          put(out, result->value);
        } else {
          put(out, std::get<Problem>(answer.result).code);
        }
      },
      [&](const HostFaultSwitched& switched) {
        put(out, boost::json::serialize(to_json(switched.record)));
        put(out, switched.device);
        put(out, std::uint64_t{switched.on});
      },
      [&](const Compute& compute) {
        put(out, compute.job_id);
        const auto& derive = std::get<DeriveLinkKeys>(compute.job);
        put(out, derive.code);
        put(out, ByteSpan(derive.companion_salt));
        put(out, ByteSpan(derive.phone_salt));
      },
      [](const LogKeys&) {},
      [&](const Record& record) {
        put(out, static_cast<std::uint64_t>(record.event.kind));
        put(out, record.event.device);
        for (const auto& [name, value] : record.event.data) {
          put(out, name);
          put(out, value);
        }
      },
  };
  std::visit(rows, action.what);
}

}  // namespace wa::mock
