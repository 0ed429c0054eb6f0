#include "tls_context.hpp"

#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tally/identity/enrolment.hpp"

namespace tally::net {

namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

int no_passphrase(char*, int, int, void*) {
  return -1;
}

BioPtr memory_bio(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

Result<void> use_certificate(
    SSL_CTX* context, const std::string& certificate_pem, const Secret& key_pem
) {
  ERR_clear_error();
  const BioPtr chain = memory_bio(certificate_pem);
  bool leaf = true;
  while (X509* certificate = PEM_read_bio_X509(chain.get(), nullptr, no_passphrase, nullptr)) {
    const bool good = leaf ? SSL_CTX_use_certificate(context, certificate) == 1
                           : SSL_CTX_add1_chain_cert(context, certificate) == 1;
    X509_free(certificate);
    if (!good)
      return fail(ErrorKind::invalid, {"net.tls-certificate", {{"reason", take_tls_reason()}}});
    leaf = false;
  }
  if (leaf)
    return fail(ErrorKind::invalid, {"net.tls-certificate", {{"reason", take_tls_reason()}}});
  ERR_clear_error();

  const BioPtr key_text = memory_bio(key_pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_passphrase, nullptr);
  const bool good = key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                    SSL_CTX_check_private_key(context) == 1;
  EVP_PKEY_free(key);
  if (!good) return fail(ErrorKind::invalid, {"net.tls-key", {{"reason", take_tls_reason()}}});
  return {};
}

std::vector<Bytes> chain_of(X509_STORE_CTX* store) {
  std::vector<Bytes> chain;
  const auto add = [&chain](X509* certificate) {
    Bytes der(static_cast<std::size_t>(i2d_X509(certificate, nullptr)));
    unsigned char* at = der.data();
    i2d_X509(certificate, &at);
    chain.push_back(std::move(der));
  };
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  if (leaf == nullptr) return chain;
  add(leaf);
  STACK_OF(X509)* others = X509_STORE_CTX_get0_untrusted(store);
  for (int i = 0; i < sk_X509_num(others); ++i) {
    X509* certificate = sk_X509_value(others, i);
    if (X509_cmp(certificate, leaf) != 0) add(certificate);
  }
  return chain;
}

// The alert that tells the other side what is wrong with its certificate.
int alert_for(const std::string& code) {
  if (code == "identity.expired") return X509_V_ERR_CERT_HAS_EXPIRED;
  if (code == "identity.not-yet-valid") return X509_V_ERR_CERT_NOT_YET_VALID;
  if (code == "identity.revoked") return X509_V_ERR_CERT_REVOKED;
  if (code == "identity.unknown-anchor") return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
  return X509_V_ERR_CERT_REJECTED;
}

void judge(ChainVerifier& verifier, std::span<const Bytes> chain) {
  const auto current = verifier.trust->current();
  auto identity = current.store->verify(chain, verifier.purpose, verifier.clock->read().at);
  verifier.identity.reset();
  verifier.refusal.reset();
  if (!identity) {
    Error refusal = std::move(identity).error();
    if (verifier.purpose == identity::Purpose::server) {
      // For our own operator: what a server says and whom we trust.
      auto& params = refusal.message.params;
      params["issuer"] = chain.empty() ? std::string() : identity::issuer_of(chain.front());
      params["anchors"] = current.store->anchors();
    }
    verifier.refusal = std::make_shared<const Error>(std::move(refusal));
  } else if (verifier.expected && identity->party != *verifier.expected) {
    std::map<std::string, std::string> params{
        {"found", to_string(identity->party)}, {"expected", to_string(*verifier.expected)}};
    verifier.refusal = std::make_shared<const Error>(Error{
        ErrorKind::forbidden, {"net.peer-other-identity", std::move(params)}, {}});
  } else {
    verifier.identity = std::make_shared<const identity::PeerIdentity>(std::move(*identity));
    verifier.generation = current.generation;
  }
}

int verify_chain(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* verifier = static_cast<ChainVerifier*>(SSL_get_app_data(ssl));
  if (verifier == nullptr) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  judge(*verifier, chain_of(store));
  ERR_clear_error();
  if (verifier->refusal) {
    X509_STORE_CTX_set_error(store, alert_for(verifier->refusal->message.code));
    return 0;
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

TlsContext bare_context(const SSL_METHOD* method) {
  TlsContext context(SSL_CTX_new(method), &SSL_CTX_free);
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(
      raw, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
  );
  SSL_CTX_set1_groups_list(raw, "X25519:P-256:P-384");
  SSL_CTX_set_options(
      raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE
  );
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_max_early_data(raw, 0);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_max_cert_list(raw, 32 << 10);
  return context;
}

}  // namespace

void tie_verifier(SSL* ssl, ChainVerifier* verifier) {
  SSL_set_app_data(ssl, verifier);
}

bool verify_again(ChainVerifier& verifier) {
  if (!verifier.identity) return false;
  const std::vector<Bytes> chain = verifier.identity->chain;
  judge(verifier, chain);
  return !verifier.refusal;
}

bool needs_verification(const ChainVerifier& verifier, std::uint64_t generation, Instant now) {
  return verifier.identity &&
         (verifier.generation != generation || verifier.identity->good_until < now);
}

Result<TlsContext> make_server_context(
    const std::string& certificate_pem, const Secret& key_pem, ServerTrust trust
) {
  TlsContext context = bare_context(TLS_server_method());
  // Two buffers of 17 KB made and given back for each request would be felt; the server takes them
  // from connections that rest (Stream::rest).
  SSL_CTX_clear_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  auto used = use_certificate(context.get(), certificate_pem, key_pem);
  if (!used) return fail(std::move(used));
  if (trust == ServerTrust::chain_verifier) {
    SSL_CTX_set_verify(
        context.get(),
        SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE,
        nullptr
    );
    SSL_CTX_set_cert_verify_callback(context.get(), verify_chain, nullptr);
  } else {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  }
  return context;
}

Result<TlsContext> make_client_context(
    const std::string& certificate_pem, const Secret& key_pem, const std::string& ca_pem
) {
  TlsContext context = bare_context(TLS_client_method());
  if (!certificate_pem.empty()) {
    auto used = use_certificate(context.get(), certificate_pem, key_pem);
    if (!used) return fail(std::move(used));
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (ca_pem.empty()) {
    SSL_CTX_set_cert_verify_callback(context.get(), verify_chain, nullptr);
    return context;
  }
  const BioPtr cas = memory_bio(ca_pem);
  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  bool any = false;
  while (X509* certificate = PEM_read_bio_X509(cas.get(), nullptr, no_passphrase, nullptr)) {
    X509_STORE_add_cert(store, certificate);
    X509_free(certificate);
    any = true;
  }
  ERR_clear_error();
  if (!any) return fail(ErrorKind::invalid, {"net.tls-certificate", {{"reason", "no CA"}}});
  return context;
}

TlsContext make_web_client_context() {
  TlsContext context = bare_context(TLS_client_method());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  // Where the system has no anchors, no server is believed.
  SSL_CTX_set_default_verify_paths(context.get());
  ERR_clear_error();
  return context;
}

int peek_tls_reason() {
  const unsigned long error = ERR_peek_error();
  return error == 0 ? 0 : ERR_GET_REASON(error);
}

std::string take_tls_reason() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return text == nullptr ? "unknown" : text;
}

}  // namespace tally::net
