#include "engine/store/memory_store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace wa::store {

namespace asio = boost::asio;

class MemoryStore::Device final : public DeviceStore {
 public:
  Device(asio::io_context& io, std::shared_ptr<Stored> stored)
      : io_(io), stored_(std::move(stored)) {}

  void commit(std::string_view, std::vector<Change> changes, Done done) override {
    apply(std::move(changes), stored_->records);
    ++stored_->generation;
    asio::post(io_, [done = std::move(done)] { done({}); });
  }

  void load(std::vector<RecordKey> keys, OnLoaded on_loaded) override {
    Loaded loaded;
    for (const RecordKey& key : keys) {
      const Bytes* found = find(stored_->records, key.kind, key.key);
      loaded.push_back(found ? std::optional(*found) : std::nullopt);
    }
    asio::post(io_, [loaded = std::move(loaded), on_loaded = std::move(on_loaded)]() mutable {
      on_loaded(std::move(loaded));
    });
  }

 private:
  asio::io_context& io_;
  std::shared_ptr<Stored> stored_;
};

namespace {

Error owned(const std::string& device) {
  return Error{Errc::fenced, "device \"" + device + "\" is open already"};
}

}  // namespace

MemoryStore::MemoryStore(asio::io_context& io) : io_(io) {}

void MemoryStore::open(std::string device, OnOpened on_opened, OnLost) {
  Entry& entry = devices_[device];
  if (!entry.owner.expired()) {
    asio::post(io_,
               [error = owned(device), on_opened = std::move(on_opened)] { on_opened(error); });
    return;
  }
  auto opened = std::make_shared<Device>(io_, entry.stored);
  entry.owner = opened;
  asio::post(io_, [opened = std::move(opened), stored = *entry.stored,
                   on_opened = std::move(on_opened)]() mutable {
    on_opened(Opened{std::move(opened), std::move(stored)});
  });
}

void MemoryStore::read(std::string device, OnRead on_read) {
  const auto found = devices_.find(device);
  Stored stored = found == devices_.end() ? Stored{} : *found->second.stored;
  asio::post(io_, [stored = std::move(stored), on_read = std::move(on_read)]() mutable {
    on_read(std::move(stored));
  });
}

void MemoryStore::erase(std::string device, Done done) {
  Result<void> result;
  if (const auto found = devices_.find(device); found != devices_.end()) {
    if (!found->second.owner.expired()) {
      result = owned(device);
    } else {
      found->second.stored->records.clear();
      ++found->second.stored->generation;
    }
  }
  asio::post(io_, [result = std::move(result), done = std::move(done)] { done(result); });
}

}  // namespace wa::store
