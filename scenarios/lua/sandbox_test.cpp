#include "scenarios/lua/sandbox.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lua.hpp>

namespace wa::lua {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What a script returns as text, or its error.
std::string run(std::string_view text, std::uint64_t seed = 1) {
  Sandbox sandbox(seed);
  auto thread = sandbox.load("test.lua", text);
  if (!thread) return "error: " + thread.error().detail;
  lua_State* L = *thread;
  sandbox.refill(L);
  int results = 0;
  const int status = lua_resume(L, nullptr, 0, &results);
  if (status != LUA_OK) return "error: " + std::string(Sandbox::push_text(L, -1));
  if (results == 0) return "nothing";
  return std::string(Sandbox::push_text(L, -results));
}

TEST(SandboxTest, WhatReachesOutsideIsNotThere) {
  for (const char* name : {"os", "io", "debug", "load", "loadstring", "loadfile", "require",
                           "package", "collectgarbage", "dofile", "coroutine", "_G", "xpcall",
                           "string.dump", "string.pack", "math.randomseed"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(run(std::string("return ") + name + " == nil"), "true");
  }
}

TEST(SandboxTest, PrecompiledCodeIsRefused) {
  EXPECT_THAT(run("\x1bLua"), StartsWith("error: "));
}

TEST(SandboxTest, ASyntaxErrorNamesFileAndLine) {
  EXPECT_THAT(run("local a = 1\nlocal = 2"), StartsWith("error: test.lua:2: "));
}

TEST(SandboxTest, PathsAreNotShortenedInMessages) {
  Sandbox sandbox(1);
  const std::string path = "a/" + std::string(80, 'x') + ".lua";
  const auto loaded = sandbox.load(path, "local = 2");
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().detail, StartsWith(path + ":1: "));
}

TEST(SandboxTest, PairsAndNextGoInOrder) {
  const std::string table =
      "local t = {zeta = 1, alpha = 2, [10] = 3, [2] = 4, [2.5] = 5, [true] = 6, [false] = 7, [-1] "
      "= 8} ";
  EXPECT_EQ(run(table + "local s = '' for k, v in pairs(t) do s = s .. tostring(k) .. '=' .. v .. "
                        "' ' end return s"),
            "-1=8 2=4 2.5=5 10=3 alpha=2 zeta=1 false=7 true=6 ");
  EXPECT_EQ(run(table + "local s, k = '', next(t) while k ~= nil do s = s .. tostring(k) .. ' ' k "
                        "= next(t, k) end return s"),
            "-1 2 2.5 10 alpha zeta false true ");
}

TEST(SandboxTest, PairsSkipsWhatTheLoopRemoves) {
  EXPECT_EQ(run("local t, s = {a = 1, b = 2, c = 3}, '' for k in pairs(t) do s = s .. k t.b = nil "
                "end return s"),
            "ac");
}

TEST(SandboxTest, KeysWithoutAnOrderAreRefused) {
  EXPECT_THAT(run("for k in pairs({[{}] = 1}) do end"),
              HasSubstr("test.lua:1: pairs and next need keys"));
  EXPECT_THAT(run("return next({[print] = 1})"), HasSubstr("not function"));
}

TEST(SandboxTest, RandomIsSeeded) {
  const std::string text =
      "return math.random(1, 1000000) .. ' ' .. math.random(5) .. ' ' .. math.random()";
  EXPECT_EQ(run(text, 7), run(text, 7));
  EXPECT_NE(run(text, 7), run(text, 8));
  EXPECT_EQ(run("for i = 1, 1000 do local r = math.random(3, 5) assert(r >= 3 and r <= 5) end "
                "return 'ok'"),
            "ok");
  EXPECT_THAT(run("return math.random(2, 1)"), HasSubstr("interval is empty"));
}

TEST(SandboxTest, NothingPrintsAddresses) {
  for (const char* expression : {"tostring({})", "tostring(print)", "string.format('%s', {})",
                                 "string.format('%10s|%s', 'a', print)", "('%s'):format({})"}) {
    SCOPED_TRACE(expression);
    EXPECT_THAT(run(std::string("return ") + expression), ::testing::Not(HasSubstr("0x")));
  }
  EXPECT_THAT(run("return string.format('%d %p', 1, {})"), HasSubstr("%p prints an address"));
  EXPECT_EQ(run("return string.format('%s %5.1f %% %q %x', 'a', 1.25, 'b', 255)"),
            "a   1.2 % \"b\" ff");
}

TEST(SandboxTest, FinalizersAndWeakTablesAreRefused) {
  EXPECT_THAT(run("setmetatable({}, {__gc = function() end})"), HasSubstr("__gc is not allowed"));
  EXPECT_THAT(run("setmetatable({}, {__mode = 'k'})"), HasSubstr("__mode is not allowed"));
  // Nor may the metatable become one later: the table has a copy.
  EXPECT_EQ(
      run("local m = {} local t = setmetatable({}, m) m.__mode = 'k' t[{}] = 1 "
          "for i = 1, 1e5 do local x = {i} end return rawlen(t) == 0 and getmetatable(t) == m"),
      "true");
}

TEST(SandboxTest, MetatablesServeOrdinaryClasses) {
  EXPECT_EQ(run("local C = {} C.__index = C local o = setmetatable({}, C) function C.name() return "
                "'c' end "
                "return o.name() .. tostring(getmetatable(o) == C)"),
            "ctrue");
}

TEST(SandboxTest, AnEndlessLoopEndsWithItsPlace) {
  EXPECT_THAT(run("local x\nwhile true do\n  x = 1\nend"),
              AllOf(StartsWith("error: test.lua:"), HasSubstr("endless loop")));
  EXPECT_THAT(run("local function f() return f() end f()"), HasSubstr("endless loop"));
}

TEST(SandboxTest, PcallDoesNotKeepAnEndlessLoopAlive) {
  EXPECT_THAT(run("while true do pcall(function() while true do end end) end"),
              HasSubstr("endless loop"));
}

TEST(SandboxTest, LibraryFunctionsCannotRunForEver) {
  for (const char* text :
       {"return (''):rep(math.maxinteger)", "table.move({}, 1, math.maxinteger - 1, 1)",
        "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 2)",
        "table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)",
        "return table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, 1 << "
        "60)",
        "table.sort(setmetatable({}, {__len = function() return 1 << 30 end}), function() end)"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(run(text), StartsWith("error: "));
  }
}

TEST(SandboxTest, CopyingMuchCountsAsWork) {
  EXPECT_THAT(run("local s = ('x'):rep(1 << 24) while true do local t = s .. 'y' end"),
              HasSubstr("endless loop"));
}

TEST(SandboxTest, MemoryIsLimited) {
  EXPECT_THAT(run("return ('x'):rep(70 * 1024 * 1024)"), HasSubstr("memory"));
  EXPECT_EQ(run("return #('x'):rep(16 * 1024 * 1024)"), "16777216");
}

TEST(SandboxTest, DeepRecursionEndsAtTheMemoryLimit) {
  EXPECT_THAT(run("local function f() return 1 + f() end return f()"), HasSubstr("memory"));
}

TEST(SandboxTest, BacktrackingHasABudgetOfItsOwn) {
  EXPECT_THAT(run("return ('a'):rep(60):find(('a-'):rep(30) .. 'b')"), HasSubstr("too many steps"));
  EXPECT_THAT(run("return ('a'):rep(5000):match('.-.-.-.-b')"), HasSubstr("too many steps"));
  EXPECT_THAT(run("return (('a'):rep(3000):gsub('.-.-.-b', ''))"), HasSubstr("too many steps"));
  EXPECT_THAT(run("while true do ('x'):rep(1000):find('y') end"), StartsWith("error: "));
  EXPECT_THAT(run("return ('x'):match(('a'):rep(3000))"), HasSubstr("at most 2000 bytes"));
}

struct PatternCase {
  const char* name;
  const char* expression;
  const char* result;
};
void PrintTo(const PatternCase& row, std::ostream* out) {
  *out << row.name;
}

class PatternTest : public ::testing::TestWithParam<PatternCase> {};

TEST_P(PatternTest, IsAsInTheManual) {
  EXPECT_EQ(run(std::string("local function j(...) local s = '' for _, v in ipairs({...}) do s = s "
                            ".. tostring(v) .. ',' end "
                            "return s end return j(") +
                GetParam().expression + ")"),
            GetParam().result);
}

INSTANTIATE_TEST_SUITE_P(
    Lua, PatternTest,
    ::testing::Values(
        PatternCase{"plain", "('a.b'):find('.', 1, true)", "2,2,"},
        PatternCase{"dot", "('abc'):find('b.')", "2,3,"},
        PatternCase{"negative_init", "('hello'):find('l', -2)", "4,4,"},
        PatternCase{"captures", "('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "key,value,"},
        PatternCase{"position", "('abc'):match('b()')", "3,"},
        PatternCase{"nested", "('foo123'):match('((%a+)(%d+))')", "foo123,foo,123,"},
        PatternCase{"lazy", "('<a><b>'):match('<(.-)>')", "a,"},
        PatternCase{"greedy", "('<a><b>'):match('<(.*)>')", "a><b,"},
        PatternCase{"plus_gives_back", "('aaab'):match('a+ab')", "aaab,"},
        PatternCase{"optional", "('colour color'):gsub('colou?r', 'x')", "x x,2,"},
        PatternCase{"set", "('a-z]'):gsub('[]%-]', '.')", "a.z.,2,"},
        PatternCase{"range_complement", "('ab1c2'):gsub('[^a-c]', '')", "abc,2,"},
        PatternCase{"trailing_minus", "('a-b'):gsub('[a-]', '.')", "..b,2,"},
        PatternCase{"class_upper", "('a b'):gsub('%S', 'x')", "x x,2,"},
        PatternCase{"balance", "('f(a(b)c) d'):match('%b()')", "(a(b)c),"},
        PatternCase{"frontier", "('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "1,3,"},
        PatternCase{"frontier_end", "('abc'):gsub('%f[%z]', '!')", "abc,0,"},
        PatternCase{"back_reference", "('\"it\\'s\" x'):match('([\"\\'])(.-)%1')", "\",it's,"},
        PatternCase{"anchor_only_once", "('aaa'):gsub('^a', 'b')", "baa,1,"},
        PatternCase{"empty_matches", "('abc'):gsub('', '-')", "-a-b-c-,4,"},
        PatternCase{"star_empty", "('abc'):gsub('x*', '-')", "-a-b-c-,4,"},
        PatternCase{"limit", "('aaaa'):gsub('a', 'b', 2)", "bbaa,2,"},
        PatternCase{"replacement_captures", "('hello world'):gsub('(%w+)', '<%1%0%%>')",
                    "<hellohello%> <worldworld%>,2,"},
        PatternCase{"table", "('$a $b'):gsub('%$(%w)', {a = 'x'})", "x $b,2,"},
        PatternCase{"function",
                    "('abc'):gsub('%w', function(c) if c ~= 'b' then return c:upper() end end)",
                    "AbC,3,"},
        PatternCase{"gmatch",
                    "(function() local s = '' for k, v in ('a=1, b=2'):gmatch('(%w)=(%w)') do s = "
                    "s .. k .. v end return s end)()",
                    "a1b2,"},
        PatternCase{
            "gmatch_empty",
            "(function() local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n end)()",
            "4,"},
        PatternCase{"no_match", "tostring(('abc'):match('x'))", "nil,"},
        PatternCase{"dollar_inside", "('a$b'):find('a$b')", "1,3,"},
        PatternCase{"init_beyond", "tostring(('abc'):find('', 5))", "nil,"},
        PatternCase{"init_at_end", "('abc'):find('', 4)", "4,3,"}),
    [](const auto& row) { return row.param.name; });

TEST(PatternErrorTest, MalformedPatternsAreNamed) {
  EXPECT_THAT(run("return ('a'):find('[a')"), HasSubstr("missing ']'"));
  EXPECT_THAT(run("return ('a'):find('(a')"), HasSubstr("unfinished capture"));
  EXPECT_THAT(run("return ('a'):match('a)')"), HasSubstr("invalid pattern capture"));
  EXPECT_THAT(run("return ('a'):find('%')"), HasSubstr("ends with '%'"));
  EXPECT_THAT(run("return ('a'):find('%1')"), HasSubstr("invalid capture index"));
  EXPECT_THAT(run("return ('a'):find('(a%1)')"), HasSubstr("invalid capture index"));
  EXPECT_THAT(run("return ('a'):gsub('a', '%2')"), HasSubstr("invalid capture index"));
  EXPECT_THAT(run("return ('a'):find(('%b'))"), HasSubstr("missing arguments"));
}

}  // namespace
}  // namespace wa::lua
