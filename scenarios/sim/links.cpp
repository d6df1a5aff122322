#include "scenarios/sim/links.hpp"

#include <algorithm>

namespace wa::sim {

using Kind = Happening::Kind;

namespace {

/// Path and query of a URL.
std::string target_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t path = url.find('/', host);
  return path == std::string::npos ? "/" : url.substr(path);
}

Happening about(Kind kind, std::uint32_t link, std::uint32_t number = 0) {
  Happening happening;
  happening.kind = kind;
  happening.target = link;
  happening.number = number;
  return happening;
}

Happening message(Kind kind, std::uint32_t link, Bytes bytes) {
  Happening happening = about(kind, link);
  happening.bytes = std::move(bytes);
  return happening;
}

}  // namespace

Instant Links::due(Lane& lane, std::uint32_t link, std::string_view side, Instant now) {
  if (delays_.jitter <= Duration::zero()) return now + delays_.latency;
  if (!lane.jitter) {
    lane.jitter.emplace(delays_.seed, "jitter " + std::string(side), std::to_string(link));
  }
  const std::uint64_t drawn =
      lane.jitter->below(static_cast<std::uint64_t>(delays_.jitter.count()) + 1);
  const Instant arrives = now + delays_.latency + Duration(static_cast<Duration::rep>(drawn));
  lane.last_due = std::max(lane.last_due, arrives);
  return lane.last_due;
}

Instant Links::at_server(std::uint32_t link, Instant now) {
  return due(links_[link].to_server, link, "to server", now);
}

Instant Links::at_client(std::uint32_t link, Instant now) {
  return due(links_[link].to_client, link, "to client", now);
}

std::uint32_t Links::dial(std::uint32_t device, const client::DialSocket& dial, Instant now) {
  const auto link = static_cast<std::uint32_t>(links_.size());
  Link& made = links_.emplace_back();
  made.device = device;
  made.generation = dial.generation;
  made.target = target_of(dial.url);
  queue_.push(at_server(link, now), about(Kind::upgrade_arrives, link));
  queue_.push(now + dial.timeout, about(Kind::dial_expires, link));
  return link;
}

void Links::accept(std::uint32_t link, Instant now) {
  links_[link].asking = false;
  links_[link].server_open = true;
  queue_.push(at_client(link, now), about(Kind::upgrade_answered, link));
}

void Links::refuse(std::uint32_t link, int status, Instant now) {
  links_[link].asking = false;
  queue_.push(at_client(link, now),
              about(Kind::upgrade_answered, link, static_cast<std::uint32_t>(status)));
}

void Links::fail(std::uint32_t link, client::DialPhase phase, std::string failure, Instant now) {
  links_[link].phase = phase;
  links_[link].failure = std::move(failure);
  queue_.push(at_client(link, now), about(Kind::dial_fails, link));
}

void Links::client_sends(std::uint32_t link, Bytes bytes, Instant now) {
  if (!links_[link].client_open) return;
  queue_.push(at_server(link, now), message(Kind::bytes_to_server, link, std::move(bytes)));
}

void Links::server_sends(std::uint32_t link, Bytes bytes, Instant now) {
  if (!links_[link].server_open) return;
  queue_.push(at_client(link, now), message(Kind::bytes_to_client, link, std::move(bytes)));
}

void Links::client_closes(std::uint32_t link, client::CloseHow how, Instant now) {
  Link& closing = links_[link];
  if (!closing.client_open) return;
  closing.client_open = false;
  if (how == client::CloseHow::rst) closing.lost_to_server = true;
  queue_.push(at_server(link, now), about(Kind::server_hears_end, link));
}

void Links::server_closes(std::uint32_t link, mock::CloseHow how, Instant now) {
  Link& closing = links_[link];
  if (closing.asking) {
    if (how == mock::CloseHow::blackhole) return;
    closing.asking = false;
    const bool reset = how == mock::CloseHow::rst;
    fail(link, client::DialPhase::upgrade, reset ? "connection reset" : "end of stream", now);
    return;
  }
  if (!closing.server_open) return;
  if (how == mock::CloseHow::blackhole) {
    closing.blackholed = true;  // the tenant keeps the connection, and nobody hears of it
    return;
  }
  closing.server_open = false;
  if (how == mock::CloseHow::rst) closing.lost_to_client = true;
  queue_.push(at_client(link, now), about(Kind::client_hears_end, link));
}

std::optional<std::uint32_t> Links::find(std::uint32_t device,
                                         client::Generation generation) const {
  // The newest are asked for; a device that reconnects for days has thousands of old ones.
  for (std::size_t i = links_.size(); i-- > 0;) {
    if (links_[i].device != device) continue;
    if (links_[i].generation == generation) return static_cast<std::uint32_t>(i);
  }
  return {};
}

std::size_t Links::open() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      links_, [](const Link& link) { return link.client_open || link.server_open; }));
}

std::size_t Links::open_of(std::uint32_t device) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      links_, [&](const Link& link) { return link.device == device && link.client_open; }));
}

}  // namespace wa::sim
