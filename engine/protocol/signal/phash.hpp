#pragma once

#include <span>
#include <string>

#include "engine/protocol/wire/jid.hpp"

namespace wa::signal {

/// The hash of a set of devices, whatever their order: "2:" and eight characters. With it both ends
/// notice that they think of different devices. Source: docs/protocol/signal.md, "Participant
/// hash".
std::string participant_hash(std::span<const wire::Jid> devices);

}  // namespace wa::signal
