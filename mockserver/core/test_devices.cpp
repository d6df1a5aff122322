#include "mockserver/core/test_devices.hpp"

#include <gtest/gtest.h>

namespace wa::mock::test {

using wire::Jid;
using wire::Node;
using wire::NodeBuilder;

TestDevice::TestDevice(Bench& bench, std::string number, std::string label,
                       wire::Dictionary dictionary)
    : keys(bench.random()),
      linked(link_device(bench, keys, std::move(number))),
      bench_(bench),
      label_(std::move(label)),
      dictionary_(dictionary) {
  log_in();
}

void TestDevice::log_in_unread(bool passive) {
  client = std::make_unique<TestClient>(bench_, keys, label_, dictionary_);
  client->log_in(linked.phone, linked.device, passive);
  // Frames for old clients are held back for a moment.
  bench_.advance(std::chrono::milliseconds(100));
}

void TestDevice::log_in() {
  log_in_unread();
  client->drop_messages();
}

std::vector<wire::Frame> TestDevice::inbox() {
  std::vector<wire::Frame> frames;
  while (client->has_message()) frames.push_back(client->receive());
  return frames;
}

std::vector<wire::Frame> TestDevice::inbox(std::string_view tag) {
  std::vector<wire::Frame> frames = inbox();
  std::erase_if(frames, [&](const wire::Frame& frame) { return frame.root().tag != tag; });
  return frames;
}

void TestDevice::settle() {
  for (const wire::Frame& frame : inbox()) {
    const Node& node = frame.root();
    if (node.tag == "message") send(receipt_for(node));
    if (node.tag != "receipt" && node.tag != "notification") continue;
    NodeBuilder ack("ack");
    ack.attr("class", std::string(node.tag)).attr("id", std::string(node.attr("id")));
    ack.attr("to", *node.jid("from"));
    for (const char* key : {"type", "participant"}) {
      if (const auto jid = node.jid(key)) {
        ack.attr(key, *jid);
      } else if (node.has_attr(key)) {
        ack.attr(key, node.printed(key));
      }
    }
    send(ack);
  }
}

wire::Frame TestDevice::ask(const NodeBuilder& iq) {
  send(iq);
  std::vector<wire::Frame> answers = inbox("iq");
  EXPECT_EQ(answers.size(), 1u);
  if (answers.empty()) {
    return *wire::decode(wire::encode(NodeBuilder("nothing"), dictionary_), dictionary_);
  }
  return std::move(answers.front());
}

Jid TestDevice::lid() const {
  return {Jid::parse(linked.phone.lid)->user, wire::kServerLid, device()};
}

NodeBuilder enc(std::string type, std::string_view body) {
  return NodeBuilder("enc").attr("v", "2").attr("type", std::move(type)).bytes(as_bytes(body));
}

NodeBuilder message_to(const Jid& to, std::string id, const std::vector<Jid>& copies) {
  NodeBuilder participants("participants");
  for (const Jid& device : copies) {
    participants.child(NodeBuilder("to").attr("jid", device).child(enc("msg", device.to_string())));
  }
  return NodeBuilder("message")
      .attr("id", std::move(id))
      .attr("to", to)
      .attr("type", "text")
      .child(std::move(participants));
}

NodeBuilder receipt_for(const Node& message, std::string type) {
  NodeBuilder receipt("receipt");
  receipt.attr("id", std::string(message.attr("id"))).attr("to", *message.jid("from"));
  for (const char* key : {"participant", "recipient"}) {
    if (const auto jid = message.jid(key)) receipt.attr(key, *jid);
  }
  if (!type.empty()) receipt.attr("type", std::move(type));
  return receipt;
}

}  // namespace wa::mock::test
