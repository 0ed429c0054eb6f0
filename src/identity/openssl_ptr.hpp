// Owning pointers to OpenSSL's things, and the few conversions that every file here needs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tally/core/digest.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/secret.hpp"
#include "tally/core/viewer.hpp"

namespace tally::identity {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
struct StackFreer {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};

using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Freer<X509_CRL_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using StackPtr = std::unique_ptr<STACK_OF(X509), StackFreer>;

BioPtr memory_bio(std::string_view text);
std::string bio_text(BIO* bio);

// nullopt on anything that is not a certificate from the first byte to the last.
CertificatePtr parse_certificate(std::span<const std::uint8_t> der);
Bytes to_der(X509* certificate);
Bytes to_der(X509_CRL* list);
Instant to_instant(const ASN1_TIME* time);
std::string name_text(const X509_NAME* name);  // RFC 2253

// All certificates, or all lists, of a PEM text; nullopt if one is unreadable. Empty text: none.
std::optional<std::vector<CertificatePtr>> certificates_of(std::string_view pem);
std::optional<std::vector<CrlPtr>> lists_of(std::string_view pem);
// nullopt unless it is an Ed25519 key.
std::optional<std::array<std::uint8_t, 32>> ed25519_key_of(const EVP_PKEY* key);
// Never asks for a passphrase: an encrypted key is unreadable.
KeyPtr private_key_of(std::string_view pem);
Secret key_text(EVP_PKEY* key);

// The URIs of the subject alternative name; nullopt if the extension is malformed or there twice.
std::optional<std::vector<std::string>> uris_of(X509* certificate);
// Organisation, units and countries of the subject. An entry that cannot be said in UTF-8, or that
// is longer than any real one, is left out.
SubjectAttributes subject_of(X509* certificate);
// Built entry by entry: a name with a comma in it stays one name. Null on a bad address.
NamesPtr general_names(
    const std::vector<std::string>& uris,
    const std::vector<std::string>& dns_names,
    const std::vector<std::string>& addresses
);

// OpenSSL's queue of errors is per thread and outlives the call that filled it.
void forget_openssl_errors();

}  // namespace tally::identity
