#include "scenarios/cli/verb_decode.hpp"

#include "scenarios/cli/decoding.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"

namespace wa::cli {
namespace {

Result<std::vector<std::string>> lines_of(const DecodeOptions& options) {
  if (options.dictionary != 2 && options.dictionary != 3) {
    return Error{Errc::usage, "--dictionary takes 2 or 3"};
  }
  DecodeContext context;
  context.dictionary = options.dictionary == 2 ? wire::Dictionary::v2 : wire::Dictionary::v3;
  if (!options.key_log.empty()) {
    WA_TRY(const Bytes log, read_file(options.key_log));
    WA_TRY(context.keys, parse_key_log(as_text(log)));
  }
  WA_TRY(const Bytes file, read_file(options.file));
  return decode_lines(file, context);
}

}  // namespace

int run_decode(const DecodeOptions& options) {
  const auto lines = lines_of(options);
  if (!lines) {
    const Error& error = lines.error();
    complain(error.code == Errc::malformed ? options.file + ": " + error.detail : error.detail);
    if (error.code == Errc::environment) return kEnvironment;
    return error.code == Errc::usage ? kUsage : kFailed;
  }
  std::string text;
  for (const std::string& line : *lines) text += line + "\n";
  return write_stdout(as_bytes(text)) ? kOk : kEnvironment;
}

}  // namespace wa::cli
