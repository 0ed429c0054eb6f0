#include "support/test_pki.hpp"

#include <ctime>
#include <stdexcept>

#include <openssl/pem.h>

#include "tally/identity/enrolment.hpp"

#include "identity/openssl_ptr.hpp"

namespace tally::testing {

namespace {

using identity::BioPtr;
using identity::CertificatePtr;
using identity::CrlPtr;
using identity::KeyPtr;

[[noreturn]] void broken(const std::string& what) {
  throw std::runtime_error("test PKI: " + what);
}

KeyPtr ed25519_of(const std::string& text) {
  const Digest seed = sha256(text);
  const auto pem = identity::ed25519_key_pem(seed);
  if (!pem) broken("no key");
  return identity::private_key_of(*pem);
}

void set_time(ASN1_TIME* time, Instant at) {
  if (ASN1_TIME_set(time, at.seconds) == nullptr) broken("bad time");
}

void add_text_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) broken(value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string certificate_text(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return identity::bio_text(bio.get());
}

}  // namespace

struct TestAnchor::State {
  std::string name;
  std::string seed;
  KeyPtr key;
  CertificatePtr certificate;
  std::string above;  // PEM of the intermediates from this one up, without the root
  Instant not_before;
  Instant not_after;
  long next_serial = 2;

  CertificatePtr make(
      EVP_PKEY* subject_key,
      const std::string& common_name,
      Instant from,
      Instant to,
      long serial,
      const State* issuer
  ) const {
    CertificatePtr made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
    X509_NAME* subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_NID(
        subject,
        NID_commonName,
        MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(common_name.data()),
        static_cast<int>(common_name.size()),
        -1,
        0
    );
    X509* issued_by = issuer != nullptr ? issuer->certificate.get() : made.get();
    X509_set_issuer_name(made.get(), X509_get_subject_name(issued_by));
    set_time(X509_getm_notBefore(made.get()), from);
    set_time(X509_getm_notAfter(made.get()), to);
    X509_set_pubkey(made.get(), subject_key);
    add_text_extension(made.get(), issued_by, NID_subject_key_identifier, "hash");
    if (issuer != nullptr) {
      add_text_extension(made.get(), issued_by, NID_authority_key_identifier, "keyid:always");
    }
    return made;
  }

  void make_ca(const std::string& common_name, const State* issuer, long serial) {
    certificate = make(key.get(), common_name, not_before, not_after, serial, issuer);
    X509* by = issuer != nullptr ? issuer->certificate.get() : certificate.get();
    add_text_extension(certificate.get(), by, NID_basic_constraints, "critical,CA:TRUE");
    add_text_extension(certificate.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
    EVP_PKEY* with = issuer != nullptr ? issuer->key.get() : key.get();
    if (X509_sign(certificate.get(), with, nullptr) <= 0) broken("cannot sign");
  }
};

TestAnchor::TestAnchor(
    const std::string& name, std::uint64_t seed, Instant not_before, Instant not_after
)
    : state_(std::make_unique<State>()) {
  state_->name = name;
  state_->seed = name + "/" + std::to_string(seed);
  state_->key = ed25519_of("anchor " + state_->seed);
  state_->not_before = not_before;
  state_->not_after = not_after;
  state_->make_ca("Test anchor " + name, nullptr, 1);
}

TestAnchor::TestAnchor(std::unique_ptr<State> state) : state_(std::move(state)) {}
TestAnchor::~TestAnchor() = default;
TestAnchor::TestAnchor(TestAnchor&&) noexcept = default;
TestAnchor& TestAnchor::operator=(TestAnchor&&) noexcept = default;

std::string TestAnchor::pem() const {
  return certificate_text(state_->certificate.get());
}

KeyAndChain TestAnchor::issue(const LeafOptions& options) {
  const long serial = state_->next_serial++;
  KeyPtr key;
  if (options.ed25519) {
    key = ed25519_of("leaf " + state_->seed + " " + std::to_string(serial));
  } else {
    key.reset(EVP_EC_gen("P-256"));
  }
  const Instant from = options.not_before == Instant{} ? state_->not_before : options.not_before;
  const Instant to = options.not_after == Instant{} ? state_->not_after : options.not_after;
  const CertificatePtr leaf =
      state_->make(key.get(), "Test participant", from, to, serial, state_.get());
  for (const auto& country : options.countries) {
    X509_NAME_add_entry_by_NID(
        X509_get_subject_name(leaf.get()),
        NID_countryName,
        MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(country.data()),
        static_cast<int>(country.size()),
        -1,
        0
    );
  }
  X509* by = state_->certificate.get();
  add_text_extension(leaf.get(), by, NID_basic_constraints, "critical,CA:FALSE");
  add_text_extension(leaf.get(), by, NID_key_usage, "critical,digitalSignature");
  if (options.client_auth || options.server_auth) {
    const char* usage = options.client_auth && options.server_auth ? "clientAuth,serverAuth"
                        : options.client_auth                      ? "clientAuth"
                                                                   : "serverAuth";
    add_text_extension(leaf.get(), by, NID_ext_key_usage, usage);
  }
  const identity::NamesPtr names =
      identity::general_names(options.uris, options.dns_names, options.addresses);
  if (sk_GENERAL_NAME_num(names.get()) > 0) {
    X509_add1_ext_i2d(leaf.get(), NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT);
  }
  if (X509_sign(leaf.get(), state_->key.get(), nullptr) <= 0) broken("cannot sign");

  KeyAndChain result;
  result.key_pem = identity::key_text(key.get());
  result.chain_pem = certificate_text(leaf.get()) + state_->above;
  result.leaf_der = identity::to_der(leaf.get());
  result.serial = std::to_string(serial);
  return result;
}

KeyAndChain TestAnchor::tls(const std::string& uri) {
  LeafOptions options;
  options.uris = {uri};
  return issue(options);
}

KeyAndChain TestAnchor::contract(const std::string& uri) {
  LeafOptions options;
  options.uris = {uri};
  options.dns_names.clear();
  options.addresses.clear();
  options.ed25519 = true;
  options.client_auth = false;
  options.server_auth = false;
  return issue(options);
}

TestAnchor TestAnchor::intermediate(const std::string& name) {
  auto made = std::make_unique<State>();
  made->name = name;
  made->seed = state_->seed + "/" + name;
  made->key = ed25519_of("intermediate " + made->seed);
  made->not_before = state_->not_before;
  made->not_after = state_->not_after;
  made->make_ca("Test intermediate " + name, state_.get(), state_->next_serial++);
  made->above = certificate_text(made->certificate.get()) + state_->above;
  return TestAnchor(std::move(made));
}

Bytes TestAnchor::cross_sign(const TestAnchor& other) {
  const State& o = *other.state_;
  const CertificatePtr made = state_->make(
      o.key.get(),
      "Test anchor " + o.name,
      state_->not_before,
      state_->not_after,
      state_->next_serial++,
      state_.get()
  );
  X509* by = state_->certificate.get();
  add_text_extension(made.get(), by, NID_basic_constraints, "critical,CA:TRUE");
  add_text_extension(made.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
  if (X509_sign(made.get(), state_->key.get(), nullptr) <= 0) broken("cannot sign");
  return identity::to_der(made.get());
}

std::string TestAnchor::crl(
    const std::vector<std::string>& revoked_serials, Instant this_update, Instant next_update
) const {
  const CrlPtr list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(state_->certificate.get()));
  std::unique_ptr<ASN1_TIME, identity::Freer<ASN1_TIME_free>> time(ASN1_TIME_new());
  set_time(time.get(), this_update);
  X509_CRL_set1_lastUpdate(list.get(), time.get());
  set_time(time.get(), next_update);
  X509_CRL_set1_nextUpdate(list.get(), time.get());
  for (const std::string& serial : revoked_serials) {
    X509_REVOKED* entry = X509_REVOKED_new();
    ASN1_INTEGER* number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, std::stol(serial));
    X509_REVOKED_set_serialNumber(entry, number);
    ASN1_INTEGER_free(number);
    set_time(time.get(), this_update);
    X509_REVOKED_set_revocationDate(entry, time.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  X509_CRL_sort(list.get());
  if (X509_CRL_sign(list.get(), state_->key.get(), nullptr) <= 0) broken("cannot sign a list");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), list.get());
  return identity::bio_text(bio.get());
}

namespace {
constexpr Instant in_2020{1'577'836'800, 0};
constexpr Instant in_2060{2'840'140'800, 0};
}  // namespace

TestPki::TestPki(std::uint64_t seed)
    : health("health", seed, in_2020, in_2060), city("city", seed, in_2020, in_2060) {}

std::vector<identity::TrustDomainConfig> TestPki::domains() const {
  std::vector<identity::TrustDomainConfig> domains;
  for (const auto& [name, anchor] : {std::pair{"health", &health}, std::pair{"city", &city}}) {
    identity::TrustDomainConfig domain;
    domain.domain = name;
    domain.anchors_pem = anchor->pem();
    domain.uri_prefixes = {"did:web:"};
    domain.crl = identity::CrlPolicy::required;
    domain.crl_pem = {anchor->crl({}, in_2020, in_2060)};
    domains.push_back(std::move(domain));
  }
  return domains;
}

std::shared_ptr<const identity::TrustStore> TestPki::trust() const {
  auto store = identity::TrustStore::build(domains());
  if (!store) broken(store.error().message.code);
  return *store;
}

std::vector<Bytes> chain_der(const std::string& chain_pem) {
  const auto chain = identity::certificates_of(chain_pem);
  if (!chain) broken("unreadable chain");
  std::vector<Bytes> der;
  for (const CertificatePtr& certificate : *chain)
    der.push_back(identity::to_der(certificate.get()));
  return der;
}

std::shared_ptr<const identity::ContractSigner> load_signer(const KeyAndChain& contract) {
  auto signer = identity::ContractSigner::load(contract.key_pem, contract.chain_pem);
  if (!signer) broken(signer.error().message.code);
  return *signer;
}

}  // namespace tally::testing
