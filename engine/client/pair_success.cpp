#include "engine/client/pair_success.hpp"

#include "engine/protocol/pairing/device_identity.hpp"

namespace wa::client {

Result<PairSuccess> accept_pair_success(const wire::Node& pair_success,
                                        const Credentials& credentials, Random& random) {
  PairSuccess success;
  const auto* device = pair_success.child("device");
  const auto jid = device ? device->jid("jid") : std::nullopt;
  if (!jid) return Error{Errc::malformed, "pair-success: no device with a jid"};
  WA_TRY([[maybe_unused]] const auto username, login_username(*jid));
  success.account.jid = *jid;
  if (const auto lid = device->jid("lid")) success.account.lid = *lid;
  if (const auto* platform = pair_success.child("platform")) {
    success.account.platform = platform->printed("name");
  }
  if (const auto* business = pair_success.child("biz")) {
    success.account.push_name = business->printed("name");
  }

  const auto* identity = pair_success.child("device-identity");
  if (!identity) return Error{Errc::malformed, "pair-success: no device-identity"};
  WA_TRY(auto accepted, pairing::accept_device_identity(identity->bytes(), credentials.identity,
                                                        credentials.adv_secret, random));
  success.account.account_key = accepted.account_key;
  success.account.account_signature = accepted.account_signature;
  success.account.signed_identity = std::move(accepted.signed_identity);
  success.key_index = accepted.key_index;
  success.signed_reply = std::move(accepted.reply);
  return success;
}

wire::NodeBuilder pair_device_sign(std::string_view iq_id, const PairSuccess& success) {
  return wire::NodeBuilder("iq")
      .attr("to", wire::Jid::server_itself())
      .attr("type", "result")
      .attr("id", std::string(iq_id))
      .child(wire::NodeBuilder("pair-device-sign")
                 .child(wire::NodeBuilder("device-identity")
                            .attr("key-index", success.key_index)
                            .bytes(success.signed_reply)));
}

PairRefusal refusal_for(const Error& error) {
  if (error.code != Errc::auth_failed) return {500, "internal-error", "malformed_pair_success"};
  if (error.detail.starts_with("hmac")) return {401, "hmac-mismatch", "hmac_mismatch"};
  return {401, "signature-mismatch", "signature_mismatch"};
}

wire::NodeBuilder refuse_pair_success(std::string_view iq_id, const PairRefusal& refusal) {
  return wire::NodeBuilder("iq")
      .attr("to", wire::Jid::server_itself())
      .attr("type", "error")
      .attr("id", std::string(iq_id))
      .child(wire::NodeBuilder("error")
                 .attr("code", refusal.code)
                 .attr("text", std::string(refusal.text)));
}

}  // namespace wa::client
