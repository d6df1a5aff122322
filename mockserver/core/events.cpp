#include "mockserver/core/events.hpp"

namespace wa::mock {

std::string_view to_string(EventKind kind) {
  switch (kind) {
    case EventKind::connected: return "connected";
    case EventKind::handshake: return "handshake";
    case EventKind::registration: return "registration";
    case EventKind::pair_device: return "pair_device";
    case EventKind::scan: return "scan";
    case EventKind::link_code: return "link_code";
    case EventKind::pair_success: return "pair_success";
    case EventKind::pair_sign: return "pair_sign";
    case EventKind::login: return "login";
    case EventKind::success: return "success";
    case EventKind::active: return "active";
    case EventKind::stanza_in: return "stanza_in";
    case EventKind::stanza_out: return "stanza_out";
    case EventKind::closed: return "closed";
    case EventKind::unlink: return "unlink";
    case EventKind::fault: return "fault";
    case EventKind::violation: return "violation";
    case EventKind::message: return "message";
    case EventKind::healed: return "healed";
  }
  return "unknown";
}

const std::vector<ViolationRule>& violation_rules() {
  static const std::vector<ViolationRule> rules = {
      {"header",
       "the stream begins with WA, 6 and dictionary 2 or 3, after an optional routing prefix",
       "transport.md, Header"},
      {"frame", "frames are 1 to 2^24 - 1 bytes, before login at most 64 KiB",
       "transport.md, Frames"},
      {"handshake", "ClientHello and ClientFinish are well-formed and authentic",
       "transport.md, Noise XX"},
      {"decrypt", "every transport frame authenticates with the next counter",
       "transport.md, Noise XX"},
      {"key-reused", "no two handshakes share an ephemeral key, no two connections a transport key",
       "transport.md, Noise XX"},
      {"node", "every plaintext is exactly one node within the limits", "nodes.md, Limits"},
      {"client-payload", "the client payload has all its fields", "transport.md, ClientPayload"},
      {"signed-prekey-signature",
       "the signed pre-key is signed by the identity key over 05 and the key",
       "transport.md, ClientPayload"},
      {"iq-without-id", "an iq has an id and a type of get, set, result or error",
       "connection.md, IQ"},
      {"unexpected-result", "results and errors answer an iq the server sent", "connection.md, IQ"},
      {"device-identity", "pair-device-sign carries the issued details and account signature",
       "pairing.md, Device identity"},
      {"device-signature", "pair-device-sign carries a valid device signature",
       "pairing.md, Device identity"},
      {"key-index", "pair-device-sign repeats the issued key index", "pairing.md, Device identity"},
      {"link-code",
       "companion_hello and companion_finish carry every field in its size, and the connection's "
       "keys",
       "pairing.md, Pairing code"},
      {"before-login", "an unpaired client sends only pairing stanzas, pings and results",
       "connection.md, Login"},
      {"prekey-upload",
       "an upload carries registration, type 05, identity, a list and a signed key",
       "connection.md, Pre-keys"},
      {"prekey-identity", "an upload names the identity the device was paired with",
       "connection.md, Pre-keys"},
      {"prekey-reused", "a one-time pre-key id is not uploaded with another key",
       "connection.md, Pre-keys"},
      {"bundle-query", "a query for key bundles names devices", "routing.md, Bundles"},
      {"ack-unknown", "an ack names a stanza that wants one", "connection.md, Acks"},
      {"ack-shape", "an ack repeats class, id, type and participant as its family asks",
       "connection.md, Acks"},
      {"offline-batch", "offline_batch says how much of what waited is wanted at a time",
       "connection.md, Acks"},
      {"message-shape",
       "a message has id, type, recipient and something encrypted, once per device",
       "routing.md, Sending"},
      {"message-recipient", "a message goes to somebody there is, a peer message to the own phone",
       "routing.md, Sending"},
      {"message-participants", "its copies go to devices of the recipient and of the sender",
       "routing.md, Sending"},
      {"message-identity", "a message that begins a session carries the device identity",
       "routing.md, Sending"},
      {"enc-shape", "an enc has v=2, a known type and contents", "routing.md, Sending"},
      {"stanza-size", "what goes to another device is at most 1 MiB", "routing.md, Sending"},
      {"receipt-shape", "a receipt has an id, a retry its count and the registration id",
       "routing.md, Receipts"},
      {"presence-shape", "presence is available, unavailable, or subscribes to somebody",
       "routing.md, Presence"},
      {"chatstate-shape", "a chat state is one of composing and paused, and says to whom",
       "routing.md, Presence"},
  };
  return rules;
}

}  // namespace wa::mock
