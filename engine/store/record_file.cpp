#include "engine/store/record_file.hpp"

#include "engine/protocol/crypto/hash.hpp"

namespace wa::store {
namespace {

constexpr std::string_view kMagic = "testline";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kChecksumBytes = 32;

template <std::size_t LengthBytes>
void write(ByteSpan bytes, Bytes& out) {
  WA_ASSERT(bytes.size() < (std::uint64_t{1} << (8 * LengthBytes)));
  append(out, big_endian<LengthBytes>(bytes.size()));
  append(out, bytes);
}

/// Takes parts off the front.
class Reader {
 public:
  explicit Reader(ByteSpan rest) : rest_(rest) {}

  bool empty() const { return rest_.empty(); }

  Result<ByteSpan> take(std::size_t count) {
    if (rest_.size() < count) return Error{Errc::malformed, "the file ends inside a record"};
    const ByteSpan part = rest_.first(count);
    rest_ = rest_.subspan(count);
    return part;
  }
  Result<std::uint64_t> number(std::size_t bytes) {
    WA_TRY(const ByteSpan part, take(bytes));
    return read_big_endian(part);
  }
  template <std::size_t LengthBytes>
  Result<ByteSpan> counted() {
    WA_TRY(const std::uint64_t count, number(LengthBytes));
    return take(count);
  }

 private:
  ByteSpan rest_;
};

}  // namespace

Bytes encode_records(const Records& records) {
  Bytes file = to_bytes(kMagic);
  append(file, big_endian<4>(kVersion));
  std::size_t count = 0;
  for (const auto& [kind, of_kind] : records) count += of_kind.size();
  append(file, big_endian<4>(count));
  for (const auto& [kind, of_kind] : records) {
    for (const auto& [key, bytes] : of_kind) {
      write<2>(as_bytes(kind), file);
      write<2>(as_bytes(key), file);
      write<4>(bytes, file);
    }
  }
  append(file, crypto::sha256(file));
  return file;
}

Result<Records> decode_records(ByteSpan file) {
  if (file.size() < kMagic.size() + kChecksumBytes) {
    return Error{Errc::malformed, std::to_string(file.size()) + " bytes are too few"};
  }
  const ByteSpan contents = file.first(file.size() - kChecksumBytes);
  if (as_text(contents.first(kMagic.size())) != kMagic) {
    return Error{Errc::malformed, "the file does not begin as a store does"};
  }
  if (!equal(crypto::sha256(contents), file.last(kChecksumBytes))) {
    return Error{Errc::malformed, "the checksum does not match"};
  }
  Reader reader(contents.subspan(kMagic.size()));
  WA_TRY(const std::uint64_t version, reader.number(4));
  if (version != kVersion) {
    return Error{Errc::malformed, "version " + std::to_string(version) + " is not known"};
  }
  WA_TRY(const std::uint64_t count, reader.number(4));
  Records records;
  for (std::uint64_t i = 0; i < count; ++i) {
    WA_TRY(const ByteSpan kind, reader.counted<2>());
    WA_TRY(const ByteSpan key, reader.counted<2>());
    WA_TRY(const ByteSpan bytes, reader.counted<4>());
    records[std::string(as_text(kind))].insert_or_assign(std::string(as_text(key)),
                                                         to_bytes(bytes));
  }
  if (!reader.empty()) return Error{Errc::malformed, "bytes stand behind the last record"};
  return records;
}

}  // namespace wa::store
