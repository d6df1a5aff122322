#include "engine/store/file_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "engine/store/record_file.hpp"

namespace wa::store {

namespace asio = boost::asio;

namespace {

Error failed(const std::string& what, const std::string& path) {
  return Error{Errc::environment, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

/// An open file descriptor.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  /// Errors of a close are errors of what was written before.
  bool close() { return ::close(std::exchange(descriptor_, -1)) == 0; }

 private:
  int descriptor_;
};

/// The files of a directory. Blocks; used on one thread at a time.
class Directory {
 public:
  Directory(int descriptor, std::string path) : directory_(descriptor), path_(std::move(path)) {}

  Result<Records> read(const std::string& device) const {
    const std::string name = file_name(device);
    const File file(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) {
      if (errno == ENOENT && exists()) return Records{};
      return failed("read", full(name));
    }
    Bytes contents;
    ByteArray<64 * 1024> part;
    while (true) {
      const ::ssize_t count = ::read(file.get(), part.data(), part.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("read", full(name));
      if (count == 0) break;
      append(contents, ByteSpan(part).first(static_cast<std::size_t>(count)));
    }
    auto records = decode_records(contents);
    if (!records) {
      return Error{records.error().code, full(name) + " is damaged: " + records.error().detail};
    }
    return records;
  }

  Result<void> write(const std::string& device, const Records& records) const {
    if (records.empty()) return erase(device);
    const std::string name = file_name(device);
    const std::string beside = name + ".new";
    if (auto written = write_durably(beside, encode_records(records)); !written) {
      ::unlinkat(directory_.get(), beside.c_str(), 0);
      return written;
    }
    if (::renameat(directory_.get(), beside.c_str(), directory_.get(), name.c_str()) != 0) {
      const Error error = failed("replace", full(name));
      ::unlinkat(directory_.get(), beside.c_str(), 0);
      return error;
    }
    return sync_directory();
  }

  Result<void> erase(const std::string& device) const {
    const std::string name = file_name(device);
    if (::unlinkat(directory_.get(), name.c_str(), 0) != 0) {
      if (errno == ENOENT && exists()) return {};
      return failed("remove", full(name));
    }
    return sync_directory();
  }

 private:
  static std::string file_name(const std::string& device) {
    return device.empty() ? "store" : device + ".store";
  }
  std::string full(const std::string& name) const { return path_ + "/" + name; }

  /// A missing file in a directory that was removed says nothing about what was stored there.
  bool exists() const {
    struct ::stat status {};
    if (::fstat(directory_.get(), &status) == 0 && status.st_nlink > 0) return true;
    errno = ENOENT;
    return false;
  }

  Result<void> write_durably(const std::string& name, ByteSpan contents) const {
    File file(
        ::openat(directory_.get(), name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open()) return failed("write", full(name));
    while (!contents.empty()) {
      const ::ssize_t count = ::write(file.get(), contents.data(), contents.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("write", full(name));
      contents = contents.subspan(static_cast<std::size_t>(count));
    }
    if (::fsync(file.get()) != 0 || !file.close()) return failed("write", full(name));
    return {};
  }

  Result<void> sync_directory() const {
    if (::fsync(directory_.get()) != 0) return failed("write", path_);
    return {};
  }

  File directory_;
  std::string path_;
};

}  // namespace

/// Everything that blocks runs on one thread of its own, in the order in which it was asked for.
class FileStore::Impl {
 public:
  Impl(asio::io_context& io, int directory, std::string path)
      : io_(io), directory_(directory, std::move(path)), thread_(1) {}
  ~Impl() { thread_.join(); }

  /// Runs `work()` on the store's thread and `done(what it returned)` on the io_context.
  template <class Work, class Callback>
  void run(Work work, Callback done) {
    asio::post(thread_, [this, work = std::move(work), done = std::move(done),
                         guard = asio::make_work_guard(io_)]() mutable {
      auto result = work(directory_);
      asio::post(guard.get_executor(),
                 [result = std::move(result), done = std::move(done)]() mutable {
                   done(std::move(result));
                 });
    });
  }

 private:
  asio::io_context& io_;
  Directory directory_;
  asio::thread_pool thread_;
};

namespace {

/// What is durable of an open device. Lives on the store's thread.
struct Durable {
  std::string device;
  Records records;
};

template <class Impl>
class FileDevice final : public DeviceStore {
 public:
  FileDevice(std::shared_ptr<Impl> store, std::shared_ptr<Durable> durable)
      : store_(std::move(store)), durable_(std::move(durable)) {}

  void commit(std::vector<Change> changes, Done done) override {
    auto work = [durable = durable_,
                 changes = std::move(changes)](const Directory& directory) mutable -> Result<void> {
      Records records = durable->records;
      apply(std::move(changes), records);
      WA_TRY_VOID(directory.write(durable->device, records));
      durable->records = std::move(records);
      return {};
    };
    store_->run(std::move(work), std::move(done));
  }

 private:
  std::shared_ptr<Impl> store_;
  std::shared_ptr<Durable> durable_;
};

}  // namespace

Result<std::unique_ptr<FileStore>> FileStore::at(asio::io_context& io,
                                                 const std::string& directory) {
  std::error_code failure;
  const bool made = std::filesystem::create_directories(directory, failure);
  if (failure) {
    return Error{Errc::environment, "cannot make " + directory + ": " + failure.message()};
  }
  if (made) ::chmod(directory.c_str(), 0700);
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failed("open", directory);
  return std::unique_ptr<FileStore>(
      new FileStore(std::make_shared<Impl>(io, descriptor, directory)));
}

FileStore::FileStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileStore::~FileStore() = default;

void FileStore::open(std::string device, OnOpened on_opened) {
  auto durable = std::make_shared<Durable>();
  durable->device = std::move(device);
  auto work = [durable](const Directory& directory) -> Result<Records> {
    WA_TRY(durable->records, directory.read(durable->device));
    return durable->records;
  };
  impl_->run(std::move(work), [impl = impl_, durable,
                               on_opened = std::move(on_opened)](Result<Records> records) {
    if (!records) return on_opened(std::move(records).error());
    on_opened(Opened{std::make_shared<FileDevice<Impl>>(impl, durable), std::move(*records)});
  });
}

void FileStore::read(std::string device, OnRead on_read) {
  auto work = [device = std::move(device)](const Directory& directory) {
    return directory.read(device);
  };
  impl_->run(std::move(work), std::move(on_read));
}

void FileStore::erase(std::string device, Done done) {
  auto work = [device = std::move(device)](const Directory& directory) {
    return directory.erase(device);
  };
  impl_->run(std::move(work), std::move(done));
}

}  // namespace wa::store
