#include "scenarios/loopback/clone_stored.hpp"

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "engine/store/sqlite_store.hpp"

namespace wa::loopback {
namespace {

namespace fs = std::filesystem;

bool belongs_to(const std::string& file, const std::string& device) {
  return file == device || file.starts_with(device + ".");
}

Result<void> clone_files(const StoredDevice& from, const StoredDevice& to) {
  std::error_code failure;
  for (fs::directory_iterator file(from.directory, failure), end; !failure && file != end;
       file.increment(failure)) {
    std::string name = file->path().filename();
    if (!from.name.empty()) {
      if (!belongs_to(name, from.name)) continue;
      name = to.name + name.substr(from.name.size());
    }
    fs::copy(file->path(), fs::path(to.directory) / name,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing, failure);
    if (failure) break;
  }
  if (!failure) return {};
  return Error{Errc::environment, failure.message()};
}

/// The store of a state directory, for as long as it takes to ask it one thing at a time.
class OpenStore {
 public:
  static Result<std::unique_ptr<OpenStore>> in(const std::string& directory) {
    auto made = std::make_unique<OpenStore>();
    store::SqliteStore::Options options;
    options.path = directory + "/" + std::string(kDatabase);
    WA_TRY(made->store_, store::SqliteStore::at(made->io_, std::move(options)));
    return made;
  }

  Result<store::Records> read(const std::string& device) {
    Result<store::Records> records = store::Records{};
    store_->read(device, [&](Result<store::Stored> stored) {
      if (stored) records = std::move(stored->records);
      if (!stored) records = stored.error();
    });
    run();
    return records;
  }
  Result<void> write(const std::string& device, const store::Records& records) {
    std::vector<store::Change> changes;
    for (const auto& [kind, of_kind] : records) {
      for (const auto& [key, bytes] : of_kind) changes.push_back(store::Put{kind, key, bytes});
    }
    Result<void> written;
    store_->open(device, [&](Result<store::Store::Opened> opened) {
      if (!opened) {
        written = opened.error();
        return;
      }
      opened->device->commit("", std::move(changes),
                             [&](Result<void> result) { written = result; });
    });
    run();
    return written;
  }

 private:
  void run() {
    io_.restart();
    io_.run();
  }

  boost::asio::io_context io_;
  std::unique_ptr<store::SqliteStore> store_;
};

}  // namespace

Result<void> clone_stored(const StoredDevice& from, const StoredDevice& to) {
  if (!fs::exists(fs::path(from.directory) / kDatabase)) return clone_files(from, to);
  WA_TRY(const auto source, OpenStore::in(from.directory));
  WA_TRY(const store::Records records, source->read(from.name));
  WA_TRY(const auto target, OpenStore::in(to.directory));
  return target->write(to.name, records);
}

}  // namespace wa::loopback
