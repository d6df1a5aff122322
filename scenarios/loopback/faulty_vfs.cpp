#include "scenarios/loopback/faulty_vfs.hpp"

#include <sqlite3.h>

#include <atomic>
#include <new>
#include <thread>

#include "engine/base/result.hpp"

namespace wa::loopback {

using stage::DiskFault;

struct FaultyVfs::State {
  std::string name;
  sqlite3_vfs* real = nullptr;
  sqlite3_vfs vfs{};
  std::atomic<unsigned> on = 0;  ///< a bit for each fault
  std::atomic<Duration::rep> slow_by = 0;
  std::atomic<bool> torn = false;             ///< the next fsync fails
  std::atomic<Duration::rep> busy_for = 0;    ///< 0: as long as it is on
  std::atomic<Duration::rep> busy_since = 0;  ///< 0: nobody has asked yet
  std::atomic<std::uint64_t> acts = 0;

  /// Whether the fault is on: then it acts.
  bool acting(DiskFault fault) {
    if ((on.load() & (1u << static_cast<unsigned>(fault))) == 0) return false;
    ++acts;
    return true;
  }
  /// Whether somebody else has the lock for writing.
  bool locked() {
    const Duration::rep limit = busy_for;
    if (limit > 0 && (on.load() & (1u << static_cast<unsigned>(DiskFault::busy))) != 0) {
      const Duration::rep now = std::chrono::steady_clock::now().time_since_epoch().count();
      Duration::rep since = 0;
      if (busy_since.compare_exchange_strong(since, now)) since = now;
      if (now - since >= limit) {
        busy_since = 0;  // whoever wants it next waits again
        return false;
      }
    }
    return acting(DiskFault::busy);
  }
};

namespace {

using State = FaultyVfs::State;

/// SQLite allocates it with the real VFS's file behind it.
struct File {
  sqlite3_file base;
  State* state;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
static_assert(sizeof(File) % alignof(std::max_align_t) == 0);

File& cast(sqlite3_file* file) {
  return *reinterpret_cast<File*>(file);
}
const sqlite3_io_methods& methods(sqlite3_file* file) {
  return *cast(file).real()->pMethods;
}

int close_file(sqlite3_file* file) {
  return methods(file).xClose(cast(file).real());
}
int read_file(sqlite3_file* file, void* out, int bytes, sqlite3_int64 offset) {
  if (cast(file).state->acting(DiskFault::eio)) return SQLITE_IOERR_READ;
  return methods(file).xRead(cast(file).real(), out, bytes, offset);
}
int write_file(sqlite3_file* file, const void* data, int bytes, sqlite3_int64 offset) {
  State& state = *cast(file).state;
  const auto write = [&](int count) {
    return methods(file).xWrite(cast(file).real(), data, count, offset);
  };
  if (state.acting(DiskFault::enospc)) return SQLITE_FULL;
  if (state.acting(DiskFault::eio)) return SQLITE_IOERR_WRITE;
  if (state.acting(DiskFault::readonly)) return SQLITE_READONLY;
  if (state.acting(DiskFault::short_write)) {
    const int written = write(bytes / 2);
    return written == SQLITE_OK ? SQLITE_FULL : written;
  }
  if (state.acting(DiskFault::torn)) {
    state.torn = true;
    return write(bytes / 2);
  }
  return write(bytes);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  State& state = *cast(file).state;
  if (state.acting(DiskFault::eio)) return SQLITE_IOERR_TRUNCATE;
  if (state.acting(DiskFault::readonly)) return SQLITE_READONLY;
  return methods(file).xTruncate(cast(file).real(), size);
}
int sync_file(sqlite3_file* file, int flags) {
  State& state = *cast(file).state;
  if (state.acting(DiskFault::slow)) std::this_thread::sleep_for(Duration(state.slow_by.load()));
  if (state.acting(DiskFault::eio) || state.torn.exchange(false)) return SQLITE_IOERR_FSYNC;
  return methods(file).xSync(cast(file).real(), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return methods(file).xFileSize(cast(file).real(), size);
}
int lock_file(sqlite3_file* file, int level) {
  if (level > SQLITE_LOCK_SHARED && cast(file).state->locked()) return SQLITE_BUSY;
  return methods(file).xLock(cast(file).real(), level);
}
int unlock_file(sqlite3_file* file, int level) {
  return methods(file).xUnlock(cast(file).real(), level);
}
int check_reserved_lock(sqlite3_file* file, int* reserved) {
  return methods(file).xCheckReservedLock(cast(file).real(), reserved);
}
int file_control(sqlite3_file* file, int operation, void* argument) {
  return methods(file).xFileControl(cast(file).real(), operation, argument);
}
int sector_size(sqlite3_file* file) {
  return methods(file).xSectorSize(cast(file).real());
}
int device_characteristics(sqlite3_file* file) {
  return methods(file).xDeviceCharacteristics(cast(file).real());
}
int shm_map(sqlite3_file* file, int region, int bytes, int extend, void volatile** memory) {
  return methods(file).xShmMap(cast(file).real(), region, bytes, extend, memory);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  // Lock 0 is that of whoever writes the log. Source: SQLite's "WAL-mode File Format", 2.3.
  constexpr int kTake = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
  if (offset == 0 && flags == kTake && cast(file).state->locked()) return SQLITE_BUSY;
  return methods(file).xShmLock(cast(file).real(), offset, count, flags);
}
void shm_barrier(sqlite3_file* file) {
  methods(file).xShmBarrier(cast(file).real());
}
int shm_unmap(sqlite3_file* file, int remove) {
  return methods(file).xShmUnmap(cast(file).real(), remove);
}

constexpr sqlite3_io_methods kMethods = {
    2,
    close_file,
    read_file,
    write_file,
    truncate_file,
    sync_file,
    file_size,
    lock_file,
    unlock_file,
    check_reserved_lock,
    file_control,
    sector_size,
    device_characteristics,
    shm_map,
    shm_lock,
    shm_barrier,
    shm_unmap,
    nullptr,
    nullptr,
};

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* out, int flags, int* out_flags) {
  auto* state = static_cast<State*>(vfs->pAppData);
  File& file = *new (out) File{{nullptr}, state};
  file.real()->pMethods = nullptr;
  const int code = state->real->xOpen(state->real, path, file.real(), flags, out_flags);
  if (file.real()->pMethods) file.base.pMethods = &kMethods;
  return code;
}

}  // namespace

FaultyVfs::FaultyVfs(std::string name) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.name = std::move(name);
  state.real = sqlite3_vfs_find(nullptr);
  WA_ASSERT(state.real && !sqlite3_vfs_find(state.name.c_str()));
  state.vfs = *state.real;  // what is not about a file's contents stays as it is
  state.vfs.szOsFile = static_cast<int>(sizeof(File)) + state.real->szOsFile;
  state.vfs.pNext = nullptr;
  state.vfs.zName = state.name.c_str();
  state.vfs.pAppData = &state;
  state.vfs.xOpen = open_file;
  WA_ASSERT(sqlite3_vfs_register(&state.vfs, 0) == SQLITE_OK);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&state_->vfs);
}

void FaultyVfs::set(DiskFault fault, bool on, Duration by) {
  const unsigned bit = 1u << static_cast<unsigned>(fault);
  if (fault == DiskFault::slow) state_->slow_by = by.count();
  if (fault == DiskFault::busy) {
    state_->busy_for = by.count();
    state_->busy_since = 0;
  }
  if (on) {
    state_->on |= bit;
  } else {
    state_->on &= ~bit;
  }
}

std::uint64_t FaultyVfs::acts() const {
  return state_->acts;
}

}  // namespace wa::loopback
