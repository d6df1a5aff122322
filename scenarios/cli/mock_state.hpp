#pragma once

#include <string>

#include "engine/base/result.hpp"
#include "mockserver/core/tenant.hpp"

namespace wa::cli {

/// `testline mock --state DIR`: keys.json holds the server's keys, tls.pem its TLS authority,
/// accounts.json the phones and companions of the default tenant. Made when missing.
class MockState {
 public:
  /// Makes the directory. Errors: `environment`.
  static Result<MockState> open(std::string directory);

  /// The keys of keys.json, or new ones, which are saved.
  /// Errors: `environment`; a damaged file says its name and what to do.
  Result<mock::ServerKeys> keys(Random& random) const;

  /// What tls.pem holds, or a new TlsAuthority, saved. Errors: as above.
  Result<std::string> tls_authority() const;

  /// Puts accounts.json, if there is one, into the tenant. Errors: as above.
  Result<void> load(mock::Tenant& tenant);

  /// Writes accounts.json if it would differ from what was read or written last.
  Result<void> save(const mock::Tenant& tenant);

 private:
  explicit MockState(std::string directory) : directory_(std::move(directory)) {}
  std::string path(const char* file) const { return directory_ + "/" + file; }

  std::string directory_;
  std::string accounts_;
};

}  // namespace wa::cli
