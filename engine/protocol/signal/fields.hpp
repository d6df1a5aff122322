#pragma once

#include <optional>

#include "engine/base/bytes.hpp"

/// Protobuf without copies, for messages that are read and written once per message on the wire:
/// the generated classes would copy each field into a string of its own. Internal to the signal
/// module.
namespace wa::signal {

/// One field as it stands in the bytes.
struct Field {
  enum class Kind { number, bytes, other };

  std::uint32_t id = 0;
  Kind kind = Kind::other;
  std::uint64_t number = 0;
  ByteSpan bytes;

  /// Like protobuf: a field of another kind than expected counts as unknown, and of a number that
  /// is too long the low 32 bits are taken.
  void take(std::optional<ByteSpan>& to) const {
    if (kind == Kind::bytes) to = bytes;
  }
  void take(std::optional<std::uint32_t>& to) const {
    if (kind == Kind::number) to = static_cast<std::uint32_t>(number);
  }
  void take(std::uint32_t& to) const {
    if (kind == Kind::number) to = static_cast<std::uint32_t>(number);
  }
};

/// Walks over the fields of a message. Groups are stepped over.
class FieldReader {
 public:
  explicit FieldReader(ByteSpan message) : rest_(message) {}

  /// The next field; empty at the end, and where the bytes are no protobuf (then `broken`).
  std::optional<Field> next();
  bool broken() const { return broken_; }

 private:
  bool read_varint(std::uint64_t& value);
  bool read_one(Field& field, std::uint32_t& wire_type);
  bool skip_group(std::uint32_t id);

  ByteSpan rest_;
  bool broken_ = false;
};

/// Appends fields to bytes.
class FieldWriter {
 public:
  explicit FieldWriter(Bytes& to) : to_(to) {}
  FieldWriter& number(std::uint32_t id, std::uint32_t value);
  FieldWriter& bytes(std::uint32_t id, ByteSpan value);

 private:
  void varint(std::uint64_t value);
  Bytes& to_;
};

}  // namespace wa::signal
