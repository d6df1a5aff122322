// Binary nodes: what decodes must mean the same after it was encoded and decoded again, and then
// stay as it is to the byte.
//
// Input: the dictionary, then a frame's plaintext.
#include <algorithm>

#include "engine/protocol/wire/node_codec.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace wa;

std::string printed(const wire::Value& value) {
  const auto* jid = std::get_if<wire::JidView>(&value);
  return jid ? jid->to_string() : std::string(std::get<std::string_view>(value));
}

/// Text of which the encoder makes neither a token nor packed digits comes back as bytes.
bool same(const wire::Node& left, const wire::Node& right) {
  const auto same_attribute = [](const wire::Attribute& a, const wire::Attribute& b) {
    return a.key == b.key && a.value.index() == b.value.index() &&
           printed(a.value) == printed(b.value);
  };
  return left.tag == right.tag &&
         std::ranges::equal(left.attributes, right.attributes, same_attribute) &&
         equal(left.bytes(), right.bytes()) &&
         std::ranges::equal(left.children(), right.children(), same);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto dictionary = input.number() % 2 == 0 ? wire::Dictionary::v3 : wire::Dictionary::v2;
  const auto frame = wire::decode(to_bytes(input.rest()), dictionary);
  if (!frame) return 0;
  (void)wire::to_xml(frame->root());
  Bytes encoded;
  wire::encode(frame->root(), dictionary, encoded);
  const auto again = wire::decode(Bytes(encoded), dictionary);
  WA_ASSERT(again);
  WA_ASSERT(same(frame->root(), again->root()));
  Bytes encoded_again;
  wire::encode(again->root(), dictionary, encoded_again);
  WA_ASSERT(encoded_again == encoded);
  return 0;
}
