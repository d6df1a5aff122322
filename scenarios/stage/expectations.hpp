#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "scenarios/stage/world.hpp"

namespace wa::stage {

class Expectations;

/// One value that a script looks at. Each check returns whether it held and notes a failure if not.
class Expectation {
 public:
  bool equals(const boost::json::value& expected);
  bool differs(const boost::json::value& unexpected);
  bool at_least(double least);
  bool at_most(double most);
  bool is_true();
  bool is_nil();
  bool is_not_nil();
  /// A text contains the text, an array the element, an object the key.
  bool contains(const boost::json::value& part);

 private:
  friend class Expectations;
  Expectation(Expectations& owner, boost::json::value found, std::string what, std::string where);
  bool note(bool held, std::string expected);

  Expectations& owner_;
  boost::json::value found_;
  std::string what_;
  std::string where_;
};

/// What a script expects, and what of it did not hold.
class Expectations {
 public:
  /// `what` is how the script names it: "device.connects"; `where` "file.lua:14".
  Expectation that(boost::json::value found, std::string what, std::string where);

  /// The device is never in this state, from its first start() until the end. Judged by conclude().
  void never(Device& device, std::string state, std::string where);

  /// For bindings that check something of their own.
  void fail(Failure failure) { failures_.push_back(std::move(failure)); }
  const std::vector<Failure>& failures() const { return failures_; }

  /// Looks at every never(). Called by conclude(), before the world is finished. `began`: what
  /// times are told from.
  void judge_nevers(Instant began);

 private:
  struct Never {
    Device* device;
    std::string state;
    std::string where;
  };
  std::vector<Never> nevers_;
  std::vector<Failure> failures_;
};

}  // namespace wa::stage
