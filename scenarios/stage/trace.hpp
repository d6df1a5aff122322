#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/base/now.hpp"

namespace wa::stage {

/// What a trace entry is about. Values go into the hash and are stable.
enum class TraceKind : std::uint8_t {
  client_action = 1,  ///< client::append_canonical
  server_action = 2,  ///< mock::append_canonical
  device_entry = 3,   ///< given to the script
  server_entry = 4,   ///< given to the script
  link = 5,           ///< bytes lost, sockets closed
  verb = 6,           ///< what the script did
  wait = 7,           ///< what the script was told: matched, timed out
};

/// The rolling hash of a run, and its lines for people if they are wanted.
///
/// The hash covers virtual time, actor, kind and canonical bytes of everything performed and of
/// everything the script was given. Two runs are the same exactly if their hashes are.
///
///     Bytes& canonical = trace.open(now, actor, TraceKind::client_action);
///     client::append_canonical(action, canonical);
///     trace.close();
class Trace {
 public:
  using Actor = std::uint16_t;

  explicit Trace(bool recording = false) : recording_(recording) {}

  /// The number of a named actor, the same for the same name.
  Actor actor(std::string_view name);
  const std::string& name_of(Actor actor) const { return actors_[actor]; }

  /// Append the canonical bytes to what this returns, nothing else, then close().
  Bytes& open(Instant at, Actor actor, TraceKind kind);
  void close();
  void add(Instant at, Actor actor, TraceKind kind, ByteSpan canonical);

  /// Hex SHA-256 of all entries so far.
  std::string hash() const;
  std::uint64_t entries() const { return entries_; }

  /// Whether lines are kept. Text is rendered only then: ask before making it.
  bool recording() const { return recording_; }
  /// A line for people: {seq, t_ms, tenant, actor, kind, data}, with the digest of the entry that
  /// was closed last, so that two recordings differ where the runs do.
  void line(Instant at, Actor actor, std::string_view kind, boost::json::object data);
  /// JSON texts, without line ends.
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void flush();

  bool recording_;
  std::vector<std::string> actors_;
  Bytes pending_;           ///< entries not yet in chain_
  std::size_t opened_ = 0;  ///< where the payload of the open entry begins
  std::size_t entry_begin_ = 0;
  ByteArray<32> chain_{};
  ByteArray<32> last_digest_{};  ///< only when recording
  std::uint64_t entries_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace wa::stage
