#include "engine/protocol/signal/phash.hpp"

#include <algorithm>
#include <vector>

#include "engine/protocol/crypto/hash.hpp"

namespace wa::signal {

std::string participant_hash(std::span<const wire::Jid> devices) {
  std::vector<std::string> texts;
  texts.reserve(devices.size());
  for (const auto& jid : devices) {
    texts.push_back(jid.user + ".0:" + std::to_string(jid.device) + "@" + jid.server);
  }
  std::sort(texts.begin(), texts.end());
  std::string joined;
  for (const auto& text : texts) joined += text;
  return "2:" + to_base64(ByteSpan(crypto::sha256(as_bytes(joined))).first(6));
}

}  // namespace wa::signal
