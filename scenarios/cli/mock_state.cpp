#include "scenarios/cli/mock_state.hpp"

#include <filesystem>
#include <optional>

#include "mockserver/net/tls_authority.hpp"
#include "scenarios/cli/files.hpp"

namespace wa::cli {
namespace {

constexpr const char* kKeysFile = "keys.json";
constexpr const char* kTlsFile = "tls.pem";
constexpr const char* kAccountsFile = "accounts.json";

/// The contents, or nothing when there is no such file.
Result<std::optional<std::string>> read_if_there(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::optional<std::string>();
  WA_TRY(const Bytes contents, read_file(path));
  return std::optional<std::string>(as_text(contents));
}

Error damaged(const std::string& path, const Error& why, std::string_view loss) {
  return Error{Errc::environment, path + " is damaged (" + why.detail +
                                      "); put back a copy, or delete it: " + std::string(loss)};
}

}  // namespace

Result<MockState> MockState::open(std::string directory) {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) {
    return Error{Errc::environment,
                 "cannot make the directory " + directory + ": " + failure.message()};
  }
  return MockState(std::move(directory));
}

Result<mock::ServerKeys> MockState::keys(Random& random) const {
  WA_TRY(const auto saved, read_if_there(path(kKeysFile)));
  if (!saved) {
    mock::ServerKeys keys = mock::ServerKeys::generate(random);
    WA_TRY_VOID(write_file(path(kKeysFile), as_bytes(keys.save())));
    return keys;
  }
  auto keys = mock::ServerKeys::load(*saved);
  if (!keys) {
    return damaged(path(kKeysFile), keys.error(),
                   "the server then makes new keys, and clients must be given the new root key");
  }
  return keys;
}

Result<std::string> MockState::tls_authority() const {
  WA_TRY(auto saved, read_if_there(path(kTlsFile)));
  if (!saved) {
    std::string made = mock::TlsAuthority::make().save();
    WA_TRY_VOID(write_file(path(kTlsFile), as_bytes(made)));
    return made;
  }
  if (const auto authority = mock::TlsAuthority::load(*saved); !authority) {
    return damaged(path(kTlsFile), authority.error(),
                   "the server then makes a new authority, and clients must be told to trust it");
  }
  return std::move(*saved);
}

Result<void> MockState::load(mock::Tenant& tenant) {
  WA_TRY(const auto saved, read_if_there(path(kAccountsFile)));
  if (!saved) return {};
  if (const auto loaded = tenant.load(*saved); !loaded) {
    return damaged(path(kAccountsFile), loaded.error(), "every device must then be linked again");
  }
  accounts_ = *saved;
  return {};
}

Result<void> MockState::save(const mock::Tenant& tenant) {
  std::string accounts = tenant.save();
  if (accounts == accounts_) return {};
  WA_TRY_VOID(write_file(path(kAccountsFile), as_bytes(accounts)));
  accounts_ = std::move(accounts);
  return {};
}

}  // namespace wa::cli
