#include "engine/store/memory_store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace wa::store {

namespace asio = boost::asio;

class MemoryStore::Device final : public DeviceStore {
 public:
  Device(asio::io_context& io, std::shared_ptr<Records> records)
      : io_(io), records_(std::move(records)) {}

  void commit(std::vector<Change> changes, Done done) override {
    apply(std::move(changes), *records_);
    asio::post(io_, [done = std::move(done)] { done({}); });
  }

 private:
  asio::io_context& io_;
  std::shared_ptr<Records> records_;
};

MemoryStore::MemoryStore(asio::io_context& io) : io_(io) {}

void MemoryStore::open(std::string device, OnOpened on_opened) {
  std::shared_ptr<Records>& records = devices_[std::move(device)];
  if (!records) records = std::make_shared<Records>();
  asio::post(io_, [this, records, on_opened = std::move(on_opened)] {
    on_opened(Opened{std::make_shared<Device>(io_, records), *records});
  });
}

void MemoryStore::read(std::string device, OnRead on_read) {
  const auto found = devices_.find(device);
  Records records = found == devices_.end() ? Records{} : *found->second;
  asio::post(io_, [records = std::move(records), on_read = std::move(on_read)]() mutable {
    on_read(std::move(records));
  });
}

void MemoryStore::erase(std::string device, Done done) {
  if (const auto found = devices_.find(device); found != devices_.end()) found->second->clear();
  asio::post(io_, [done = std::move(done)] { done({}); });
}

}  // namespace wa::store
