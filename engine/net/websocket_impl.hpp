#pragma once

#include "engine/net/websocket.hpp"
#include "engine/net/websocket_stream.hpp"

namespace wa::net {

/// A handle for an upgraded stream of either role. Internal to engine/net.
WebSocketPtr make_websocket(WebSocketStream stream);

}  // namespace wa::net
