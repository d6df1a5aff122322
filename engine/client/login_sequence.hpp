#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace wa::client {

/// What a device does after `<success>`: sees to it that the server has one-time pre-keys of ours,
/// then asks for what was held back.
///
///           LoggedIn             CountAnswered > 5
///   Idle ─────────────▶ Counting ──────────────────────────────────────┐
///    │                  ▲  │ CountAnswered ≤ 5                         ▼  SendActive, once
///    │ LoggedIn{check}  │  ▼          KeysMade           Uploaded    Ready
///    │                  │ Making ─────────────▶ Uploading ───────────▶ │
///    │                  ├──────────── KeysRunLow (the server says so) ─┤
///    └──▶ Checking ─────┴ DigestAnswered                               │
///            ▲                                           RenewalWanted │
///            └─────────────────────────────────────────────────────────┘
///
/// A digest says which keys the server has: that is a count as well, and tells whether what is
/// stored here is an old copy. Then all keys are made anew, as many as in the beginning.
///
/// Nothing here ends a stream: an answer that is an error or never comes moves on, and the next
/// login or the server's next warning tries again.
///
/// Source: docs/protocol/connection.md, "After login".
class LoginSequence {
 public:
  struct LoggedIn {
    bool check = false;  ///< ask for the digest first
  };
  struct DigestAnswered {
    std::optional<std::uint64_t> count;  ///< empty: an error, or no answer
    bool renew = false;                  ///< the server has keys that we never made
  };
  struct CountAnswered {
    std::optional<std::uint64_t> count;  ///< empty: an error, or no answer
  };
  struct KeysMade {};
  struct UploadAnswered {
    bool accepted = false;
  };
  struct KeysRunLow {};
  /// Our keys may have been used by somebody who is not known here any more.
  struct RenewalWanted {};
  using Event = std::variant<LoggedIn, DigestAnswered, CountAnswered, KeysMade, UploadAnswered,
                             KeysRunLow, RenewalWanted>;

  struct AskDigest {
    bool operator==(const AskDigest&) const = default;
  };
  struct AskCount {
    bool operator==(const AskCount&) const = default;
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
  /// Remember that the server has them.
  struct MarkUploaded {
    bool operator==(const MarkUploaded&) const = default;
  };
  /// Ask for the offline stanzas that the server holds back.
  struct SendActive {
    bool operator==(const SendActive&) const = default;
  };
  using Action =
      std::variant<AskDigest, AskCount, MakeKeys, StoreAndUpload, MarkUploaded, SendActive>;

  /// The server's count, at or below which more are uploaded.
  static constexpr std::uint64_t kFewPreKeys = 5;
  /// How many a device adds when it has few, unless the initial number is smaller.
  static constexpr std::uint32_t kTopUpPreKeys = 50;

  /// `initial_pre_keys`: how many a device gives the server when it has none left there.
  explicit LoginSequence(std::uint32_t initial_pre_keys) : initial_pre_keys_(initial_pre_keys) {}

  /// Events out of order are ignored.
  std::vector<Action> step(const Event& event);

 private:
  enum class Phase : std::uint8_t { idle, checking, counting, making, uploading, ready };

  void become_ready(std::vector<Action>& actions);
  void check(std::vector<Action>& actions);
  void count(std::vector<Action>& actions);
  void make(std::uint32_t count, bool renew, std::vector<Action>& actions);
  void judge(std::optional<std::uint64_t> count, std::vector<Action>& actions);

  std::uint32_t initial_pre_keys_;
  Phase phase_ = Phase::idle;
  bool activated_ = false;
  bool renewal_wanted_ = false;
};

}  // namespace wa::client
