#include "engine/store/sqlite_store_test_support.hpp"

namespace wa::store {
namespace {

// ---- the file -----------------------------------------------------------------------------------

TEST_F(SqliteStoreTest, AnotherStoreOnTheSameFileFindsTheRecords) {
  store_some("shop-1");
  store_some("");
  const auto store = make();
  EXPECT_EQ(caller_.open(*store, "shop-1")->stored.records, some_records());
  EXPECT_EQ(caller_.open(*store, "")->stored.records, some_records()) << "that without a name, too";
}

TEST_F(SqliteStoreTest, MakesItsDirectoryAndKeepsItsFilesToTheirOwner) {
  auto given = options();
  given.path = directory_ / "one/two/testline.db";
  const auto store = SqliteStore::at(caller_.io, given);
  ASSERT_TRUE(store) << store.error();
  ASSERT_TRUE(caller_.open(**store, "a"));
  std::size_t files = 0;
  for (const auto& file : fs::directory_iterator(directory_ / "one/two")) {
    ++files;
    EXPECT_EQ(file.status().permissions() & fs::perms::all,
              fs::perms::owner_read | fs::perms::owner_write)
        << file.path();
  }
  EXPECT_EQ(files, 3u) << "with the write-ahead log and its index";
  EXPECT_EQ(fs::status(directory_ / "one/two").permissions() & fs::perms::all,
            fs::perms::owner_all);
}

TEST_F(SqliteStoreTest, ADirectoryThatCannotBeMadeIsAnError) {
  overwrite(directory_ / "occupied", as_bytes("a file"));
  auto given = options();
  given.path = directory_ / "occupied/below/testline.db";
  const auto made = SqliteStore::at(caller_.io, given);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::environment);
  EXPECT_THAT(made.error().detail, HasSubstr("occupied"));
}

TEST_F(SqliteStoreTest, AVfsThatDoesNotExistIsAnError) {
  store_some("a");
  auto given = options();
  given.vfs = "nobody's";
  EXPECT_EQ(SqliteStore::at(caller_.io, given).error().code, Errc::environment);
}

TEST_F(SqliteStoreTest, AFileThatVanishedIsAnErrorAndNotAnEmptyStore) {
  const auto store = make();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  fs::remove(path());
  const auto committed = caller_.commit(*opened->device, {Put{"more", "1", {}}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::environment);
  EXPECT_THAT(committed.error().detail, HasSubstr("testline.db was moved or deleted"));
  EXPECT_EQ(caller_.read(*store, "a").error().code, Errc::environment);
}

TEST_F(SqliteStoreTest, WhatIsLeftOfAStoreThatIsGoneIsAnsweredWithAnError) {
  auto store = make();
  auto opened = caller_.open(*store, "a");
  store.reset();
  const auto committed = caller_.commit(*opened->device, some_changes());
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::environment);
}

// ---- versions -----------------------------------------------------------------------------------

/// A file as version 1 left it: records only.
void make_version_1(const std::string& path) {
  Outsider outsider(path);
  outsider.run(
      "PRAGMA application_id = 1953723500; PRAGMA user_version = 1;"
      "CREATE TABLE record(id INTEGER PRIMARY KEY, device TEXT NOT NULL, kind TEXT NOT NULL, "
      "key TEXT NOT NULL, bytes BLOB NOT NULL, checksum BLOB NOT NULL, "
      "UNIQUE(device, kind, key)) STRICT;"
      "INSERT INTO record VALUES"
      "(1, 'a', 'credentials', 'self', x'010203',"
      " x'ebf7842c8b3cb866960d46cfd35624b77d9b386e0732a9cf909134ec1437638b'),"
      "(2, 'b', 'credentials', 'self', x'09', x'00')");
}

TEST_F(SqliteStoreTest, AFileOfVersion1IsBroughtUpToDate) {
  make_version_1(path());
  const auto store = make();
  ASSERT_TRUE(store);
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->stored.records, (Records{{"credentials", {{"self", bytes({1, 2, 3})}}}}));
  EXPECT_EQ(opened->stored.generation, 1u);
  ASSERT_TRUE(caller_.commit(*opened->device, {Put{"more", "1", {}}}));
  EXPECT_EQ(caller_.read(*store, "a")->generation, 2u);

  EXPECT_EQ(caller_.read(*store, "b").error().code, Errc::malformed)
      << "what was damaged before still is";
}

TEST_F(SqliteStoreTest, ADamagedFileOfVersion1IsNotTouched) {
  make_version_1(path());
  Outsider(path()).run("ALTER TABLE record DROP COLUMN checksum");
  const Bytes before = contents_of(path());
  EXPECT_EQ(refused().code, Errc::malformed);
  EXPECT_EQ(contents_of(path()), before);
}

TEST_F(SqliteStoreTest, AFileOfANewerVersionIsRefusedAndLeftAsItIs) {
  store_some("a");
  Outsider(path()).run("PRAGMA user_version = 3; CREATE TABLE more(x)");
  const Bytes before = contents_of(path());
  const Error error = refused();
  EXPECT_EQ(error.code, Errc::environment);
  EXPECT_THAT(error.detail, testing::AllOf(HasSubstr("testline.db"), HasSubstr("newer version"),
                                           HasSubstr("format 3"), HasSubstr("up to 2")));
  EXPECT_EQ(contents_of(path()), before);
}

TEST_F(SqliteStoreTest, AnotherProgramsFileIsRefusedAndLeftAsItIs) {
  Outsider(path()).run("CREATE TABLE notes(text); INSERT INTO notes VALUES('buy milk')");
  const Bytes before = contents_of(path());
  EXPECT_EQ(refused().code, Errc::malformed);
  EXPECT_EQ(contents_of(path()), before);
}

// ---- owners -------------------------------------------------------------------------------------

TEST_F(SqliteStoreTest, TwoStoresOnOneFileHaveTheirOwnDevices) {
  const auto one = make("one");
  const auto two = make("two");
  auto a = caller_.open(*one, "a");
  auto b = caller_.open(*two, "b");
  ASSERT_TRUE(a);
  ASSERT_TRUE(b);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(caller_.commit(*a->device, {Put{"counter", "now", bytes({i})}}));
    ASSERT_TRUE(caller_.commit(*b->device, {Put{"counter", "now", bytes({100 + i})}}));
  }
  EXPECT_EQ(*find(caller_.read(*two, "a")->records, "counter", "now"), bytes({19}));
  EXPECT_EQ(*find(caller_.read(*one, "b")->records, "counter", "now"), bytes({119}));
}

TEST_F(SqliteStoreTest, ADeviceOfALivingOwnerIsRefusedAndSaysWhoAndUntilWhen) {
  const auto one = make("one");
  auto mine = caller_.open(*one, "a");
  ASSERT_TRUE(mine);
  pass(2s);
  const auto two = make("two");
  const auto theirs = caller_.open(*two, "a");
  ASSERT_FALSE(theirs);
  EXPECT_EQ(theirs.error().code, Errc::fenced);
  EXPECT_THAT(theirs.error().detail,
              testing::AllOf(HasSubstr("\"a\" is run by one"), HasSubstr("ends in 28.0 s"),
                             HasSubstr("process " + std::to_string(::getpid()))));
  EXPECT_EQ(caller_.erase(*two, "a").error().code, Errc::fenced);

  mine->device.reset();
  EXPECT_TRUE(caller_.read(*one, "a"));  // by then it is given back
  const auto free = caller_.open(*two, "a");
  EXPECT_TRUE(free) << free.error();
}

TEST_F(SqliteStoreTest, AStoreThatIsClosedGivesItsDevicesBack) {
  auto one = make("one");
  auto mine = caller_.open(*one, "a");
  one.reset();
  EXPECT_TRUE(caller_.open(*make("two"), "a"));
}

TEST_F(SqliteStoreTest, ALapsedLeaseFreesTheDeviceAndFencesItsOldOwner) {
  const auto one = make(sleepy("one"));
  auto mine = caller_.open(*one, "a");
  ASSERT_TRUE(caller_.commit(*mine->device, some_changes()));
  const auto two = make("two");
  pass(30s - 1ns);
  ASSERT_FALSE(caller_.open(*two, "a"));
  pass(1ns);
  auto theirs = caller_.open(*two, "a");
  ASSERT_TRUE(theirs) << theirs.error();
  EXPECT_EQ(theirs->stored.records, some_records());

  const auto committed = caller_.commit(*mine->device, {Erase{"credentials", {}}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Errc::fenced);
  mine->device.reset();
  EXPECT_EQ(caller_.read(*one, "a")->records, some_records());
  EXPECT_TRUE(caller_.commit(*theirs->device, {Put{"more", "1", {}}})) << "it is still theirs";
}

TEST_F(SqliteStoreTest, AnOwnerWhoseDeviceWasTakenIsToldOnce) {
  const auto one = make(sleepy("one"));
  std::vector<std::string> lost;
  std::optional<Store::Opened> mine;
  one->open(
      "a", [&](Result<Store::Opened> opened) { mine = std::move(*opened); },
      [&](const std::string& why) { lost.push_back(why); });
  caller_.io.run();
  auto other = caller_.open(*one, "b");
  ASSERT_TRUE(mine);
  pass(31s);
  const auto two = make("two");
  auto theirs = caller_.open(*two, "a");
  ASSERT_TRUE(theirs);

  for (int i = 0; i < 3; ++i) {
    pass(11s);
    EXPECT_TRUE(caller_.read(*one, "a"));
  }
  caller_.io.restart();
  caller_.io.run();
  EXPECT_THAT(lost, testing::ElementsAre(HasSubstr("taken it over")));
  EXPECT_TRUE(caller_.commit(*other->device, some_changes())) << "nobody took the other one";
}

TEST_F(SqliteStoreTest, ALivingOwnerRenewsItsLease) {
  const auto one = make("one");
  auto mine = caller_.open(*one, "a");
  const auto two = make("two");
  for (int i = 0; i < 10; ++i) {
    pass(11s);
    EXPECT_TRUE(caller_.read(*one, "nobody"));  // its thread looks at the clock
    EXPECT_TRUE(caller_.read(*one, "nobody"));  // and is done with that
    EXPECT_FALSE(caller_.open(*two, "a"));
  }
  EXPECT_TRUE(caller_.commit(*mine->device, some_changes()));
}

TEST_F(SqliteStoreTest, RenewsWithoutBeingAsked) {
  auto given = options("one");
  given.renew = 1ms;  // so often its thread looks at the clock
  const auto one = make(given);
  auto mine = caller_.open(*one, "a");
  Outsider outsider(path());
  const auto ends = [&] { return outsider.integer("SELECT until FROM owner"); };
  const std::int64_t before = ends();
  pass(20s);
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (ends() == before && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(ends(), before + Duration(20s).count());
}

TEST_F(SqliteStoreTest, ALeaseThatCannotBeRenewedIsLostWhenItEnds) {
  const auto one = make(impatient());
  std::vector<std::string> lost;
  std::optional<Store::Opened> mine;
  one->open(
      "a", [&](Result<Store::Opened> opened) { mine = std::move(*opened); },
      [&](const std::string& why) { lost.push_back(why); });
  caller_.io.run();
  const auto look = [&] {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(caller_.read(*one, "a"));
  };
  {
    Outsider outsider(path());
    outsider.run("BEGIN IMMEDIATE");
    pass(29s);
    look();
    EXPECT_THAT(lost, testing::IsEmpty());
    pass(2s);
    look();
    EXPECT_THAT(lost, testing::ElementsAre(HasSubstr("could not be renewed")));
  }
  EXPECT_EQ(caller_.commit(*mine->device, some_changes()).error().code, Errc::fenced);
  mine->device.reset();
  const auto again = caller_.open(*one, "a");
  EXPECT_TRUE(again) << "and may have it again: " << again.error();
}

TEST_F(SqliteStoreTest, AProcessThatComesBackUnderItsNameHasItsDevicesAtOnce) {
  const auto one = make("engine");
  auto mine = caller_.open(*one, "a");
  const auto again = make("engine");
  auto taken = caller_.open(*again, "a");
  ASSERT_TRUE(taken) << taken.error();
  EXPECT_EQ(caller_.commit(*mine->device, some_changes()).error().code, Errc::fenced);
  EXPECT_TRUE(caller_.commit(*taken->device, some_changes()));
}

TEST_F(SqliteStoreTest, AStoreWithoutANameIsItself) {
  const auto one = make();
  auto mine = caller_.open(*one, "a");
  EXPECT_EQ(caller_.open(*make(), "a").error().code, Errc::fenced);
}

TEST_F(SqliteStoreTest, ALeaseOfAnotherBootHasLapsed) {
  auto one = make("one");
  auto mine = caller_.open(*one, "a");
  Outsider(path()).run("UPDATE owner SET boot = 'before'");
  EXPECT_TRUE(caller_.open(*make("two"), "a"));
}

// ---- commits ------------------------------------------------------------------------------------

TEST_F(SqliteStoreTest, ALockedFileFailsTheCommitAndNothingElse) {
  const auto store = make(impatient());
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  {
    Outsider outsider(path());
    outsider.run("BEGIN IMMEDIATE");
    const auto committed = caller_.commit(*opened->device, {Erase{"credentials", {}}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Errc::environment);
    EXPECT_THAT(committed.error().detail,
                testing::AllOf(HasSubstr("testline.db is locked"), HasSubstr("end what holds it")));
    EXPECT_EQ(caller_.read(*store, "a")->records, some_records());
  }
  ASSERT_TRUE(caller_.commit(*opened->device, {Erase{"credentials", {}}}));
}

TEST_F(SqliteStoreTest, ADamagedDeviceDoesNotDisturbTheOthersOfItsTransaction) {
  const auto store = make();
  auto a = caller_.open(*store, "a");
  auto b = caller_.open(*store, "b");
  ASSERT_TRUE(caller_.commit(*a->device, some_changes()));
  Outsider(path()).run("UPDATE device SET generation = 9 WHERE name = 'a'");
  std::vector<Result<void>> results;
  const auto keep = [&](Result<void> result) { results.push_back(result); };
  b->device->commit("", {Put{"k", "1", {}}}, keep);
  a->device->commit("", {Put{"k", "1", {}}}, keep);
  b->device->commit("", {Put{"k", "2", {}}}, keep);
  caller_.io.restart();
  caller_.io.run();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(results[0]);
  EXPECT_EQ(results[1].error().code, Errc::malformed);
  EXPECT_TRUE(results[2]);
  EXPECT_EQ(caller_.read(*store, "b")->records.at("k").size(), 2u);
  EXPECT_FALSE(caller_.read(*store, "a"));
  a->device.reset();
  EXPECT_EQ(caller_.open(*store, "a").error().code, Errc::malformed);
  ASSERT_TRUE(caller_.erase(*store, "a")) << "who says so gets rid of it";
  EXPECT_EQ(caller_.open(*store, "a")->stored.records, Records{});
}

TEST_F(SqliteStoreTest, ManyDevicesAndCommitsAtOnce) {
  const auto store = make();
  constexpr int kDevices = 50;
  constexpr int kCommits = 40;
  std::vector<std::shared_ptr<DeviceStore>> devices;
  for (int i = 0; i < kDevices; ++i) {
    devices.push_back(caller_.open(*store, "d" + std::to_string(i))->device);
  }
  int done = 0;
  for (int n = 0; n < kCommits; ++n) {
    for (const auto& device : devices) {
      device->commit("", {Put{"n", "now", bytes({n})}, Put{"n", std::to_string(n), {}}},
                     [&](Result<void> result) { done += result ? 1 : 0; });
    }
  }
  caller_.io.restart();
  caller_.io.run();
  EXPECT_EQ(done, kDevices * kCommits);
  for (int i = 0; i < kDevices; ++i) {
    const auto stored = caller_.read(*store, "d" + std::to_string(i));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->generation, static_cast<std::uint64_t>(kCommits));
    EXPECT_EQ(stored->records.at("n").size(), kCommits + 1u);
  }
}

// ---- records that are loaded when they are needed -----------------------------------------------

TEST_F(SqliteStoreTest, OpenGivesTheResidentKindsAndNamesTheOthers) {
  auto given = options();
  given.resident = {"credentials"};
  const auto store = SqliteStore::at(caller_.io, given).value();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  opened->device.reset();

  opened = caller_.open(*store, "a");
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->stored.records,
            (Records{{"credentials", {{"self", bytes({1, 2, 3})}}}, {"pre_key", {}}}));
  EXPECT_EQ(*caller_.load(*opened->device, {{"pre_key", "2"}}), Loaded{bytes({255, 0})});
  EXPECT_EQ(caller_.read(*store, "a")->records, some_records()) << "who looks sees everything";
}

TEST_F(SqliteStoreTest, ADamagedRecordIsAnErrorOfItsLoad) {
  auto given = options();
  given.resident = {"credentials"};
  const auto store = SqliteStore::at(caller_.io, given).value();
  auto opened = caller_.open(*store, "a");
  ASSERT_TRUE(caller_.commit(*opened->device, some_changes()));
  Outsider(given.path).run("UPDATE record SET bytes = x'07' WHERE key = '2'");

  const auto loaded = caller_.load(*opened->device, {{"credentials", "self"}, {"pre_key", "2"}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Errc::malformed);
  EXPECT_THAT(loaded.error().detail, HasSubstr("pre_key/2"));
  EXPECT_TRUE(caller_.load(*opened->device, {{"pre_key", "1"}}));
}

// ---- who may not write --------------------------------------------------------------------------

TEST_F(SqliteStoreTest, AReadOnlyDirectoryIsAnErrorThatSaysSo) {
  store_some("a");
  const Bytes before = contents_of(path());
  const auto check = [&] {
    const auto made = SqliteStore::at(caller_.io, options());
    if (!made) {
      EXPECT_EQ(made.error().code, Errc::environment);
      EXPECT_THAT(made.error().detail, HasSubstr("testline.db"));
      return;
    }
    const auto opened = caller_.open(**made, "a");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::environment) << opened.error();
    EXPECT_THAT(opened.error().detail, HasSubstr("testline.db"));
  };
  constexpr uid_t kNobody = 65534;
  // Nothing is read-only for root: it looks through another user's eyes, in a process of its own.
  const auto as_somebody = [&] {
    if (::geteuid() == 0) {
      for (const std::string& file : {directory_.path(), path()}) {
        if (::chown(file.c_str(), kNobody, kNobody) != 0) std::_Exit(2);
      }
      if (::setuid(kNobody) != 0) std::_Exit(3);
    }
    check();
    if (testing::Test::HasFailure()) std::_Exit(1);
    std::_Exit(0);
  };
  fs::permissions(directory_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EXIT(as_somebody(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(contents_of(path()), before);
  fs::permissions(path(), fs::perms::owner_read);
  EXPECT_EXIT(as_somebody(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(contents_of(path()), before);
}

}  // namespace
}  // namespace wa::store
