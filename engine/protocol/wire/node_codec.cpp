#include "engine/protocol/wire/node_codec.hpp"

#include <zlib.h>

#include <algorithm>

#include "engine/base/limits.hpp"
#include "engine/base/overloaded.hpp"
#include "engine/protocol/wire/frame_storage.hpp"
#include "engine/protocol/wire/tokens.hpp"

namespace wa::wire {
namespace {

constexpr std::byte kFlagDeflated{2};

constexpr std::string_view kServerHosted = "hosted";
constexpr std::string_view kServerHostedLid = "hosted.lid";
constexpr std::string_view kServerMessenger = "msgr";
constexpr std::string_view kServerInterop = "interop";

/// The bytes that introduce a value. docs/protocol/nodes.md, "Tag bytes".
enum Tag : std::uint8_t {
  kListEmpty = 0,
  kDictionary0 = 236,
  kDictionary3 = 239,
  kInteropJid = 245,
  kFbJid = 246,
  kAdJid = 247,
  kList8 = 248,
  kList16 = 249,
  kJidPair = 250,
  kHex8 = 251,
  kBinary8 = 252,
  kBinary20 = 253,
  kBinary32 = 254,
  kNibble8 = 255,
};

/// The domain byte of an AD_JID.
enum Domain : std::uint8_t { kDomainPn = 0, kDomainLid = 1, kDomainHosted = 128, kDomainHostedLid = 129 };

// A list cannot announce more items than its 16 bits hold, so that is the check of the limit.
constexpr std::size_t kMaxListSize = 0xffff;
static_assert(limits::kMaxNodeChildren == kMaxListSize);

constexpr std::size_t kMaxPackedChars = 127;

// --- packed text -------------------------------------------------------------------------------

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

/// For every character its packed half byte, and which packings know it.
constexpr std::uint8_t kNibbleChar = 0x10;
constexpr std::uint8_t kHexChar = 0x20;
constexpr std::array<std::uint8_t, 256> kPackable = [] {
  std::array<std::uint8_t, 256> table{};
  for (std::uint8_t i = 0; i < 10; ++i) table['0' + i] = i | kNibbleChar | kHexChar;
  for (std::uint8_t i = 0; i < 6; ++i) table['A' + i] = static_cast<std::uint8_t>(10 + i) | kHexChar;
  table['-'] = 10 | kNibbleChar;
  table['.'] = 11 | kNibbleChar;
  return table;
}();

// --- decoding ----------------------------------------------------------------------------------

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

  Result<void> read_root() {
    if (!read_node(storage_.root, 1)) return std::move(error_);
    if (next_ != end_) {
      fail(Errc::malformed, "trailing bytes after the node");
      return std::move(error_);
    }
    return {};
  }

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

  /// A text whose tag byte is read already: token, packed, raw, or nothing.
  bool read_text_after(std::uint8_t tag, std::string_view& text) {
    if (tag < kDictionary0) {
      text = texts_[tag];  // LIST_EMPTY is 0, whose text is empty
      return true;
    }
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

  bool read_text(std::string_view& text) {
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
      Attribute* attribute = ::new (placed + i) Attribute();
      std::uint8_t tag = 0;
      if (!read_text(attribute->key) || !read_byte(tag) || !read_value(tag, attribute->value)) {
        return false;
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

// --- encoding ----------------------------------------------------------------------------------

/// Writes nodes through a buffer on the stack, so that `out` grows once for a small frame.
class Writer {
 public:
  Writer(Dictionary dictionary, Bytes& out) : tokens_(token_index(dictionary)), out_(out) {}

  template <class AnyNode>
  void write_frame(const AnyNode& node) {
    put(0);  // flags
    write(node);
    flush();
  }

 private:
  void flush() {
    append(out_, ByteSpan(buffer_.data(), used_));
    used_ = 0;
  }
  void make_room(std::size_t bytes) {
    if (buffer_.size() - used_ < bytes) flush();
  }
  void put(std::size_t byte) { buffer_[used_++] = static_cast<std::byte>(byte); }
  template <std::size_t N>
  void put_number(std::size_t number) {
    for (std::size_t i = N; i > 0; --i) put(number >> (8 * (i - 1)) & 0xff);
  }

  void write_list_start(std::size_t size) {
    make_room(3);
    WA_ASSERT(size <= kMaxListSize);
    if (size == 0) {
      put(kListEmpty);
    } else if (size < 256) {
      put(kList8);
      put(size);
    } else {
      put(kList16);
      put_number<2>(size);
    }
  }

  void write_binary(ByteSpan bytes) {
    make_room(5);
    if (bytes.size() < 256) {
      put(kBinary8);
      put(bytes.size());
    } else if (bytes.size() < std::size_t{1} << 20) {
      put(kBinary20);
      put_number<3>(bytes.size());
    } else {
      WA_ASSERT(bytes.size() < std::size_t{1} << 31);
      put(kBinary32);
      put_number<4>(bytes.size());
    }
    make_room(bytes.size());
    if (bytes.size() > buffer_.size()) {
      append(out_, bytes);
    } else if (!bytes.empty()) {
      std::memcpy(buffer_.data() + used_, bytes.data(), bytes.size());
      used_ += bytes.size();
    }
  }

  /// Packs while looking whether the text can be packed; leaves nothing behind when it cannot.
  bool write_packed(std::string_view text) {
    make_room(2 + (kMaxPackedChars + 1) / 2);
    const std::size_t start = used_;
    used_ += 2;
    std::uint8_t known = kNibbleChar | kHexChar;
    std::size_t i = 0;
    for (; i + 1 < text.size(); i += 2) {
      const std::uint8_t high = kPackable[static_cast<unsigned char>(text[i])];
      const std::uint8_t low = kPackable[static_cast<unsigned char>(text[i + 1])];
      known &= high & low;
      if (known == 0) break;
      put((high & 15u) << 4 | (low & 15u));
    }
    const bool odd = i + 1 == text.size();
    if (odd && known != 0) {
      const std::uint8_t high = kPackable[static_cast<unsigned char>(text[i])];
      known &= high;
      put((high & 15u) << 4 | 15u);
    }
    if (known == 0) {
      used_ = start;
      return false;
    }
    buffer_[start] = static_cast<std::byte>((known & kNibbleChar) != 0 ? kNibble8 : kHex8);
    buffer_[start + 1] = static_cast<std::byte>((text.size() + 1) / 2 | (odd ? 0x80u : 0u));
    return true;
  }

  void write_text(std::string_view text) {
    if (!text.empty() && text.size() <= kMaxPackedChars) {
      if (const std::uint32_t token = tokens_.find(text); token != 0) {
        make_room(2);
        if (token < kSingleTokens) {
          put(token);
        } else {
          put(kDictionary0 + (token - kSingleTokens) / kTokensPerDictionary);
          put((token - kSingleTokens) % kTokensPerDictionary);
        }
        return;
      }
      if (write_packed(text)) return;
    }
    write_binary(as_bytes(text));
  }

  void write_ad_jid(std::uint8_t domain, const JidView& jid) {
    make_room(3);
    put(kAdJid);
    put(domain);
    put(jid.device & 0xffu);  // one byte: every client cuts it so
    write_text(jid.user);
  }

  void write(const JidView& jid) {
    if (jid.server == kServerPn) {
      if (jid.device != 0 || jid.agent != 0) return write_ad_jid(jid.agent, jid);
    } else if (jid.server == kServerLid) {
      if (jid.device != 0) return write_ad_jid(kDomainLid, jid);
    } else if (jid.server == kServerHosted) {
      return write_ad_jid(kDomainHosted, jid);
    } else if (jid.server == kServerHostedLid) {
      return write_ad_jid(kDomainHostedLid, jid);
    } else if (jid.server == kServerMessenger || jid.server == kServerInterop) {
      const bool interop = jid.server == kServerInterop;
      make_room(1);
      put(interop ? kInteropJid : kFbJid);
      write_text(jid.user);
      make_room(4);
      put_number<2>(jid.device);
      if (interop) put_number<2>(jid.integrator);
      return write_text(jid.server);
    }
    make_room(2);
    put(kJidPair);
    if (jid.user.empty()) {
      put(kListEmpty);
    } else {
      write_text(jid.user);
    }
    write_text(jid.server);
  }
  void write(const Jid& jid) { write(jid.view()); }
  void write(std::string_view text) { write_text(text); }
  void write(ByteSpan bytes) { write_binary(bytes); }
  void write(const Value& value) {
    std::visit([this](const auto& held) { write(held); }, value);
  }
  template <class AnyNode>
  void write_list(const AnyNode& nodes) {
    write_list_start(nodes.size());
    for (const auto& node : nodes) write(node);
  }

  void write(const NodeBuilder& node) {
    const bool has_content = !std::holds_alternative<std::monostate>(node.content());
    write_list_start(2 * node.attributes().size() + 1 + (has_content ? 1 : 0));
    write_text(node.tag());
    for (const auto& [key, value] : node.attributes()) {
      write_text(key);
      if (const auto* text = std::get_if<std::string>(&value)) {
        write_text(*text);
      } else {
        write(std::get<Jid>(value));
      }
    }
    std::visit(Overloaded{
                   [](std::monostate) {},
                   [this](const std::vector<NodeBuilder>& children) { write_list(children); },
                   [this](const Bytes& bytes) { write_binary(bytes); },
                   [this](const std::string& text) { write_text(text); },
                   [this](const Jid& jid) { write(jid); },
               },
               node.content());
  }

  void write(const Node& node) {
    const bool has_content = !std::holds_alternative<std::monostate>(node.content);
    write_list_start(2 * node.attributes.size() + 1 + (has_content ? 1 : 0));
    write_text(node.tag);
    for (const Attribute& attribute : node.attributes) {
      write_text(attribute.key);
      write(attribute.value);
    }
    std::visit(Overloaded{
                   [](std::monostate) {},
                   [this](std::span<const Node> children) { write_list(children); },
                   [this](ByteSpan bytes) { write_binary(bytes); },
                   [this](const Value& value) { write(value); },
               },
               node.content);
  }

  const TokenIndex& tokens_;
  Bytes& out_;
  std::size_t used_ = 0;
  std::array<std::byte, 2048> buffer_;  // not initialised: only the used part is read
};

}  // namespace

Result<Frame> decode(Bytes plaintext, Dictionary dictionary) {
  if (plaintext.empty()) return Error{Errc::malformed, "an empty plaintext"};
  std::size_t node_offset = 1;
  if ((plaintext[0] & kFlagDeflated) != std::byte{0}) {
    WA_TRY(plaintext, inflated(ByteSpan(plaintext).subspan(1)));
    node_offset = 0;
  }
  auto storage = Frame::Storage::create(std::move(plaintext), node_offset);
  WA_TRY_VOID(Reader(*storage, dictionary).read_root());
  return Frame(std::move(storage));
}

void encode(const NodeBuilder& node, Dictionary dictionary, Bytes& out) {
  Writer(dictionary, out).write_frame(node);
}

void encode(const Node& node, Dictionary dictionary, Bytes& out) {
  Writer(dictionary, out).write_frame(node);
}

Bytes encode(const NodeBuilder& node, Dictionary dictionary) {
  Bytes out;
  encode(node, dictionary, out);
  return out;
}

}  // namespace wa::wire
