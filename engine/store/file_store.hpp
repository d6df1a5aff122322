#pragma once

#include "engine/store/store.hpp"

namespace boost::asio {
class io_context;
}

namespace wa::store {

/// One file per device in a directory: `NAME.store`, `store` for the device without a name. Each
/// commit writes the whole file beside the old one, makes it durable and takes its place, so a
/// process that is killed at any point leaves the old records or the new ones. A device without
/// records has no file.
///
/// For small records, which is what pairing and login keep. One process owns the directory.
class FileStore final : public Store {
 public:
  /// Makes the directory, if there is none. Errors: `environment`.
  static Result<std::unique_ptr<FileStore>> at(boost::asio::io_context& io,
                                               const std::string& directory);
  /// Waits for what is under way.
  ~FileStore() override;

  void open(std::string device, OnOpened on_opened) override;
  void read(std::string device, OnRead on_read) override;
  void erase(std::string device, Done done) override;

 private:
  class Impl;
  explicit FileStore(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wa::store
