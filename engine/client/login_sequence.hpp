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
///                       ▲  │ CountAnswered ≤ 5                         ▼  SendActive, once
///                       │  ▼          KeysMade           Uploaded    Ready
///                       │ Making ─────────────▶ Uploading ───────────▶ │
///                       └──────────── KeysRunLow (the server says so) ─┘
///
/// Nothing here ends a stream: an answer that is an error or never comes moves on, and the next
/// login or the server's next warning tries again.
///
/// Source: docs/protocol/connection.md, "After login".
class LoginSequence {
 public:
  struct LoggedIn {};
  struct CountAnswered {
    std::optional<std::uint64_t> count;  ///< empty: an error, or no answer
  };
  struct KeysMade {};
  struct UploadAnswered {
    bool accepted = false;
  };
  struct KeysRunLow {};
  using Event = std::variant<LoggedIn, CountAnswered, KeysMade, UploadAnswered, KeysRunLow>;

  struct AskCount {
    bool operator==(const AskCount&) const = default;
  };
  struct MakeKeys {
    std::uint32_t count = 0;
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
  using Action = std::variant<AskCount, MakeKeys, StoreAndUpload, MarkUploaded, SendActive>;

  /// The server's count, at or below which more are uploaded.
  static constexpr std::uint64_t kFewPreKeys = 5;
  /// How many a device adds when it has few, unless the initial number is smaller.
  static constexpr std::uint32_t kTopUpPreKeys = 50;

  /// `initial_pre_keys`: how many a device gives the server when it has none left there.
  explicit LoginSequence(std::uint32_t initial_pre_keys) : initial_pre_keys_(initial_pre_keys) {}

  /// Events out of order are ignored.
  std::vector<Action> step(const Event& event);

 private:
  enum class Phase : std::uint8_t { idle, counting, making, uploading, ready };

  void become_ready(std::vector<Action>& actions);

  std::uint32_t initial_pre_keys_;
  Phase phase_ = Phase::idle;
  bool activated_ = false;
};

}  // namespace wa::client
