#include "mockserver/control/api_result.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <charconv>

namespace wa::mock::control {
namespace {

std::string joined(const std::vector<std::string_view>& words) {
  std::string list;
  for (const std::string_view word : words) {
    list += (list.empty() ? "" : ", ") + std::string(word);
  }
  return list;
}

std::string position(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " + std::to_string(offset - line_start + 1);
}

Problem wrong_type(std::string_view key, std::string_view wanted, const json::value& found) {
  Problem problem{400, "wrong_type",
                  "\"" + std::string(key) + "\" takes " + std::string(wanted) + ", not " +
                      std::string(json::to_string(found.kind())),
                  ""};
  if (found.is_number() && wanted == "text") {
    problem.hint = "write it in quotes: \"" + json::serialize(found) + "\"";
  }
  return problem;
}

}  // namespace

net::HttpResponse to_response(int status, const json::value& body) {
  net::HttpResponse response;
  response.status = status;
  response.body = json::serialize(body) + "\n";
  return response;
}

net::HttpResponse to_response(const Problem& problem) {
  const json::object error = {
      {"code", problem.code}, {"message", problem.message}, {"hint", problem.hint}};
  return to_response(problem.status, json::object{{"error", error}});
}

Problem to_problem(const Error& error, std::string code) {
  int status = 400;
  if (error.code == Errc::not_found) status = 404;
  if (error.code == Errc::conflict) status = 409;
  if (error.code == Errc::too_large) status = 413;
  return Problem{status, std::move(code), error.detail, ""};
}

ApiResult<json::value> read_json(ByteSpan body) {
  const std::string_view text = as_text(body);
  json::stream_parser parser;
  json::error_code failure;
  const std::size_t consumed = parser.write_some(text.data(), text.size(), failure);
  if (!failure && text.find_first_not_of(" \t\r\n", consumed) != std::string_view::npos) {
    failure = json::error::extra_data;
  }
  if (!failure) parser.finish(failure);
  if (!failure) return parser.release();
  return Problem{400, "bad_json",
                 "the body is not JSON: " + failure.message() + " at " + position(text, consumed),
                 "send one JSON object, such as {\"number\":\"15550100001\"}"};
}

ApiResult<json::object> read_object(ByteSpan body, const std::vector<std::string_view>& known) {
  if (body.empty()) return json::object();
  WA_TRY(json::value value, read_json(body));
  if (!value.is_object()) {
    return Problem{
        400, "wrong_type",
        "the body is to be a JSON object, not " + std::string(json::to_string(value.kind())),
        known.empty() ? "" : "its members: " + joined(known)};
  }
  for (const auto& member : value.get_object()) {
    const std::string_view key = member.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return Problem{400, "unknown_member",
                   "unknown member \"" + std::string(key) + "\"" + did_you_mean(key, known),
                   known.empty() ? "this call takes none" : "this call takes: " + joined(known)};
  }
  return std::move(value.get_object());
}

ApiResult<std::string> optional_text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return wrong_type(key, "text", *value);
  return std::string(value->get_string());
}

ApiResult<std::string> required_text(const json::object& object, std::string_view key) {
  WA_TRY(std::string text, optional_text(object, key));
  if (text.empty()) {
    return Problem{400, "missing_member", "\"" + std::string(key) + "\" is missing or empty",
                   "send {\"" + std::string(key) + "\":\"…\"}"};
  }
  return text;
}

ApiResult<void> check_query(const net::HttpRequest& request,
                            const std::vector<std::string_view>& known) {
  for (const auto& [key, value] : request.query) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return Problem{400, "unknown_parameter",
                   "unknown query parameter \"" + key + "\"" + did_you_mean(key, known),
                   known.empty() ? "this call takes none" : "this call takes: " + joined(known)};
  }
  return {};
}

ApiResult<std::uint64_t> number_in_query(const net::HttpRequest& request, const std::string& key,
                                         std::uint64_t otherwise, std::uint64_t most) {
  const auto found = request.query.find(key);
  if (found == request.query.end()) return otherwise;
  const std::string& text = found->second;
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status == std::errc() && end == text.data() + text.size() && number <= most) return number;
  return Problem{400, "bad_parameter",
                 "\"" + key + "\" takes a whole number from 0 to " + std::to_string(most) +
                     ", not \"" + text + "\"",
                 ""};
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

}  // namespace wa::mock::control
