// The mock's tenant with a client that sends anything, before and after the handshake and the
// login, and with people and faults that interfere.
//
// Input: how far the client is (upgrade, registration, login), then steps: what happens, and its
// bytes.
#include <boost/json/parse.hpp>

#include "mockserver/core/test_client.hpp"
#include "tests/fuzz/input.hpp"

namespace {

void add_fault(wa::mock::test::Bench& bench, wa::ByteSpan text) {
  boost::system::error_code failure;
  const auto json = boost::json::parse(wa::as_text(text), failure);
  if (failure) return;
  if (auto record = wa::mock::FaultRecord::parse(json)) {
    (void)bench.command(wa::mock::AddFault{std::move(*record)});
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wa;
  using namespace wa::mock;
  fuzz::Input input(data, size);
  test::Bench bench;
  const test::DeviceKeys keys(bench.random());
  test::TestClient client(bench, keys);
  const int begin = input.number() % 3;
  if (begin == 0) {
    bench.step(client.id, UpgradeRequested{std::string(as_text(input.chunk())), "fuzz"});
  } else if (begin == 1) {
    client.register_device();
  } else {
    const test::Linked linked = test::link_device(bench, keys);
    client.log_in(linked.phone, linked.device);
  }
  bool code_entered = false;  // it costs a key derivation, milliseconds
  for (int step = 0; step < 40 && !input.empty(); ++step) {
    switch (input.number() % 9) {
      case 0:
      case 1:
      case 2:
        if (begin != 0) client.send_raw(client.seal(input.chunk()));
        break;
      case 3: client.send_raw(input.chunk()); break;
      case 4: bench.advance(std::chrono::milliseconds(100) * input.number()); break;
      case 5: add_fault(bench, input.chunk()); break;
      case 6:
        if (!code_entered) {
          (void)bench.command(EnterPairingCode{"15550100001", std::string(as_text(input.chunk()))});
        }
        code_entered = true;
        break;
      case 7:
        (void)bench.command(Unlink{"15550100001", std::string(as_text(input.chunk()))});
        break;
      default: (void)bench.command(Scan{"15550100001", std::string(as_text(input.chunk()))}); break;
    }
  }
  client.disconnect();
  WA_ASSERT(bench.tenant.connections().empty() || begin == 2);
  return 0;
}
