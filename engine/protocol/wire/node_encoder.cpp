#include "engine/base/overloaded.hpp"
#include "engine/protocol/wire/node_codec.hpp"
#include "engine/protocol/wire/node_tags.hpp"
#include "engine/protocol/wire/tokens.hpp"

namespace wa::wire {
namespace {

constexpr std::size_t kMaxPackedChars = 127;

/// For every character its packed half byte, and which packings know it.
constexpr std::uint8_t kNibbleChar = 0x10;
constexpr std::uint8_t kHexChar = 0x20;
constexpr std::array<std::uint8_t, 256> kPackable = [] {
  std::array<std::uint8_t, 256> table{};
  for (std::uint8_t i = 0; i < 10; ++i) table['0' + i] = i | kNibbleChar | kHexChar;
  for (std::uint8_t i = 0; i < 6; ++i)
    table['A' + i] = static_cast<std::uint8_t>(10 + i) | kHexChar;
  table['-'] = 10 | kNibbleChar;
  table['.'] = 11 | kNibbleChar;
  return table;
}();

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
    put(jid.device & 0xffu);  // one byte: all clients cut it so
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
