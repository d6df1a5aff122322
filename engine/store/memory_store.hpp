#pragma once

#include "engine/store/store.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::store {

/// Records that live as long as the store does: for tests, and for engines that need no restart.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(boost::asio::io_context& io);

  void open(std::string device, OnOpened on_opened, OnLost on_lost = {}) override;
  void read(std::string device, OnRead on_read) override;
  void erase(std::string device, Done done) override;

 private:
  class Device;
  struct Entry {
    std::shared_ptr<Stored> stored = std::make_shared<Stored>();
    std::weak_ptr<Device> owner;
  };
  boost::asio::io_context& io_;
  std::map<std::string, Entry> devices_;
};

}  // namespace wa::store
