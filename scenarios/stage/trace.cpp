#include "scenarios/stage/trace.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "engine/protocol/crypto/hash.hpp"

namespace wa::stage {

namespace {

/// How many bytes are gathered before they go into the chain: large enough that hashing costs
/// little per entry, small enough to stay in the cache. Part of the hash's definition.
constexpr std::size_t kBlockBytes = 8 * 1024;

}  // namespace

Trace::Actor Trace::actor(std::string_view name) {
  const auto found = std::ranges::find(actors_, name);
  if (found != actors_.end()) return static_cast<Actor>(found - actors_.begin());
  actors_.emplace_back(name);
  // The number alone goes into the entries, so what it stands for goes into the hash once.
  const auto number = static_cast<Actor>(actors_.size() - 1);
  append(open(Instant{}, number, TraceKind::verb), as_bytes(name));
  close();
  return number;
}

Bytes& Trace::open(Instant at, Actor actor, TraceKind kind) {
  entry_begin_ = pending_.size();
  append(pending_, big_endian<8>(static_cast<std::uint64_t>(at.time_since_epoch().count())));
  append(pending_, big_endian<2>(actor));
  append(pending_, big_endian<1>(static_cast<std::uint64_t>(kind)));
  opened_ = pending_.size();
  return pending_;
}

void Trace::close() {
  // The length stands behind the payload, so that no two sequences of entries have the same bytes.
  append(pending_, big_endian<4>(pending_.size() - opened_));
  ++entries_;
  if (recording_) last_digest_ = crypto::sha256(ByteSpan(pending_).subspan(entry_begin_));
  if (pending_.size() >= kBlockBytes) flush();
}

void Trace::add(Instant at, Actor actor, TraceKind kind, ByteSpan canonical) {
  append(open(at, actor, kind), canonical);
  close();
}

void Trace::flush() {
  chain_ = crypto::sha256(chain_, pending_);
  pending_.clear();
}

std::string Trace::hash() const {
  return to_hex(crypto::sha256(chain_, pending_));
}

void Trace::line(Instant at, Actor actor, std::string_view kind, boost::json::object data) {
  if (!recording_) return;
  boost::json::object line;
  line["seq"] = lines_.size() + 1;
  line["t_ms"] =
      std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  line["tenant"] = "";
  line["actor"] = actors_[actor];
  line["kind"] = kind;
  line["data"] = std::move(data);
  line["digest"] = to_hex(ByteSpan(last_digest_).first(8));
  lines_.push_back(boost::json::serialize(line));
}

}  // namespace wa::stage
