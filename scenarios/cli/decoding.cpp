#include "scenarios/cli/decoding.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cstdio>
#include <optional>

#include "engine/protocol/noise/handshake.hpp"
#include "engine/protocol/schema/serialize.hpp"
#include "engine/protocol/schema/whatsapp.pb.h"
#include "engine/protocol/wire/frame_splitter.hpp"

namespace wa::cli {

namespace json = boost::json;

namespace {

using Lines = std::vector<std::string>;

constexpr std::size_t kHeaderBytes = 4;         // "WA", 6, dictionary
constexpr std::size_t kRoutingHeaderBytes = 7;  // "ED", 0, 1, length (3)

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// ---- traces -------------------------------------------------------------------------------------

std::string data_text(const json::value* data) {
  if (data == nullptr || !data->is_object()) return {};
  std::string text;
  for (const auto& member : data->get_object()) {
    const bool is_text = member.value().is_string();
    if (is_text && member.value().get_string().empty()) continue;
    text += "  " + std::string(member.key()) + "=" +
            (is_text ? std::string(member.value().get_string()) : json::serialize(member.value()));
  }
  return text;
}

Lines trace_lines(std::string_view text) {
  Lines lines;
  std::optional<double> began;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
    if (line.empty()) continue;
    boost::system::error_code failure;
    const json::value value = json::parse(line, failure);
    if (failure || !value.is_object()) {
      lines.push_back("line " + std::to_string(number) +
                      ": not a JSON object, the trace ends here");
      return lines;
    }
    const json::object& entry = value.get_object();
    const auto word = [&](const char* key) {
      const json::value* member = entry.if_contains(key);
      return member && member->is_string() ? std::string(member->get_string()) : std::string();
    };
    const json::value* at = entry.if_contains("t_ms");
    const double t_ms = at && at->is_number() ? at->to_number<double>() : 0;
    if (!began) began = t_ms;
    char head[200];
    std::snprintf(head, sizeof head, "%10.3f  %-24.60s %-14.40s", (t_ms - *began) / 1000,
                  word("actor").c_str(), word("kind").c_str());
    lines.push_back(head + data_text(entry.if_contains("data")));
  }
  return lines;
}

// ---- connections --------------------------------------------------------------------------------

std::string with(std::string_view name, const std::string& bytes) {
  return bytes.empty() ? std::string()
                       : ", " + std::string(name) + " " + std::to_string(bytes.size()) + " bytes";
}

/// Empty when it is no handshake message.
std::string handshake_line(ByteSpan frame) {
  const auto message = schema::parse<schema::HandshakeMessage>(frame, "HandshakeMessage");
  if (!message) return {};
  if (message->has_client_hello()) {
    const auto& hello = message->client_hello();
    return std::string(hello.has_static_() ? "ClientHello (IK)" : "ClientHello (XX)") +
           with("ephemeral", hello.ephemeral()) + with("static", hello.static_()) +
           with("payload", hello.payload());
  }
  if (message->has_server_hello()) {
    const auto& hello = message->server_hello();
    return "ServerHello" + with("ephemeral", hello.ephemeral()) + with("static", hello.static_()) +
           with("payload", hello.payload());
  }
  if (message->has_client_finish()) {
    const auto& finish = message->client_finish();
    return "ClientFinish" + with("static", finish.static_()) + with("payload", finish.payload());
  }
  return {};
}

/// One direction of a connection.
class Stream {
 public:
  Stream(bool from_client, const DecodeContext& context)
      : from_client_(from_client), context_(context), dictionary_(context.dictionary) {}

  Lines read(ByteSpan bytes) {
    if (from_client_) bytes = read_header(bytes);
    wire::FrameSplitter splitter;
    splitter.feed(bytes);
    std::size_t used = 0;
    while (true) {
      auto frame = splitter.next();
      if (!frame) {
        lines_.push_back("not a frame: " + frame.error().detail);
        return std::move(lines_);
      }
      if (!*frame) break;
      used += 3 + (*frame)->size();
      ++frames_;
      lines_.push_back(head((*frame)->size()) + frame_text(**frame));
    }
    if (used < bytes.size()) {
      lines_.push_back("ends inside a frame: " + std::to_string(bytes.size() - used) +
                       " bytes are left over");
    }
    return std::move(lines_);
  }

 private:
  ByteSpan read_header(ByteSpan bytes) {
    if (as_text(bytes.first(2)) == "ED" && bytes.size() >= kRoutingHeaderBytes) {
      const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
      const std::size_t length = at(4) << 16 | at(5) << 8 | at(6);
      lines_.push_back("routing info, " + std::to_string(length) + " bytes");
      bytes = bytes.subspan(std::min(bytes.size(), kRoutingHeaderBytes + length));
    }
    if (bytes.size() < kHeaderBytes) {
      lines_.emplace_back("ends inside the client's header");
      return {};
    }
    const auto version = std::to_integer<int>(bytes[3]);
    lines_.push_back("client header, dictionary " + std::to_string(version));
    dictionary_ = version == 2 ? wire::Dictionary::v2 : wire::Dictionary::v3;
    return bytes.subspan(kHeaderBytes);
  }

  std::string head(std::size_t frame_bytes) const {
    return std::string(from_client_ ? "client → server" : "server → client") + "  frame " +
           std::to_string(frames_) + ", " + std::to_string(frame_bytes) + " bytes: ";
  }

  std::string frame_text(const Bytes& frame) {
    if (!cipher_) {
      // A client sends two handshake messages at most, the server one.
      if (frames_ <= (from_client_ ? 2u : 1u)) {
        if (std::string message = handshake_line(frame); !message.empty()) return message;
      }
      if (!find_key(frame)) return "sealed, and no key of the key log opens it";
    }
    Result<Bytes> plaintext = cipher_->open(frame);
    if (!plaintext) return "does not open: " + plaintext.error().detail;
    auto node = wire::decode(std::move(*plaintext), dictionary_);
    return node ? wire::to_xml(node->root()) : "not a node: " + node.error().detail;
  }

  /// The first sealed frame tells whose keys these are.
  bool find_key(const Bytes& frame) {
    for (const TransportKeys& keys : context_.keys) {
      const auto& key = from_client_ ? keys.client_to_server : keys.server_to_client;
      noise::TransportCipher trial(key);
      if (!trial.open(frame)) continue;
      cipher_.emplace(key);
      return true;
    }
    return false;
  }

  bool from_client_;
  const DecodeContext& context_;
  wire::Dictionary dictionary_;
  std::optional<noise::TransportCipher> cipher_;
  std::size_t frames_ = 0;
  Lines lines_;
};

/// Whether the bytes begin with a whole ServerHello, framed.
bool is_server_stream(ByteSpan bytes) {
  wire::FrameSplitter splitter;
  splitter.feed(bytes.first(std::min<std::size_t>(bytes.size(), 64 * 1024)));
  const auto first = splitter.next();
  return first && *first && handshake_line(**first).starts_with("ServerHello");
}

Result<Lines> decode_bytes(ByteSpan bytes, const DecodeContext& context) {
  const std::string_view begin = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 2)));
  if (begin == "WA" || begin == "ED") return Stream(true, context).read(bytes);
  if (is_server_stream(bytes)) return Stream(false, context).read(bytes);
  auto node = wire::decode(to_bytes(bytes), context.dictionary);
  if (node) return Lines{wire::to_xml(node->root())};
  return Error{Errc::malformed,
               "neither a trace, nor one direction of a connection from its first byte on, nor a "
               "decrypted frame (as the latter: " +
                   node.error().detail + ")"};
}

/// The bytes that hexadecimal text stands for; empty if it is something else.
std::optional<Bytes> hexadecimal(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
    digits.push_back(c);
  }
  auto bytes = from_hex(digits);
  if (!bytes || bytes->empty()) return std::nullopt;
  return std::move(*bytes);
}

}  // namespace

Result<std::vector<std::string>> decode_lines(ByteSpan file, const DecodeContext& context) {
  const std::string_view text = trimmed(as_text(file));
  if (text.empty()) return Error{Errc::malformed, "the file is empty"};
  if (text.front() == '{') return trace_lines(text);
  if (const auto bytes = hexadecimal(text)) return decode_bytes(*bytes, context);
  return decode_bytes(file, context);
}

}  // namespace wa::cli
