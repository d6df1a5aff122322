#pragma once

#include <string>

#include "mockserver/net/mock_host.hpp"

namespace wa::mock::control {

/// `GET /metrics`: the Prometheus text format, version 0.0.4.
std::string metrics_text(MockHost& host);

}  // namespace wa::mock::control
