#pragma once

#include "mockserver/core/iq_routes.hpp"

/// IQs about the keys that begin Signal sessions. Source: docs/protocol/connection.md, "Pre-keys";
/// routing.md, "Bundles".
namespace wa::mock {

wire::NodeBuilder answer_count(IqContext& context);
wire::NodeBuilder answer_upload(IqContext& context);
wire::NodeBuilder answer_rotate(IqContext& context);
wire::NodeBuilder answer_digest(IqContext& context);
/// A bundle of every device that is asked for, each with a one-time key of its own.
wire::NodeBuilder answer_bundles(IqContext& context);

}  // namespace wa::mock
