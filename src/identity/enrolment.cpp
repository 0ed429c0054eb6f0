#include "tally/identity/enrolment.hpp"

#include <algorithm>

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "openssl_ptr.hpp"

namespace tally::identity {

namespace {

tl::unexpected<Error> invalid(std::string code) {
  return fail(ErrorKind::invalid, {std::move(code), {}});
}

using RequestPtr = std::unique_ptr<X509_REQ, Freer<X509_REQ_free>>;

struct ExtensionsFreer {
  void operator()(STACK_OF(X509_EXTENSION) * stack) const {
    sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
  }
};
using ExtensionsPtr = std::unique_ptr<STACK_OF(X509_EXTENSION), ExtensionsFreer>;

bool add_extension(STACK_OF(X509_EXTENSION) * stack, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  return extension != nullptr && sk_X509_EXTENSION_push(stack, extension) > 0;
}

}  // namespace

Result<Secret> generate_key_pem(KeyKind kind) {
  const KeyPtr key(
      kind == KeyKind::p256 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
  );
  if (!key) return fail(ErrorKind::unavailable, {"identity.key-not-made", {}});
  return key_text(key.get());
}

Result<Secret> ed25519_key_pem(std::span<const std::uint8_t> seed) {
  const KeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size())
  );
  forget_openssl_errors();
  if (!key) return invalid("identity.key-unreadable");
  return key_text(key.get());
}

std::optional<Secret> ed25519_seed(std::string_view key_pem) {
  const KeyPtr key = private_key_of(key_pem);
  forget_openssl_errors();
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) return std::nullopt;
  Secret seed(std::size_t{32});
  std::size_t length = seed.size();
  if (EVP_PKEY_get_raw_private_key(key.get(), seed.data(), &length) != 1 || length != 32) {
    return std::nullopt;
  }
  return seed;
}

Result<std::string> make_request_pem(std::string_view key_pem, const CertificateRequest& request) {
  const KeyPtr key = private_key_of(key_pem);
  if (!key) return invalid("identity.key-unreadable");
  const RequestPtr made(X509_REQ_new());
  X509_NAME* subject = X509_REQ_get_subject_name(made.get());
  X509_NAME_add_entry_by_NID(
      subject,
      NID_commonName,
      MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(request.common_name.data()),
      static_cast<int>(request.common_name.size()),
      -1,
      0
  );
  const NamesPtr names = request.tls
                             ? general_names({request.uri}, request.dns_names, request.addresses)
                             : general_names({request.uri}, {}, {});
  if (!names) return invalid("identity.request-failed");

  const ExtensionsPtr extensions(sk_X509_EXTENSION_new_null());
  X509_EXTENSION* alternative = X509V3_EXT_i2d(NID_subject_alt_name, 0, names.get());
  sk_X509_EXTENSION_push(extensions.get(), alternative);
  bool good = add_extension(extensions.get(), NID_key_usage, "critical,digitalSignature") &&
              add_extension(extensions.get(), NID_basic_constraints, "critical,CA:FALSE");
  if (good && request.tls) {
    good = add_extension(extensions.get(), NID_ext_key_usage, "clientAuth,serverAuth");
  }
  const bool ed25519 = EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519;
  if (!good || X509_REQ_add_extensions(made.get(), extensions.get()) != 1 ||
      X509_REQ_set_version(made.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(made.get(), key.get()) != 1 ||
      X509_REQ_sign(made.get(), key.get(), ed25519 ? nullptr : EVP_sha256()) <= 0) {
    forget_openssl_errors();
    return invalid("identity.request-failed");
  }
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), made.get());
  return bio_text(bio.get());
}

Result<CertificateFacts> certificate_facts(std::string_view chain_pem) {
  const auto chain = certificates_of(chain_pem);
  if (!chain || chain->empty()) return invalid("identity.chain-unreadable");
  X509* leaf = chain->front().get();
  auto uris = uris_of(leaf);
  if (!uris) return invalid("identity.chain-unreadable");
  CertificateFacts facts;
  facts.uris = std::move(*uris);
  facts.not_before = to_instant(X509_get0_notBefore(leaf));
  facts.not_after = to_instant(X509_get0_notAfter(leaf));
  facts.sha256 = to_hex(sha256(to_der(leaf)));
  return facts;
}

std::string country_of(std::span<const std::uint8_t> certificate_der) {
  const CertificatePtr certificate = parse_certificate(certificate_der);
  if (!certificate) return {};
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  const int first = X509_NAME_get_index_by_NID(subject, NID_countryName, -1);
  if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_countryName, first) >= 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first));
  const std::string country(
      reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
      static_cast<std::size_t>(ASN1_STRING_length(value))
  );
  const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  return country.size() == 2 && std::ranges::all_of(country, capital) ? country : std::string();
}

std::string issuer_of(std::span<const std::uint8_t> certificate_der) {
  constexpr std::size_t most = 200;
  const CertificatePtr certificate = parse_certificate(certificate_der);
  if (!certificate) return {};
  return name_text(X509_get_issuer_name(certificate.get())).substr(0, most);
}

Result<void> check_key_of_certificate(std::string_view key_pem, std::string_view chain_pem) {
  const KeyPtr key = private_key_of(key_pem);
  if (!key) return invalid("identity.key-unreadable");
  const auto chain = certificates_of(chain_pem);
  if (!chain || chain->empty()) return invalid("identity.chain-unreadable");
  const bool fits = X509_check_private_key(chain->front().get(), key.get()) == 1;
  forget_openssl_errors();
  if (!fits) return invalid("identity.key-not-of-certificate");
  return {};
}

}  // namespace tally::identity
