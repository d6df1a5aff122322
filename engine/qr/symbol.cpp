#include "engine/qr/symbol.hpp"

#include <qrencode.h>

#include <cerrno>
#include <memory>
#include <new>

namespace wa::qr {

Result<Symbol> encode(std::string_view text) {
  if (text.empty()) return Error{Errc::malformed, "a QR code needs at least one byte of text"};
  if (text.size() > kMaxTextBytes) {
    return Error{Errc::too_large, "QR text of " + std::to_string(text.size()) + " bytes; at most " +
                                      std::to_string(kMaxTextBytes) + " fit"};
  }
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeData(static_cast<int>(text.size()),
                        reinterpret_cast<const unsigned char*>(text.data()), 0, QR_ECLEVEL_L),
      &QRcode_free);
  if (!code && errno == ENOMEM) throw std::bad_alloc();
  WA_ASSERT(code != nullptr);  // its other refusals are ruled out above

  Symbol symbol;
  symbol.size = code->width;
  symbol.modules.assign(code->data, code->data + code->width * code->width);
  // libqrencode keeps notes on each module in the upper bits.
  for (auto& module : symbol.modules) module &= 1;
  return symbol;
}

}  // namespace wa::qr
