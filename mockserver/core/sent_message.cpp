#include "mockserver/core/sent_message.hpp"

#include <algorithm>
#include <set>

#include "engine/base/limits.hpp"
#include "mockserver/core/legible.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

/// Children that only tell the server something.
constexpr std::string_view kForTheServer[] = {"participants", "device-identity", "enc", "tctoken",
                                              "cstoken"};
constexpr std::string_view kEncTypes[] = {"pkmsg", "msg", "skmsg", "msmsg", "frskmsg"};

template <std::size_t N>
bool is_one_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

/// Whether an `<enc>` is of a session's first messages, which need a device identity.
bool is_pkmsg(const Node& enc) {
  return enc.attr("type") == "pkmsg";
}

/// Notes a flaw; of a hostile message's thousands the first few do.
void blame(SentMessage& message, std::string_view rule, std::string detail) {
  constexpr std::size_t kMostFlaws = 8;
  if (message.flaws.size() < kMostFlaws) message.flaws.push_back({rule, std::move(detail)});
}

/// What one reader gets of a message: its own encs and those for all, and what is handed on.
Result<void> check_size(const std::vector<const Node*>& own, const SentMessage& message) {
  std::size_t bytes = message.device_identity == nullptr ? 0 : bytes_of(*message.device_identity);
  for (const auto* nodes : {&own, &message.encs, &message.passed_on}) {
    for (const Node* node : *nodes) bytes += bytes_of(*node);
  }
  if (own.size() > limits::kMaxEncPerMessage) {
    return Error{Errc::too_large, std::to_string(own.size()) + " <enc> for one device"};
  }
  if (bytes > limits::kMaxPassedOnBytes) {
    return Error{Errc::too_large, std::to_string(bytes) + " bytes for one device"};
  }
  return {};
}

/// False, and a flaw, for an `<enc>` that nobody could read.
bool is_readable(const Node& enc, SentMessage& message) {
  std::string wrong;
  if (enc.attr("v") != "2") {
    wrong = "v \"" + enc.printed("v") + "\", expected \"2\"";
  } else if (!is_one_of(enc.attr("type"), kEncTypes)) {
    wrong = "type \"" + enc.printed("type") + "\"";
  } else if (enc.bytes().empty()) {
    wrong = "<enc> is empty";
  } else {
    return true;
  }
  blame(message, "enc-shape", std::move(wrong));
  return false;
}

void read_copies(const Node& participants, SentMessage& message) {
  std::set<Jid> seen;
  for (const Node& to : participants.children()) {
    const auto jid = to.jid("jid");
    if (to.tag != "to" || !jid) {
      blame(message, "message-shape", "<participants> has a child that is no <to jid>");
      continue;
    }
    SentMessage::Copy copy{*jid, {}};
    for (const Node& enc : to.children()) {
      if (enc.tag == "enc" && is_readable(enc, message)) copy.encs.push_back(&enc);
    }
    // Without one it only names a reader: of a status, for example.
    if (copy.encs.empty()) continue;
    if (!seen.insert(*jid).second) {
      blame(message, "message-shape", jid->to_string() + " stands there twice");
      continue;
    }
    message.copies.push_back(std::move(copy));
  }
}

}  // namespace

std::size_t bytes_of(const Node& node) {
  constexpr std::size_t kPerNode = 64;
  constexpr std::size_t kPerAttribute = 48;
  std::size_t bytes = kPerNode + node.tag.size();
  for (const auto& attribute : node.attributes) {
    bytes += kPerAttribute + node.printed(attribute.key).size();
  }
  bytes += node.bytes().size();
  for (const Node& child : node.children()) bytes += bytes_of(child);
  return bytes;
}

Result<SentMessage> take_apart(const Node& node) {
  SentMessage message;
  message.id = node.attr("id");
  const auto to = node.jid("to");
  if (message.id.empty()) return Error{Errc::malformed, "a message without id"};
  if (!is_word(message.id)) return Error{Errc::malformed, "an id that is no text, or endless"};
  if (!to || to->user.empty()) {
    return Error{Errc::malformed, "to \"" + node.printed("to") + "\" is nobody's JID"};
  }
  message.to = *to;
  message.participant = node.jid("participant");
  message.recipient = node.jid("recipient");
  message.peer = node.attr("category") == "peer";
  message.phash = node.attr("phash");
  message.addressing_mode = node.attr("addressing_mode");
  for (const Node& child : node.children()) {
    if (child.tag == "enc") {
      if (is_readable(child, message)) message.encs.push_back(&child);
    } else if (child.tag == "participants") {
      read_copies(child, message);
    } else if (child.tag == "device-identity") {
      message.device_identity = &child;
    } else if (!is_one_of(child.tag, kForTheServer)) {
      message.passed_on.push_back(&child);
    }
  }
  if (message.encs.empty() && message.copies.empty()) {
    return Error{Errc::malformed, "a message without an <enc> that can be read"};
  }
  if (message.passed_on.size() > limits::kMaxPassedOnChildren) {
    return Error{Errc::too_large, std::to_string(message.passed_on.size()) + " children"};
  }
  WA_TRY_VOID(check_size({}, message));
  if (message.encs.size() > limits::kMaxEncPerMessage) {
    return Error{Errc::too_large, std::to_string(message.encs.size()) + " <enc> for all"};
  }
  for (const SentMessage::Copy& copy : message.copies) {
    WA_TRY_VOID(check_size(copy.encs, message));
  }
  if (node.attr("type").empty()) blame(message, "message-shape", "a message without type");
  const auto has_pkmsg = [](const std::vector<const Node*>& encs) {
    return std::any_of(encs.begin(), encs.end(), [](const Node* enc) { return is_pkmsg(*enc); });
  };
  const bool needs_identity =
      has_pkmsg(message.encs) ||
      std::any_of(message.copies.begin(), message.copies.end(),
                  [&](const SentMessage::Copy& copy) { return has_pkmsg(copy.encs); });
  if (needs_identity && message.device_identity == nullptr) {
    blame(message, "message-identity", "a pkmsg without <device-identity>");
  }
  return message;
}

void add_contents(NodeBuilder& stanza, const std::vector<const Node*>& encs,
                  const SentMessage& message) {
  bool pkmsg = false;
  for (const Node* enc : encs) {
    pkmsg = pkmsg || is_pkmsg(*enc);
    stanza.child(NodeBuilder::copy_of(*enc));
  }
  if (pkmsg && message.device_identity != nullptr) {
    stanza.child(NodeBuilder::copy_of(*message.device_identity));
  }
  for (const Node* child : message.passed_on) stanza.child(NodeBuilder::copy_of(*child));
}

}  // namespace wa::mock
