#include "mockserver/core/server_keys.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace wa::mock {
namespace {

Result<crypto::KeyPair> key_pair_at(const boost::json::object& object, std::string_view key) {
  const auto* text = object.if_contains(key);
  if (text == nullptr || !text->is_string()) {
    return Error{Errc::malformed, "server keys: \"" + std::string(key) + "\" is missing"};
  }
  WA_TRY(const Bytes raw, from_hex(std::string_view(text->get_string())));
  WA_TRY(const crypto::PrivateKey private_key, crypto::PrivateKey::from(raw, key));
  return crypto::KeyPair{private_key, crypto::public_key_of(private_key)};
}

}  // namespace

ServerKeys ServerKeys::generate(Random& random) {
  ServerKeys keys;
  keys.root = crypto::generate_key_pair(random);
  keys.intermediate = crypto::generate_key_pair(random);
  keys.noise_static = crypto::generate_key_pair(random);
  return keys;
}

std::string ServerKeys::save() const {
  boost::json::object object;
  object["root"] = to_hex(root.private_key.bytes);
  object["intermediate"] = to_hex(intermediate.private_key.bytes);
  object["noise_static"] = to_hex(noise_static.private_key.bytes);
  return boost::json::serialize(object);
}

Result<ServerKeys> ServerKeys::load(std::string_view json) {
  boost::system::error_code failure;
  const auto parsed = boost::json::parse(json, failure);
  if (failure || !parsed.is_object()) {
    return Error{Errc::malformed, "server keys: not a JSON object"};
  }
  ServerKeys keys;
  WA_TRY(keys.root, key_pair_at(parsed.get_object(), "root"));
  WA_TRY(keys.intermediate, key_pair_at(parsed.get_object(), "intermediate"));
  WA_TRY(keys.noise_static, key_pair_at(parsed.get_object(), "noise_static"));
  return keys;
}

}  // namespace wa::mock
