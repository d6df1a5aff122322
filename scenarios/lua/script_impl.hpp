#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "scenarios/lua/sandbox.hpp"
#include "scenarios/lua/script.hpp"
#include "scenarios/stage/expectations.hpp"
#include "scenarios/stage/waits.hpp"

namespace wa::lua {

/// What a wait yields to the script: pushes results, returns how many. May raise.
using Finish = std::function<int(lua_State*, const stage::Wait&)>;

/// One coroutine: the file, or a function given to parallel().
struct Task {
  lua_State* thread = nullptr;
  int anchor = 0;  ///< in the registry, so that the thread is not collected
  Task* parent = nullptr;
  bool ready = true;
  bool ended = false;
  std::optional<stage::Wait> wait;
  Finish finish;
  // While it stands in parallel().
  std::size_t joining = 0;
  std::vector<Task*> children;
  int result = 0;  ///< registry: the first value that the function returned, or the error it raised
  bool failed = false;
};

/// What the script's objects stand for; owned here, so that they need no finalizers.
struct EngineHandle {
  std::string name;
};
struct FaultHandle {
  std::string id;
};
struct ExpectedError {
  std::optional<Raised> raised;
  std::string where;
  bool asked = false;
};

/// The inside of a Script, as the bindings see it.
class Script::Impl {
 public:
  Impl(std::string path, std::string text, std::uint64_t seed);
  ~Impl();

  static Impl& of(lua_State* L);
  /// The world; raises before scenario{…}.
  static stage::World& world_of(lua_State* L);

  Result<Declaration> declare();
  Outcome play(stage::World& world, Standing standing);

  // ---- for bindings ----

  /// Ends the calling C function: the coroutine goes on when the wait has ended. A wait that timed
  /// out raises.
  int wait_for(lua_State* L, stage::Wait wait, Finish finish);
  /// Ends when the function at 1 returns something true; it is asked again after whatever happens,
  /// and may not wait itself.
  int wait_until(lua_State* L, Duration within);
  /// Runs the functions at 1..count as coroutines of their own.
  int run_parallel(lua_State* L, int count);
  int declare_from(lua_State* L);
  /// What stands between the parentheses of `word(` in the line that runs now; else `word`.
  std::string argument_text(lua_State* L, std::string_view word) const;

  EngineHandle* engine(const std::string& name);
  FaultHandle* fault(std::string id);
  ExpectedError* expected_error(std::optional<Raised> raised, std::string where);
  stage::Expectation* expectation(stage::Expectation expectation);
  stage::Expectations& expectations() { return expectations_; }

  // What stands before the first wait belongs to the plan.
  void note_phone(const std::string& number, const std::string& name);
  void note_device(const std::string& engine, const std::string& name,
                   const boost::json::value& options);
  /// The id. With a plan in use its record of this id is added, or none if it has none.
  Result<std::string> add_fault(boost::json::object record);
  void use(std::shared_ptr<const stage::Plan> plan);
  const stage::Plan& declared() const { return declared_; }

  stage::World* world = nullptr;

 private:
  static int continue_wait(lua_State* L, int status, std::intptr_t context);
  static int continue_parallel(lua_State* L, int status, std::intptr_t context);
  Task& add_task(lua_State* thread, Task* parent);
  void resume(Task& task);
  void run();
  /// Runs what can run. False: all stand in waits.
  bool run_ready();
  /// All is declared: adds what only the plan has. Once.
  void end_planning();
  Result<std::string> add_planned(std::string_view id, const boost::json::object& record);
  void fail_parent(Task& task);
  void cancel(Task& task);
  /// The error on top of the thread's stack.
  Raised error_of(lua_State* thread) const;

  std::string path_;
  std::string text_;
  Sandbox sandbox_;
  std::deque<Task> tasks_;
  Task* current_ = nullptr;
  /// The file's own coroutine at its end, or one that spent the budget.
  Task* ended_by_ = nullptr;
  std::optional<Declaration> declaration_;
  bool planning_ = true;  ///< no wait has begun yet
  stage::Plan declared_;
  std::shared_ptr<const stage::Plan> plan_;  ///< in use; null: none
  /// Its faults by id, and whether they have been added.
  struct Planned {
    const boost::json::object* record = nullptr;
    bool added = false;
  };
  std::map<std::string, Planned, std::less<>> planned_;
  bool plan_is_wrong_ = false;
  Standing standing_;
  stage::Expectations expectations_;
  std::deque<stage::Expectation> asked_;
  std::map<std::string, EngineHandle> engines_;
  std::deque<FaultHandle> faults_;
  std::deque<ExpectedError> expected_errors_;
};

/// Makes the globals server, engine, expect, parallel, pause and scenario.
void install_bindings(lua_State* L);
/// Makes the global picture.
void install_pictures(lua_State* L);

}  // namespace wa::lua
