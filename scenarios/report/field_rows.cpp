#include <algorithm>
#include <cctype>

#include "scenarios/report/result.hpp"

namespace wa::report {

bool is_field_row(std::string_view tag) {
  constexpr std::string_view kPrefix = "FB-";
  const std::string_view digits = tag.substr(std::min(tag.size(), kPrefix.size()));
  return tag.starts_with(kPrefix) && digits.size() == 3 &&
         std::all_of(digits.begin(), digits.end(),
                     [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
}

FieldRows field_rows(const std::vector<Result>& results) {
  FieldRows rows;
  for (const Result& result : results) {
    for (const std::string& tag : result.tags) {
      if (!is_field_row(tag)) continue;
      if (result.verdict == Verdict::passed) rows.held.insert(tag);
      if (result.verdict == Verdict::failed || result.verdict == Verdict::error) {
        rows.broken.insert(tag);
      }
    }
  }
  for (const std::string& tag : rows.broken) rows.held.erase(tag);
  return rows;
}

}  // namespace wa::report
