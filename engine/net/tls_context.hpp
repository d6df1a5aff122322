#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "engine/base/result.hpp"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

/// What one end of a TLS connection brings along. A context holds parsed certificates: it is made
/// once and shared by all connections. TLS 1.2 and 1.3, no renegotiation, no resumption.
///
/// OpenSSL writes to sockets in a way that raises SIGPIPE: a program that uses TLS calls
/// ignore_sigpipe() at its start.
namespace wa::net {

/// The authorities that a client trusts.
class TlsTrust {
 public:
  /// `ca_pem`: one or more certificates (PEM); empty: those of the system. The same text yields the
  /// same context, from any thread.
  /// Errors: `usage` (no certificate in it).
  static Result<TlsTrust> of(const std::string& ca_pem);

  ssl_ctx_st* context() const { return context_.get(); }

 private:
  explicit TlsTrust(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}
  std::shared_ptr<ssl_ctx_st> context_;
};

/// The certificate that a server shows, and its key.
class TlsIdentity {
 public:
  /// Both PEM; the chain begins with the server's own certificate.
  /// Errors: `usage` (unreadable, or the key is another certificate's).
  static Result<TlsIdentity> from_pem(std::string_view chain_pem, std::string_view key_pem);

  ssl_ctx_st* context() const { return context_.get(); }

 private:
  explicit TlsIdentity(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}
  std::shared_ptr<ssl_ctx_st> context_;
};

/// How a server answers the TLS hello of one connection: it shows who it is, says nothing until the
/// client goes (TlsHang), or ends the connection (TlsCut).
struct TlsHang {};
struct TlsCut {};
using TlsAnswer = std::variant<TlsIdentity, TlsHang, TlsCut>;
/// Asked once per connection.
using TlsChooser = std::function<TlsAnswer()>;

}  // namespace wa::net
