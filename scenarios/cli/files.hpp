#pragma once

#include <string>

#include "engine/base/bytes.hpp"

namespace wa::cli {

/// The whole file; "-" is stdin. Errors: `environment`, naming the file and why.
Result<Bytes> read_file(const std::string& path);

/// Readers see the old contents or the new ones, never a part: writes beside the file, then
/// renames. Only the owner may read it. Errors: `environment`.
Result<void> write_file(const std::string& path, ByteSpan contents);

/// To stdout. Errors: `environment` (closed, full).
Result<void> write_stdout(ByteSpan contents);

/// "testline: " and the message, on stderr.
void complain(const std::string& message);

}  // namespace wa::cli
