#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/base/bytes.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::mock::control {

/// What a body of `POST …/scan` holds: the bytes decide.
struct ScanInput {
  std::string text;  ///< QR text, or empty
  Bytes picture;     ///< PNG or JPEG, or empty
};

/// PNG, JPEG, a data: URL of either, else QR text. Errors: `malformed`, saying what to send.
Result<ScanInput> read_scan_input(ByteSpan body);

/// The camera on a thread of its own: a picture takes a good part of a second, and the connections
/// of all tenants would stand still meanwhile.
class PictureReader {
 public:
  using Done = std::function<void(Result<std::string>)>;

  explicit PictureReader(boost::asio::io_context& io);
  ~PictureReader();

  /// Waits for the picture being read and drops those that wait; no `done` runs after this.
  void stop();

  /// `done` runs on the io_context. Errors: `conflict` (too many pictures wait, or stopped).
  Result<void> read(Bytes picture, Done done);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::mock::control
