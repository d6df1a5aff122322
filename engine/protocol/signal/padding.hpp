#pragma once

#include "engine/base/bytes.hpp"
#include "engine/base/random.hpp"
#include "engine/protocol/signal/failure.hpp"

namespace wa::signal {

/// WhatsApp's padding of every plaintext, under Signal's own: 1 to 16 bytes, each their count.
/// Draws one byte. Source: docs/protocol/signal.md, "Padding".
Bytes pad(ByteSpan plaintext, Random& random);

/// The plaintext, a view of `padded`. All padding bytes must be equal, and one is the least.
/// Errors: `bad_padding`.
Outcome<ByteSpan> unpad(ByteSpan padded);

}  // namespace wa::signal
