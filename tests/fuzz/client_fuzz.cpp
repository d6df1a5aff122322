// The client's machine, unpaired and paired, against a server that sends it anything at all, well
// sealed or not, and ends streams in the middle. It must never end the process, and never be
// without a way on.
//
// Input: odd: paired; then steps: what happens, and its bytes.
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
  bool code_asked = false;  // it costs a key derivation, milliseconds
  for (int step = 0; step < 40 && !input.empty(); ++step) {
    switch (input.number() % 12) {
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
      case 7:
        if (world.open_socket && world.server->established() && world.status().qr) world.scan();
        break;
      case 8: {
        const std::uint8_t switches = input.number();
        world.behaviour.answer_hello = (switches & 1) == 0;
        world.behaviour.valid_chain = (switches & 2) == 0;
        world.behaviour.send_success = (switches & 4) == 0;
        world.behaviour.answer_pings = (switches & 8) == 0;
        world.behaviour.answer_iqs = (switches & 16) == 0;
        world.behaviour.restart_after_sign = (switches & 32) == 0;
        world.behaviour.on_dial = static_cast<test::World::OnDial>((switches >> 6) % 3);
        break;
      }
      case 9:
        if (!code_asked) world.step(PairingCodeRequested{std::string(as_text(input.chunk()))});
        code_asked = true;
        break;
      case 10: world.advance(std::chrono::minutes(1) * (input.number() % 4)); break;  // pings cost
      default: world.step(BytesReceived{input.number(), to_bytes(input.chunk())}); break;
    }
  }
  // Whatever happened: stopped it is quiet, and started it does something.
  world.step(StopRequested{});
  world.advance(std::chrono::minutes(2));
  WA_ASSERT(!world.session.next_deadline());
  return 0;
}
