#include "engine/client/actions.hpp"

#include "engine/base/overloaded.hpp"
#include "engine/protocol/crypto/hash.hpp"

namespace wa::client {
namespace {

/// Key material from a 32-byte seed: HMAC-SHA256(seed, counter) blocks, one after another.
class SeedStream final : public Random {
 public:
  explicit SeedStream(const ByteArray<32>& seed) : seed_(seed) {}

  void fill(std::span<std::byte> out) override {
    for (std::byte& byte : out) {
      if (used_ == block_.size()) {
        block_ = crypto::hmac_sha256(seed_, big_endian<8>(counter_++));
        used_ = 0;
      }
      byte = block_[used_++];
    }
  }

 private:
  ByteArray<32> seed_;
  std::uint64_t counter_ = 0;
  ByteArray<32> block_{};
  std::size_t used_ = block_.size();
};

/// Writes values so that no two lists of values have the same bytes: numbers in 8 bytes, everything
/// of variable size after its size.
class Canonical {
 public:
  explicit Canonical(Bytes& out) : out_(out) {}

  void number(std::int64_t value) {
    append(out_, big_endian<8>(static_cast<std::uint64_t>(value)));
  }
  void count(std::size_t value) { number(static_cast<std::int64_t>(value)); }
  void bytes(ByteSpan value) {
    count(value.size());
    append(out_, value);
  }
  void text(std::string_view value) { bytes(as_bytes(value)); }
  void instant(Instant value) { number(value.time_since_epoch().count()); }
  template <class T, class Write>
  void optional(const std::optional<T>& value, Write write) {
    number(value ? 1 : 0);
    if (value) write(*value);
  }

  void status(const Status& status) {
    number(static_cast<int>(status.state));
    text(status.reason);
    optional(status.qr, [this](const QrOnShow& qr) {
      text(qr.text);
      number(qr.sequence);
      instant(qr.expires_at);
      instant(qr.window_expires_at);
      number(qr.stale ? 1 : 0);
    });
    optional(status.pairing_code, [this](const PairingCodeOnShow& code) {
      text(code.code);
      number(code.sequence);
      instant(code.expires_at);
    });
    text(status.pairing_error);
    text(status.owner);
    optional(status.last_close, [this](const LastClose& close) {
      optional(close.code, [this](int code) { number(code); });
      text(close.cause);
      number(close.at.value);
    });
    optional(status.next_attempt_at, [this](Instant at) { instant(at); });
    number(status.attempts);
    text(status.jid);
    optional(status.until, [this](UnixMillis until) { number(until.value); });
    optional(status.clock_offset, [this](std::chrono::seconds offset) { number(offset.count()); });
    number(status.removal_pending ? 1 : 0);
  }

  void job(const ComputeJob& job) {
    count(job.index());
    std::visit(Overloaded{
                   [this](const MakePreKeys& make) {
                     bytes(make.seed);
                     number(make.count);
                   },
                   [this](const DeriveLinkKey& derive) {
                     text(derive.code);
                     bytes(derive.salt);
                   },
               },
               job);
  }

  void commit(const Commit& commit) {
    text(commit.point);
    count(commit.changes.size());
    for (const Change& change : commit.changes) {
      number(static_cast<std::int64_t>(change.index()));
      std::visit(Overloaded{
                     [this](const Put& put) {
                       text(put.kind);
                       text(put.key);
                       bytes(put.bytes);
                     },
                     [this](const Erase& erase) {
                       text(erase.kind);
                       text(erase.key);
                     },
                 },
                 change);
    }
  }

  void event(const messaging::AppEvent::What& what) {
    using namespace messaging;
    if (is_stored(what)) return bytes(encode(what));
    number(static_cast<std::int64_t>(what.index()));
    const auto rows = Overloaded{
        [this](const SendAccepted& accepted) { text(accepted.id); },
        [this](const GroupChanged& changed) {
          text(changed.group.to_string());
          count(changed.refused.size());
        },
        [this](const GroupFailed& failed) { text(failed.reason); },
        [this](const PresenceSeen& seen) {
          text(seen.account.to_string());
          number(seen.available);
        },
        [this](const TypingSeen& seen) {
          text(seen.chat.to_string());
          number(static_cast<int>(seen.typing));
        },
        [](const auto&) { WA_UNREACHABLE("it is stored"); },
    };
    std::visit(rows, what);
  }

 private:
  Bytes& out_;
};

}  // namespace

ComputeValue compute(const ComputeJob& job) {
  return std::visit(Overloaded{
                        [](const MakePreKeys& make) -> ComputeValue {
                          SeedStream stream(make.seed);
                          return crypto::generate_key_pairs(make.count, stream);
                        },
                        [](const DeriveLinkKey& derive) -> ComputeValue {
                          return pairing::derive_link_key(derive.code, derive.salt);
                        },
                    },
                    job);
}

void append_canonical(const Action& action, Bytes& out) {
  Canonical canonical(out);
  canonical.number(static_cast<std::int64_t>(action.index()));
  std::visit(Overloaded{
                 [&](const DialSocket& dial) {
                   canonical.number(dial.generation);
                   canonical.text(dial.url);
                   canonical.number(dial.timeout.count());
                 },
                 [&](const SendBytes& send) {
                   canonical.number(send.generation);
                   canonical.bytes(send.bytes);
                 },
                 [&](const CloseSocket& close) {
                   canonical.number(close.generation);
                   canonical.number(static_cast<int>(close.how));
                 },
                 [&](const Commit& commit) { canonical.commit(commit); },
                 [&](const Load& load) {
                   canonical.number(load.load_id);
                   canonical.count(load.keys.size());
                   for (const RecordKey& key : load.keys) {
                     canonical.text(key.kind);
                     canonical.text(key.key);
                   }
                 },
                 [&](const Compute& compute) {
                   canonical.number(compute.job_id);
                   canonical.job(compute.job);
                 },
                 [&](const PublishStatus& publish) { canonical.status(publish.status); },
                 [&](const PublishEvent& publish) {
                   canonical.number(static_cast<std::int64_t>(publish.event.seq));
                   canonical.event(publish.event.what);
                 },
                 [&](const Report& report) {
                   canonical.number(static_cast<int>(report.level));
                   canonical.text(report.text);
                 },
             },
             action);
}

}  // namespace wa::client
