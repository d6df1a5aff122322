#include <algorithm>
#include <limits>

#include "engine/base/overloaded.hpp"
#include "engine/client/records.hpp"
#include "engine/client/session_impl.hpp"
#include "engine/messaging/acks.hpp"

/// Stanzas in general: acks, IQs, bulletins, login and what ends a stream.
namespace wa::client {
namespace {

constexpr std::size_t kLongestCause = 512;
constexpr std::size_t kLongestRoutingInfo = 4096;  // real ones have a few bytes
constexpr std::size_t kReportedKinds = 16;
constexpr std::size_t kLongestKind = 64;
constexpr auto kWrongClock = std::chrono::seconds(60);

const wire::Value kServer = wire::JidView{.user = {}, .server = wire::kServerPn};

std::optional<int> code_of(const wire::Node& node, std::string_view attribute) {
  const auto number = node.number(attribute);
  if (!number || *number > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(*number);
}

/// The tag of the first child; for a conflict with its type, since that makes the difference.
std::string child_key(const wire::Node& node) {
  const auto* child = node.first_child();
  if (!child) return {};
  std::string key(child->tag);
  if (key == "conflict") key += ":" + child->printed("type");
  return key;
}

/// Whether printing a node costs no more than so many characters, roughly. What is left of the
/// budget is in `budget`.
bool is_short(const wire::Node& node, std::size_t& budget) {
  const auto spend = [&budget](std::size_t amount) {
    if (amount > budget) return false;
    budget -= amount;
    return true;
  };
  if (!spend(node.tag.size() + 2)) return false;
  for (const auto& [key, value] : node.attributes) {
    const auto* text = std::get_if<std::string_view>(&value);
    const auto* jid = std::get_if<wire::JidView>(&value);
    if (!spend(key.size() + (text ? text->size() : jid->user.size()) + 4)) return false;
  }
  if (!std::holds_alternative<std::span<const wire::Node>>(node.content)) {
    return std::holds_alternative<ByteSpan>(node.content) || spend(node.bytes().size());
  }
  return std::ranges::all_of(node.children(),
                             [&](const wire::Node& child) { return is_short(child, budget); });
}

/// A stanza for humans; of a huge one only what it is.
std::string cause_of(const wire::Node& node) {
  std::size_t budget = kLongestCause;
  if (!is_short(node, budget)) {
    return "<" + std::string(node.tag.substr(0, kLongestKind)) + " …>, too long to print";
  }
  std::string cause = wire::to_xml(node);
  if (cause.size() > kLongestCause) cause.resize(kLongestCause);
  return cause;
}

/// As web clients number their use: milliseconds of the week, three days shifted.
std::int64_t unified_session_id(UnixMillis wall) {
  constexpr std::int64_t kDay = 24 * 60 * 60 * 1000;
  return (wall.value + 3 * kDay) % (7 * kDay);
}

}  // namespace

void Session::Impl::on_established(Stream::Established established) {
  connection_->establish(std::move(established.client_finish), now_, random_, actions_);
  connection_->asked_at = now_.mono;
  const Timings& timings = config_.timings;
  if (connection_->errand || paired()) {
    connection_->enter(Stage::logging_in, now_.mono + timings.login);
  } else {
    connection_->enter(Stage::awaiting_refs, now_.mono + timings.first_ref);
  }
}

void Session::Impl::on_stanza(const wire::Node& stanza) {
  if (stanza.tag == "iq") return on_iq(stanza);
  if (stanza.tag == "ib") return on_bulletin(stanza);
  if (messenger_ && messaging::Messenger::handles(stanza)) {
    return tell_messenger(messaging::StanzaReceived{&stanza});
  }
  if (stanza.tag == "success") return on_success(stanza);
  if (stanza.tag == "stream:error") return on_stream_error(stanza);
  if (stanza.tag == "failure") return on_failure(stanza);
  if (stanza.tag == "xmlstreamend") {
    return end_stream({.element = Element::stream_end, .cause = cause_of(stanza)});
  }
  if (stanza.tag == "ack" || stanza.tag == "presence" || stanza.tag == "chatstate") return;
  if (const auto ack = messaging::Ack::for_stanza(stanza)) send(ack->node());
  if (stanza.tag == "notification") return on_notification(stanza);
  unhandled(stanza);
}

void Session::Impl::unhandled(const wire::Node& stanza) {
  ++counters_.unhandled_stanzas;
  std::string kind(stanza.tag);
  if (stanza.has_attr("type")) kind += " " + stanza.printed("type");
  if (kind.size() > kLongestKind) kind.resize(kLongestKind);
  if (reported_kinds_.size() == kReportedKinds || std::ranges::count(reported_kinds_, kind)) return;
  report(Report::Level::debug, "nothing handles: " + cause_of(stanza));
  reported_kinds_.push_back(std::move(kind));
}

// ---- IQs ------------------------------------------------------------------------------------

void Session::Impl::on_iq(const wire::Node& iq) {
  const std::string_view type = iq.attr("type");
  if (type == "result" || type == "error") {
    const auto request = connection_->requests()->take(iq.attr("id"));
    if (!request) return unhandled(iq);
    return on_answer(*request, &iq);
  }
  if (type == "get" && iq.attr("xmlns") == "urn:xmpp:ping") return answer_iq(iq);
  if (!on_pairing_iq(iq)) unhandled(iq);
}

void Session::Impl::answer_iq(const wire::Node& iq) {
  if (!iq.has_attr("id")) return;
  const std::string id = iq.printed("id");
  const wire::Attribute attributes[] = {{"to", kServer}, {"type", "result"}, {"id", id}};
  send(wire::Node{"iq", attributes, {}});
}

/// `answer` is null when none came in time.
void Session::Impl::on_answer(Requests::Request request, const wire::Node* answer) {
  const bool accepted = answer && answer->attr("type") == "result";
  switch (request.purpose) {
    case Purpose::messaging: return tell_messenger(messaging::Answered{request.number, answer});
    case Purpose::ping:
      if (accepted) learn_time(*answer);
      return;
    case Purpose::passive_active:
    case Purpose::clean_dirty: return;  // any byte was the sign of life; the rest needs no answer
    case Purpose::pre_key_digest: return on_digest_answered(answer);
    case Purpose::pre_key_count: {
      const auto* count = accepted ? answer->child("count") : nullptr;
      return run_login(LoginSequence::CountAnswered{count ? count->number("value") : std::nullopt});
    }
    case Purpose::pre_key_upload:
      if (!accepted) report(Report::Level::warning, "the server did not take our pre-keys");
      return run_login(LoginSequence::UploadAnswered{accepted});
    case Purpose::key_rotation:
      if (accepted) return signed_key_rotated();
      return report(Report::Level::warning, "the server did not take our new signed pre-key");
    case Purpose::remove_companion:
      if (connection_->errand) {
        return accepted ? finish_errand() : end_locally("removal_refused");
      }
      if (!accepted) report(Report::Level::warning, "the server did not confirm the logout");
      return finish_farewell(accepted);
    case Purpose::companion_hello: return on_companion_hello_answered(answer);
    case Purpose::companion_finish: return;  // pair-success says whether the code was right
  }
}

void Session::Impl::ping() {
  ++counters_.pings_sent;
  connection_->asked_at = now_.mono;
  const std::string id = connection_->open_request(Purpose::ping, now_);
  const wire::Attribute attributes[] = {
      {"to", kServer}, {"type", "get"}, {"xmlns", "w:p"}, {"id", id}};
  const wire::Node child[] = {{"ping", {}, {}}};
  send(wire::Node{"iq", attributes, std::span<const wire::Node>(child)});
}

// ---- login ----------------------------------------------------------------------------------

void Session::Impl::learn_time(const wire::Node& answer) {
  const auto seconds = answer.number("t");
  if (!seconds || !clock_.heard(*seconds, now_.mono - connection_->asked_at, now_.wall)) return;
  status_.clock_offset = clock_.offset();
  if (std::chrono::abs(*status_.clock_offset) > kWrongClock) {
    report(Report::Level::warning, "our clock is wrong: the server's is ahead by " +
                                       std::to_string(status_.clock_offset->count()) + " s");
  }
}

void Session::Impl::on_success(const wire::Node& success) {
  if (connection_->stage() != Stage::logging_in) return unhandled(success);
  learn_time(success);
  connection_->stream().login_succeeded();
  connection_->enter(Stage::online, std::nullopt);
  reconnect_.opened(now_.mono);
  finishing_.reset();
  // An old copy of what is stored can only be there once something was stored and read again.
  const bool check = !store_checked_ && !never_logged_in();
  note_login(success);
  status_.state = State::connected;
  status_.reason = farewell_ ? "logging_out" : "";
  if (farewell_) return ask_removal(credentials_->account->jid);

  messenger_online_ = true;
  run_login(LoginSequence::LoggedIn{.check = check || credentials_->offered_to != 0,
                                    .owed = credentials_->pre_keys_owed});
  plan_rotation();
  // With an old copy keys would be used a second time: nothing is said until that is ruled out.
  if (!check) begin_talking();
  send(wire::NodeBuilder("ib").child(
      wire::NodeBuilder("unified_session").attr("id", unified_session_id(server_time()))));
}

void Session::Impl::begin_talking() {
  store_checked_ = true;
  if (std::exchange(connection_->talking, true)) return;
  tell_messenger(messaging::StreamReady{});
}

void Session::Impl::note_login(const wire::Node& success) {
  Account& account = *credentials_->account;
  const bool first = never_logged_in();
  const auto lid = success.jid("lid");
  const bool learns_lid = lid && account.lid.server.empty();
  if (first) first_open_ = now_.mono;
  if (learns_lid) account.lid = *lid;
  account.logged_in = true;
  const bool dates_key = !credentials_->signed_pre_key_at;
  if (dates_key) credentials_->signed_pre_key_at = server_time();
  if (first || learns_lid || dates_key) store_credentials(kPointLogin);
}

void Session::Impl::on_bulletin(const wire::Node& bulletin) {
  const auto* child = bulletin.first_child();
  if (!child) return unhandled(bulletin);
  if (child->tag == "edge_routing") {
    const auto* info = child->child("routing_info");
    if (!info || info->bytes().size() > kLongestRoutingInfo) return unhandled(bulletin);
    if (equal(info->bytes(), credentials_->routing_info)) return;
    credentials_->routing_info = to_bytes(info->bytes());
    store_credentials(kPointRouting);
  } else if (child->tag == "offline_preview") {
    send(wire::NodeBuilder("ib").child(wire::NodeBuilder("offline_batch").attr("count", 100)));
  } else if (child->tag == "dirty") {
    // Nothing is cached here that could be dirty.
    const std::string id = connection_->open_request(Purpose::clean_dirty, now_);
    send(wire::NodeBuilder("iq")
             .attr("to", wire::Jid::server_itself())
             .attr("type", "set")
             .attr("xmlns", "urn:xmpp:whatsapp:dirty")
             .attr("id", id)
             .child(wire::NodeBuilder("clean").attr("type", child->printed("type"))));
  } else if (child->tag == "downgrade_webclient") {
    end_stream({.element = Element::bulletin,
                .child = std::string(child->tag),
                .cause = cause_of(bulletin)});
  } else if (child->tag != "offline") {
    unhandled(bulletin);
  }
}

void Session::Impl::on_notification(const wire::Node& notification) {
  if (notification.attr("type") == "encrypt" && notification.child("count")) {
    LoginSequence::KeysRunLow low{notification.child("count")->number("value")};
    if (notification.has_attr("offline")) low.left.reset();  // it may have got more since
    return run_login(low);
  }
  if (!on_pairing_notification(notification)) unhandled(notification);
}

// ---- ends -----------------------------------------------------------------------------------

void Session::Impl::on_stream_error(const wire::Node& stanza) {
  end_stream({.element = Element::stream_error,
              .code = code_of(stanza, "code"),
              .child = child_key(stanza),
              .cause = cause_of(stanza)});
}

void Session::Impl::on_failure(const wire::Node& stanza) {
  StreamEnd end{.element = Element::failure,
                .code = code_of(stanza, "reason"),
                .child = child_key(stanza),
                .cause = cause_of(stanza)};
  if (const auto seconds = code_of(stanza, "expire"))
    end.retry_after = std::chrono::seconds(*seconds);
  end_stream(std::move(end));
}

}  // namespace wa::client
