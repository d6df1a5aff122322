#pragma once

#include <google/protobuf/message_lite.h>

#include <limits>

#include "engine/base/bytes.hpp"

/// Protobuf messages to and from the project's byte types.
namespace wa::schema {

inline Bytes serialize(const google::protobuf::MessageLite& message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(bytes.data()));
  return bytes;
}

/// Errors: `malformed`; `what` names the message.
template <class Message>
Result<Message> parse(ByteSpan bytes, std::string_view what) {
  Message message;
  constexpr auto kMaxBytes = static_cast<std::size_t>(std::numeric_limits<int>::max());
  if (bytes.size() > kMaxBytes ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Errc::malformed, std::string(what) + ": not a protobuf of this kind"};
  }
  return message;
}

/// Bytes as the argument of a `set_…` function.
inline std::string field(ByteSpan bytes) {
  return std::string(as_text(bytes));
}

}  // namespace wa::schema
