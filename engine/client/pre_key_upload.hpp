#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/client/credentials.hpp"
#include "engine/protocol/wire/node.hpp"

namespace wa::client {

/// A one-time pre-key as a server is given it.
struct OfferedKey {
  std::uint32_t id = 0;
  crypto::PublicKey key;
};

/// The IQ that gives the server one-time pre-keys, with the identity and the signed pre-key they go
/// with. A view tree over a few arrays: 812 keys cost no allocation each.
///
/// Source: docs/protocol/connection.md, "Pre-keys".
class PreKeyUpload {
 public:
  /// All arguments must outlive the upload.
  PreKeyUpload(std::string_view iq_id, const Credentials& credentials,
               std::span<const OfferedKey> keys);
  PreKeyUpload(const PreKeyUpload&) = delete;
  PreKeyUpload& operator=(const PreKeyUpload&) = delete;

  wire::Node node() const { return {"iq", attributes_, std::span<const wire::Node>(children_)}; }

 private:
  ByteArray<4> registration_id_;
  ByteArray<3> signed_id_;
  std::vector<ByteArray<3>> ids_;
  std::vector<wire::Node> fields_;  ///< id and value of each key in turn
  std::vector<wire::Node> keys_;
  std::array<wire::Node, 3> signed_fields_;
  std::array<wire::Node, 5> children_;
  std::array<wire::Attribute, 4> attributes_;
};

}  // namespace wa::client
