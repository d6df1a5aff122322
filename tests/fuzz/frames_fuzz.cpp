// A client's byte stream at the mock: header, frames, handshake, whatever the cuts.
#include "engine/base/random.hpp"
#include "engine/protocol/wire/frame_splitter.hpp"
#include "mockserver/core/connection.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wa;
  static SeededRandom keys(1, "fuzz");
  static const crypto::KeyPair server_static = crypto::KeyPair::generate(keys);
  fuzz::Input input(data, size);

  SeededRandom random(1, "connection");
  mock::Connection connection(server_static, Bytes(200), random);
  wire::FrameSplitter splitter(std::size_t{1} << 16);
  bool splitting = true;
  while (!input.empty()) {
    const ByteSpan bytes = input.chunk();
    (void)connection.receive(bytes);
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
