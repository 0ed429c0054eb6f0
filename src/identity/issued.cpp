#include "tally/identity/issued.hpp"

#include <algorithm>

#include <openssl/pem.h>

#include "openssl_ptr.hpp"

namespace tally::identity {

namespace {

// A chain that the peer would refuse as too long is no use (trust.cpp).
constexpr std::size_t longest_chain = 8;

tl::unexpected<Error> invalid(std::string code, std::map<std::string, std::string> params = {}) {
  return fail(ErrorKind::invalid, {std::move(code), std::move(params)});
}

std::string to_pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return bio_text(bio.get());
}

std::string to_pem(X509_CRL* list) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), list);
  return bio_text(bio.get());
}

std::string name_of(X509* certificate) {
  return name_text(X509_get_subject_name(certificate));
}

bool is_authority(X509* certificate) {
  return X509_check_ca(certificate) == 1;
}

bool signs_itself(X509* certificate) {
  return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) ==
             0 &&
         X509_verify(certificate, X509_get0_pubkey(certificate)) == 1;
}

IssuedAnchor facts_of(X509* certificate) {
  return {
      name_of(certificate),
      to_hex(sha256(to_der(certificate))),
      to_instant(X509_get0_notAfter(certificate))};
}

// The leaf of `key` that begins last; null: there is none.
X509* newest_of(const std::vector<CertificatePtr>& certificates, EVP_PKEY* key) {
  X509* newest = nullptr;
  for (const auto& one : certificates) {
    if (is_authority(one.get()) || X509_check_private_key(one.get(), key) != 1) continue;
    if (newest == nullptr ||
        to_instant(X509_get0_notBefore(newest)) < to_instant(X509_get0_notBefore(one.get()))) {
      newest = one.get();
    }
  }
  forget_openssl_errors();
  return newest;
}

// From the leaf up to where no authority of the text goes on, the anchor left out.
IssuedChain chain_of(X509* leaf, const std::vector<CertificatePtr>& certificates) {
  if (leaf == nullptr) return {};
  IssuedChain chain{to_pem(leaf), {to_der(leaf)}};
  X509* below = leaf;
  for (std::size_t length = 1; length < longest_chain; ++length) {
    const auto above = std::ranges::find_if(certificates, [&](const CertificatePtr& one) {
      return is_authority(one.get()) && !signs_itself(one.get()) && one.get() != below &&
             X509_check_issued(one.get(), below) == X509_V_OK &&
             X509_verify(below, X509_get0_pubkey(one.get())) == 1;
    });
    if (above == certificates.end()) break;
    chain.pem += to_pem(above->get());
    chain.der.push_back(to_der(above->get()));
    below = above->get();
  }
  forget_openssl_errors();
  return chain;
}

}  // namespace

Result<Issued> sort_issued(
    std::string_view pem, std::string_view tls_key_pem, std::string_view contract_key_pem
) {
  const KeyPtr tls = private_key_of(tls_key_pem);
  const KeyPtr contract = private_key_of(contract_key_pem);
  if (!tls || !contract) return invalid("identity.key-unreadable");
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    return invalid("identity.issued-private-key");
  }
  const auto certificates = certificates_of(pem);
  const auto lists = lists_of(pem);
  if (!certificates || !lists || (certificates->empty() && lists->empty())) {
    return invalid("identity.issued-unreadable");
  }
  Issued out;
  for (const auto& one : *certificates) {
    if (is_authority(one.get())) {
      if (!signs_itself(one.get())) continue;
      out.anchors += to_pem(one.get());
      out.named.push_back(facts_of(one.get()));
    } else if (X509_check_private_key(one.get(), tls.get()) != 1 &&
               X509_check_private_key(one.get(), contract.get()) != 1) {
      forget_openssl_errors();
      return invalid("identity.issued-stranger", {{"subject", name_of(one.get())}});
    }
  }
  forget_openssl_errors();
  out.tls = chain_of(newest_of(*certificates, tls.get()), *certificates);
  out.contract = chain_of(newest_of(*certificates, contract.get()), *certificates);
  for (const auto& one : *lists) out.lists += to_pem(one.get());
  return out;
}

Result<std::vector<IssuedAnchor>> anchors_of(std::string_view pem) {
  const auto certificates = certificates_of(pem);
  if (!certificates) return invalid("identity.chain-unreadable");
  std::vector<IssuedAnchor> out;
  for (const auto& one : *certificates) {
    if (is_authority(one.get())) out.push_back(facts_of(one.get()));
  }
  forget_openssl_errors();
  return out;
}

Result<std::vector<ListFacts>> list_facts(std::string_view pem) {
  const auto lists = lists_of(pem);
  if (!lists || lists->empty()) return invalid("identity.issued-unreadable");
  std::vector<ListFacts> out;
  for (const auto& one : *lists) {
    const ASN1_TIME* end = X509_CRL_get0_nextUpdate(one.get());
    if (end == nullptr) end = X509_CRL_get0_lastUpdate(one.get());
    out.push_back({name_text(X509_CRL_get_issuer(one.get())), to_instant(end)});
  }
  return out;
}

}  // namespace tally::identity
