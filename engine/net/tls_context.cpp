#include "engine/net/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <deque>
#include <mutex>

#include "engine/net/tls_session.hpp"

namespace wa::net {
namespace {

using ContextPtr = std::shared_ptr<ssl_ctx_st>;

/// Contexts of TlsTrust::of that are kept. A program has one CA, a test a few.
constexpr std::size_t kKeptContexts = 16;

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, FreeWith<&BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, FreeWith<&X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<&EVP_PKEY_free>>;

BioPtr reader_of(std::string_view pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

/// The next certificate; null at the end, or when what follows is none.
CertificatePtr next_certificate(BIO* pem) {
  return CertificatePtr(PEM_read_bio_X509(pem, nullptr, nullptr, nullptr));
}

ContextPtr make_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method), &SSL_CTX_free);
  WA_ASSERT(context != nullptr);
  SSL_CTX* ctx = context.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  // Tickets and sessions would cost memory in every connection; ours last long and resume never.
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Result<ContextPtr> make_trust(const std::string& ca_pem) {
  ERR_clear_error();
  ContextPtr context = make_context(TLS_client_method());
  TlsSession::verify_peers(context.get());
  if (ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
    return context;
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  // Whatever was given is trusted, an intermediate authority or the server's own certificate too.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  const BioPtr pem = reader_of(ca_pem);
  std::size_t count = 0;
  while (const CertificatePtr certificate = next_certificate(pem.get())) {
    X509_STORE_add_cert(store, certificate.get());
    ++count;
  }
  const unsigned long end = ERR_peek_last_error();
  ERR_clear_error();
  if (count == 0 || ERR_GET_REASON(end) != PEM_R_NO_START_LINE) {
    return Error{Errc::usage, "the TLS CA is no list of certificates in PEM form"};
  }
  return context;
}

}  // namespace

Result<TlsTrust> TlsTrust::of(const std::string& ca_pem) {
  static std::mutex mutex;
  static std::deque<std::pair<std::string, TlsTrust>> kept;  // the last used comes first
  const std::lock_guard lock(mutex);
  for (auto entry = kept.begin(); entry != kept.end(); ++entry) {
    if (entry->first != ca_pem) continue;
    if (entry != kept.begin()) std::swap(*entry, kept.front());
    return kept.front().second;
  }
  WA_TRY(ContextPtr context, make_trust(ca_pem));
  if (kept.size() == kKeptContexts) kept.pop_back();
  kept.emplace_front(ca_pem, TlsTrust(std::move(context)));
  return kept.front().second;
}

Result<TlsIdentity> TlsIdentity::from_pem(std::string_view chain_pem, std::string_view key_pem) {
  ERR_clear_error();
  ContextPtr context = make_context(TLS_server_method());
  SSL_CTX_set_num_tickets(context.get(), 0);
  const BioPtr chain = reader_of(chain_pem);
  const CertificatePtr own = next_certificate(chain.get());
  if (!own || SSL_CTX_use_certificate(context.get(), own.get()) != 1) {
    ERR_clear_error();
    return Error{Errc::usage, "the TLS certificate is not in PEM form"};
  }
  while (const CertificatePtr next = next_certificate(chain.get())) {
    SSL_CTX_add1_chain_cert(context.get(), next.get());
  }
  const BioPtr key_text = reader_of(key_pem);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  const bool fits = key && SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1;
  ERR_clear_error();
  if (!key) return Error{Errc::usage, "the TLS key is not in PEM form, or needs a password"};
  if (!fits) return Error{Errc::usage, "the TLS key does not belong to the certificate"};
  return TlsIdentity(std::move(context));
}

}  // namespace wa::net
