#include "engine/client/pre_key_upload.hpp"

namespace wa::client {
namespace {

constexpr std::array kSignalKeyType{std::byte{5}};

wire::Node leaf(std::string_view tag, ByteSpan bytes) {
  return {tag, {}, bytes};
}

wire::Node branch(std::string_view tag, std::span<const wire::Node> children) {
  return {tag, {}, children};
}

}  // namespace

PreKeyUpload::PreKeyUpload(std::string_view iq_id, const Credentials& credentials,
                           std::span<const OfferedKey> keys)
    : registration_id_(big_endian<4>(credentials.registration_id)),
      signed_id_(big_endian<3>(credentials.signed_pre_key.id)),
      ids_(keys.size()),
      fields_(2 * keys.size()),
      keys_(keys.size()) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ids_[i] = big_endian<3>(keys[i].id);
    fields_[2 * i] = leaf("id", ids_[i]);
    fields_[2 * i + 1] = leaf("value", keys[i].key);
    keys_[i] = branch("key", std::span(fields_).subspan(2 * i, 2));
  }
  const auto& signed_pre_key = credentials.signed_pre_key;
  signed_fields_ = {leaf("id", signed_id_), leaf("value", signed_pre_key.key.public_key),
                    leaf("signature", signed_pre_key.signature)};
  children_ = {leaf("registration", registration_id_), leaf("type", kSignalKeyType),
               leaf("identity", credentials.identity.public_key), branch("list", keys_),
               branch("skey", signed_fields_)};
  attributes_ = {{{"xmlns", "encrypt"},
                  {"type", "set"},
                  {"to", wire::JidView{.user = {}, .server = wire::kServerPn}},
                  {"id", iq_id}}};
}

}  // namespace wa::client
