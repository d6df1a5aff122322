#pragma once

#include <string>
#include <string_view>

#include "engine/net/byte_stream.hpp"

namespace wa::net {

/// "Not Found" for 404.
std::string_view reason_of(int status);

/// Sends a whole plain-text HTTP answer and ends the connection. Internal to engine/net.
/// `extra_headers` are whole lines, each with its CRLF.
void answer_and_close(const ByteStream& stream, int status, std::string_view body,
                      std::string_view extra_headers = {});

}  // namespace wa::net
