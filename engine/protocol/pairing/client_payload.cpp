#include "engine/protocol/pairing/client_payload.hpp"

#include <charconv>

#include <limits>

#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"

namespace wa::pairing {
namespace {

constexpr std::uint32_t kPlatformWeb = 14;
constexpr std::uint32_t kReleaseChannelRelease = 0;
constexpr std::uint32_t kWebBrowser = 0;
constexpr std::uint32_t kWifiUnknown = 1;
constexpr std::uint32_t kUserActivated = 1;
constexpr std::byte kSignalKeyType{5};
constexpr std::uint32_t kStorageQuotaMb = 10'240;

/// What registration and login have in common, as web clients fill it in.
schema::ClientPayload common_payload(const AppVersion& version) {
  schema::ClientPayload payload;
  auto& agent = *payload.mutable_user_agent();
  agent.set_platform(kPlatformWeb);
  agent.mutable_app_version()->set_primary(version[0]);
  agent.mutable_app_version()->set_secondary(version[1]);
  agent.mutable_app_version()->set_tertiary(version[2]);
  agent.set_mcc("000");
  agent.set_mnc("000");
  agent.set_os_version("0.1");
  agent.set_device("Desktop");
  agent.set_os_build_number("0.1");
  agent.set_release_channel(kReleaseChannelRelease);
  agent.set_locale_language_iso6391("en");
  agent.set_locale_country_iso31661_alpha2("US");
  payload.mutable_web_info()->set_web_sub_platform(kWebBrowser);
  payload.set_connect_type(kWifiUnknown);
  payload.set_connect_reason(kUserActivated);
  return payload;
}

Bytes device_props(const Registration& registration) {
  schema::DeviceProps props;
  props.set_os(registration.os);
  // The version of an operating system long gone: every web client says this one.
  props.mutable_version()->set_primary(10);
  props.mutable_version()->set_secondary(15);
  props.mutable_version()->set_tertiary(7);
  props.set_platform_type(registration.platform_type);
  props.set_require_full_sync(registration.require_full_sync);
  auto& history = *props.mutable_history_sync_config();
  history.set_storage_quota_mb(kStorageQuotaMb);
  history.set_inline_initial_payload_in_e2ee_msg(true);
  history.set_support_call_log_history(false);
  history.set_support_bot_user_agent_chat_history(true);
  history.set_support_cag_reactions_and_polls(true);
  history.set_support_biz_hosted_msg(true);
  history.set_support_recent_sync_chunk_message_count_tuning(true);
  history.set_support_hosted_group_msg(true);
  history.set_support_fbid_bot_chat_history(true);
  history.set_support_message_association(true);
  history.set_support_group_history(false);
  return schema::serialize(props);
}

Bytes signed_pre_key_message(const crypto::PublicKey& key) {
  return concat(std::array{kSignalKeyType}, key);
}

Result<AppVersion> parse_version(const schema::ClientPayload& payload) {
  if (!payload.user_agent().has_app_version()) {
    return Error{Errc::malformed, "client payload: userAgent.appVersion: missing"};
  }
  const auto& version = payload.user_agent().app_version();
  return AppVersion{version.primary(), version.secondary(), version.tertiary()};
}

Result<Registration> parse_registration(const schema::ClientPayload& payload) {
  const auto& data = payload.device_pairing_data();
  Registration registration;
  WA_TRY(registration.version, parse_version(payload));
  WA_TRY(const auto registration_id, fixed<4>(as_bytes(data.e_regid()), "eRegid"));
  registration.registration_id = static_cast<std::uint32_t>(read_big_endian(registration_id));
  if (!equal(as_bytes(data.e_keytype()), std::array{kSignalKeyType})) {
    return Error{Errc::malformed, "eKeytype: expected the byte 05"};
  }
  WA_TRY(registration.identity, crypto::PublicKey::from(as_bytes(data.e_ident()), "eIdent"));
  WA_TRY(const auto key_id, fixed<3>(as_bytes(data.e_skey_id()), "eSkeyId"));
  registration.signed_pre_key_id = static_cast<std::uint32_t>(read_big_endian(key_id));
  WA_TRY(registration.signed_pre_key,
         crypto::PublicKey::from(as_bytes(data.e_skey_val()), "eSkeyVal"));
  WA_TRY(registration.signed_pre_key_signature, fixed<64>(as_bytes(data.e_skey_sig()), "eSkeySig"));
  WA_TRY([[maybe_unused]] const auto build_hash,
         fixed<16>(as_bytes(data.build_hash()), "buildHash"));
  if (!data.has_device_props()) return Error{Errc::malformed, "deviceProps: missing"};
  WA_TRY(const auto props,
         schema::parse<schema::DeviceProps>(as_bytes(data.device_props()), "deviceProps"));
  registration.os = props.os();
  registration.platform_type = props.platform_type();
  registration.require_full_sync = props.require_full_sync();

  WA_TRY_VOID(crypto::verify(
      registration.identity, signed_pre_key_message(registration.signed_pre_key),
      registration.signed_pre_key_signature, "eSkeySig: signature of the signed pre-key"));
  return registration;
}

Result<Login> parse_login(const schema::ClientPayload& payload) {
  Login login;
  WA_TRY(login.version, parse_version(payload));
  login.username = payload.username();
  login.device = payload.device();
  login.passive = payload.passive();
  if (login.device > std::numeric_limits<std::uint16_t>::max()) {
    return Error{Errc::malformed, "device: above 65535"};
  }
  return login;
}

}  // namespace

std::string to_string(const AppVersion& version) {
  return std::to_string(version[0]) + "." + std::to_string(version[1]) + "." +
         std::to_string(version[2]);
}

Result<AppVersion> parse_app_version(std::string_view text) {
  AppVersion version{};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0; i < version.size(); ++i) {
    const auto [next, status] = std::from_chars(at, end, version[i]);
    const bool last = i + 1 == version.size();
    if (status != std::errc() || (last ? next != end : next == end || *next != '.')) {
      return Error{Errc::usage,
                   "version \"" + std::string(text) + "\" is not like 2.3000.1043857760"};
    }
    at = last ? next : next + 1;
  }
  return version;
}

Bytes encode_registration(const Registration& registration) {
  auto payload = common_payload(registration.version);
  payload.set_passive(false);
  payload.set_pull(false);
  auto& data = *payload.mutable_device_pairing_data();
  data.set_e_regid(schema::field(big_endian<4>(registration.registration_id)));
  data.set_e_keytype(schema::field(std::array{kSignalKeyType}));
  data.set_e_ident(schema::field(registration.identity));
  data.set_e_skey_id(schema::field(big_endian<3>(registration.signed_pre_key_id)));
  data.set_e_skey_val(schema::field(registration.signed_pre_key));
  data.set_e_skey_sig(schema::field(registration.signed_pre_key_signature));
  data.set_build_hash(schema::field(crypto::md5(as_bytes(to_string(registration.version)))));
  data.set_device_props(schema::field(device_props(registration)));
  return schema::serialize(payload);
}

Bytes encode_login(const Login& login) {
  auto payload = common_payload(login.version);
  payload.set_username(login.username);
  payload.set_passive(login.passive);
  payload.set_pull(true);
  if (login.device != 0) payload.set_device(login.device);
  payload.set_lid_db_migrated(false);
  return schema::serialize(payload);
}

Result<std::variant<Registration, Login>> parse_client_payload(ByteSpan payload) {
  WA_TRY(const auto message, schema::parse<schema::ClientPayload>(payload, "client payload"));
  // A payload with both is a registration: so do servers decide.
  if (message.has_device_pairing_data()) {
    WA_TRY(auto registration, parse_registration(message));
    return std::variant<Registration, Login>(std::move(registration));
  }
  if (message.has_username()) {
    WA_TRY(auto login, parse_login(message));
    return std::variant<Registration, Login>(std::move(login));
  }
  return Error{Errc::malformed, "client payload: neither devicePairingData nor username"};
}

}  // namespace wa::pairing
