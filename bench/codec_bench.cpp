/// Encode and decode times of the binary node codec, per stanza.
///
///     codec_bench FILE...     files in the form of tests/vectors/binary-nodes.json
///
/// Prints one line per stanza: name, encoded bytes, ns to encode, ns to decode, tab-separated; then
/// the geometric means on stderr. codec_vs_baileys compares them with Baileys on the same stanzas.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "engine/protocol/wire/node_codec.hpp"

namespace {

using namespace wa;
using Clock = std::chrono::steady_clock;

constexpr auto kDictionary = wire::Dictionary::v3;
constexpr int kRounds = 12;
constexpr double kRoundNs = 1.5e6;
// Inputs of one timed batch of decodes; few enough to stay in the cache, as a fresh frame would.
constexpr std::size_t kBatchBytes = 32 * 1024;

/// The files follow Baileys' rule: a text with '@' is a JID.
wire::NodeBuilder::AttributeValue value_of(const boost::json::value& json) {
  const std::string text(json.as_string());
  if (text.find('@') == std::string::npos) return text;
  return wire::Jid::parse(text).value();
}

wire::NodeBuilder node_of(const boost::json::value& json) {
  wire::NodeBuilder node(std::string(json.at("tag").as_string()));
  for (const auto& [key, value] : json.at("attrs").as_object()) node.set_attr(key, value_of(value));
  const auto* content = json.as_object().if_contains("content");
  if (!content || content->is_null()) return node;
  if (const auto* children = content->if_array()) {
    node.content() = std::vector<wire::NodeBuilder>();
    for (const auto& child : *children) node.child(node_of(child));
  } else if (const auto* hex = content->as_object().if_contains("hex")) {
    node.bytes(from_hex(std::string_view(hex->as_string())).value());
  } else {
    std::visit([&](auto value) { node.content() = std::move(value); },
               value_of(content->at("text")));
  }
  return node;
}

double ns_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

/// The best of some rounds, each of as many batches as fill it. `batch` returns its ns per item.
template <class Batch>
double best_of_rounds(const Batch& batch) {
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    double sum = 0;
    int batches = 0;
    for (const auto start = Clock::now(); batches == 0 || ns_since(start) < kRoundNs; ++batches) {
      sum += batch();
    }
    best = std::min(best, sum / batches);
  }
  return best;
}

double encode_ns(const wire::NodeBuilder& node, std::size_t size) {
  const std::size_t count = std::clamp<std::size_t>(kBatchBytes / size, 4, 256);
  return best_of_rounds([&] {
    std::size_t total = 0;
    const auto start = Clock::now();
    for (std::size_t i = 0; i < count; ++i) total += wire::encode(node, kDictionary).size();
    const double ns = ns_since(start) / static_cast<double>(count);
    if (total != count * size) std::abort();
    return ns;
  });
}

/// From the plaintext that decryption left to the tree, and giving both back.
double decode_ns(const Bytes& encoded) {
  const std::size_t count = std::clamp<std::size_t>(kBatchBytes / encoded.size(), 4, 256);
  std::vector<Bytes> inputs;
  return best_of_rounds([&] {
    inputs.assign(count, encoded);
    std::size_t failed = 0;
    const auto start = Clock::now();
    for (Bytes& input : inputs) {
      const auto frame = wire::decode(std::move(input), kDictionary);
      if (!frame || frame->root().tag.empty()) ++failed;
    }
    const double ns = ns_since(start) / static_cast<double>(count);
    if (failed != 0) std::abort();
    return ns;
  });
}

boost::json::array stanzas_of(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const auto json = boost::json::parse(text.str());
  const auto* vectors = json.as_object().if_contains("vectors");
  return (vectors ? *vectors : json.at("stanzas")).as_array();
}

}  // namespace

int main(int argc, char** argv) {
  double encode_sum = 0;
  double decode_sum = 0;
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& stanza : stanzas_of(argv[i])) {
      const auto node = node_of(stanza.at("node"));
      const Bytes encoded = wire::encode(node, kDictionary);
      const double encode_time = encode_ns(node, encoded.size());
      const double decode_time = decode_ns(encoded);
      std::printf("%s\t%zu\t%.1f\t%.1f\n", stanza.at("name").as_string().c_str(), encoded.size(),
                  encode_time, decode_time);
      const auto bytes = static_cast<double>(encoded.size());
      encode_sum += std::log(bytes / encode_time * 1e3);
      decode_sum += std::log(bytes / decode_time * 1e3);
      ++count;
    }
  }
  if (count == 0) return 2;
  std::fprintf(stderr, "%d stanzas, geometric means: encode %.0f MB/s, decode %.0f MB/s\n", count,
               std::exp(encode_sum / count), std::exp(decode_sum / count));
}
