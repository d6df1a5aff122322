#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <fstream>
#include <optional>

#include "engine/store/store.hpp"
#include "tests/support/test_support.hpp"

/// What the tests of stores share.
namespace wa::store {

inline Records some_records() {
  using test::bytes;
  return {{"credentials", {{"self", bytes({1, 2, 3})}}},
          {"pre_key", {{"1", bytes({})}, {"2", bytes({255, 0})}}}};
}

inline std::vector<Change> some_changes() {
  using test::bytes;
  return {Put{"credentials", "self", bytes({1, 2, 3})}, Put{"pre_key", "1", {}},
          Put{"pre_key", "2", bytes({255, 0})}};
}

inline Bytes contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  return to_bytes(text);
}

inline void overwrite(const std::string& path, ByteSpan contents) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << as_text(contents);
}

/// Calls a store and runs its io_context until it has answered.
class Caller {
 public:
  boost::asio::io_context io;

  Result<Store::Opened> open(Store& store, const std::string& device) {
    return answer<Store::Opened>([&](auto done) { store.open(device, done); });
  }
  Result<Stored> read(Store& store, const std::string& device) {
    return answer<Stored>([&](auto done) { store.read(device, done); });
  }
  Result<void> erase(Store& store, const std::string& device) {
    return answer<void>([&](auto done) { store.erase(device, done); });
  }
  Result<void> commit(DeviceStore& device, std::vector<Change> changes) {
    return answer<void>([&](auto done) { device.commit("", std::move(changes), done); });
  }
  Result<Loaded> load(DeviceStore& device, std::vector<RecordKey> keys) {
    return answer<Loaded>([&](auto done) { device.load(std::move(keys), done); });
  }

 private:
  template <class T, class Ask>
  Result<T> answer(Ask ask) {
    std::optional<Result<T>> answered;
    ask([&](Result<T> result) { answered.emplace(std::move(result)); });
    EXPECT_FALSE(answered) << "answered inside the call";
    io.restart();
    io.run();
    WA_ASSERT(answered);
    return std::move(*answered);
  }
};

}  // namespace wa::store
