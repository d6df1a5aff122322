#include "scenarios/cli/verb_qr.hpp"

#include "engine/qr/qr.hpp"
#include "mockserver/camera/camera.hpp"
#include "scenarios/cli/exit_code.hpp"
#include "scenarios/cli/files.hpp"

namespace wa::cli {
namespace {

int fail(const Error& error) {
  complain(error.detail);
  if (error.code == Errc::environment) return kEnvironment;
  return error.code == Errc::usage ? kUsage : kFailed;
}

Result<std::string> text_of(const QrOptions& options) {
  if (options.text != "-") return options.text;
  WA_TRY(const Bytes input, read_file("-"));
  std::string text(as_text(input));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<Bytes> draw(const QrOptions& options) {
  WA_TRY(const std::string text, text_of(options));
  if (options.svg) {
    WA_TRY(const std::string svg, qr::to_svg(text));
    return to_bytes(svg);
  }
  if (!options.out.empty()) {
    return qr::to_png(text, qr::PngOptions{.pixels_per_module = options.module_pixels});
  }
  WA_TRY(const std::string blocks, qr::to_terminal(text));
  return to_bytes(blocks);
}

}  // namespace

int run_qr(const QrOptions& options) {
  const auto drawn = draw(options);
  if (!drawn) return fail(drawn.error());
  const bool to_terminal = options.out.empty() || options.out == "-";
  const auto written = to_terminal ? write_stdout(*drawn) : write_file(options.out, *drawn);
  return written ? kOk : fail(written.error());
}

int run_scan(const ScanOptions& options) {
  const auto picture = read_file(options.file);
  if (!picture) return fail(picture.error());
  const auto text = mock::camera::read_picture(*picture);
  if (!text) {
    complain(options.file + ": " + text.error().detail);
    return kFailed;
  }
  const auto written = write_stdout(as_bytes(*text + "\n"));
  return written ? kOk : fail(written.error());
}

}  // namespace wa::cli
