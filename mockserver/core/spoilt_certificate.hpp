#pragma once

#include "engine/protocol/noise/certificate.hpp"
#include "mockserver/core/fault_record.hpp"
#include "mockserver/core/server_keys.hpp"

namespace wa::mock {

/// The chain that `spec` and `keys` give, but for what the fault spoils. All else is right: a
/// certificate is signed anew around a spoilt field, so that a client that misses just this check
/// accepts the chain.
///
/// Wrong are: a serial that is one higher; an issuer's serial one higher; another key; a window
/// that begins a day after `now` or ended a second before it; a signature with one bit changed; a
/// certificate (field `all`) made of other bytes. Missing is what is not there at all.
///
/// A wrong leaf serial is refused by no known client: nothing names it.
Bytes spoilt_chain(const noise::ChainSpec& spec, const ServerKeys& keys,
                   const CertificateFault& fault, UnixMillis now, Random& random);

}  // namespace wa::mock
