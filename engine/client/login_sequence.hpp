#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace wa::client {

/// What a device does after `<success>`: sees to it that the server has one-time pre-keys of ours,
/// then asks for what was held back.
///
///           LoggedIn             CountAnswered: at least half of the target
///   Idle ─────────────▶ Counting ─────────────────────────────────────────┐
///    │                  ▲  │ fewer, or it is owed                         ▼  SendActive, once
///    │ LoggedIn{check}  │  ▼          KeysMade           Uploaded       Ready
///    │                  │ Making ─────────────▶ Uploading ──────────────▶ │
///    │                  │  ▲  ▲                  │ refused (SendActive)   │
///    │                  │  ▲         Waiting ◀────┘                        │
///    │                  │  └──────────── KeysRunLow (the server says so) ──┤
///    └──▶ Checking ─────┴ DigestAnswered                                   │
///            ▲                           RetryDue of Waiting, RenewalWanted │
///            └─────────────────────────────────────────────────────────────┘
///
/// A digest says which keys the server has: that is a count as well, and tells whether an upload
/// without an answer has arrived, and whether what is stored here is an old copy. Then all keys are
/// made anew, as many as in the beginning.
///
/// What the server says to have is filled up to the target, whatever that is: who counts again and
/// finds that it will do, runs out when many strangers write at once. That it is owed survives the
/// stream and the process. One upload at a time: a warning that comes while one is under way was
/// meant by it. Nothing here ends a stream: keys that have not arrived are sent again.
///
/// Source: docs/protocol/connection.md, "After login" and "Pre-keys".
class LoginSequence {
 public:
  struct LoggedIn {
    bool check = false;  ///< ask for the digest first
    bool owed = false;   ///< keys, since the server said that it has few
  };
  struct DigestAnswered {
    std::optional<std::uint64_t> count;  ///< empty: an error, or no answer
    bool renew = false;                  ///< the server has keys that we never made
  };
  struct CountAnswered {
    std::optional<std::uint64_t> count;  ///< empty: an error, or no answer
  };
  /// Perhaps fewer than were wanted: those that an earlier upload has left.
  struct KeysMade {
    std::uint32_t count = 0;
  };
  struct UploadAnswered {
    bool accepted = false;
  };
  struct RetryDue {};
  struct KeysRunLow {
    std::optional<std::uint64_t> left;  ///< as the server says; empty: that is not known
  };
  /// Our keys may have been used by somebody who is not known here any more.
  struct RenewalWanted {};
  using Event = std::variant<LoggedIn, DigestAnswered, CountAnswered, KeysMade, UploadAnswered,
                             RetryDue, KeysRunLow, RenewalWanted>;

  struct AskDigest {
    bool operator==(const AskDigest&) const = default;
  };
  struct AskCount {
    bool operator==(const AskCount&) const = default;
  };
  /// Remember that the server is to get more.
  struct NoteOwed {
    bool operator==(const NoteOwed&) const = default;
  };
  /// New ones, or those of an upload that the server has not confirmed.
  struct MakeKeys {
    std::uint32_t count = 0;
    bool renew = false;  ///< new ones only
    bool operator==(const MakeKeys&) const = default;
  };
  /// Store the keys that were made, then send them.
  struct StoreAndUpload {
    bool operator==(const StoreAndUpload&) const = default;
  };
  struct RetryLater {
    std::uint32_t failures = 1;  ///< in a row
    bool operator==(const RetryLater&) const = default;
  };
  /// Remember that the server has them.
  struct MarkUploaded {
    bool enough = true;  ///< nothing is owed any more
    bool operator==(const MarkUploaded&) const = default;
  };
  /// Ask for the offline stanzas that the server holds back.
  struct SendActive {
    bool operator==(const SendActive&) const = default;
  };
  using Action = std::variant<AskDigest, AskCount, NoteOwed, MakeKeys, StoreAndUpload, RetryLater,
                              MarkUploaded, SendActive>;

  /// `target`: how many the server is to have.
  explicit LoginSequence(std::uint32_t target) : target_(target) {}

  /// Events out of order are ignored.
  std::vector<Action> step(const Event& event);

 private:
  enum class Phase : std::uint8_t { idle, checking, counting, making, uploading, waiting, ready };

  void activate(std::vector<Action>& actions);
  void become_ready(std::vector<Action>& actions);
  void check(std::vector<Action>& actions);
  void count(std::vector<Action>& actions);
  void make(std::uint32_t count, bool renew, std::vector<Action>& actions);
  void judge(std::optional<std::uint64_t> left, std::vector<Action>& actions);
  void on_warning(const KeysRunLow& low, std::vector<Action>& actions);
  void on_upload(const UploadAnswered& answer, std::vector<Action>& actions);

  std::uint32_t target_;
  Phase phase_ = Phase::idle;
  std::uint32_t wanted_ = 0;   ///< keys that the server is to get
  std::uint32_t offered_ = 0;  ///< of them in the upload that is under way
  bool owed_ = false;
  bool activated_ = false;
  bool renewal_wanted_ = false;
  bool renewing_ = false;  ///< and no upload of the new ones was accepted
  std::uint32_t failures_ = 0;
};

}  // namespace wa::client
