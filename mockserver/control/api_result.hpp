#pragma once

#include <boost/json/object.hpp>
#include <boost/system/result.hpp>
#include <string_view>
#include <vector>

#include "engine/base/bytes.hpp"
#include "engine/net/http_server.hpp"
#include "mockserver/net/mock_host.hpp"

/// What calls of the control API have in common: JSON in, JSON or a Problem out.
namespace wa::mock::control {

namespace json = boost::json;

/// A value, or what the caller is told instead.
template <class T>
class [[nodiscard]] ApiResult : public boost::system::result<T, Problem> {
 public:
  // Not the inherited ones: in C++20 a number could also be taken for a Problem's first member.
  ApiResult(T value)
      : boost::system::result<T, Problem>(boost::system::in_place_value, std::move(value)) {}
  ApiResult(Problem problem)
      : boost::system::result<T, Problem>(boost::system::in_place_error, std::move(problem)) {}
};
template <>
class [[nodiscard]] ApiResult<void> : public boost::system::result<void, Problem> {
 public:
  using boost::system::result<void, Problem>::result;
};

/// {"error":{"code","message","hint"}} with the problem's status.
net::HttpResponse to_response(const Problem& problem);
net::HttpResponse to_response(int status, const json::value& body);

/// An Error of a lower layer as a Problem; `code` is the stable word for it.
Problem to_problem(const Error& error, std::string code);

/// The object in a request's body; an empty body is an empty object. Members that are not in
/// `known` are refused, naming the nearest one. Codes: bad_json (with the position), wrong_type,
/// unknown_member.
ApiResult<json::object> read_object(ByteSpan body, const std::vector<std::string_view>& known);
/// Any JSON value. Codes: bad_json.
ApiResult<json::value> read_json(ByteSpan body);

/// Codes: missing_member, wrong_type.
ApiResult<std::string> required_text(const json::object& object, std::string_view key);
/// Empty when it is absent. Codes: wrong_type.
ApiResult<std::string> optional_text(const json::object& object, std::string_view key);

/// Query parameters that are not in `known` are refused. Codes: unknown_parameter.
ApiResult<void> check_query(const net::HttpRequest& request,
                            const std::vector<std::string_view>& known);
/// A whole number in the query, or `otherwise`. Codes: bad_parameter.
ApiResult<std::uint64_t> number_in_query(const net::HttpRequest& request, const std::string& key,
                                         std::uint64_t otherwise, std::uint64_t most);

/// "; did you mean \"…\"?", or nothing when no candidate is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace wa::mock::control
