#include "mockserver/control/control_api.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include "mockserver/control/routes.hpp"
#include "mockserver/net/listen_address.hpp"

namespace wa::mock {
namespace {

std::string stable_code(int status) {
  switch (status) {
    case 401: return "unauthorized";
    case 404: return "unknown_path";
    case 405: return "wrong_method";
    case 408: return "timed_out";
    case 413: return "body_too_large";
    case 503: return "busy";
    case 500: return "internal";
    default: return "bad_request";
  }
}

std::string hint_for(int status) {
  switch (status) {
    case 401: return "send the header Authorization: Bearer TOKEN, with the --token of the mock";
    case 404: return "calls are below /v1 and /v1/t/TENANT; docs/openapi.json lists them";
    case 405: return "the header Allow names the methods of this path";
    case 413:
      return "JSON bodies take up to 1 MiB, fault records up to 64 KiB, pictures up to 16 MiB";
    default: return "";
  }
}

}  // namespace

class ControlApi::Impl {
 public:
  Impl(boost::asio::io_context& io, MockHost& host, ControlOptions options)
      : host_(host),
        options_(std::move(options)),
        handlers_(io, host, options_),
        server_(io, options_.http) {}
  ~Impl() { stop(); }

  Result<void> listen() {
    server_.on_error([](int status, std::string, std::string message) {
      return control::to_response(
          Problem{status, stable_code(status), std::move(message), hint_for(status)});
    });
    if (!options_.token.empty()) server_.require_token(options_.token);
    control::install_routes(server_, handlers_, host_);
    WA_TRY_VOID(server_.listen(options_.listen));
    handlers_.set_url("http://" + dialled_host(options_.listen) + ":" +
                      std::to_string(server_.port()));
    return {};
  }

  std::uint16_t port() const { return server_.port(); }
  const control::Handlers& handlers() const { return handlers_; }

  void stop() {
    handlers_.stop();
    server_.stop();
  }

 private:
  MockHost& host_;
  ControlOptions options_;
  control::Handlers handlers_;
  net::HttpServer server_;  ///< ends before the handlers that it calls
};

ControlApi::ControlApi(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlApi::~ControlApi() = default;

Result<std::unique_ptr<ControlApi>> ControlApi::start(boost::asio::io_context& io, MockHost& host,
                                                      ControlOptions options) {
  auto impl = std::make_unique<Impl>(io, host, std::move(options));
  WA_TRY_VOID(impl->listen());
  return std::unique_ptr<ControlApi>(new ControlApi(std::move(impl)));
}

std::uint16_t ControlApi::port() const {
  return impl_->port();
}
std::string ControlApi::url() const {
  return impl_->handlers().url();
}
std::string ControlApi::info() const {
  return boost::json::serialize(impl_->handlers().info({})) + "\n";
}
void ControlApi::stop() {
  impl_->stop();
}

}  // namespace wa::mock
