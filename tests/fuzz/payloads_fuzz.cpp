// Everything that is parsed from one piece of bytes or text: protobuf payloads, stored records, QR
// text, pairing codes, fault records, plans, settings, captures, what proxies answer. What parses
// must be the same after it was written and read again.
//
// Input: which of them (the rows of kParsers), then its bytes.
#include <array>
#include <boost/json/parse.hpp>

#include "engine/base/random.hpp"
#include "engine/client/records.hpp"
#include "engine/client/stored.hpp"
#include "engine/net/proxy.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/pairing/device_identity.hpp"
#include "engine/protocol/pairing/pairing_code.hpp"
#include "engine/protocol/pairing/qr_text.hpp"
#include "mockserver/core/fault_record.hpp"
#include "mockserver/core/settings.hpp"
#include "scenarios/cli/decoding.hpp"
#include "scenarios/stage/plan.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/vector_keys.hpp"

namespace {

using namespace wa;

// The companion identity of the first case in tests/vectors/adv-pairing.json, and its secret.
const crypto::KeyPair& identity() {
  static const auto key =
      fuzz::key_pair("508e3ce0e884fae51884d410e7183e4f9a21dc39c24a0fc4aee2f1601d53ea6e");
  return key;
}
const ByteArray<32>& adv_secret() {
  static const auto secret =
      fuzz::private_key("20350f7f317b020f23bc17421d94c7c6660c452f14bd67004ec5b0cbfd12941a");
  return secret.bytes;
}

void client_payload(fuzz::Input& input) {
  (void)pairing::parse_client_payload(input.rest());
}

void device_identity(fuzz::Input& input) {
  SeededRandom random(1, "fuzz");
  (void)pairing::accept_device_identity(input.rest(), identity(), adv_secret(), random);
}

void device_signature(fuzz::Input& input) {
  const ByteSpan reply = input.chunk();
  (void)pairing::verify_device_signature(reply, input.rest(), identity().public_key);
}

void key_index_list(fuzz::Input& input) {
  (void)pairing::read_key_index_list(input.rest(), identity().public_key);
}

void qr_text(fuzz::Input& input) {
  const auto read = pairing::parse_qr_text(as_text(input.rest()));
  if (!read) return;
  const auto again = pairing::parse_qr_text(pairing::format_qr_text(*read));
  WA_ASSERT(again && *again == *read);
}

/// What a person types, and what the two sides send each other.
void pairing_code(fuzz::Input& input) {
  // The pairs of tests/vectors/pairing-code.json.
  static const auto companion_ephemeral =
      fuzz::key_pair("60ec28775cc578a85604958702d0d25e6dc32f6dae1c7583a294ab6badd92b57");
  static const auto primary_ephemeral =
      fuzz::key_pair("70604664b49191c35d5f8c90924671cbbf97c9b5b428206f3fab3889c2a79f48");
  static const auto companion_identity =
      fuzz::key_pair("582fb1691f81438f145ebaa5b8419c038d214da12caa7a9a2daace7a4502d260");
  static const auto primary_identity =
      fuzz::key_pair("78680cdef660f865e0baed86b30b7ea4eb740f3c44861e5b24e7859282d37b6a");
  switch (input.number() % 5) {
    case 0: {
      const auto code = pairing::parse_pairing_code(as_text(input.rest()));
      if (!code) return;
      WA_ASSERT(code->size() == pairing::kPairingCodeChars);
      const auto again = pairing::parse_pairing_code(pairing::print_pairing_code(*code));
      WA_ASSERT(again && *again == *code);
      return;
    }
    case 1: {
      const auto number = pairing::parse_phone_number(as_text(input.rest()));
      if (!number) return;
      const auto again = pairing::parse_phone_number(*number);
      WA_ASSERT(again && *again == *number);
      return;
    }
    case 2: {
      const ByteSpan bytes = input.rest();
      const auto wrapped = pairing::WrappedEphemeral::parse(bytes);
      if (!wrapped) return;
      WA_ASSERT(equal(wrapped->encode(), bytes));
      (void)pairing::unwrap_ephemeral(*wrapped, {});
      return;
    }
    case 3:
      (void)pairing::accept_link(primary_ephemeral, primary_identity,
                                 companion_ephemeral.public_key, companion_identity.public_key,
                                 input.rest());
      return;
    default: {
      SeededRandom random(1, "fuzz");
      const auto ephemeral = crypto::PublicKey::from(input.chunk(), "fuzz");
      const auto identity_key = crypto::PublicKey::from(input.chunk(), "fuzz");
      if (!ephemeral || !identity_key) return;
      (void)pairing::finish_link(companion_ephemeral, companion_identity, *ephemeral, *identity_key,
                                 random);
    }
  }
}

/// Records of a device: kind, then bytes, which get their digest here.
void stored(fuzz::Input& input) {
  static constexpr std::array kKinds{client::kCredentialsKind, client::kLastCloseKind,
                                     client::kTombstoneKind, client::kQuarantineKind,
                                     client::kPreKeyKind};
  client::StoredRecords records;
  for (int key = 0; key < 8 && !input.empty(); ++key) {
    const std::uint8_t kind = input.number();
    Bytes record = to_bytes(input.chunk());
    if (kind < 128) record = client::seal_record(std::move(record));
    records[std::string(kKinds[kind % kKinds.size()])][key < 5 ? "self" : std::to_string(key)] =
        std::move(record);
  }
  const auto read = client::Stored::read(records);
  if (!read) return;
  (void)read->last_attempt_id();
  if (read->credentials) {
    const auto again = client::Credentials::decode(read->credentials->encode());
    WA_ASSERT(again && *again == *read->credentials);
  }
  if (read->last_close) {
    const auto again = client::FinalClose::decode(read->last_close->put().bytes);
    WA_ASSERT(again && *again == *read->last_close);
  }
  for (const client::Tombstone& tombstone : read->tombstones) {
    const auto again = client::Tombstone::decode(tombstone.put().bytes);
    WA_ASSERT(again && *again == tombstone);
  }
}

void plan(fuzz::Input& input) {
  const auto read = stage::Plan::parse(as_text(input.rest()));
  if (!read) return;
  const auto again = stage::Plan::parse(read->to_text());
  WA_ASSERT(again && again->to_text() == read->to_text());
  (void)stage::to_lua(*read);
}

void fault(fuzz::Input& input) {
  boost::system::error_code failure;
  const auto json = boost::json::parse(as_text(input.rest()), failure);
  if (failure) return;
  const auto read = mock::FaultRecord::parse(json);
  if (!read) return;
  const auto again = mock::FaultRecord::parse(mock::to_json(*read));
  WA_ASSERT(again && *again == *read);
  (void)read->scaled(0.05);
}

void setting(fuzz::Input& input) {
  mock::Settings settings;
  const ByteSpan key = input.chunk();
  (void)settings.set(as_text(key), as_text(input.rest()));
}

void key_log(fuzz::Input& input) {
  (void)cli::parse_key_log(as_text(input.rest()));
}

void capture(fuzz::Input& input) {
  cli::DecodeContext context;
  if (input.number() % 2 == 1) context.dictionary = wire::Dictionary::v2;
  if (auto keys = cli::parse_key_log(as_text(input.chunk()))) context.keys = std::move(*keys);
  (void)cli::decode_lines(input.rest(), context);
}

void proxy(fuzz::Input& input) {
  const auto read = net::Proxy::parse(as_text(input.chunk()));
  if (!read) return;
  const auto handshake =
      net::ProxyHandshake::begin(*read, std::string(as_text(input.chunk())), 443);
  if (!handshake) return;
  (void)(*handshake)->request();
  while (!input.empty() && !(*handshake)->done() && !(*handshake)->failure()) {
    (void)(*handshake)->feed(input.chunk());
  }
}

constexpr std::array kParsers{client_payload, device_identity, device_signature, key_index_list,
                              qr_text,        pairing_code,    stored,           plan,
                              fault,          setting,         key_log,          capture,
                              proxy};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  kParsers[input.number() % kParsers.size()](input);
  return 0;
}
