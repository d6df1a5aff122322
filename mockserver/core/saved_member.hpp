#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "engine/base/bytes.hpp"

namespace wa::mock {

/// A member of an object in the saved accounts; every error names it. Private to mockserver/core.
class SavedMember {
 public:
  SavedMember(const boost::json::object& object, std::string_view key) : key_(key) {
    value_ = object.if_contains(key);
  }

  Result<std::string> text() const {
    if (value_ == nullptr || !value_->is_string()) return bad("text");
    return std::string(value_->get_string());
  }
  Result<bool> flag() const {
    if (value_ == nullptr || !value_->is_bool()) return bad("true or false");
    return value_->get_bool();
  }
  Result<std::uint32_t> number() const {
    WA_TRY(const std::int64_t number, whole());
    if (number > std::int64_t{0xffffffff}) return bad("a number below 2^32");
    return static_cast<std::uint32_t>(number);
  }
  /// Not negative.
  Result<std::int64_t> whole() const {
    boost::system::error_code failure;
    const auto number = value_ == nullptr ? -1 : value_->to_number<std::int64_t>(failure);
    if (failure || number < 0) return bad("a whole number");
    return number;
  }
  Result<boost::json::array> list() const {
    if (value_ == nullptr || !value_->is_array()) return bad("a list");
    return value_->get_array();
  }
  Result<boost::json::object> object() const {
    if (value_ == nullptr || !value_->is_object()) return bad("an object");
    return value_->get_object();
  }
  template <class Key>
  Result<Key> key() const {
    WA_TRY(const std::string hex, text());
    WA_TRY(const Bytes raw, from_hex(hex));
    return Key::from(raw, key_);
  }

 private:
  Error bad(std::string_view wanted) const {
    return Error{Errc::malformed, "accounts: \"" + key_ + "\" is not " + std::string(wanted)};
  }
  std::string key_;
  const boost::json::value* value_;
};

}  // namespace wa::mock
