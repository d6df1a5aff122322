#include "scenarios/lua/script.hpp"

#include <lua.hpp>

#include "scenarios/lua/script_impl.hpp"
#include "scenarios/stage/gates.hpp"

namespace wa::lua {

namespace {

constexpr char kSelf = 0;  // its address is the registry's key

/// "path:12: text" as where and message.
void split_place(stage::Failure& failure, const std::string& path) {
  if (!failure.where.empty() || !failure.message.starts_with(path + ":")) return;
  const std::size_t digits = path.size() + 1;
  const std::size_t end = failure.message.find_first_not_of("0123456789", digits);
  if (end == std::string::npos || end == digits || failure.message.substr(end, 2) != ": ") return;
  failure.where = failure.message.substr(0, end);
  failure.message.erase(0, end + 2);
}

}  // namespace

Script::Impl::Impl(std::string path, std::string text, std::uint64_t seed)
    : path_(std::move(path)), text_(std::move(text)), sandbox_(seed) {
  lua_State* L = sandbox_.state();
  lua_pushlightuserdata(L, this);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kSelf);
  install_errors(L);
  install_pictures(L);
  install_bindings(L);
}

Script::Impl::~Impl() = default;

Script::Impl& Script::Impl::of(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kSelf);
  auto* self = static_cast<Impl*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *self;
}

stage::World& Script::Impl::world_of(lua_State* L) {
  stage::World* found = of(L).world;
  if (!found) raise(L, "usage", "scenario{ name = \"…\" } must be the first call of the file");
  return *found;
}

// ---- tasks --------------------------------------------------------------------------------------

Task& Script::Impl::add_task(lua_State* thread, Task* parent) {
  Task& task = tasks_.emplace_back();
  task.thread = thread;
  task.parent = parent;
  return task;
}

Raised Script::Impl::error_of(lua_State* thread) const {
  Raised raised = raised_at(thread, -1);
  raised.failure.message = Sandbox::with_full_path(std::move(raised.failure.message), path_);
  split_place(raised.failure, path_);
  // "not enough memory" does not say where; the coroutine still stands there.
  if (raised.failure.where.empty()) raised.failure.where = Sandbox::where(thread);
  return raised;
}

void Script::Impl::resume(Task& task) {
  lua_State* thread = task.thread;
  task.ready = false;
  Task* const before = current_;
  current_ = &task;
  sandbox_.refill(thread);
  int results = 0;
  const int status = lua_resume(thread, nullptr, 0, &results);
  sandbox_.rest();
  current_ = before;
  if (status == LUA_YIELD) return;
  task.ended = true;
  task.failed = status != LUA_OK;
  if (task.parent) {
    // The registry carries the value from one stack to the other.
    if (!task.failed)
      lua_settop(thread, results > 0 ? lua_gettop(thread) - results + 1 : lua_gettop(thread));
    if (!task.failed && results == 0) lua_pushnil(thread);
    if (task.failed) {
      // Where it happened is known only to the coroutine that ends now.
      Raised raised = error_of(thread);
      lua_createtable(thread, 0, 4);
      const auto set = [&](const char* key, const std::string& text) {
        lua_pushlstring(thread, text.data(), text.size());
        lua_setfield(thread, -2, key);
      };
      set("code", raised.code);
      set("kind", raised.failure.kind);
      set("message", raised.failure.message);
      set("where", raised.failure.where);
      luaL_setmetatable(thread, "error");
    }
    task.result = luaL_ref(thread, LUA_REGISTRYINDEX);
    if (task.failed) {
      fail_parent(task);
    } else if (--task.parent->joining == 0) {
      task.parent->ready = true;
    }
  }
}

void Script::Impl::cancel(Task& task) {
  for (Task* child : task.children) cancel(*child);
  if (task.ended) return;
  task.ended = true;
  task.ready = false;
  task.wait.reset();
}

void Script::Impl::fail_parent(Task& task) {
  for (Task* sibling : task.parent->children) {
    if (sibling != &task) cancel(*sibling);
  }
  task.parent->failed = true;
  task.parent->ready = true;
}

int Script::Impl::run_parallel(lua_State* L, int count) {
  if (!lua_isyieldable(L))
    raise(L, "usage", "parallel cannot stand inside a function that sort or gsub calls");
  Task& parent = *current_;
  parent.children.clear();
  parent.joining = static_cast<std::size_t>(count);
  for (int i = 1; i <= count; ++i) {
    lua_State* thread = lua_newthread(L);
    Task& task = add_task(thread, &parent);
    task.anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, i);
    lua_xmove(L, thread, 1);
    parent.children.push_back(&task);
  }
  return lua_yieldk(L, 0, 0, continue_parallel);
}

int Script::Impl::continue_parallel(lua_State* L, int, std::intptr_t) {
  Task& parent = *of(L).current_;
  lua_settop(L, 0);
  luaL_checkstack(L, static_cast<int>(parent.children.size()) + 4, nullptr);
  const bool failed = std::exchange(parent.failed, false);
  for (Task* child : parent.children) {
    luaL_unref(L, LUA_REGISTRYINDEX, child->anchor);
    if (child->result == 0) continue;  // cancelled
    if (!failed || child->failed) lua_rawgeti(L, LUA_REGISTRYINDEX, child->result);
    luaL_unref(L, LUA_REGISTRYINDEX, child->result);
  }
  parent.children.clear();
  if (failed) return lua_error(L);
  return lua_gettop(L);
}

// ---- waits --------------------------------------------------------------------------------------

int Script::Impl::wait_for(lua_State* L, stage::Wait wait, Finish finish) {
  if (!lua_isyieldable(L)) {
    raise(L, "usage",
          "a wait cannot stand inside a function that sort, gsub or a metamethod calls");
  }
  end_planning();
  if (standing_) standing_(wait.what(), Sandbox::where(L));
  current_->wait.emplace(std::move(wait));
  current_->finish = std::move(finish);
  return lua_yieldk(L, 0, 0, continue_wait);
}

int Script::Impl::continue_wait(lua_State* L, int, std::intptr_t) {
  Task& task = *of(L).current_;
  const stage::Wait wait = std::move(*task.wait);
  const Finish finish = std::move(task.finish);
  task.wait.reset();
  task.finish = {};
  if (wait.progress() == stage::Wait::Progress::timed_out) raise(L, wait.failure());
  return finish ? finish(L, wait) : 0;
}

int Script::Impl::wait_until(lua_State* L, Duration within) {
  /// Where the condition runs, and the error that ended it.
  struct Asking {
    lua_State* thread = nullptr;
    bool failed = false;
  };
  auto asking = std::make_shared<Asking>();
  asking->thread = lua_newthread(L);
  const int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 1);
  lua_xmove(L, asking->thread, 1);
  auto condition = [this, asking] {
    lua_State* thread = asking->thread;
    lua_pushvalue(thread, 1);
    sandbox_.refill(thread);
    asking->failed = lua_pcall(thread, 0, 1, 0) != LUA_OK;
    sandbox_.rest();
    if (asking->failed) return true;
    const bool holds = lua_toboolean(thread, -1) != 0;
    lua_pop(thread, 1);
    return holds;
  };
  const std::string what = "wait_until(…) at " + Sandbox::where(L);
  return wait_for(L, stage::Wait::until(*world, what, std::move(condition), within),
                  [asking, anchor](lua_State* S, const stage::Wait&) {
                    if (asking->failed) {
                      luaL_checkstack(S, 1, nullptr);
                      lua_xmove(asking->thread, S, 1);
                    }
                    luaL_unref(S, LUA_REGISTRYINDEX, anchor);
                    if (asking->failed) lua_error(S);
                    return 0;
                  });
}

bool Script::Impl::run_ready() {
  bool ran = false;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {  // grows while it runs
    Task& task = tasks_[i];
    if (task.ended) continue;
    const bool wait_ended = task.wait && task.wait->poll() != stage::Wait::Progress::pending;
    if (!task.ready && !wait_ended) continue;
    ran = true;
    resume(task);
    if (task.ended && task.failed && sandbox_.spent()) {
      ended_by_ = &task;
      return true;
    }
    if (tasks_.front().ended) {
      ended_by_ = &tasks_.front();
      return true;
    }
  }
  // Tasks at the end are no longer needed once they and their joins are over.
  while (tasks_.size() > 1 && tasks_.back().ended && tasks_.back().parent->children.empty())
    tasks_.pop_back();
  return ran;
}

void Script::Impl::run() {
  Task& main = tasks_.front();
  main.ready = true;
  while (!ended_by_) {
    if (run_ready()) continue;
    Instant limit = Instant::max();
    for (const Task& task : tasks_) {
      if (!task.ended && task.wait) limit = std::min(limit, task.wait->deadline());
    }
    world->advance(limit);
  }
}

// ---- declaring and playing ----------------------------------------------------------------------

int Script::Impl::declare_from(lua_State* L) {
  if (declaration_) raise(L, "usage", "scenario{…} is called once");
  declaration_ = read_declaration(L, 1);
  declaration_->scenario.path = path_;
  if (!lua_isyieldable(L) || current_ != &tasks_.front())
    raise(L, "usage", "scenario{…} cannot stand here");
  return lua_yield(L, 0);
}

Result<Declaration> Script::Impl::declare() {
  WA_ASSERT(tasks_.empty());
  WA_TRY(lua_State * thread, sandbox_.load(path_, text_));
  Task& task = add_task(thread, nullptr);
  resume(task);
  if (task.failed) {
    const Raised raised = error_of(thread);
    return Error{Errc::usage, to_string(raised.failure)};
  }
  if (!declaration_) {
    return Error{
        Errc::usage,
        path_ + ":1: the file has no scenario{ name = \"…\" }, which must be its first call"};
  }
  return *declaration_;
}

Outcome Script::Impl::play(stage::World& given, Standing standing) {
  WA_ASSERT(declaration_ && !world);
  world = &given;
  standing_ = std::move(standing);
  lua_State* L = sandbox_.state();
  lua_pushstring(L, std::string(stage::to_string(world->mode())).c_str());
  lua_setglobal(L, "mode");

  declared_.scenario_path = path_;
  declared_.scenario_sha256 = stage::text_hash(text_);
  for (const auto& [key, text] : declaration_->scenario.server) declared_.server[key] = text;
  Outcome outcome;
  run();
  end_planning();  // a file without a wait
  if (plan_is_wrong_) outcome.script_error = "usage";
  const bool raised_something = ended_by_->failed;
  if (raised_something) {
    if (ended_by_->parent) lua_rawgeti(ended_by_->thread, LUA_REGISTRYINDEX, ended_by_->result);
    const Raised raised = error_of(ended_by_->thread);
    if (raised.code == "usage" || raised.code == "environment") outcome.script_error = raised.code;
    expectations_.fail(raised.failure);
  }
  for (const ExpectedError& expected : expected_errors_) {
    if (expected.asked || !expected.raised) continue;
    expectations_.fail(
        {"expectation",
         "expect.error does not say which error: add :code(\"" + expected.raised->code + "\")",
         {},
         {},
         expected.where,
         {}});
  }
  if (standing_) standing_("the end of the scenario", path_);
  outcome.failures = stage::conclude(*world, declaration_->scenario, expectations_);
  // Whoever did not come to the end had no chance to use what it asked for.
  if (raised_something) {
    std::erase_if(outcome.failures,
                  [](const stage::Failure& failure) { return failure.kind == "allowance"; });
  }
  outcome.printed = sandbox_.printed();
  world = nullptr;
  return outcome;
}

// ---- what bindings keep -------------------------------------------------------------------------

EngineHandle* Script::Impl::engine(const std::string& name) {
  EngineHandle& handle = engines_[name];
  handle.name = name;
  return &handle;
}

FaultHandle* Script::Impl::fault(std::string id) {
  return &faults_.emplace_back(FaultHandle{std::move(id)});
}

void Script::Impl::note_phone(const std::string& number, const std::string& name) {
  if (!planning_) return;
  boost::json::object phone{{"number", number}};
  if (!name.empty()) phone["name"] = name;
  declared_.phones.push_back(std::move(phone));
}

void Script::Impl::note_device(const std::string& engine, const std::string& name,
                               const boost::json::value& options) {
  if (!planning_) return;
  boost::json::object device{{"name", name}};
  if (engine != "engine") device["engine"] = engine;
  if (options.is_object() && !options.get_object().empty()) device["options"] = options;
  declared_.devices.push_back(std::move(device));
}

Result<std::string> Script::Impl::add_fault(boost::json::object record) {
  if (!planning_) return world->server().fault(record);
  // Plans name every fault, so that one can be left out without renaming the others.
  if (!record.contains("id")) record["id"] = "f" + std::to_string(declared_.faults.size() + 1);
  declared_.faults.push_back(record);
  if (!plan_ || !record.at("id").is_string()) return world->server().fault(record);
  const std::string id(record.at("id").get_string());
  const auto planned = planned_.find(id);
  if (planned == planned_.end()) return id;
  planned->second.added = true;
  return add_planned(id, *planned->second.record);
}

Result<std::string> Script::Impl::add_planned(std::string_view id,
                                              const boost::json::object& record) {
  auto added = world->server().fault(record);
  if (added) return added;
  return Error{added.error().code,
               "plan: fault \"" + std::string(id) + "\": " + added.error().detail};
}

void Script::Impl::use(std::shared_ptr<const stage::Plan> plan) {
  plan_ = std::move(plan);
  if (!plan_) return;
  for (const boost::json::value& record : plan_->faults) {
    planned_.emplace(record.at("id").as_string(), Planned{&record.get_object()});
  }
}

void Script::Impl::end_planning() {
  if (!std::exchange(planning_, false) || !plan_) return;
  for (const boost::json::value& record : plan_->faults) {
    const std::string_view id = record.at("id").get_string();
    if (planned_.find(id)->second.added) continue;
    if (const auto added = add_planned(id, record.get_object()); !added) {
      plan_is_wrong_ = true;
      expectations_.fail({"script", added.error().detail, {}, {}, path_, {}});
    }
  }
}

ExpectedError* Script::Impl::expected_error(std::optional<Raised> raised, std::string where) {
  return &expected_errors_.emplace_back(ExpectedError{std::move(raised), std::move(where), false});
}

stage::Expectation* Script::Impl::expectation(stage::Expectation expectation) {
  return &asked_.emplace_back(std::move(expectation));
}

std::string Script::Impl::argument_text(lua_State* L, std::string_view word) const {
  const std::string where = Sandbox::where(L);
  const std::size_t colon = where.rfind(':');
  if (colon == std::string::npos) return std::string(word);
  const int line = std::atoi(where.c_str() + colon + 1);
  std::size_t begin = 0;
  for (int i = 1; i < line && begin != std::string::npos; ++i) {
    begin = text_.find('\n', begin);
    if (begin != std::string::npos) ++begin;
  }
  if (begin == std::string::npos) return std::string(word);
  const std::string_view row =
      std::string_view(text_).substr(begin, text_.find('\n', begin) - begin);
  const std::size_t call = row.find(std::string(word) + "(");
  if (call == std::string_view::npos) return std::string(word);
  const std::size_t from = call + word.size() + 1;
  int depth = 1;
  for (std::size_t i = from; i < row.size(); ++i) {
    if (row[i] == '(') ++depth;
    if (row[i] == ')' && --depth == 0) return std::string(row.substr(from, i - from));
  }
  return std::string(row.substr(from));
}

// ---- the Script ---------------------------------------------------------------------------------

Script::Script(std::string path, std::string text, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(std::move(path), std::move(text), seed)) {}
Script::~Script() = default;
Result<Declaration> Script::declare() {
  return impl_->declare();
}
void Script::use(std::shared_ptr<const stage::Plan> plan) {
  impl_->use(std::move(plan));
}
const stage::Plan& Script::declared() const {
  return impl_->declared();
}
Outcome Script::play(stage::World& world, Standing standing) {
  return impl_->play(world, std::move(standing));
}

}  // namespace wa::lua
