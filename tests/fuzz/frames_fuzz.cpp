// A client's byte stream at the mock: header, frames, handshake, stanzas, whatever the cuts.
//
// Input: which server (a key, a policy for IK), its certificate chain, then what arrives, one chunk
// at a time.
#include "engine/protocol/wire/frame_splitter.hpp"
#include "mockserver/core/connection.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/vector_keys.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wa;
  static const fuzz::RecordedKeys keys;
  fuzz::Input input(data, size);

  fuzz::Repeating random = keys.server_ephemeral;
  const std::uint8_t server = input.number();
  mock::Connection connection(keys.server_static[server % 2], to_bytes(input.chunk()), random,
                              static_cast<noise::IkPolicy>(server / 2 % 3));
  wire::FrameSplitter splitter(std::size_t{1} << 16);
  bool splitting = true;
  while (!input.empty()) {
    const ByteSpan bytes = input.chunk();
    for (const auto& output : connection.receive(bytes)) {
      if (const auto* received = std::get_if<mock::Connection::NodeReceived>(&output)) {
        (void)wire::to_xml(received->frame.root());
      }
    }
    if (!splitting) continue;
    splitter.feed(bytes);
    for (bool more = true; more && splitting;) {
      const auto frame = splitter.next();
      splitting = frame.has_value();
      more = splitting && frame->has_value();
    }
  }
  return 0;
}
