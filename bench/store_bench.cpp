// How fast commits become durable: alone, and of many devices at once. Prints one JSON object.
//
//   store_bench [DIRECTORY]      where the file is made and removed; default: the current one

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "engine/base/random.hpp"
#include "engine/store/sqlite_store.hpp"

namespace {

using namespace wa;
using namespace std::chrono_literals;
using store::Put;
using store::SqliteStore;
using store::Store;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kDevices = 1000;
constexpr std::size_t kRecordBytes = 2048;
constexpr std::size_t kAlone = 1000;
constexpr auto kTogetherFor = 5s;

std::string name(std::size_t device) {
  return "device-" + std::to_string(device);
}

double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double percentile(std::vector<double>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(share * last)];
}

class Bench {
 public:
  explicit Bench(const std::string& directory) : directory_(directory) {
    SqliteStore::Options options;
    options.path = directory + "/store_bench.db";
    store_ = std::move(SqliteStore::at(io_, options).value());
    SeededRandom random(1);
    record_.resize(kRecordBytes);
    random.fill(record_);
    devices_.resize(kDevices);
    for (std::size_t i = 0; i < kDevices; ++i) {
      store_->open(name(i), [this, i](Result<Store::Opened> opened) {
        devices_[i] = std::move(opened.value().device);
      });
    }
    run();
  }
  ~Bench() {
    devices_.clear();
    store_.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(directory_ + "/store_bench.db" + suffix);
    }
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// One commit at a time.
  boost::json::object alone() {
    std::vector<double> taken;
    for (std::size_t i = 0; i < kAlone; ++i) {
      const auto begun = Clock::now();
      commit(i % kDevices, [&, begun] { taken.push_back(milliseconds(Clock::now() - begun)); });
      run();
    }
    std::sort(taken.begin(), taken.end());
    return {{"commits", taken.size()},
            {"p50_ms", percentile(taken, 0.5)},
            {"p99_ms", percentile(taken, 0.99)},
            {"max_ms", taken.back()}};
  }

  /// Every device commits as soon as its last commit is durable.
  boost::json::object together() {
    const auto begun = Clock::now();
    const auto end = begun + kTogetherFor;
    std::vector<double> taken;
    for (std::size_t i = 0; i < kDevices; ++i) again(i, end, taken);
    run();
    const double seconds = milliseconds(Clock::now() - begun) / 1000;
    std::sort(taken.begin(), taken.end());
    return {{"devices", kDevices},
            {"commits", taken.size()},
            {"commits_per_s", static_cast<double>(taken.size()) / seconds},
            {"p50_ms", percentile(taken, 0.5)},
            {"p99_ms", percentile(taken, 0.99)}};
  }

 private:
  void run() {
    io_.restart();
    io_.run();
  }
  void commit(std::size_t device, std::function<void()> done) {
    devices_[device]->commit("", {Put{"session", "peer", record_}},
                             [done = std::move(done)](Result<void> result) {
                               result.value();
                               done();
                             });
  }
  void again(std::size_t device, Clock::time_point end, std::vector<double>& taken) {
    const auto begun = Clock::now();
    commit(device, [this, device, end, begun, &taken] {
      const auto now = Clock::now();
      taken.push_back(milliseconds(now - begun));
      if (now < end) again(device, end, taken);
    });
  }

  const std::string directory_;
  boost::asio::io_context io_;
  std::unique_ptr<Store> store_;
  std::vector<std::shared_ptr<store::DeviceStore>> devices_;
  Bytes record_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string parent = argc > 1 ? argv[1] : ".";
  Bench bench(parent);
  boost::json::object figures;
  figures["record_bytes"] = kRecordBytes;
  figures["alone"] = bench.alone();
  figures["together"] = bench.together();
  std::puts(boost::json::serialize(figures).c_str());
}
