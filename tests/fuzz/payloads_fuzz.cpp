// Everything that is parsed from one piece of bytes or text: protobuf payloads, stored records, QR
// text, fault records, plans, settings. What parses must be the same after it was written and read
// again.
#include <boost/json/parse.hpp>

#include "engine/base/random.hpp"
#include "engine/client/stored.hpp"
#include "engine/protocol/pairing/client_payload.hpp"
#include "engine/protocol/pairing/device_identity.hpp"
#include "engine/protocol/pairing/qr_text.hpp"
#include "mockserver/core/settings.hpp"
#include "mockserver/core/tenant.hpp"
#include "scenarios/stage/plan.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace wa;

void credentials(ByteSpan bytes) {
  const auto read = client::Credentials::decode(bytes);
  if (!read) return;
  const auto again = client::Credentials::decode(read->encode());
  WA_ASSERT(again && *again == *read);
}

void plan(ByteSpan bytes) {
  const auto read = stage::Plan::parse(as_text(bytes));
  if (!read) return;
  const auto again = stage::Plan::parse(read->to_text());
  WA_ASSERT(again && again->to_text() == read->to_text());
  (void)stage::to_lua(*read);
}

void fault(ByteSpan bytes) {
  boost::system::error_code failure;
  const auto json = boost::json::parse(as_text(bytes), failure);
  if (!failure) (void)mock::FaultRecord::parse(json);
}

void setting(fuzz::Input& input) {
  mock::Settings settings;
  const ByteSpan key = input.chunk();
  (void)settings.set(as_text(key), as_text(input.rest()));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SeededRandom random(1, "fuzz");
  static const crypto::KeyPair keys = crypto::KeyPair::generate(random);
  fuzz::Input input(data, size);
  switch (input.number() % 9) {
    case 0: (void)pairing::parse_client_payload(input.rest()); break;
    case 1: (void)pairing::accept_device_identity(input.rest(), keys, {}, random); break;
    case 2: {
      const ByteSpan reply = input.chunk();
      (void)pairing::verify_device_signature(reply, input.rest(), keys.public_key);
      break;
    }
    case 3: (void)pairing::parse_qr_text(as_text(input.rest())); break;
    case 4: credentials(input.rest()); break;
    case 5: plan(input.rest()); break;
    case 6: fault(input.rest()); break;
    case 7: setting(input); break;
    default: (void)pairing::read_key_index_list(input.rest(), keys.public_key); break;
  }
  return 0;
}
