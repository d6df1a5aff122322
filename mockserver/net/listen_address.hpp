#pragma once

#include <string>
#include <string_view>

namespace wa::mock {

/// The host that a client on this machine dials to reach a listener at "HOST:PORT": an address that
/// means "all interfaces" becomes the loopback address.
std::string dialled_host(std::string_view listen);

}  // namespace wa::mock
