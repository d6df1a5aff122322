#include "mockserver/core/faulty_link.hpp"

#include <algorithm>

namespace wa::mock {
namespace {

constexpr std::uint64_t kNanoseconds = 1'000'000'000;

/// How long a line of this speed is busy with so many bytes.
Duration sending_time(std::size_t bytes, std::uint64_t bytes_per_second) {
  // In two parts, so that nothing overflows: the rest is less than the bytes of one message.
  const std::uint64_t seconds = bytes / bytes_per_second;
  const std::uint64_t nanoseconds = bytes % bytes_per_second * kNanoseconds / bytes_per_second;
  return Duration(static_cast<std::int64_t>(seconds * kNanoseconds + nanoseconds));
}

}  // namespace

void LinkLane::push(Instant due, Parcel parcel) {
  last_due_ = std::max(last_due_, due);
  waiting_bytes_ += parcel.bytes.size();
  parcels_.push_back({last_due_, std::move(parcel)});
}

void LinkLane::put(Bytes message, const LinkShape& shape, Instant now) {
  if (ended_) return;
  if (waiting_bytes_ + message.size() > (held_ ? kMaxHeldBytes : kMaxWaitingBytes)) {
    put_end({LinkEnd::How::rst, "too much was under way on a bad link"}, {}, now);
    return;
  }
  const std::size_t most = std::max<std::size_t>(1, shape.split_bytes.value_or(message.size()));
  std::size_t begin = 0;
  do {
    const std::size_t size = std::min(most, message.size() - begin);
    Instant sent = now;
    if (shape.bytes_per_second) {
      busy_until_ = std::max(busy_until_, now) + sending_time(size, *shape.bytes_per_second);
      sent = busy_until_;
    }
    const bool whole = size == message.size();
    push(sent + shape.delay,
         {whole ? std::move(message) : to_bytes(ByteSpan(message).subspan(begin, size)), {}});
    if (whole) return;
    begin += size;
  } while (begin < message.size());
}

void LinkLane::put_end(LinkEnd end, const LinkShape& shape, Instant now) {
  if (ended_ && end.how != LinkEnd::How::rst) return;
  ended_ = true;
  if (end.how == LinkEnd::How::rst) {
    parcels_.clear();
    waiting_bytes_ = 0;
    last_due_ = now;
  }
  push(end.how == LinkEnd::How::rst ? now : std::max(now, busy_until_) + shape.delay,
       {{}, std::move(end)});
}

std::optional<LinkLane::Parcel> LinkLane::take(Instant now) {
  if (held_ || parcels_.empty() || parcels_.front().due > now) return std::nullopt;
  Parcel parcel = std::move(parcels_.front().parcel);
  parcels_.pop_front();
  waiting_bytes_ -= parcel.bytes.size();
  return parcel;
}

std::optional<Instant> LinkLane::next_deadline() const {
  if (held_ || parcels_.empty()) return std::nullopt;
  return parcels_.front().due;
}

std::optional<Instant> FaultyLink::next_deadline() const {
  const std::optional<Instant> client = to_client.next_deadline();
  const std::optional<Instant> server = to_server.next_deadline();
  if (client && server) return std::min(*client, *server);
  return client ? client : server;
}

}  // namespace wa::mock
