#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <optional>

#include "engine/protocol/crypto/hash.hpp"
#include "engine/store/file_store.hpp"
#include "engine/store/memory_store.hpp"
#include "engine/store/record_file.hpp"
#include "tests/support/test_support.hpp"

namespace wa::store {
namespace {

namespace fs = std::filesystem;
using test::bytes;
using test::TemporaryDirectory;

Records some_records() {
  return {{"credentials", {{"self", bytes({1, 2, 3})}}},
          {"pre_key", {{"1", bytes({})}, {"2", bytes({255, 0})}}}};
}

std::vector<Change> some_changes() {
  return {Put{"credentials", "self", bytes({1, 2, 3})}, Put{"pre_key", "1", {}},
          Put{"pre_key", "2", bytes({255, 0})}};
}

Bytes contents_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  return to_bytes(text);
}

void overwrite(const fs::path& path, ByteSpan contents) {
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
  Result<Records> read(Store& store, const std::string& device) {
    return answer<Records>([&](auto done) { store.read(device, done); });
  }
  Result<void> erase(Store& store, const std::string& device) {
    return answer<void>([&](auto done) { store.erase(device, done); });
  }
  Result<void> commit(DeviceStore& device, std::vector<Change> changes) {
    return answer<void>([&](auto done) { device.commit(std::move(changes), done); });
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

// ---- changes ------------------------------------------------------------------------------------

TEST(ChangesTest, PutReplacesAndEraseRemovesAKeyOrAKind) {
  Records records = some_records();
  apply({Put{"pre_key", "2", bytes({7})}, Erase{"pre_key", "1"}, Erase{"credentials", {}},
         Erase{"nothing", {}}, Erase{"pre_key", "none"}},
        records);
  EXPECT_EQ(records, (Records{{"pre_key", {{"2", bytes({7})}}}}));

  apply({Erase{"pre_key", "2"}}, records);
  EXPECT_EQ(records, Records{}) << "a kind without records is not there";
}

TEST(ChangesTest, FindsARecordOrNothing) {
  const Records records = some_records();
  ASSERT_NE(find(records, "pre_key", "2"), nullptr);
  EXPECT_EQ(*find(records, "pre_key", "2"), bytes({255, 0}));
  EXPECT_EQ(find(records, "pre_key", "3"), nullptr);
  EXPECT_EQ(find(records, "other", "2"), nullptr);
}

// ---- every store --------------------------------------------------------------------------------

struct Kind {
  std::string name;
  bool files;
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

class EveryStoreTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (!GetParam().files) {
      store_ = std::make_unique<MemoryStore>(caller_.io);
      return;
    }
    auto made = FileStore::at(caller_.io, directory_.path());
    ASSERT_TRUE(made) << made.error();
    store_ = std::move(*made);
  }

  TemporaryDirectory directory_;
  Caller caller_;
  std::unique_ptr<Store> store_;
};

TEST_P(EveryStoreTest, ADeviceThatWasNeverStoredHasNoRecords) {
  const auto opened = caller_.open(*store_, "new");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_TRUE(opened->records.empty());
  EXPECT_EQ(caller_.read(*store_, "other").value(), Records{});
}

TEST_P(EveryStoreTest, WhatWasCommittedIsThereWhenOpenedAgain) {
  auto opened = caller_.open(*store_, "a");
  ASSERT_TRUE(opened);
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  ASSERT_TRUE(caller_.commit(*opened->device, {Erase{"pre_key", "1"}}));
  opened->device.reset();

  Records expected = some_records();
  expected["pre_key"].erase("1");
  EXPECT_EQ(caller_.open(*store_, "a").value().records, expected);
  EXPECT_EQ(caller_.read(*store_, "a").value(), expected);
  EXPECT_EQ(caller_.read(*store_, "b").value(), Records{}) << "devices do not see each other";
}

TEST_P(EveryStoreTest, CommitsBecomeDurableInTheirOrder) {
  auto opened = caller_.open(*store_, "a");
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) {
    opened->device->commit({Put{"counter", "now", bytes({i})}}, [&order, i](Result<void> done) {
      EXPECT_TRUE(done);
      order.push_back(i);
    });
  }
  opened->device.reset();  // what is under way is finished
  caller_.io.restart();
  caller_.io.run();

  EXPECT_EQ(order.size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(*find(*caller_.read(*store_, "a"), "counter", "now"), bytes({19}));
}

TEST_P(EveryStoreTest, EraseRemovesEverythingOfOneDevice) {
  for (const char* name : {"a", "b"}) {
    auto opened = caller_.open(*store_, name);
    ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  }
  ASSERT_TRUE(caller_.erase(*store_, "a"));
  ASSERT_TRUE(caller_.erase(*store_, "never"));

  EXPECT_EQ(caller_.read(*store_, "a").value(), Records{});
  EXPECT_EQ(caller_.read(*store_, "b").value(), some_records());
}

INSTANTIATE_TEST_SUITE_P(Stores, EveryStoreTest,
                         testing::Values(Kind{"memory", false}, Kind{"files", true}),
                         [](const auto& kind) { return kind.param.name; });

// ---- the file -----------------------------------------------------------------------------------

TEST(RecordFileTest, ReadsBackWhatItWrote) {
  EXPECT_EQ(decode_records(encode_records(some_records())).value(), some_records());
  EXPECT_EQ(decode_records(encode_records({})).value(), Records{});
}

TEST(RecordFileTest, RefusesAFileThatIsCutAnywhere) {
  const Bytes file = encode_records(some_records());
  for (std::size_t cut = 0; cut < file.size(); ++cut) {
    SCOPED_TRACE(cut);
    const auto read = decode_records(ByteSpan(file).first(cut));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::malformed);
  }
}

TEST(RecordFileTest, RefusesAFileWithAnyOneBitChanged) {
  // Every byte class: beginning, version, number of records, lengths, names, bytes, checksum.
  const Bytes file = encode_records(some_records());
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    SCOPED_TRACE(bit);
    Bytes damaged = file;
    damaged[bit / 8] ^= std::byte(1 << (bit % 8));
    ASSERT_FALSE(decode_records(damaged));
  }
}

TEST(RecordFileTest, RefusesAFileThatGrew) {
  Bytes file = encode_records(some_records());
  file.push_back(std::byte{0});
  EXPECT_FALSE(decode_records(file));
}

/// A file whose checksum is right for contents that are wrong.
Bytes sealed(Bytes contents) {
  append(contents, crypto::sha256(contents));
  return contents;
}

TEST(RecordFileTest, RefusesWrongContentsUnderARightChecksum) {
  const Bytes head = concat(as_bytes("testline"), big_endian<4>(1));
  ASSERT_TRUE(decode_records(sealed(concat(head, big_endian<4>(0)))));
  const Bytes record = concat(big_endian<2>(1), as_bytes("k"), big_endian<2>(0), big_endian<4>(0));

  // A later version, records that are not there, lengths beyond the end, records behind the last.
  EXPECT_FALSE(
      decode_records(sealed(concat(as_bytes("testline"), big_endian<4>(2), big_endian<4>(0)))));
  EXPECT_FALSE(decode_records(sealed(concat(head, big_endian<4>(1)))));
  EXPECT_FALSE(decode_records(sealed(concat(head, big_endian<4>(0xffffffff), record))));
  EXPECT_FALSE(decode_records(sealed(concat(head, big_endian<4>(1), big_endian<2>(0xffff)))));
  EXPECT_FALSE(decode_records(sealed(concat(head, big_endian<4>(0), record))));
}

// ---- files on disk ------------------------------------------------------------------------------

class FileStoreTest : public testing::Test {
 protected:
  std::unique_ptr<FileStore> make() {
    auto made = FileStore::at(caller_.io, directory_.path());
    EXPECT_TRUE(made) << made.error();
    return std::move(*made);
  }
  fs::path file(const std::string& name) const { return fs::path(directory_.path()) / name; }

  void store_some(const std::string& device) {
    const auto store = make();
    auto opened = caller_.open(*store, device);
    ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  }

  TemporaryDirectory directory_;
  Caller caller_;
};

TEST_F(FileStoreTest, AnotherStoreOnTheSameDirectoryFindsTheRecords) {
  store_some("shop-1");
  EXPECT_EQ(caller_.open(*make(), "shop-1").value().records, some_records());
  EXPECT_TRUE(fs::exists(file("shop-1.store")));
  EXPECT_FALSE(fs::exists(file("shop-1.store.new")));
}

TEST_F(FileStoreTest, TheDeviceWithoutANameHasAFileToo) {
  store_some("");
  EXPECT_TRUE(fs::exists(file("store")));
  EXPECT_EQ(caller_.open(*make(), "").value().records, some_records());
}

TEST_F(FileStoreTest, FilesAreForTheirOwnerOnly) {
  store_some("a");
  EXPECT_EQ(fs::status(file("a.store")).permissions() & fs::perms::all,
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(FileStoreTest, ADeviceWithoutRecordsHasNoFile) {
  store_some("a");
  const auto store = make();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, {Erase{"credentials", {}}, Erase{"pre_key", {}}}));
  EXPECT_TRUE(fs::is_empty(directory_.path()));
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes())) << "and may have one again";
  EXPECT_EQ(caller_.read(*store, "a").value(), some_records());
}

TEST_F(FileStoreTest, ADamagedFileIsAnErrorAndStaysAsItIs) {
  store_some("a");
  Bytes damaged = contents_of(file("a.store"));
  damaged[damaged.size() / 2] ^= std::byte{1};
  overwrite(file("a.store"), damaged);

  const auto store = make();
  const auto opened = caller_.open(*store, "a");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::malformed);
  EXPECT_THAT(opened.error().detail, testing::HasSubstr("a.store is damaged"));
  EXPECT_FALSE(caller_.read(*store, "a"));
  EXPECT_EQ(contents_of(file("a.store")), damaged);

  ASSERT_TRUE(caller_.erase(*store, "a")) << "only somebody who says so removes it";
  EXPECT_EQ(caller_.open(*store, "a").value().records, Records{});
}

TEST_F(FileStoreTest, AnEmptyFileIsDamaged) {
  overwrite(file("a.store"), {});
  const auto opened = caller_.open(*make(), "a");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::malformed);
}

TEST_F(FileStoreTest, WhatAKilledWriterLeftBesideIsIgnored) {
  store_some("a");
  overwrite(file("a.store.new"), as_bytes("half"));
  const auto store = make();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->records, some_records());
  ASSERT_TRUE(caller_.commit(*opened->device, {Put{"more", "1", {}}}));
  EXPECT_FALSE(fs::exists(file("a.store.new")));
}

TEST_F(FileStoreTest, MakesItsDirectory) {
  const std::string below = directory_.path() + "/one/two";
  const auto made = FileStore::at(caller_.io, below);
  ASSERT_TRUE(made) << made.error();
  EXPECT_TRUE(fs::is_directory(below));
}

TEST_F(FileStoreTest, ADirectoryThatCannotBeMadeIsAnError) {
  overwrite(file("occupied"), as_bytes("a file"));
  const auto made = FileStore::at(caller_.io, directory_.path() + "/occupied/below");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(made.error().detail, testing::HasSubstr("occupied"));
}

TEST_F(FileStoreTest, ADirectoryThatVanishedIsAnErrorAndNotAnEmptyStore) {
  store_some("a");
  const auto store = make();
  auto opened = caller_.open(*store, "a");
  fs::remove_all(directory_.path());

  const auto committed = caller_.commit(*opened->device, {Put{"more", "1", {}}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::environment);
  const auto again = caller_.open(*store, "a");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::environment);
}

TEST_F(FileStoreTest, AFailedCommitLeavesTheOldRecords) {
  store_some("a");
  const auto store = make();
  auto opened = caller_.open(*store, "a");
  // A directory stands where the new file is to be written: works for root too.
  fs::create_directory(file("a.store.new"));
  const auto committed = caller_.commit(*opened->device, {Erase{"credentials", {}}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::environment);
  EXPECT_EQ(caller_.read(*store, "a").value(), some_records());

  fs::remove(file("a.store.new"));
  ASSERT_TRUE(caller_.commit(*opened->device, {Put{"more", "1", {}}}));
  Records expected = some_records();
  expected["more"]["1"] = {};
  EXPECT_EQ(caller_.read(*store, "a").value(), expected) << "the failed commit left nothing behind";
}

TEST_F(FileStoreTest, AReadOnlyDirectoryFailsCommitsOnly) {
  store_some("a");
  fs::permissions(directory_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const auto check = [&] {
    const auto store = make();
    auto opened = caller_.open(*store, "a");
    ASSERT_TRUE(opened) << opened.error();
    const auto committed = caller_.commit(*opened->device, {Erase{"credentials", {}}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Errc::environment);
    EXPECT_EQ(caller_.read(*store, "a").value(), some_records());
  };
  // Nothing is read-only for root: it looks through another user's eyes, in a process of its own.
  constexpr uid_t kNobody = 65534;
  const auto as_somebody = [&] {
    if (::geteuid() == 0) {
      for (const std::string& path : {directory_.path(), file("a.store").string()}) {
        if (::chown(path.c_str(), kNobody, kNobody) != 0) std::_Exit(2);
      }
      if (::setuid(kNobody) != 0) std::_Exit(3);
    }
    check();
    if (testing::Test::HasFailure()) std::_Exit(1);
    std::_Exit(0);
  };
  EXPECT_EXIT(as_somebody(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace wa::store
