#include "mockserver/control/event_feed.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/serialize.hpp>
#include <limits>

#include "mockserver/control/documents.hpp"

namespace wa::mock::control {
namespace {

std::vector<std::string_view> kind_words() {
  std::vector<std::string_view> words;
  for (int kind = 0; kind < kEventKinds; ++kind) {
    words.push_back(to_string(static_cast<EventKind>(kind)));
  }
  return words;
}

ApiResult<std::vector<EventKind>> parse_kinds(std::string_view text) {
  const std::vector<std::string_view> words = kind_words();
  std::vector<EventKind> kinds;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) {
      return Problem{400, "bad_parameter",
                     "unknown kind \"" + std::string(word) + "\"" + did_you_mean(word, words),
                     "several kinds are joined with commas: kind=scan,closed"};
    }
    kinds.push_back(static_cast<EventKind>(found - words.begin()));
  }
  return kinds;
}

}  // namespace

ApiResult<EventQuery> EventQuery::parse(const net::HttpRequest& request, std::string tenant) {
  EventQuery query;
  query.tenant = std::move(tenant);
  WA_TRY(query.from, number_in_query(request, "from", 0, std::numeric_limits<std::int64_t>::max()));
  if (const auto kind = request.query.find("kind"); kind != request.query.end()) {
    WA_TRY(query.kinds, parse_kinds(kind->second));
  }
  if (const auto device = request.query.find("device"); device != request.query.end()) {
    query.device = device->second;
  }
  return query;
}

bool EventQuery::wants(const LoggedEvent& event) const {
  return event.seq >= from && event.tenant == tenant &&
         (kinds.empty() ||
          std::find(kinds.begin(), kinds.end(), event.event.kind) != kinds.end()) &&
         (device.empty() || event.event.device == device);
}

struct EventFeed::Waiting {
  Waiting(boost::asio::io_context& io, Poll wanted, net::HttpReply to)
      : poll(std::move(wanted)), reply(std::move(to)), timer(io), next(poll.query.from) {}

  bool full() const { return events.size() >= poll.limit; }

  void take(const LoggedEvent& event) {
    if (full()) return;
    next = std::max(next, event.seq + 1);
    if (poll.query.wants(event)) events.push_back(to_json(event));
  }

  void answer(int status) {
    json::object body;
    if (status == 408) {
      body["error"] = {
          {"code", "timed_out"},
          {"message", std::to_string(events.size()) + " of " + std::to_string(poll.limit) +
                          " events came in time"},
          {"hint", "what did come is in \"events\"; go on with from=" + std::to_string(next)}};
    }
    body["events"] = std::move(events);
    body["next"] = next;
    reply.send(to_response(status, body));
    timer.cancel();
  }

  Poll poll;
  net::HttpReply reply;
  boost::asio::steady_timer timer;
  json::array events;
  std::uint64_t next;  ///< where the next poll goes on
};

EventFeed::EventFeed(boost::asio::io_context& io, MockHost& host, std::size_t most)
    : io_(io),
      host_(host),
      most_(most),
      subscription_(host.subscribe([this](const LoggedEvent& event) { on_event(event); })) {}

EventFeed::~EventFeed() {
  stop();
}

bool EventFeed::has_room(const net::HttpReply& reply) {
  streams_.remove_if([](const Stream& stream) { return !stream.reply.open(); });
  polls_.remove_if([](const auto& waiting) { return !waiting->reply.open(); });
  if (streams_.size() + polls_.size() < most_) return true;
  reply.send(to_response(
      Problem{429, "too_many_feeds",
              std::to_string(most_) + " clients follow events already, which is the most",
              "end a stream or a long poll; one stream serves a whole tenant"}));
  return false;
}

void EventFeed::stream(EventQuery query, net::HttpReply reply) {
  if (!has_room(reply)) return;
  reply.start_events();
  for (const LoggedEvent& event : host_.log(query.tenant)) {
    if (query.wants(event)) reply.event(std::to_string(event.seq), json::serialize(to_json(event)));
  }
  streams_.push_back(Stream{std::move(query), std::move(reply)});
}

void EventFeed::poll(Poll poll, net::HttpReply reply) {
  const auto waiting = std::make_shared<Waiting>(io_, std::move(poll), std::move(reply));
  for (const LoggedEvent& event : host_.log(waiting->poll.query.tenant)) {
    if (event.seq >= waiting->poll.query.from) waiting->take(event);
  }
  if (waiting->full() || !waiting->poll.within) return waiting->answer(200);
  if (!has_room(waiting->reply)) return;
  polls_.push_back(waiting);
  waiting->timer.expires_after(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(*waiting->poll.within));
  waiting->timer.async_wait(
      [this, weak = std::weak_ptr(waiting)](boost::system::error_code failure) {
        const auto late = weak.lock();  // gone when it was answered, or the feed has ended
        if (failure || !late) return;
        late->answer(408);
        polls_.remove(late);
      });
}

void EventFeed::on_event(const LoggedEvent& event) {
  if (!streams_.empty()) {
    streams_.remove_if([](const Stream& stream) { return !stream.reply.open(); });
    for (const Stream& stream : streams_) {
      if (!stream.query.wants(event)) continue;
      stream.reply.event(std::to_string(event.seq), json::serialize(to_json(event)));
    }
  }
  polls_.remove_if([&](const std::shared_ptr<Waiting>& waiting) {
    if (event.tenant != waiting->poll.query.tenant) return false;
    waiting->take(event);
    if (!waiting->full()) return !waiting->reply.open();
    waiting->answer(200);
    return true;
  });
}

void EventFeed::stop() {
  subscription_.reset();
  for (const Stream& stream : streams_) stream.reply.end();
  streams_.clear();
  for (const auto& waiting : polls_) {
    waiting->timer.cancel();
    waiting->reply.send(to_response(Problem{503, "stopping", "the mock server is stopping", ""}));
  }
  polls_.clear();
}

}  // namespace wa::mock::control
