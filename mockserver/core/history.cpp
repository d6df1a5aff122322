#include "mockserver/core/history.hpp"

#include <zlib.h>

#include "engine/protocol/crypto/aes.hpp"
#include "engine/protocol/crypto/hash.hpp"
#include "engine/protocol/schema/history.pb.h"
#include "engine/protocol/schema/serialize.hpp"

namespace wa::mock {
namespace {

constexpr std::size_t kMediaMacBytes = 10;

Bytes deflated(ByteSpan plain) {
  uLongf size = compressBound(static_cast<uLong>(plain.size()));
  Bytes out(size);
  const int status =
      compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                reinterpret_cast<const Bytef*>(plain.data()), static_cast<uLong>(plain.size()), 6);
  WA_ASSERT(status == Z_OK);
  out.resize(size);
  return out;
}

}  // namespace

Bytes initial_history(const std::vector<KnownPerson>& known) {
  schema::HistorySync history;
  history.set_sync_type(0);
  history.set_chunk_order(1);
  history.set_progress(100);
  for (const KnownPerson& person : known) {
    auto& mapping = *history.add_phone_number_to_lid_mappings();
    mapping.set_pn_jid(person.jid);
    mapping.set_lid_jid(person.lid);
    if (person.name.empty()) continue;
    auto& pushname = *history.add_pushnames();
    pushname.set_id(person.jid);
    pushname.set_pushname(person.name);
  }
  return deflated(schema::serialize(history));
}

MediaFile seal_media(ByteSpan plaintext, std::string_view info, Random& random) {
  const auto key = random.array<32>();
  const auto expanded = crypto::hkdf_sha256<112>(key, {}, as_bytes(info));
  ByteArray<16> iv;
  std::memcpy(iv.data(), expanded.data(), 16);
  ByteArray<32> cipher_key;
  std::memcpy(cipher_key.data(), expanded.data() + 16, 32);
  const ByteSpan mac_key = ByteSpan(expanded).subspan(48, 32);

  MediaFile file;
  file.key = to_bytes(key);
  file.sealed = crypto::aes_cbc_encrypt(cipher_key, iv, plaintext);
  const auto mac = crypto::hmac_sha256(mac_key, iv, file.sealed);
  append(file.sealed, ByteSpan(mac).first(kMediaMacBytes));
  file.sha256 = to_bytes(crypto::sha256(plaintext));
  file.enc_sha256 = to_bytes(crypto::sha256(file.sealed));
  return file;
}

}  // namespace wa::mock
