#include "engine/net/resolver.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace wa::net {
namespace {

using Tcp = boost::asio::ip::tcp;

struct SystemLookup {
  SystemLookup(boost::asio::io_context& io, Resolver::Done on_done)
      : resolver(io), done(std::move(on_done)) {}

  Tcp::resolver resolver;
  Resolver::Done done;
};

class SystemResolver final : public Resolver {
 public:
  explicit SystemResolver(boost::asio::io_context& io) : io_(io) {}

  Lookup resolve(const std::string& host, Done done) override {
    auto lookup = std::make_shared<SystemLookup>(io_, std::move(done));
    lookup->resolver.async_resolve(
        host, "0", Tcp::resolver::numeric_service,
        [weak = std::weak_ptr(lookup)](boost::system::error_code ec, const auto& results) {
          const auto self = weak.lock();
          if (!self) return;
          if (ec) return self->done(Error{Errc::not_found, ec.message()});
          std::vector<std::string> addresses;
          for (const auto& result : results) {
            addresses.push_back(result.endpoint().address().to_string());
          }
          self->done(std::move(addresses));
        });
    return lookup;
  }

 private:
  boost::asio::io_context& io_;
};

}  // namespace

std::unique_ptr<Resolver> system_resolver(boost::asio::io_context& io) {
  return std::make_unique<SystemResolver>(io);
}

}  // namespace wa::net
