#include "engine/protocol/signal/fields.hpp"

#include <limits>

namespace wa::signal {
namespace {

constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kFixed64 = 1;
constexpr std::uint32_t kDelimited = 2;
constexpr std::uint32_t kGroupBegin = 3;
constexpr std::uint32_t kGroupEnd = 4;
constexpr std::uint32_t kFixed32 = 5;

/// Nobody nests groups; deeper ones are refused rather than counted without bound.
constexpr std::size_t kMaxGroupDepth = 16;

}  // namespace

bool FieldReader::read_varint(std::uint64_t& value) {
  value = 0;
  for (std::size_t i = 0; i < 10 && i < rest_.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(rest_[i]);
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      rest_ = rest_.subspan(i + 1);
      return true;
    }
  }
  return false;
}

bool FieldReader::read_one(Field& field, std::uint32_t& wire_type) {
  std::uint64_t tag = 0;
  if (!read_varint(tag) || tag > std::numeric_limits<std::uint32_t>::max() || tag >> 3 == 0) {
    return false;
  }
  field = {};
  field.id = static_cast<std::uint32_t>(tag >> 3);
  wire_type = static_cast<std::uint32_t>(tag & 7);
  std::uint64_t size = 0;
  switch (wire_type) {
    case kVarint: field.kind = Field::Kind::number; return read_varint(field.number);
    case kDelimited:
      if (!read_varint(size)) return false;
      field.kind = Field::Kind::bytes;
      break;
    case kFixed64: size = 8; break;
    case kFixed32: size = 4; break;
    case kGroupBegin:
    case kGroupEnd: return true;
    default: return false;
  }
  if (size > rest_.size()) return false;
  field.bytes = rest_.first(static_cast<std::size_t>(size));
  rest_ = rest_.subspan(static_cast<std::size_t>(size));
  return true;
}

bool FieldReader::skip_group(std::uint32_t id) {
  std::array<std::uint32_t, kMaxGroupDepth> open{id};
  std::size_t depth = 1;
  while (depth > 0) {
    Field field;
    std::uint32_t wire_type = 0;
    if (!read_one(field, wire_type)) return false;
    if (wire_type == kGroupBegin) {
      if (depth == open.size()) return false;
      open[depth++] = field.id;
    } else if (wire_type == kGroupEnd && open[--depth] != field.id) {
      return false;
    }
  }
  return true;
}

std::optional<Field> FieldReader::next() {
  if (broken_ || rest_.empty()) return std::nullopt;
  Field field;
  std::uint32_t wire_type = 0;
  broken_ = !read_one(field, wire_type) || wire_type == kGroupEnd ||
            (wire_type == kGroupBegin && !skip_group(field.id));
  if (broken_) return std::nullopt;
  return field;
}

void FieldWriter::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to_.push_back(static_cast<std::byte>(value | 0x80));
  to_.push_back(static_cast<std::byte>(value));
}

FieldWriter& FieldWriter::number(std::uint32_t id, std::uint32_t value) {
  varint(std::uint64_t{id} << 3 | kVarint);
  varint(value);
  return *this;
}

FieldWriter& FieldWriter::bytes(std::uint32_t id, ByteSpan value) {
  varint(std::uint64_t{id} << 3 | kDelimited);
  varint(value.size());
  append(to_, value);
  return *this;
}

}  // namespace wa::signal
