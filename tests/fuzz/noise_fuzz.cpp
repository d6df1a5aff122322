// Handshake messages and certificates, at both ends.
#include "engine/protocol/noise/certificate.hpp"
#include "engine/protocol/noise/handshake.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/vector_keys.hpp"

namespace {

using namespace wa;

constexpr UnixMillis kNow{1'767'225'600'000};

void server_end(const fuzz::VectorKeys& keys, fuzz::Input& input) {
  fuzz::Repeating random = keys.server_ephemeral;
  const auto policy = static_cast<noise::IkPolicy>(input.number() % 3);
  noise::Responder responder(noise::prologue(3), keys.server_static, random, policy);
  const ByteSpan chain = input.chunk();
  const auto hello = responder.on_client_hello(input.chunk(), chain);
  if (!hello) return;
  if (hello->client || responder.on_client_finish(input.chunk())) (void)responder.split();
}

void client_end(const fuzz::VectorKeys& keys, fuzz::Input& input) {
  fuzz::Repeating random = keys.client_ephemeral;
  noise::Initiator initiator(noise::prologue(3), keys.client_static, random);
  if (input.number() % 2 == 0) {
    (void)initiator.client_hello();
  } else {
    (void)initiator.resume_hello(keys.server_static.public_key, input.chunk()).value();
  }
  const auto answer = initiator.on_server_hello(input.chunk());
  if (!answer) return;
  (void)noise::verify_chain(answer->certificate_chain, keys.cert_root.public_key,
                            answer->server_static, kNow);
  if (answer->pattern == noise::Pattern::ik || initiator.client_finish(input.chunk())) {
    (void)initiator.split();
  }
}

void transport(fuzz::Input& input) {
  // The key of tests/vectors/frames.json.
  static const auto key =
      fuzz::private_key("e2f3077551d4773acd7254179dea2b48f0ef3fb4193a6c0b5da227c4488b8370");
  noise::TransportCipher cipher(key.bytes);
  while (!input.empty()) {
    if (!cipher.open(input.chunk())) return;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::VectorKeys keys;
  fuzz::Input input(data, size);
  switch (input.number() % 4) {
    case 0: server_end(keys, input); break;
    case 1: client_end(keys, input); break;
    case 2:
      (void)noise::verify_chain(input.rest(), keys.cert_root.public_key,
                                keys.server_static.public_key, kNow);
      break;
    default: transport(input); break;
  }
  return 0;
}
