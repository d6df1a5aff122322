#include "engine/client/pairing_window.hpp"

#include <algorithm>

namespace wa::client {
namespace {

constexpr std::size_t kMostRefs = 32;      // six are usual
constexpr std::size_t kLongestRef = 1024;  // a QR code holds 2,953 bytes

bool fits_into_qr(std::string_view ref) {
  return !ref.empty() && ref.size() <= kLongestRef && std::ranges::all_of(ref, [](char c) {
    return c > ' ' && c < '\x7f' && c != ',' && c != '#';
  });
}

}  // namespace

std::vector<std::string> PairingWindow::refs_of(const wire::Node& pair_device) {
  std::vector<std::string> refs;
  for (const wire::Node& child : pair_device.children()) {
    if (child.tag != "ref" || refs.size() == kMostRefs) continue;
    const std::string_view ref = as_text(child.bytes());
    if (fits_into_qr(ref)) refs.emplace_back(ref);
  }
  return refs;
}

PairingWindow::PairingWindow(std::vector<std::string> refs, const Config& config, Instant now)
    : refs_(std::move(refs)), config_(config), opened_at_(now) {}

Instant PairingWindow::end_of(std::size_t index) const {
  return opened_at_ + config_.first + static_cast<Duration::rep>(index) * config_.rest;
}

std::size_t PairingWindow::index_at(Instant now) const {
  std::size_t index = 0;
  while (index < refs_.size() && now >= end_of(index)) ++index;
  return index;
}

std::optional<PairingWindow::Code> PairingWindow::current(Instant now) const {
  const std::size_t index = index_at(now);
  if (index == refs_.size()) return std::nullopt;
  return Code{refs_[index], end_of(index), end_of(refs_.size() - 1)};
}

std::optional<Instant> PairingWindow::next_change(Instant now) const {
  const std::size_t index = index_at(now);
  if (index == refs_.size()) return std::nullopt;
  return end_of(index);
}

}  // namespace wa::client
