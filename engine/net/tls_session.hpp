#pragma once

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/bytes.hpp"
#include "engine/net/tls_context.hpp"

struct ssl_st;  // OpenSSL's SSL

namespace wa::net {

struct TlsRefusal;

/// One TLS connection over a non-blocking socket that its owner keeps open. Internal to engine/net.
///
/// Every operation tries once. When it cannot go on it says what the socket must be ready for; the
/// owner waits for that and calls again, with the same bytes or more. One read and one write may be
/// waiting at a time.
class TlsSession {
 public:
  /// As a client. The certificate must be `host`'s: a name or an IP address.
  TlsSession(const TlsTrust& trust, const std::string& host, int socket);
  /// As a server.
  TlsSession(const TlsIdentity& identity, int socket);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  enum class Wait { nothing, read, write };

  /// `nothing`: it is done. Errors: `transport`, in words for people.
  Result<Wait> handshake();

  struct Outcome {
    std::size_t bytes = 0;
    boost::system::error_code ec = {};  ///< eof, of the system, or of tls_category()
    Wait wait = Wait::nothing;          ///< nothing was done
  };
  Outcome read(std::byte* to, std::size_t size);
  Outcome write(const std::byte* from, std::size_t size);

  /// Sends close_notify if that can be done at once. Reading goes on.
  void close_notify();

  /// Makes clients check certificates and remember why one was refused.
  static void verify_peers(ssl_ctx_st* context);

 private:
  void attach(int socket);
  Outcome outcome_of(int result);
  std::string why_handshake_failed(int error, int system_error) const;

  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
  std::unique_ptr<TlsRefusal> refusal_;  ///< a client's, until its handshake is done
  const char* peer_;                     ///< "server" or "client", for messages
  boost::system::error_code broken_;     ///< TLS has failed for good
};

/// Errors of the TLS protocol: "TLS: bad record mac".
const boost::system::error_category& tls_category();

}  // namespace wa::net
