#include "scenarios/loopback/command_line.hpp"

namespace wa::loopback {

Result<std::vector<std::string>> split_command(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool has_next = i + 1 < line.size();
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (std::exchange(in_word, false)) words.push_back(std::exchange(word, {}));
      continue;
    }
    in_word = true;
    if (quote == '\'') {
      if (c == '\'')
        quote = 0;
      else
        word += c;
    } else if (quote == '"') {
      if (c == '"')
        quote = 0;
      else if (c == '\\' && has_next && (line[i + 1] == '"' || line[i + 1] == '\\'))
        word += line[++i];
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '\\') {
      if (!has_next)
        return Error{Errc::usage, "the command ends with a backslash: " + std::string(line)};
      word += line[++i];
    } else {
      word += c;
    }
  }
  if (quote != 0) {
    return Error{Errc::usage,
                 std::string("the command has an unclosed ") + quote + ": " + std::string(line)};
  }
  if (in_word) words.push_back(std::move(word));
  if (words.empty()) return Error{Errc::usage, "the command of the client is empty"};
  return words;
}

}  // namespace wa::loopback
