// Handshake messages and certificates, at both ends.
#include "engine/base/random.hpp"
#include "engine/protocol/noise/certificate.hpp"
#include "engine/protocol/noise/handshake.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace wa;

struct Keys {
  SeededRandom random{1, "fuzz"};
  crypto::KeyPair root = crypto::KeyPair::generate(random);
  crypto::KeyPair server = crypto::KeyPair::generate(random);
  crypto::KeyPair client = crypto::KeyPair::generate(random);
};

void server_end(const Keys& keys, fuzz::Input& input) {
  SeededRandom random(1, "server");
  const auto policy = static_cast<noise::IkPolicy>(input.number() % 3);
  noise::Responder responder(noise::prologue(3), keys.server, random, policy);
  const auto hello = responder.on_client_hello(input.chunk(), Bytes(200));
  if (!hello) return;
  if (hello->client) {
    (void)responder.split();
  } else if (responder.on_client_finish(input.chunk())) {
    (void)responder.split();
  }
}

void client_end(const Keys& keys, fuzz::Input& input) {
  SeededRandom random(1, "client");
  noise::Initiator initiator(noise::prologue(3), keys.client, random);
  (void)initiator.client_hello();
  const auto answer = initiator.on_server_hello(input.chunk());
  if (!answer) return;
  (void)noise::verify_chain(answer->certificate_chain, keys.root.public_key, answer->server_static,
                            UnixMillis{1'767'225'600'000});
  (void)initiator.client_finish(input.chunk());
}

void transport(fuzz::Input& input) {
  noise::TransportCipher cipher(ByteArray<32>{});
  while (!input.empty()) {
    if (!cipher.open(input.chunk())) return;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keys keys;
  fuzz::Input input(data, size);
  switch (input.number() % 4) {
    case 0: server_end(keys, input); break;
    case 1: client_end(keys, input); break;
    case 2:
      (void)noise::verify_chain(input.rest(), keys.root.public_key, keys.server.public_key,
                                UnixMillis{1'767'225'600'000});
      break;
    default: transport(input); break;
  }
  return 0;
}
