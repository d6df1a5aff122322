#include "engine/net/tls_session.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <ctime>

namespace wa::net {

using boost::system::error_code;

// ---- why a certificate was refused --------------------------------------------------------------

/// What the verification of one handshake found first.
struct TlsRefusal {
  std::string host;
  std::string detail = {};  ///< empty: nothing was refused
};

namespace {

/// Where an SSL keeps its TlsRefusal.
int refusal_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

/// "2025-12-31 23:59:59 UTC".
std::string in_words(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable date";
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

/// The common name, else the organisation, in quotes; a name for people.
std::string in_words(const X509_NAME* name) {
  for (const int field : {NID_commonName, NID_organizationName}) {
    const int at = X509_NAME_get_index_by_NID(name, field, -1);
    if (at < 0) continue;
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, at);
    return "\"" + text_of(X509_NAME_ENTRY_get_data(entry)) + "\"";
  }
  return "a nameless authority";
}

/// "10.0.0.1", "::1".
std::string address_of(const ASN1_OCTET_STRING* bytes) {
  const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(bytes) != 16) return "an unreadable address";
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, ASN1_STRING_get0_data(bytes), text.data(), text.size());
  return text.data();
}

/// "example.test, 10.0.0.1": whom the certificate is for.
std::string names_of(const X509* certificate) {
  std::string names;
  const auto add = [&](const std::string& name) { names += (names.empty() ? "" : ", ") + name; };
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    if (name->type == GEN_DNS) add(text_of(name->d.dNSName));
    if (name->type == GEN_IPADD) add(address_of(name->d.iPAddress));
  }
  GENERAL_NAMES_free(all);
  return names.empty() ? in_words(X509_get_subject_name(certificate)) : names;
}

std::string why_refused(int code, int depth, const X509* certificate, const std::string& host) {
  const std::string whose = depth == 0 ? "the server's certificate"
                                       : "the certificate of its authority " +
                                             in_words(X509_get_subject_name(certificate));
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " has expired on " + in_words(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not yet valid: it begins on " +
             in_words(X509_get0_notBefore(certificate)) + "; is this machine's clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return whose + " is for " + names_of(certificate) + ", not for " + host;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return whose + " is self-signed, and not one that was given to trust";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "the server's certificate is signed by an unknown authority, " +
             in_words(code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
                          ? X509_get_subject_name(certificate)
                          : X509_get_issuer_name(certificate)) +
             "; give the CA with its certificate in PEM form";
    default: return whose + " is not accepted: " + X509_verify_cert_error_string(code);
  }
}

int on_certificate(int accepted, X509_STORE_CTX* store) {
  if (accepted == 1) return 1;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* refusal = static_cast<TlsRefusal*>(SSL_get_ex_data(ssl, refusal_index()));
  const X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (refusal && certificate) {
    refusal->detail =
        why_refused(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
                    certificate, refusal->host);
  }
  return 0;
}

}  // namespace

void TlsSession::verify_peers(ssl_ctx_st* context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, &on_certificate);
}

// ---- the session --------------------------------------------------------------------------------

TlsSession::TlsSession(const TlsTrust& trust, const std::string& host, int socket)
    : ssl_(SSL_new(trust.context()), &SSL_free),
      refusal_(std::make_unique<TlsRefusal>(TlsRefusal{host})),
      peer_("server") {
  attach(socket);
  SSL_set_connect_state(ssl_.get());
  SSL_set_ex_data(ssl_.get(), refusal_index(), refusal_.get());
  std::array<unsigned char, 16> ignored{};
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
                          ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str());
  } else {
    SSL_set1_host(ssl_.get(), host.c_str());
    SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
  }
}

TlsSession::TlsSession(const TlsIdentity& identity, int socket)
    : ssl_(SSL_new(identity.context()), &SSL_free), peer_("client") {
  attach(socket);
  SSL_set_accept_state(ssl_.get());
}

TlsSession::~TlsSession() = default;

void TlsSession::attach(int socket) {
  WA_ASSERT(ssl_ != nullptr);
  const int attached = SSL_set_fd(ssl_.get(), socket);
  WA_ASSERT(attached == 1);
}

Result<TlsSession::Wait> TlsSession::handshake() {
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  const int system_error = errno;
  if (result == 1) {
    SSL_set_ex_data(ssl_.get(), refusal_index(), nullptr);
    refusal_.reset();
    return Wait::nothing;
  }
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return Wait::read;
  if (error == SSL_ERROR_WANT_WRITE) return Wait::write;
  std::string why = why_handshake_failed(error, system_error);
  broken_ = error_code(SSL_R_SSL_HANDSHAKE_FAILURE, tls_category());
  ERR_clear_error();
  return Error{Errc::transport, std::move(why)};
}

std::string TlsSession::why_handshake_failed(int error, int system_error) const {
  if (refusal_ && !refusal_->detail.empty()) return refusal_->detail;
  const std::string peer = std::string("the ") + peer_;
  const std::string closed = peer + " closed the connection in the TLS handshake";
  if (error == SSL_ERROR_ZERO_RETURN) return closed;
  if (error == SSL_ERROR_SYSCALL) {
    if (system_error == 0) return closed;
    return "the connection broke in the TLS handshake: " +
           error_code(system_error, boost::system::system_category()).message();
  }
  const unsigned long code = ERR_peek_error();
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
    std::array<char, 256> text{};
    ERR_error_string_n(code, text.data(), text.size());
    return std::string("the TLS handshake failed: ") + text.data();
  }
  switch (ERR_GET_REASON(code)) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return closed;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_UNKNOWN_PROTOCOL: return peer + " does not speak TLS on this port";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return peer + " and we have no version of TLS in common; ours are 1.2 and 1.3";
    default: break;
  }
  // Reasons above this are alerts that the peer sent.
  const bool alert = ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
  const char* reason = ERR_reason_error_string(code);
  return (alert ? peer + " ended the TLS handshake: " : "the TLS handshake failed: ") +
         (reason ? reason : "for an unknown reason");
}

TlsSession::Outcome TlsSession::read(std::byte* to, std::size_t size) {
  if (broken_) return {0, broken_};
  ERR_clear_error();
  std::size_t count = 0;
  errno = 0;
  const int result = SSL_read_ex(ssl_.get(), to, size, &count);
  return result == 1 ? Outcome{count} : outcome_of(result);
}

TlsSession::Outcome TlsSession::write(const std::byte* from, std::size_t size) {
  if (broken_) return {0, broken_};
  ERR_clear_error();
  std::size_t count = 0;
  errno = 0;
  const int result = SSL_write_ex(ssl_.get(), from, size, &count);
  return result == 1 ? Outcome{count} : outcome_of(result);
}

TlsSession::Outcome TlsSession::outcome_of(int result) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return {0, {}, Wait::read};
    case SSL_ERROR_WANT_WRITE: return {0, {}, Wait::write};
    // Writing goes on after the peer's close_notify.
    case SSL_ERROR_ZERO_RETURN: return {0, boost::asio::error::eof};
    case SSL_ERROR_SYSCALL:
      broken_ = system_error == 0 ? error_code(boost::asio::error::eof)
                                  : error_code(system_error, boost::system::system_category());
      break;
    default: {
      const int reason = ERR_GET_REASON(ERR_peek_error());
      // An end without close_notify is an end: what is carried here (WebSocket frames) knows its
      // own length.
      broken_ = reason == SSL_R_UNEXPECTED_EOF_WHILE_READING ? error_code(boost::asio::error::eof)
                                                             : error_code(reason, tls_category());
    }
  }
  ERR_clear_error();
  return {0, broken_};
}

void TlsSession::close_notify() {
  const bool sent = (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0;
  if (broken_ || sent || !SSL_is_init_finished(ssl_.get())) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

const boost::system::error_category& tls_category() {
  static const struct final : boost::system::error_category {
    const char* name() const noexcept override { return "tls"; }
    std::string message(int reason) const override {
      const char* text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
      return std::string("TLS: ") + (text ? text : "an unknown error");
    }
  } category;
  return category;
}

}  // namespace wa::net
