// Linking with a phone number: companions that show a code, phones on which it is typed.

#include <algorithm>

#include "mockserver/core/iq_routes.hpp"
#include "mockserver/core/tenant_impl.hpp"

namespace wa::mock {
namespace {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

constexpr char kRegistration[] = "link_code_companion_reg";
constexpr char kRef[] = "link_code_pairing_ref";
constexpr std::size_t kRefBytes = 24;
constexpr std::size_t kLongestDisplay = 128;
/// Some clients show a code before the server has heard of it, and tests type fast.
constexpr Duration kEarlyCode = 500ms;

/// "Browser (operating system)" as the server lets companions call themselves. Chosen: which ones
/// the real server knows is not known, but others get 400. docs/protocol/pairing.md, "Pairing code"
constexpr std::string_view kBrowsers[] = {"Chrome", "Edge",   "Firefox", "IE",
                                          "Opera",  "Safari", "Desktop"};
constexpr std::string_view kSystems[] = {"Windows", "Mac OS", "macOS",   "Ubuntu",
                                         "Debian",  "Fedora", "Linux",   "Chrome OS",
                                         "Android", "iOS",    "FreeBSD", "OpenBSD"};

bool is_accepted_display(std::string_view display) {
  const std::size_t space = display.find(" (");
  if (space == std::string_view::npos || !display.ends_with(')')) return false;
  const std::string_view browser = display.substr(0, space);
  const std::string_view system = display.substr(space + 2, display.size() - space - 3);
  return std::ranges::find(kBrowsers, browser) != std::end(kBrowsers) &&
         std::ranges::find(kSystems, system) != std::end(kSystems);
}

/// The content of a child that must be there. Errors: `malformed`.
Result<ByteSpan> bytes_of(const Node& parent, std::string_view tag) {
  const Node* child = parent.child(tag);
  if (child == nullptr || child->bytes().empty()) {
    return Error{Errc::malformed, "<" + std::string(tag) + "> is missing or empty"};
  }
  return child->bytes();
}

/// What companion_hello says.
struct CompanionHello {
  std::string number;
  pairing::WrappedEphemeral ephemeral;
  std::string display;
};

Result<CompanionHello> parse_companion_hello(const Node& hello,
                                             const crypto::PublicKey& noise_key) {
  CompanionHello parsed;
  const Jid jid = hello.jid("jid").value_or(Jid());
  const auto number = pairing::parse_phone_number(jid.user);
  if (!number || *number != jid.user || jid.server != wire::kServerPn || jid.device != 0) {
    return Error{Errc::malformed, "jid \"" + hello.printed("jid") + "\" is no phone number's"};
  }
  parsed.number = *number;
  WA_TRY(const ByteSpan wrapped,
         bytes_of(hello, "link_code_pairing_wrapped_companion_ephemeral_pub"));
  WA_TRY(parsed.ephemeral, pairing::WrappedEphemeral::parse(wrapped));
  WA_TRY(const ByteSpan noise, bytes_of(hello, "companion_server_auth_key_pub"));
  if (!equal(noise, noise_key)) {
    return Error{Errc::malformed, "companion_server_auth_key_pub is not the connection's key"};
  }
  // One client sends "49" for the platform "1", and the text "0" for the nonce's zero byte.
  WA_TRY([[maybe_unused]] const auto platform, bytes_of(hello, "companion_platform_id"));
  WA_TRY([[maybe_unused]] const auto nonce, bytes_of(hello, "link_code_pairing_nonce"));
  WA_TRY(const ByteSpan display, bytes_of(hello, "companion_platform_display"));
  parsed.display = as_text(display.first(std::min(display.size(), kLongestDisplay)));
  return parsed;
}

}  // namespace

ComputeValue compute(const ComputeJob& job) {
  const auto& derive = std::get<DeriveLinkKeys>(job);
  return LinkKeys{pairing::derive_link_key(derive.code, derive.companion_salt),
                  pairing::derive_link_key(derive.code, derive.phone_salt)};
}

// ---- the companion ------------------------------------------------------------------------------

bool Tenant::Impl::on_link_code_iq(Peer& peer, const Node& iq, Now now) {
  const Node* request = iq.first_child();
  if (request == nullptr || request->tag != kRegistration || iq.attr("type") != "set" ||
      iq.attr("xmlns") != "md") {
    return false;
  }
  const std::string_view stage = request->attr("stage");
  const bool hello = stage == "companion_hello";
  Result<NodeBuilder> answered =
      Error{Errc::malformed, "there is no stage \"" + request->printed("stage") + "\""};
  if (hello) answered = on_companion_hello(peer, iq, *request, now);
  if (stage == "companion_finish") answered = on_companion_finish(peer, iq, *request);
  cover("iq set md " + std::string(kRegistration), answered ? "linking with a code" : "refused");
  const ConnectionId id = peer.id;
  // What the server does not like to read is no offence; what cannot be read is.
  if (!answered && answered.error().code == Errc::malformed) {
    violate(peer, "link-code", answered.error().detail, &iq);
  }
  send(peer, answered ? *answered : iq_error(iq, 400, "bad-request"), now);
  Peer* still = find(id);
  if (still == nullptr) return true;
  if (!answered) {
    notice_link_code(*still, "refused", request->printed("jid"), now);
  } else if (hello) {
    const std::string number = still->shown_code->number;
    notice_link_code(*still, stage, number, now);
    enter_early_codes(number, now);
  } else {
    judge_bundle(*still, now);
  }
  return true;
}

Result<NodeBuilder> Tenant::Impl::on_companion_hello(Peer& peer, const Node& iq, const Node& hello,
                                                     Now now) {
  WA_TRY(CompanionHello parsed, parse_companion_hello(hello, peer.client_static));
  if (!is_accepted_display(parsed.display)) {
    return Error{Errc::usage, "the display name is none of those that are accepted"};
  }
  const auto raw = random.array<kRefBytes>();
  ShownCode shown;
  shown.number = std::move(parsed.number);
  shown.companion_ephemeral = parsed.ephemeral;
  shown.ref = to_bytes(to_base64(raw));
  shown.order = ++last_shown_code_;
  shown.expires_at = now.mono + settings.pairing_code_life;
  NodeBuilder answer =
      empty_result(iq).child(NodeBuilder(kRegistration).child(NodeBuilder(kRef).bytes(shown.ref)));
  give_up_code(peer, Problem{409, "code_replaced", "the companion shows another code by now",
                             "type the newest code"});
  peer.shown_code = std::move(shown);
  return answer;
}

Result<NodeBuilder> Tenant::Impl::on_companion_finish(Peer& peer, const Node& iq,
                                                      const Node& finish) {
  WA_TRY(const ByteSpan ref, bytes_of(finish, kRef));
  WA_TRY(const ByteSpan bundle, bytes_of(finish, "link_code_pairing_wrapped_key_bundle"));
  WA_TRY(const ByteSpan identity, bytes_of(finish, "companion_identity_public"));
  if (!peer.shown_code) return Error{Errc::malformed, "companion_finish without companion_hello"};
  if (!equal(ref, peer.shown_code->ref)) {
    return Error{Errc::usage, "the ref is not that of the companion's newest code"};
  }
  if (!equal(identity, peer.registration->identity)) {
    return Error{Errc::malformed, "companion_identity_public is not the registered identity"};
  }
  if (peer.typed_code) peer.typed_code->bundle = to_bytes(bundle);
  return empty_result(iq);
}

/// The phone opens what companion_finish brought: only now it shows whether the code was right.
void Tenant::Impl::judge_bundle(Peer& peer, Now now) {
  if (!peer.typed_code || peer.typed_code->bundle.empty()) return;  // nobody waits any more
  const TypedCode typed = std::move(*peer.typed_code);
  peer.typed_code.reset();
  cancel_timer(peer, TimerKind::companion_finish);
  Phone* phone = accounts.find(typed.phone_id);
  WA_ASSERT(phone != nullptr);
  const auto secret =
      pairing::accept_link(typed.ephemeral, phone->identity, typed.companion_ephemeral,
                           peer.registration->identity, typed.bundle);
  const std::string number = phone->number;
  if (!secret) {
    answer(typed.request,
           Problem{422, "wrong_code", "this is not the code that the companion shows",
                   "type the newest code; the attempt goes on until it expires"});
    return notice_link_code(peer, "wrong_code", number, now);
  }
  if (peer.scan) {
    answer(typed.request, Problem{409, "busy", "the companion is being linked by a scan", ""});
    return;
  }
  peer.shown_code.reset();
  link(peer, *phone, typed.request, *secret, EventKind::link_code,
       {{"stage", "companion_finish"}, {"phone", number}}, now);
}

// ---- the phone ----------------------------------------------------------------------------------

/// The companion whose code for this number is the newest: the phone knows of no other.
Tenant::Impl::Peer* Tenant::Impl::newest_code_for(std::string_view number) {
  Peer* newest = nullptr;
  for (auto& [id, peer] : peers_) {
    if (!peer.shown_code || peer.shown_code->number != number) continue;
    if (newest == nullptr || peer.shown_code->order > newest->shown_code->order) newest = &peer;
  }
  return newest;
}

void Tenant::Impl::enter_pairing_code(RequestId request, const EnterPairingCode& entered, Now now) {
  Phone* phone = find_phone_for(request, entered.phone);
  if (phone == nullptr) return;
  const auto code = pairing::parse_pairing_code(entered.code);
  if (!code) {
    answer(request,
           Problem{422, "bad_code", code.error().detail, "type the code that the client shows"});
    return;
  }
  Peer* peer = newest_code_for(phone->number);
  if (peer == nullptr) {
    early_codes_.push_back({request, entered, now.mono + kEarlyCode});
    return;
  }
  if (now.mono >= peer->shown_code->expires_at) {
    answer(request, Problem{409, "code_expired", "the companion's code has expired",
                            "ask the client for another one"});
    return;
  }
  if (peer->typed_code || peer->scan) {
    answer(request, Problem{409, "busy", "the companion is being linked already", ""});
    return;
  }
  if (!has_free_device(request, *phone)) return;

  TypedCode typed;
  typed.request = request;
  typed.phone_id = phone->id;
  typed.job = next_job_id_++;
  typed.ephemeral = crypto::generate_key_pair(random);
  typed.salt = random.array<32>();
  jobs_.emplace(typed.job, peer->id);
  DeriveLinkKeys derive{*code, peer->shown_code->companion_ephemeral.salt, typed.salt};
  actions_.push_back({0, Compute{typed.job, std::move(derive)}});
  peer->typed_code = std::move(typed);
  notice_link_code(*peer, "typed", phone->number, now);
}

void Tenant::Impl::enter_early_codes(const std::string& number, Now now) {
  std::deque<EarlyCode> others;
  for (EarlyCode& early : std::exchange(early_codes_, {})) {
    const Phone* phone = accounts.find(early.entered.phone);
    if (phone != nullptr && phone->number == number) {
      enter_pairing_code(early.request, early.entered, now);
    } else {
      others.push_back(std::move(early));
    }
  }
  // One that had to wait again is the newest.
  std::ranges::move(early_codes_, std::back_inserter(others));
  early_codes_ = std::move(others);
}

void Tenant::Impl::refuse_early_codes(Instant until) {
  while (!early_codes_.empty() && early_codes_.front().until <= until) {
    const EarlyCode early = std::move(early_codes_.front());
    early_codes_.pop_front();
    answer(early.request, Problem{409, "no_pairing_code",
                                  "no companion shows a code for phone " + early.entered.phone,
                                  "ask the client for a pairing code of this number first"});
  }
}

void Tenant::Impl::on_computed(std::uint64_t job, const ComputeValue& value, Now now) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Peer* peer = find(found->second);
  jobs_.erase(found);
  if (peer == nullptr || !peer->typed_code || peer->typed_code->job != job) return;
  TypedCode& typed = *peer->typed_code;
  const auto& link_keys = std::get<LinkKeys>(value);
  const ShownCode& shown = *peer->shown_code;
  typed.companion_ephemeral =
      pairing::unwrap_ephemeral(shown.companion_ephemeral, link_keys.companion);
  const auto wrapped =
      pairing::wrap_ephemeral(typed.ephemeral.public_key, link_keys.phone, typed.salt, random);
  const Phone* phone = accounts.find(typed.phone_id);
  WA_ASSERT(phone != nullptr);
  const NodeBuilder hello =
      NodeBuilder("notification")
          .attr("from", Jid::server_itself())
          .attr("type", std::string(kRegistration))
          .attr("id", next_stanza_id())
          .attr("t", now.wall.seconds())
          .child(NodeBuilder(kRegistration)
                     .attr("stage", "primary_hello")
                     .child(NodeBuilder("link_code_pairing_wrapped_primary_ephemeral_pub")
                                .bytes(wrapped.encode()))
                     .child(NodeBuilder("primary_identity_pub").bytes(phone->identity.public_key))
                     .child(NodeBuilder(kRef).bytes(shown.ref)));
  set_timer(*peer, TimerKind::companion_finish, now.mono + settings.scan_timeout);
  const ConnectionId id = peer->id;
  const std::string number = phone->number;
  send(*peer, hello, now);
  if (Peer* still = find(id)) notice_link_code(*still, "primary_hello", number, now);
}

void Tenant::Impl::give_up_code(Peer& peer, Problem problem) {
  if (!peer.typed_code) return;
  answer(peer.typed_code->request, std::move(problem));
  peer.typed_code.reset();
  cancel_timer(peer, TimerKind::companion_finish);
}

void Tenant::Impl::notice_link_code(Peer& peer, std::string_view stage, std::string number,
                                    Now now) {
  notice(EventKind::link_code, peer, {{"stage", std::string(stage)}, {"phone", std::move(number)}},
         now);
}

}  // namespace wa::mock
