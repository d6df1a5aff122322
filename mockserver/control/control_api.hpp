#pragma once

#include <memory>
#include <string>

#include "engine/net/http_server.hpp"
#include "mockserver/net/mock_host.hpp"

namespace wa::mock {

struct ControlOptions {
  std::string listen = "127.0.0.1:0";
  std::string token;    ///< bearer token; empty = none
  std::string profile;  ///< shown by /v1/info
  std::string version;
  net::HttpLimits http = {};
  std::size_t event_feeds = limits::kMaxEventFeeds;  ///< streams and long polls at a time
};

/// The HTTP/JSON control API over a MockHost. Pictures are read here (camera) and reach the tenant
/// as QR text. Source: docs/openapi.json, docs/guides/control-api.md.
class ControlApi {
 public:
  /// Errors: `usage`, `environment`.
  static Result<std::unique_ptr<ControlApi>> start(boost::asio::io_context& io, MockHost& host,
                                                   ControlOptions options);
  ~ControlApi();

  std::uint16_t port() const;
  std::string url() const;
  /// The /v1/info document.
  std::string info() const;
  void stop();

 private:
  class Impl;
  explicit ControlApi(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::mock
