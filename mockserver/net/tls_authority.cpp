#include "mockserver/net/tls_authority.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <ctime>

namespace wa::mock {
namespace {

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
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<&X509_EXTENSION_free>>;

constexpr long kDay = 24 * 60 * 60;
/// Short enough for clients that refuse longer lives of server certificates.
constexpr long kServerDays = 397;
constexpr long kCaDays = 3650;

KeyPtr make_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  WA_ASSERT(key != nullptr);
  return key;
}

/// What a certificate says beside its key.
struct Content {
  std::string common_name;
  long from = -kDay;  ///< seconds from now; clocks differ a little
  long to = kServerDays * kDay;
  std::string names;  ///< as OpenSSL writes subjectAltName; empty: an authority
};

void extend(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  const bool added = extension && X509_add_ext(certificate, extension.get(), -1) == 1;
  WA_ASSERT(added);
}

/// `issuer` null: signed by itself.
CertificatePtr issue(const Content& content, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  CertificatePtr certificate(X509_new());
  X509* cert = certificate.get();
  X509_set_version(cert, X509_VERSION_3);
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1);
  // Since the epoch and not from the system's idea of now twice: both ends belong to one moment.
  const std::time_t now = std::time(nullptr);
  ASN1_TIME_set(X509_getm_notBefore(cert), now + content.from);
  ASN1_TIME_set(X509_getm_notAfter(cert), now + content.to);
  X509_NAME* name = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(content.common_name.c_str()),
                             -1, -1, 0);
  X509* by = issuer ? issuer : cert;
  X509_set_issuer_name(cert, X509_get_subject_name(by));
  X509_set_pubkey(cert, key);
  const bool authority = content.names.empty();
  extend(cert, by, NID_subject_key_identifier, "hash");
  if (issuer) extend(cert, by, NID_authority_key_identifier, "keyid");
  extend(cert, by, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(cert, by, NID_key_usage,
         authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  if (!authority) {
    extend(cert, by, NID_ext_key_usage, "serverAuth");
    extend(cert, by, NID_subject_alt_name, content.names);
  }
  const int signature_bytes = X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256());
  WA_ASSERT(signature_bytes > 0);
  return certificate;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const BioPtr memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), certificate);
  return text_of(memory.get());
}

std::string pem_of(EVP_PKEY* key) {
  const BioPtr memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(memory.get());
}

/// "IP:127.0.0.1,…,DNS:mock.test".
std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string names = "IP:127.0.0.1,IP:::1,DNS:localhost";
  for (const std::string& host : hosts) {
    std::array<unsigned char, 16> ignored{};
    const bool address = ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
                         ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
    names += (address ? ",IP:" : ",DNS:") + host;
  }
  return names;
}

}  // namespace

class TlsAuthority::Impl {
 public:
  Impl(KeyPtr key, CertificatePtr certificate, const std::vector<std::string>& hosts)
      : key_(std::move(key)),
        certificate_(std::move(certificate)),
        ca_pem(pem_of(certificate_.get())),
        names_(alternative_names(hosts)) {}

  std::string save() const { return ca_pem + pem_of(key_.get()); }

  const net::TlsIdentity& identity(Flaw flaw) {
    auto& kept = identities_[static_cast<std::size_t>(flaw)];
    if (!kept) kept = make(flaw);
    return *kept;
  }

 private:
  net::TlsIdentity make(Flaw flaw) {
    Content content;
    content.common_name = "Testline mock";
    content.names = names_;
    switch (flaw) {
      case Flaw::expired:
        content.from = -30 * kDay;
        content.to = -kDay;
        break;
      case Flaw::not_yet_valid: content.from = kDay; break;
      case Flaw::wrong_name: content.names = "DNS:wrong-name.invalid"; break;
      case Flaw::none:
      case Flaw::self_signed:
      case Flaw::unknown_ca: break;
    }
    if (!server_key_) server_key_ = make_key();
    EVP_PKEY* key = server_key_.get();
    CertificatePtr certificate;
    if (flaw == Flaw::self_signed) {
      certificate = issue(content, key, nullptr, nullptr);
    } else if (flaw == Flaw::unknown_ca) {
      const KeyPtr other_key = make_key();
      const Content other{.common_name = "Testline's unknown CA", .names = {}};
      const CertificatePtr ca = issue(other, other_key.get(), nullptr, nullptr);
      certificate = issue(content, key, ca.get(), other_key.get());
    } else {
      certificate = issue(content, key, certificate_.get(), key_.get());
    }
    auto identity = net::TlsIdentity::from_pem(pem_of(certificate.get()), pem_of(key));
    WA_ASSERT(identity.has_value());
    return std::move(*identity);
  }

  KeyPtr key_;
  CertificatePtr certificate_;

 public:
  const std::string ca_pem;

 private:
  const std::string names_;
  KeyPtr server_key_;
  std::array<std::optional<net::TlsIdentity>, kFlaws> identities_;
};

TlsAuthority::TlsAuthority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsAuthority::TlsAuthority(TlsAuthority&&) noexcept = default;
TlsAuthority& TlsAuthority::operator=(TlsAuthority&&) noexcept = default;
TlsAuthority::~TlsAuthority() = default;

TlsAuthority TlsAuthority::make(std::vector<std::string> hosts) {
  KeyPtr key = make_key();
  const Content content{.common_name = "Testline mock CA", .to = kCaDays * kDay, .names = {}};
  CertificatePtr certificate = issue(content, key.get(), nullptr, nullptr);
  return TlsAuthority(std::make_unique<Impl>(std::move(key), std::move(certificate), hosts));
}

Result<TlsAuthority> TlsAuthority::load(std::string_view saved, std::vector<std::string> hosts) {
  const BioPtr memory(BIO_new_mem_buf(saved.data(), static_cast<int>(saved.size())));
  CertificatePtr certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
  KeyPtr key(PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
  const bool fit = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!fit) return Error{Errc::malformed, "it is no certificate followed by its key, both PEM"};
  return TlsAuthority(std::make_unique<Impl>(std::move(key), std::move(certificate), hosts));
}

std::string TlsAuthority::save() const {
  return impl_->save();
}
const std::string& TlsAuthority::ca_pem() const {
  return impl_->ca_pem;
}
const net::TlsIdentity& TlsAuthority::identity(Flaw flaw) {
  return impl_->identity(flaw);
}

}  // namespace wa::mock
