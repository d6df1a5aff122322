// The client's machine, unpaired and paired, against a server that sends it anything at all, well
// sealed or not, and ends streams in the middle. It must never end the process, and never be
// without a way on.
#include "engine/client/test_server.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wa;
  using namespace wa::client;
  fuzz::Input input(data, size);
  Config config = test::World::default_config();
  config.initial_prekeys = 1;
  test::World world(config);
  world.keep_actions = false;
  if (input.number() % 2 == 0) {
    world.start();
  } else {
    world.pair();
  }
  for (int step = 0; step < 40 && !input.empty(); ++step) {
    switch (input.number() % 8) {
      case 0:
      case 1:
      case 2:
        if (world.server && world.server->established() && world.open_socket) {
          world.send_bytes(world.server->seal_plaintext(input.chunk()));
        }
        break;
      case 3:
        if (world.open_socket) world.send_bytes(to_bytes(input.chunk()));
        break;
      case 4:
        if (world.open_socket) world.close_from_server();
        break;
      case 5: world.advance(std::chrono::milliseconds(100) * input.number()); break;
      case 6:
        switch (input.number() % 4) {
          case 0: world.step(StartRequested{}); break;
          case 1: world.step(StopRequested{}); break;
          case 2: world.step(LogoutRequested{}); break;
          default: world.step(DeleteRequested{}); break;
        }
        break;
      default: world.step(BytesReceived{input.number(), to_bytes(input.chunk())}); break;
    }
  }
  // Whatever happened: stopped it is quiet, and started it does something.
  world.step(StopRequested{});
  world.advance(std::chrono::minutes(2));
  WA_ASSERT(!world.session.next_deadline());
  return 0;
}
