// Binary nodes: what decodes must be the same after it was encoded and decoded again.
#include "engine/protocol/wire/node_codec.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wa;
  fuzz::Input input(data, size);
  const auto dictionary = input.number() % 2 == 0 ? wire::Dictionary::v3 : wire::Dictionary::v2;
  const auto frame = wire::decode(to_bytes(input.rest()), dictionary);
  if (!frame) return 0;
  Bytes encoded;
  wire::encode(frame->root(), dictionary, encoded);
  const auto again = wire::decode(std::move(encoded), dictionary);
  WA_ASSERT(again);
  WA_ASSERT(wire::to_xml(again->root()) == wire::to_xml(frame->root()));
  return 0;
}
