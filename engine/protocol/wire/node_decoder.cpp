#include <zlib.h>

#include <algorithm>

#include "engine/base/limits.hpp"
#include "engine/protocol/wire/frame_storage.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "engine/protocol/wire/node_tags.hpp"
#include "engine/protocol/wire/tokens.hpp"

namespace wa::wire {
namespace {

constexpr std::byte kFlagDeflated{2};

/// Two characters for every packed byte, first one low. Pairs with an illegal half have bit 7 set
/// in that character, which no legal one has.
using Unpacked = std::array<std::uint16_t, 256>;

constexpr Unpacked unpack_table(std::string_view alphabet) {
  Unpacked table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    const auto high = static_cast<unsigned char>(alphabet[byte >> 4]);
    const auto low = static_cast<unsigned char>(alphabet[byte & 15]);
    table[byte] = static_cast<std::uint16_t>(high | low << 8);
  }
  return table;
}

// 15 is the pad of an odd tail; inside a text it reads as NUL. 12 to 14 are illegal.
constexpr Unpacked kNibblePairs = unpack_table({"0123456789-.\x80\x80\x80\0", 16});
constexpr Unpacked kHexPairs = unpack_table("0123456789ABCDEF");
constexpr std::uint16_t kIllegalPair = 0x8080;

/// Reads one node. Its functions answer whether they succeeded and keep the error here: returning a
/// Result with its string from every string, attribute and node would take more time than reading.
class Reader {
 public:
  Reader(Frame::Storage& storage, Dictionary dictionary)
      : storage_(storage),
        texts_(token_texts(dictionary)),
        begin_(storage.node_bytes().data()),
        next_(begin_),
        end_(begin_ + storage.node_bytes().size()) {}

  /// Reads the root; when that fails, `error()` says why.
  bool read_root() {
    if (!read_node(storage_.root, 1)) return false;
    return next_ == end_ || fail(Errc::malformed, "trailing bytes after the node");
  }
  Error& error() { return error_; }

 private:
  [[gnu::cold, gnu::noinline]] bool fail(Errc code, std::string_view what) {
    error_ = {code, std::string(what) + " at offset " + std::to_string(next_ - begin_)};
    return false;
  }
  bool truncated() { return fail(Errc::truncated, "the node ends inside a field"); }

  std::size_t remaining() const { return static_cast<std::size_t>(end_ - next_); }

  bool read_byte(std::uint8_t& value) {
    if (next_ == end_) return truncated();
    value = std::to_integer<std::uint8_t>(*next_++);
    return true;
  }

  template <std::size_t N>
  bool read_number(std::size_t& value) {
    if (remaining() < N) return truncated();
    value = 0;
    for (std::size_t i = 0; i < N; ++i) value = value << 8 | std::to_integer<std::size_t>(*next_++);
    return true;
  }

  bool read_list_size(std::uint8_t tag, std::size_t& size) {
    switch (tag) {
      case kListEmpty: size = 0; return true;
      case kList8: return read_number<1>(size);
      case kList16: return read_number<2>(size);
      default: return fail(Errc::malformed, "a list expected, found tag " + std::to_string(tag));
    }
  }

  /// Memory for `count` objects of the tree.
  template <class T>
  bool allocate(std::size_t count, T*& memory) {
    memory = static_cast<T*>(storage_.allocate(count * sizeof(T)));
    return memory || fail(Errc::too_large, "a node tree above the memory limit");
  }

  bool read_binary(std::uint8_t tag, ByteSpan& bytes) {
    std::size_t size = 0;
    if (tag == kBinary8) {
      if (!read_number<1>(size)) return false;
    } else if (tag == kBinary20) {
      if (!read_number<3>(size)) return false;
      size &= 0xfffff;
    } else {
      if (!read_number<4>(size)) return false;
    }
    if (size > remaining()) return truncated();
    bytes = {next_, size};
    next_ += size;
    return true;
  }

  bool read_packed(const Unpacked& pairs, std::string_view& text) {
    std::uint8_t header = 0;
    if (!read_byte(header)) return false;
    const std::size_t packed_bytes = header & 0x7f;
    const bool odd = (header & 0x80) != 0;
    if (packed_bytes > remaining()) return truncated();
    char* chars = nullptr;
    if (!allocate(packed_bytes * 2, chars)) return false;
    std::uint16_t seen = 0;
    for (std::size_t i = 0; i < packed_bytes; ++i) {
      const std::uint16_t pair = pairs[std::to_integer<std::size_t>(next_[i])];
      seen |= pair;
      std::memcpy(chars + 2 * i, &pair, 2);
    }
    if ((seen & kIllegalPair) != 0) return fail(Errc::malformed, "an illegal packed character");
    next_ += packed_bytes;
    text = {chars, packed_bytes * 2 - (odd && packed_bytes > 0 ? 1 : 0)};
    return true;
  }

  /// A text whose tag byte is read already: token, packed, raw, or nothing. Most are tokens.
  [[gnu::always_inline]] bool read_text_after(std::uint8_t tag, std::string_view& text) {
    if (tag >= kDictionary0) return read_long_text(tag, text);
    text = texts_[tag];  // LIST_EMPTY is 0, whose text is empty
    return true;
  }

  bool read_long_text(std::uint8_t tag, std::string_view& text) {
    if (tag == kNibble8) return read_packed(kNibblePairs, text);
    if (tag == kHex8) return read_packed(kHexPairs, text);
    if (tag <= kDictionary3) {
      std::uint8_t index = 0;
      if (!read_byte(index)) return false;
      text = texts_[kSingleTokens + (tag - kDictionary0) * kTokensPerDictionary + index];
      return true;
    }
    if (tag >= kBinary8) {
      ByteSpan bytes;
      if (!read_binary(tag, bytes)) return false;
      text = as_text(bytes);
      return true;
    }
    return fail(Errc::malformed, "a text expected, found tag " + std::to_string(tag));
  }

  [[gnu::always_inline]] bool read_text(std::string_view& text) {
    std::uint8_t tag = 0;
    return read_byte(tag) && read_text_after(tag, text);
  }

  bool read_ad_jid(JidView& jid) {
    if (remaining() < 2) return truncated();
    const auto domain = std::to_integer<std::uint8_t>(next_[0]);
    jid.device = std::to_integer<std::uint8_t>(next_[1]);
    next_ += 2;
    switch (domain) {
      case kDomainPn: jid.server = kServerPn; break;
      case kDomainLid: jid.server = kServerLid; break;
      case kDomainHosted: jid.server = kServerHosted; break;
      case kDomainHostedLid: jid.server = kServerHostedLid; break;
      default:  // an old agent number: a phone-number user for every client that accepts it
        jid.server = kServerPn;
        jid.agent = domain;
    }
    return read_text(jid.user);
  }

  bool read_jid(std::uint8_t tag, JidView& jid) {
    if (tag == kAdJid) return read_ad_jid(jid);
    if (!read_text(jid.user)) return false;
    std::size_t number = 0;
    if (tag != kJidPair) {
      if (!read_number<2>(number)) return false;
      jid.device = static_cast<std::uint16_t>(number);
    }
    if (tag == kInteropJid) {
      if (!read_number<2>(number)) return false;
      jid.integrator = static_cast<std::uint16_t>(number);
    }
    if (!read_text(jid.server)) return false;
    const bool fits = tag == kFbJid        ? jid.server == kServerMessenger
                      : tag == kInteropJid ? jid.server == kServerInterop
                                           : !jid.server.empty();
    return fits || fail(Errc::malformed, "a JID whose server does not fit its tag");
  }

  static bool is_jid(std::uint8_t tag) {
    return tag == kJidPair || (tag >= kInteropJid && tag <= kAdJid);
  }

  bool read_value(std::uint8_t tag, Value& value) {
    if (is_jid(tag)) return read_jid(tag, value.emplace<JidView>());
    return read_text_after(tag, value.emplace<std::string_view>());
  }

  bool read_attributes(std::size_t count, std::span<const Attribute>& attributes) {
    if (count == 0) return true;
    if (count > remaining() / 2) return truncated();  // two bytes are the least
    Attribute* placed = nullptr;
    if (!allocate(count, placed)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      std::string_view key;
      std::uint8_t tag = 0;
      if (!read_text(key) || !read_byte(tag)) return false;
      if (is_jid(tag)) {
        auto* attribute = ::new (placed + i) Attribute{key, Value(std::in_place_type<JidView>)};
        if (!read_jid(tag, *std::get_if<JidView>(&attribute->value))) return false;
      } else {
        std::string_view text;
        if (!read_text_after(tag, text)) return false;
        ::new (placed + i) Attribute{key, text};
      }
    }
    attributes = {placed, count};
    return true;
  }

  bool read_children(std::uint8_t tag, std::size_t depth, std::span<const Node>& children) {
    std::size_t count = 0;
    if (!read_list_size(tag, count)) return false;
    if (count == 0) return true;
    if (count > remaining() / 3) return truncated();  // LIST_8, 1, tag: three bytes are the least
    Node* placed = nullptr;
    if (!allocate(count, placed)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (!read_node(*::new (placed + i) Node(), depth)) return false;
    }
    children = {placed, count};
    return true;
  }

  bool read_content(std::size_t depth, Node::Content& content) {
    std::uint8_t tag = 0;
    if (!read_byte(tag)) return false;
    if (tag == kListEmpty || tag == kList8 || tag == kList16) {
      return read_children(tag, depth + 1, content.emplace<std::span<const Node>>());
    }
    if (tag >= kBinary8 && tag <= kBinary32) return read_binary(tag, content.emplace<ByteSpan>());
    return read_value(tag, content.emplace<Value>());
  }

  bool read_node(Node& node, std::size_t depth) {
    if (depth > limits::kMaxNodeDepth) return fail(Errc::too_large, "nodes nested too deep");
    std::uint8_t tag = 0;
    std::size_t size = 0;
    if (!read_byte(tag) || !read_list_size(tag, size)) return false;
    if (size == 0) return fail(Errc::malformed, "a node without a tag");
    if (!read_text(node.tag)) return false;
    if (node.tag.empty()) return fail(Errc::malformed, "a node with an empty tag");
    if (!read_attributes((size - 1) / 2, node.attributes)) return false;
    return size % 2 == 1 || read_content(depth, node.content);
  }

  Frame::Storage& storage_;
  const TokenTexts& texts_;
  const std::byte* const begin_;
  const std::byte* next_;
  const std::byte* const end_;
  Error error_{};
};

/// zlib's state, released however the function is left.
struct Inflater {
  z_stream stream{};
  Inflater() { WA_ASSERT(inflateInit(&stream) == Z_OK); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

Result<Bytes> inflated(ByteSpan deflated) {
  Inflater inflater;
  z_stream& stream = inflater.stream;
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(deflated.size());
  Bytes out;
  // One byte above the limit is room enough to see that it is passed.
  constexpr std::size_t most = limits::kMaxInflatedBytes + 1;
  while (true) {
    const std::size_t filled = out.size();
    out.resize(std::min(most, std::max({filled * 2, deflated.size() * 4, std::size_t{1024}})));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = static_cast<uInt>(out.size() - filled);
    const int outcome = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (out.size() == most) return Error{Errc::too_large, "an inflated frame above the limit"};
    if (outcome == Z_STREAM_END) break;
    if (outcome == Z_OK && stream.avail_out == 0) continue;
    if (outcome == Z_OK || outcome == Z_BUF_ERROR) {
      return Error{Errc::truncated, "the zlib stream ends early"};
    }
    return Error{Errc::malformed, "not a zlib stream"};
  }
  if (stream.avail_in != 0) return Error{Errc::malformed, "trailing bytes after the zlib stream"};
  return out;
}

}  // namespace

Result<Frame> decode(Bytes plaintext, Dictionary dictionary) {
  if (plaintext.empty()) return Error{Errc::malformed, "an empty plaintext"};
  std::size_t node_offset = 1;
  if ((plaintext[0] & kFlagDeflated) != std::byte{0}) {
    WA_TRY(plaintext, inflated(ByteSpan(plaintext).subspan(1)));
    node_offset = 0;
  }
  auto storage = Frame::Storage::create(std::move(plaintext), node_offset);
  Reader reader(*storage, dictionary);
  if (!reader.read_root()) return std::move(reader.error());
  return Result<Frame>(boost::system::in_place_value, std::move(storage));
}

}  // namespace wa::wire
