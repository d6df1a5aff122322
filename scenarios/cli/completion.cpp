#include "scenarios/cli/completion.hpp"

namespace wa::cli {

std::string bash_completion(const std::vector<VerbWords>& verbs) {
  std::string names = "--help --version";
  std::string cases;
  for (const VerbWords& words : verbs) {
    names += " " + words.verb;
    cases += "    " + words.verb + ") words='";
    for (std::size_t i = 0; i < words.options.size(); ++i) {
      cases += (i == 0 ? "" : " ") + words.options[i];
    }
    cases += "' ;;\n";
  }
  return "# testline completion bash\n"
         "_testline() {\n"
         "  local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W '" +
         names +
         "' -- \"$word\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"${COMP_WORDS[1]}\" in\n" +
         cases +
         "  esac\n"
         "  case \"$word\" in\n"
         "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
         "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _testline testline\n";
}

}  // namespace wa::cli
