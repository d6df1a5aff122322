#pragma once

#include <string>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/random.hpp"

namespace wa::mock {

/// Whom a phone knows.
struct KnownPerson {
  std::string jid;
  std::string lid;
  std::string name;  ///< may be empty
};

/// The first and only chunk of a phone's past, without conversations: a HistorySync of type
/// INITIAL_BOOTSTRAP, zlib. Source: docs/protocol/messages.md, "History".
Bytes initial_history(const std::vector<KnownPerson>& known);

/// A file as it lies on a media host, and what its readers need to know.
struct MediaFile {
  Bytes key;         ///< 32 bytes, drawn
  Bytes sealed;      ///< AES-256-CBC, then 10 bytes of HMAC
  Bytes sha256;      ///< of the plaintext
  Bytes enc_sha256;  ///< of `sealed`
};
/// `info` names the kind of file: "WhatsApp History Keys".
/// Source: docs/protocol/messages.md, "History".
MediaFile seal_media(ByteSpan plaintext, std::string_view info, Random& random);

}  // namespace wa::mock
