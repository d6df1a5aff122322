#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"

/// What people and devices say to each other: the protobuf inside the encryption, as values.
///
/// Source: docs/protocol/messages.md, "Content" (vectors: tests/vectors/proto-messages.json).
namespace wa::message {

/// Names another message. JIDs are text, in the form that its author used.
struct Key {
  std::string chat = {};  ///< remoteJid
  bool from_me = false;
  std::string id = {};
  std::string participant = {};  ///< its author, in groups
  bool operator==(const Key&) const = default;
};

/// The message that a text answers.
struct Quote {
  std::string id = {};
  std::string author = {};
  std::string text = {};  ///< of the quoted message, when that was a text
  bool operator==(const Quote&) const = default;
};

struct Text {
  std::string text = {};
  std::optional<Quote> quote = {};
  std::vector<std::string> mentions = {};
  /// Written as extendedTextMessage, also without a quote or mentions.
  bool extended = false;
  bool operator==(const Text&) const = default;
};
struct Reaction {
  Key to;
  std::string emoji;  ///< empty: taken back
  UnixMillis at{};
  bool operator==(const Reaction&) const = default;
};
struct Edit {
  Key of;
  std::string text = {};
  UnixMillis at{};
  bool operator==(const Edit&) const = default;
};
struct Revoke {
  Key of;
  bool operator==(const Revoke&) const = default;
};
struct Contact {
  std::string name;
  std::string vcard;
  bool operator==(const Contact&) const = default;
};
struct Location {
  double latitude = 0;
  double longitude = 0;
  std::string name = {};
  std::string address = {};
  bool operator==(const Location&) const = default;
};

// Between the devices of one account.

/// The phone gives a companion keys of its app state.
struct AppStateKeys {
  struct One {
    Bytes id;
    Bytes data;  ///< 32 bytes
    std::uint32_t raw_id = 0;
    std::uint32_t current_index = 0;
    std::vector<std::uint32_t> device_indexes = {};
    UnixMillis at{};
    bool operator==(const One&) const = default;
  };
  std::vector<One> keys;
  bool operator==(const AppStateKeys&) const = default;
};
struct AppStateKeysWanted {
  std::vector<Bytes> ids;
  bool operator==(const AppStateKeysWanted&) const = default;
};
/// The phone announces a chunk of the past: inline, or to be downloaded.
struct HistoryNotice {
  enum class Type : std::uint32_t {
    initial_bootstrap = 0,
    initial_status = 1,
    full = 2,
    recent = 3,
    push_name = 4,
    non_blocking_data = 5,
    on_demand = 6
  };
  Type type = Type::initial_bootstrap;
  std::uint32_t chunk_order = 0;
  std::uint32_t progress = 0;  ///< percent
  Bytes inline_payload = {};   ///< zlib; empty: a download, described by what follows
  std::string direct_path = {};
  Bytes media_key = {};
  Bytes file_sha256 = {};
  Bytes file_enc_sha256 = {};
  std::uint64_t file_bytes = 0;
  bool operator==(const HistoryNotice&) const = default;
};

/// Any other kind: the protobuf as it came. Empty: the message said nothing.
struct Other {
  Bytes protobuf;
  bool operator==(const Other&) const = default;
};

using Content = std::variant<Text, Reaction, Edit, Revoke, Contact, Location, AppStateKeys,
                             AppStateKeysWanted, HistoryNotice, Other>;

/// The stable word of a kind: text, reaction, edit, revoke, contact, location, app_state_keys,
/// app_state_keys_wanted, history_notice, other.
std::string_view kind_of(const Content& content);

/// A sender key that travels with a message.
struct KeyDistribution {
  std::string group;
  Bytes distribution;  ///< with its version byte
  bool operator==(const KeyDistribution&) const = default;
};

/// A message with what was wrapped around it.
struct Envelope {
  Content content;
  std::optional<KeyDistribution> sender_key = {};
  /// A copy for the author's own devices of what went to this chat.
  std::optional<std::string> sent_to = {};
  Bytes secret = {};  ///< messageSecret, 32 bytes or none
  bool operator==(const Envelope&) const = default;
};

/// The protobuf, not padded.
Bytes encode(const Envelope& envelope);

/// Unwraps what is ephemeral, seen once, edited, or sent by a device of one's own. A distribution
/// may be all that a message holds: its content is then an empty Other.
/// Errors: `malformed`; `too_large` (wrapped too often).
Result<Envelope> decode(ByteSpan protobuf);

/// The attributes by which a stanza says what is inside. Empty ones are left out.
struct StanzaWords {
  std::string_view type = "text";  ///< text, reaction, media
  std::string_view media = {};     ///< `mediatype` of `<enc>`
  std::string_view edit = {};      ///< 1: an edit, 7: a revoke of one's own
  bool hide_failure = false;       ///< decrypt-fail=hide: no placeholder if it cannot be read
};
StanzaWords stanza_words(const Content& content);

}  // namespace wa::message
