#include "engine/messaging/records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/messaging/stored.hpp"
#include "tests/support/test_support.hpp"

namespace wa::messaging {
namespace {

using test::bytes;
using testing::ElementsAre;
using testing::IsEmpty;

const RecordKey kOne{"kind", "1"};
const RecordKey kTwo{"kind", "2"};

class RecordsTest : public testing::Test {
 protected:
  void load(std::uint32_t id, const RecordKey& key, std::optional<Bytes> value) {
    records.wait("lane", std::array{key}, id);
    records.loaded(id, {std::move(value)});
  }
  Records records;
  Records::Pins pins;
};

TEST_F(RecordsTest, AReadOfWhatIsNotHereSaysWhatIsMissing) {
  records.begin(pins);
  const auto missing = records.need(std::array{kOne, kTwo});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().records, ElementsAre(kOne, kTwo));
}

TEST_F(RecordsTest, OneLoadServesAllWhoWait) {
  records.begin(pins);
  ASSERT_FALSE(records.read(kOne));
  EXPECT_THAT(records.wait("a", std::array{kOne}, 1), ElementsAre(kOne));
  EXPECT_THAT(records.wait("b", std::array{kOne}, 2), IsEmpty());
  EXPECT_THAT(records.loaded(1, {bytes({7})}), ElementsAre("a", "b"));
  records.begin(pins);
  const auto read = records.read(kOne);
  ASSERT_TRUE(read);
  EXPECT_EQ(**read, bytes({7}));
}

TEST_F(RecordsTest, ChangesOfAHandlerThatDidNotComeToItsEndAreForgotten) {
  records.begin(pins);
  ASSERT_FALSE(records.read(kOne));
  load(1, kOne, bytes({7}));
  records.begin(pins);
  records.put(kOne, bytes({8}));
  EXPECT_EQ(**records.read(kOne), bytes({8}));
  records.abandon();
  EXPECT_EQ(**records.read(kOne), bytes({7}));
}

TEST_F(RecordsTest, FinishedChangesAreReadByEverybodyElse) {
  records.begin(pins);
  ASSERT_FALSE(records.read(kOne));
  load(1, kOne, std::nullopt);
  records.begin(pins);
  records.put(kOne, bytes({8}));
  records.erase(kTwo);
  EXPECT_THAT(records.finish(),
              ElementsAre(Change(Put{"kind", "1", bytes({8})}), Change(Erase{"kind", "2"})));
  Records::Pins others;
  records.begin(others);
  EXPECT_EQ(**records.read(kOne), bytes({8}));
  records.release(others);
}

TEST_F(RecordsTest, ALoadDoesNotUndoWhatWasWrittenMeanwhile) {
  records.begin(pins);
  ASSERT_FALSE(records.read(kOne));
  records.wait("a", std::array{kOne}, 1);
  records.begin(pins);
  records.put(kOne, bytes({8}));
  records.finish();
  records.loaded(1, {bytes({7})});
  records.begin(pins);
  EXPECT_EQ(**records.read(kOne), bytes({8}));
}

TEST_F(RecordsTest, ReleasedRecordsAreGone) {
  records.begin(pins);
  ASSERT_FALSE(records.read(kOne));
  load(1, kOne, bytes({7}));
  EXPECT_EQ(records.resident(), 1U);
  records.release(pins);
  EXPECT_EQ(records.resident(), 0U);
}

TEST(StoredTest, DaysAreCivilDates) {
  EXPECT_EQ(kind_of_day("sent", 0), "sent.19700101");
  EXPECT_EQ(kind_of_day("sent", day_of(UnixMillis{1'767'225'600'000})), "sent.20260101");
  EXPECT_EQ(kind_of_day("sent", day_of(UnixMillis{1'709'164'800'000})), "sent.20240229");
  EXPECT_EQ(kind_of_day("sent", day_of(UnixMillis{1'798'761'599'000})), "sent.20261231");
}

TEST(StoredTest, ARingRemembersTheLastIds) {
  Seen seen;
  for (int i = 0; i < 300; ++i) seen.add("id" + std::to_string(i));
  const Seen read(seen.encode());
  EXPECT_FALSE(read.has("id43"));
  EXPECT_TRUE(read.has("id44"));
  EXPECT_TRUE(read.has("id299"));
  EXPECT_EQ(read.encode().size(), 2048U);
}

TEST(StoredTest, DamagedRecordsAreRefused) {
  EXPECT_FALSE(Sent::decode(bytes({255, 255})));
  EXPECT_FALSE(Devices::decode(bytes({255, 255})));
  EXPECT_FALSE(Retries::decode(bytes({255, 255})));
  EXPECT_FALSE(Watermarks::decode(bytes({255, 255})));
  EXPECT_FALSE(decode_app_event(bytes({255, 255})));
  EXPECT_EQ(Seen(bytes({1, 2, 3})).encode().size(), 0U);
}

}  // namespace
}  // namespace wa::messaging
