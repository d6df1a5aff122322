#include "engine/protocol/signal/bundle.hpp"

#include "engine/protocol/signal/messages.hpp"

namespace wa::signal {

Outcome<void> verify(const PreKeyBundle& bundle) {
  if (auto verified = crypto::verify(bundle.identity, typed(bundle.signed_pre_key),
                                     bundle.signed_pre_key_signature, "signed pre-key");
      !verified) {
    return Refusal{Failure::bad_signature, std::move(verified).error().detail};
  }
  return {};
}

crypto::Signature sign_pre_key(const crypto::KeyPair& identity,
                               const crypto::PublicKey& signed_pre_key, Random& random) {
  return crypto::sign(identity, typed(signed_pre_key), random);
}

}  // namespace wa::signal
