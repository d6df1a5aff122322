#pragma once

#include "scenarios/lua/values.hpp"

namespace wa::lua {

struct Declaration {
  stage::Scenario scenario;
  bool sets_loopback_scale = false;
};

/// The table at `index` as what `scenario{…}` says. Raises for whatever is not understood.
Declaration read_declaration(lua_State* L, int index);

/// The ids of docs/invariants.md, for `allow`.
std::vector<std::string_view> invariant_ids();

}  // namespace wa::lua
