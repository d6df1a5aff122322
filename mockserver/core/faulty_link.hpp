#pragma once

#include <deque>
#include <optional>
#include <string>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"

namespace wa::mock {

/// What a bad link does to one message, or to the end of a connection.
struct LinkShape {
  Duration delay{};                               ///< until it arrives
  std::optional<std::uint64_t> bytes_per_second;  ///< of its direction
  std::optional<std::size_t> split_bytes;         ///< of the largest piece
  bool operator==(const LinkShape&) const = default;
};

/// The end of a connection as it travels behind, or past, what was sent.
struct LinkEnd {
  enum class How { normal, fin, rst };
  How how = How::fin;
  std::string detail;
  bool operator==(const LinkEnd&) const = default;
};

/// One direction of one bad link: what is put in comes out later, in pieces, or after a heal, but
/// always in order. A normal end and a FIN come after what was put in before; an RST overtakes and
/// loses it. After an end nothing more comes out.
///
/// A lane that is held keeps what is put in, as a network does that loses every packet of a
/// connection whose ends repeat them; once released it lets them through at once. What exceeds
/// kMaxHeldBytes cannot be kept, and the connection is then reset when it is released.
class LinkLane {
 public:
  /// Most bytes that are kept while held, and most that wait on a slow lane that is not.
  static constexpr std::size_t kMaxHeldBytes = std::size_t{1} << 20;
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{64} << 20;

  /// Bytes of one WebSocket message, or the end.
  struct Parcel {
    Bytes bytes;
    std::optional<LinkEnd> end;
    bool operator==(const Parcel&) const = default;
  };

  void put(Bytes message, const LinkShape& shape, Instant now);
  void put_end(LinkEnd end, const LinkShape& shape, Instant now);
  void hold() { held_ = true; }
  void release() { held_ = false; }
  bool held() const { return held_; }
  /// The end was put in. It may still be under way.
  bool ended() const { return ended_; }

  /// The next parcel that has arrived by now.
  std::optional<Parcel> take(Instant now);
  /// When the next parcel arrives; empty while held.
  std::optional<Instant> next_deadline() const;
  /// Nothing is under way or held.
  bool idle() const { return parcels_.empty() && !held_; }

 private:
  struct Waiting {
    Instant due;
    Parcel parcel;
  };
  void push(Instant due, Parcel parcel);

  std::deque<Waiting> parcels_;
  std::size_t waiting_bytes_ = 0;
  Instant last_due_ = Instant::min();    ///< nothing arrives before what was put in earlier
  Instant busy_until_ = Instant::min();  ///< the throttled line is still sending
  bool held_ = false;
  bool ended_ = false;
};

/// A connection's link while faults touch it: both directions.
struct FaultyLink {
  LinkLane to_client;
  LinkLane to_server;

  std::optional<Instant> next_deadline() const;
  bool idle() const { return to_client.idle() && to_server.idle(); }
};

}  // namespace wa::mock
