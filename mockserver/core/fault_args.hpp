#pragma once

#include <boost/json/object.hpp>

#include "mockserver/core/fault_record.hpp"

/// The arguments of a kind, read, written and scaled. Private to mockserver/core.
namespace wa::mock {

std::vector<FaultArg> describe_args(const FaultKind& kind);
/// Errors: `usage`.
Result<FaultKind> read_args(const FaultDescription& kind, const boost::json::object& args);
/// Without those that are as assumed.
boost::json::object write_args(const FaultKind& kind);
void scale_args(FaultKind& kind, const std::function<Duration(Duration)>& scale);

}  // namespace wa::mock
