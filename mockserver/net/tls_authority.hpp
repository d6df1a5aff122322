#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/net/tls_context.hpp"

namespace wa::mock {

/// A certificate authority of the mock's own, P-256, and the server certificates that it issues: a
/// good one, and one with each flaw that a client must notice. They are for 127.0.0.1, ::1,
/// localhost and the given hosts. Keys are drawn by OpenSSL; nothing here is made from the seed.
class TlsAuthority {
 public:
  /// What is wrong with a certificate.
  enum class Flaw {
    none,
    expired,        ///< since yesterday
    not_yet_valid,  ///< until tomorrow
    self_signed,
    wrong_name,  ///< for "wrong-name.invalid" alone
    unknown_ca,  ///< by an authority that nobody was told of
  };
  static constexpr std::size_t kFlaws = 6;

  /// A new one. `hosts`: further names and IP addresses of this machine.
  static TlsAuthority make(std::vector<std::string> hosts = {});
  /// The one that save() described. Errors: `malformed`.
  static Result<TlsAuthority> load(std::string_view saved, std::vector<std::string> hosts = {});
  /// Certificate and key, PEM: a secret, if anybody trusts it.
  std::string save() const;

  /// The certificate that a client is to trust.
  const std::string& ca_pem() const;
  /// What a server shows; issued when first asked for.
  const net::TlsIdentity& identity(Flaw flaw);

  TlsAuthority(TlsAuthority&&) noexcept;
  TlsAuthority& operator=(TlsAuthority&&) noexcept;
  ~TlsAuthority();

 private:
  class Impl;
  explicit TlsAuthority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wa::mock
