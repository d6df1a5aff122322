#include "mockserver/core/prekeys.hpp"

#include "engine/base/limits.hpp"

namespace wa::mock {
namespace {

template <class Map>
void drop_oldest(Map& keys, std::size_t most) {
  while (keys.size() > most) keys.erase(keys.begin());
}

}  // namespace

wire::NodeBuilder key_node(std::string tag, std::uint32_t id, const crypto::PublicKey& key) {
  return wire::NodeBuilder(std::move(tag))
      .child(wire::NodeBuilder("id").bytes(big_endian<3>(id)))
      .child(wire::NodeBuilder("value").bytes(key.bytes));
}

PreKeyStock::Upload PreKeyStock::add(std::uint32_t id, const crypto::PublicKey& key) {
  const auto given = handed_out_.find(id);
  if (given != handed_out_.end() && given->second == key) return Upload::handed_out;
  const auto [position, added] = offered_.emplace(id, key);
  if (!added && position->second == key) return Upload::known;
  position->second = key;
  return added && given == handed_out_.end() ? Upload::added : Upload::conflicting;
}

std::optional<OneTimeKey> PreKeyStock::take() {
  if (offered_.empty()) return std::nullopt;
  const auto first = offered_.begin();
  const OneTimeKey taken{first->first, first->second};
  offered_.erase(first);
  set_handed_out(taken.id, taken.key);
  return taken;
}

bool PreKeyStock::runs_low() const {
  return size() == 9 || size() == 4 || size() == 0;
}

void PreKeyStock::set_handed_out(std::uint32_t id, const crypto::PublicKey& key) {
  handed_out_.insert_or_assign(id, key);
  drop_oldest(handed_out_, limits::kMaxHandedOutKeys);
}

PhoneKeys PhoneKeys::make(const crypto::KeyPair& identity, Random& random) {
  PhoneKeys keys;
  // 14 bits, as clients choose it.
  keys.registration_id = static_cast<std::uint32_t>(random.below(0x3fff)) + 1;
  keys.signed_pre_key.id = 1;
  keys.signed_pre_key.key = crypto::generate_key_pair(random);
  const Bytes message =
      concat(ByteSpan(&kKeyType, 1), ByteSpan(keys.signed_pre_key.key.public_key.bytes));
  keys.signed_pre_key.signature = crypto::sign(identity, message, random);
  return keys;
}

OneTimeKey PhoneKeys::hand_out(Random& random) {
  const std::uint32_t id = next_one_time_id;
  next_one_time_id = id == kMaxPreKeyId ? 1 : id + 1;
  const crypto::KeyPair pair = crypto::generate_key_pair(random);
  one_time.insert_or_assign(id, pair);
  drop_oldest(one_time, limits::kMaxHandedOutKeys);
  return {id, pair.public_key};
}

DeviceBundle PhoneKeys::bundle(const crypto::PublicKey& identity, Random& random) {
  DeviceBundle bundle;
  bundle.registration_id = registration_id;
  bundle.identity = identity;
  bundle.signed_pre_key_id = signed_pre_key.id;
  bundle.signed_pre_key = signed_pre_key.key.public_key;
  bundle.signed_pre_key_signature = signed_pre_key.signature;
  bundle.one_time = hand_out(random);
  return bundle;
}

}  // namespace wa::mock
