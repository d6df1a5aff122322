#pragma once

#include <string>
#include <vector>

namespace wa::cli {

/// What can follow a verb.
struct VerbWords {
  std::string verb;
  std::vector<std::string> options;
};

/// A script for `source <(testline completion bash)`: verbs, their options, else file names.
std::string bash_completion(const std::vector<VerbWords>& verbs);

}  // namespace wa::cli
