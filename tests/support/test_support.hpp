#pragma once

#include <boost/json/value.hpp>
#include <initializer_list>
#include <string_view>

#include "engine/base/bytes.hpp"

namespace wa::test {

/// A new directory that goes, with all that is in it, when the object does. Made read-only
/// meanwhile, it goes all the same.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

/// Bytes from small numbers: `bytes({0, 2, 255})`.
Bytes bytes(std::initializer_list<int> values);

/// Bytes from hexadecimal text; ends the test program when it is malformed.
Bytes hex(std::string_view text);

/// The parsed file `tests/vectors/<name>`; ends the test program when it cannot be read.
boost::json::value vectors(std::string_view name);

/// The member `key` of a JSON object as bytes from hex, or as text.
Bytes hex_at(const boost::json::value& object, std::string_view key);
std::string text_at(const boost::json::value& object, std::string_view key);

}  // namespace wa::test
