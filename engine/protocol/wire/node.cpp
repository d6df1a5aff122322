#include "engine/protocol/wire/node.hpp"

#include <algorithm>
#include <charconv>

#include "engine/base/overloaded.hpp"
#include "engine/protocol/wire/frame_storage.hpp"

namespace wa::wire {
namespace {

/// Most nodes have no more: room for them is taken at once.
constexpr std::size_t kUsualAttributes = 4;

const Value* find(std::span<const Attribute> attributes, std::string_view key) {
  for (std::size_t i = attributes.size(); i > 0; --i) {
    if (attributes[i - 1].key == key) return &attributes[i - 1].value;
  }
  return nullptr;
}

std::string print(const Value& value) {
  const auto* jid = std::get_if<JidView>(&value);
  return jid ? jid->to_string() : std::string(std::get<std::string_view>(value));
}

/// The length of the well-formed UTF-8 sequence at the start of a text; 0 when there is none.
std::size_t utf8_sequence(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool surrogate = lead == 0xed && second > 0x9f;
  const bool beyond = lead == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : size;
}

/// Escapes what would break a log line or the markup; what is not UTF-8 is shown as \xNN.
void append_escaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const char c = text[0];
    const std::size_t size = utf8_sequence(text);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (size == 0 || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out.append("\\x").append(to_hex(as_bytes(text.substr(0, 1))));
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

void append_xml(const Node& node, std::string& out) {
  out += '<';
  append_escaped(node.tag, out);
  for (const Attribute& attribute : node.attributes) {
    out += ' ';
    append_escaped(attribute.key, out);
    out += "=\"";
    append_escaped(print(attribute.value), out);
    out += '"';
  }
  const bool empty =
      std::holds_alternative<std::monostate>(node.content) ||
      (std::holds_alternative<std::span<const Node>>(node.content) && node.children().empty());
  if (empty) {
    out += "/>";
    return;
  }
  out += '>';
  std::visit(Overloaded{
                 [](std::monostate) {},
                 [&](std::span<const Node> children) {
                   for (const Node& child : children) append_xml(child, out);
                 },
                 [&](ByteSpan bytes) {
                   out.append("{").append(std::to_string(bytes.size())).append(" bytes}");
                 },
                 [&](const Value& value) { append_escaped(print(value), out); },
             },
             node.content);
  out += "</";
  append_escaped(node.tag, out);
  out += '>';
}

NodeBuilder::AttributeValue owned(const Value& value) {
  if (const auto* jid = std::get_if<JidView>(&value)) return Jid(*jid);
  return std::string(std::get<std::string_view>(value));
}

}  // namespace

std::string_view Node::attr(std::string_view key) const {
  const Value* value = find(attributes, key);
  const auto* text = value ? std::get_if<std::string_view>(value) : nullptr;
  return text ? *text : std::string_view();
}

bool Node::has_attr(std::string_view key) const {
  return find(attributes, key) != nullptr;
}

std::optional<Jid> Node::jid(std::string_view key) const {
  const Value* value = find(attributes, key);
  if (!value) return std::nullopt;
  if (const auto* jid = std::get_if<JidView>(value)) return Jid(*jid);
  auto parsed = Jid::parse(std::get<std::string_view>(*value));
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

std::string Node::printed(std::string_view key) const {
  const Value* value = find(attributes, key);
  return value ? print(*value) : std::string();
}

std::optional<std::uint64_t> Node::number(std::string_view key) const {
  const std::string_view text = attr(key);
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc() || stopped != end) return std::nullopt;
  return number;
}

std::span<const Node> Node::children() const {
  const auto* list = std::get_if<std::span<const Node>>(&content);
  return list ? *list : std::span<const Node>();
}

const Node* Node::first_child() const {
  const auto list = children();
  return list.empty() ? nullptr : &list.front();
}

const Node* Node::child(std::string_view tag_name) const {
  for (const Node& candidate : children()) {
    if (candidate.tag == tag_name) return &candidate;
  }
  return nullptr;
}

ByteSpan Node::bytes() const {
  if (const auto* binary = std::get_if<ByteSpan>(&content)) return *binary;
  const auto* value = std::get_if<Value>(&content);
  const auto* text = value ? std::get_if<std::string_view>(value) : nullptr;
  return text ? as_bytes(*text) : ByteSpan();
}

std::string to_xml(const Node& node) {
  std::string text;
  append_xml(node, text);
  return text;
}

NodeBuilder NodeBuilder::copy_of(const Node& node) {
  NodeBuilder copy{std::string(node.tag)};
  copy.attributes_.reserve(node.attributes.size());
  for (const Attribute& attribute : node.attributes) {
    copy.attributes_.emplace_back(attribute.key, owned(attribute.value));
  }
  std::visit(Overloaded{
                 [](std::monostate) {},
                 [&](std::span<const Node> children) {
                   auto& list = copy.content_.emplace<std::vector<NodeBuilder>>();
                   list.reserve(children.size());
                   for (const Node& child : children) list.push_back(copy_of(child));
                 },
                 [&](ByteSpan bytes) { copy.content_ = to_bytes(bytes); },
                 [&](const Value& value) {
                   std::visit([&](auto&& held) { copy.content_ = std::move(held); }, owned(value));
                 },
             },
             node.content);
  return copy;
}

NodeBuilder& NodeBuilder::attr(std::string key, std::string value) & {
  if (attributes_.empty()) attributes_.reserve(kUsualAttributes);
  attributes_.emplace_back(std::move(key), std::move(value));
  return *this;
}

NodeBuilder& NodeBuilder::attr(std::string key, const Jid& value) & {
  if (attributes_.empty()) attributes_.reserve(kUsualAttributes);
  attributes_.emplace_back(std::move(key), value);
  return *this;
}

void NodeBuilder::set_attr(std::string_view key, std::optional<AttributeValue> value) {
  const auto has_key = [&](const auto& attribute) { return attribute.first == key; };
  const auto first = std::find_if(attributes_.begin(), attributes_.end(), has_key);
  if (first == attributes_.end()) {
    if (value) attributes_.emplace_back(key, std::move(*value));
    return;
  }
  auto rest = first;
  if (value) {
    first->second = std::move(*value);
    ++rest;
  }
  attributes_.erase(std::remove_if(rest, attributes_.end(), has_key), attributes_.end());
}

NodeBuilder& NodeBuilder::child(NodeBuilder node) & {
  if (!std::holds_alternative<std::vector<NodeBuilder>>(content_)) {
    content_.emplace<std::vector<NodeBuilder>>();
  }
  std::get<std::vector<NodeBuilder>>(content_).push_back(std::move(node));
  return *this;
}

NodeBuilder& NodeBuilder::bytes(ByteSpan content) & {
  content_ = to_bytes(content);
  return *this;
}

NodeBuilder& NodeBuilder::text(std::string content) & {
  content_ = std::move(content);
  return *this;
}

std::unique_ptr<Frame::Storage> Frame::Storage::create(Bytes plaintext, std::size_t node_offset) {
  // About what ordinary stanzas need (tokens dominate the small ones, binary content the large
  // ones), so that most frames stay in the first block.
  const std::size_t arena_bytes = std::min<std::size_t>(384 + 10 * plaintext.size(), 16 * 1024);
  void* memory = ::operator new(sizeof(Storage) + arena_bytes);
  auto* begin = static_cast<std::byte*>(memory) + sizeof(Storage);
  return std::unique_ptr<Storage>(
      ::new (memory) Storage(std::move(plaintext), node_offset, begin, begin + arena_bytes));
}

Frame::Storage::~Storage() {
  while (blocks_) ::operator delete(std::exchange(blocks_, blocks_->previous));
}

void* Frame::Storage::allocate_block(std::size_t bytes) {
  if (bytes > kMaxTreeBytes - block_bytes_) return nullptr;
  // The tree's size is not known in advance: each block is as large as all before it together.
  const std::size_t payload_bytes =
      std::max(bytes, std::min(kMaxTreeBytes - block_bytes_, std::max(block_bytes_, kBlockBytes)));
  auto* memory = static_cast<std::byte*>(::operator new(kBlockHeaderBytes + payload_bytes));
  blocks_ = ::new (memory) Block{blocks_};
  block_bytes_ += payload_bytes;
  next_ = memory + kBlockHeaderBytes + bytes;
  end_ = memory + kBlockHeaderBytes + payload_bytes;
  return memory + kBlockHeaderBytes;
}

Frame::Frame(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {
  WA_ASSERT(storage_ != nullptr);
}
Frame::~Frame() = default;
Frame::Frame(Frame&&) noexcept = default;
Frame& Frame::operator=(Frame&&) noexcept = default;

const Node& Frame::root() const {
  return storage_->root;
}
ByteSpan Frame::plaintext() const {
  return storage_->node_bytes();
}

}  // namespace wa::wire
