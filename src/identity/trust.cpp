#include "tally/identity/trust.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "openssl_ptr.hpp"

namespace tally::identity {

namespace {

// Longer chains and names than any real one: what an unknown sender can make us work on.
constexpr std::size_t most_certificates = 8;
constexpr std::size_t most_uri_bytes = 1024;
constexpr Nanos crl_clock_skew = seconds(300);

struct RevocationList {
  CrlPtr list;
  Instant this_update;
  Instant next_update;
};

struct Domain {
  std::string name;
  std::vector<std::string> uri_prefixes;
  CrlPolicy crl = CrlPolicy::required;
  Nanos crl_grace = 0;
  StorePtr store;
  std::vector<std::string> anchors;      // their names
  std::optional<Instant> anchors_until;  // the end of the first to end
  std::vector<RevocationList> lists;
};

tl::unexpected<Error> refuse(std::string code, std::map<std::string, std::string> params) {
  return fail(ErrorKind::unauthenticated, {std::move(code), std::move(params)});
}

tl::unexpected<Error> misconfigured(std::string code, std::map<std::string, std::string> params) {
  return fail(ErrorKind::invalid, {std::move(code), std::move(params)});
}

bool is_domain_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

bool is_boundary(char c) {
  return c == ':' || c == '/' || c == '#' || c == '?';
}

bool has_prefix(std::string_view uri, std::string_view prefix) {
  if (prefix.empty() || !uri.starts_with(prefix)) return false;
  return uri.size() == prefix.size() || is_boundary(prefix.back()) ||
         is_boundary(uri[prefix.size()]);
}

bool is_party_uri(std::string_view uri) {
  return uri.size() <= most_uri_bytes && uri.find(':') != std::string_view::npos &&
         std::all_of(uri.begin(), uri.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string code_of(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "identity.expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "identity.not-yet-valid";
    case X509_V_ERR_INVALID_PURPOSE:
      return "identity.wrong-purpose";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
      return "identity.unknown-anchor";
    default:
      return "identity.chain-invalid";
  }
}

bool fits_purpose(X509* leaf, Purpose purpose) {
  if (X509_check_ca(leaf) != 0) return false;
  const std::uint32_t usage = X509_get_key_usage(leaf);              // UINT32_MAX: absent
  const std::uint32_t extended = X509_get_extended_key_usage(leaf);  // likewise
  if (purpose == Purpose::contract) {
    return usage != UINT32_MAX && (usage & KU_DIGITAL_SIGNATURE) != 0 && extended == UINT32_MAX;
  }
  const std::uint32_t wanted = purpose == Purpose::client ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
  return extended != UINT32_MAX && (extended & wanted) != 0;
}

// The newest list of `issuer` that it really signed.
const RevocationList* list_of(const Domain& domain, X509* issuer) {
  const RevocationList* newest = nullptr;
  for (const RevocationList& candidate : domain.lists) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(candidate.list.get()), X509_get_subject_name(issuer)) !=
        0) {
      continue;
    }
    if (newest != nullptr && candidate.this_update <= newest->this_update) continue;
    if ((X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0) continue;
    if (X509_CRL_verify(candidate.list.get(), X509_get0_pubkey(issuer)) != 1) {
      forget_openssl_errors();
      continue;
    }
    newest = &candidate;
  }
  return newest;
}

// Every certificate below the anchor against the list of its issuer.
Result<void> check_revocation(
    const Domain& domain,
    STACK_OF(X509) * chain,
    Purpose purpose,
    Instant now,
    PeerIdentity& identity
) {
  if (domain.crl == CrlPolicy::none) {
    identity.crl_state = "none";
    return {};
  }
  const std::map<std::string, std::string> params{
      {"certificate", identity.certificate_sha256}, {"domain", domain.name}};
  std::optional<Instant> first_end;
  for (int i = 0; i + 1 < sk_X509_num(chain); ++i) {
    const RevocationList* list = list_of(domain, sk_X509_value(chain, i + 1));
    if (list == nullptr) return refuse("identity.crl-missing", params);
    X509_REVOKED* entry = nullptr;
    if (X509_CRL_get0_by_cert(list->list.get(), &entry, sk_X509_value(chain, i)) != 0) {
      return refuse("identity.revoked", params);
    }
    if (list->this_update > now + crl_clock_skew) return refuse("identity.crl-invalid", params);
    const Instant end = list->next_update + domain.crl_grace;
    if (end < now) {
      auto stale = params;
      stale["until"] = format_seconds(list->next_update);
      return refuse("identity.crl-stale", stale);
    }
    if (!first_end || list->next_update < *first_end) {
      first_end = list->next_update;
      identity.crl_state =
          "checked " + format_seconds(list->this_update) + "…" + format_seconds(list->next_update);
    }
    identity.good_until = std::min(identity.good_until, end);
    if (purpose == Purpose::contract) identity.lists.push_back(to_der(list->list.get()));
  }
  return {};
}

Result<Domain> build_domain(TrustDomainConfig config, std::set<Digest>& anchors_seen) {
  const std::map<std::string, std::string> params{{"domain", config.domain}};
  Domain domain;
  domain.name = std::move(config.domain);
  domain.uri_prefixes = std::move(config.uri_prefixes);
  domain.crl = config.crl;
  domain.crl_grace = config.crl_grace;
  domain.store.reset(X509_STORE_new());

  const auto anchors = certificates_of(config.anchors_pem);
  if (!anchors || anchors->empty()) return misconfigured("identity.trust-anchors", params);
  for (const CertificatePtr& anchor : *anchors) {
    if (X509_check_ca(anchor.get()) != 1)
      return misconfigured("identity.trust-anchor-no-ca", params);
    if (!anchors_seen.insert(sha256(to_der(anchor.get()))).second) {
      return misconfigured("identity.trust-anchor-twice", params);
    }
    X509_STORE_add_cert(domain.store.get(), anchor.get());
    domain.anchors.push_back(name_text(X509_get_subject_name(anchor.get())));
    const Instant end = to_instant(X509_get0_notAfter(anchor.get()));
    domain.anchors_until = std::min(domain.anchors_until.value_or(end), end);
  }

  if (domain.crl == CrlPolicy::none && !config.crl_pem.empty()) {
    return misconfigured("identity.trust-crl-unused", params);
  }
  for (const std::string& text : config.crl_pem) {
    auto lists = lists_of(text);
    if (!lists || lists->empty()) return misconfigured("identity.trust-crl", params);
    for (CrlPtr& list : *lists) {
      RevocationList entry{
          std::move(list),
          {},
          {},
      };
      const X509_CRL* crl = entry.list.get();
      if (X509_CRL_get0_nextUpdate(crl) == nullptr) {
        return misconfigured("identity.trust-crl-no-end", params);
      }
      // Delta and partitioned lists say less than a full one and look alike: refused.
      if (X509_CRL_get_ext_by_critical(crl, 1, -1) >= 0 ||
          X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0 ||
          X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0) {
        return misconfigured("identity.trust-crl-unsupported", params);
      }
      for (const CertificatePtr& anchor : *anchors) {
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(anchor.get())) == 0 &&
            X509_CRL_verify(entry.list.get(), X509_get0_pubkey(anchor.get())) != 1) {
          forget_openssl_errors();
          // Two anchors may share a name while keys roll over; then one of them must fit.
          const bool other_fits =
              std::any_of(anchors->begin(), anchors->end(), [&](const CertificatePtr& other) {
                return X509_CRL_verify(entry.list.get(), X509_get0_pubkey(other.get())) == 1;
              });
          forget_openssl_errors();
          if (!other_fits) return misconfigured("identity.trust-crl-signature", params);
        }
      }
      entry.this_update = to_instant(X509_CRL_get0_lastUpdate(crl));
      entry.next_update = to_instant(X509_CRL_get0_nextUpdate(crl));
      domain.lists.push_back(std::move(entry));
    }
  }
  return domain;
}

// Chains that were found good: the same few certify one message after the other. What was refused
// is looked at anew each time.
class Proven {
 public:
  std::optional<PeerIdentity> find(const Digest& chain, Instant now) const {
    const std::lock_guard lock(mutex_);
    const auto found = proven_.find(chain);
    if (found == proven_.end()) return std::nullopt;
    // Before that it was not looked at, and from then on it has to be again.
    if (now < found->second.from || now >= found->second.identity.good_until) return std::nullopt;
    return found->second.identity;
  }
  void add(const Digest& chain, Instant now, const PeerIdentity& identity) {
    const std::lock_guard lock(mutex_);
    if (proven_.size() >= most) proven_.clear();
    proven_.insert_or_assign(chain, Entry{now, identity});
  }

 private:
  static constexpr std::size_t most = 256;  // each with its chain: at most some 10 KiB

  struct Entry {
    Instant from;
    PeerIdentity identity;
  };
  mutable std::mutex mutex_;
  std::map<Digest, Entry> proven_;
};

// What is verified, and for what: lengths before contents, so that no two are the same bytes.
Digest digest_of(std::span<const Bytes> chain, Purpose purpose) {
  Sha256 hash;
  hash.update(std::string(1, static_cast<char>(purpose)));
  for (const Bytes& der : chain) {
    hash.update(std::to_string(der.size()) + ":");
    hash.update(der);
  }
  return hash.finish();
}

}  // namespace

struct TrustStore::State {
  std::vector<Domain> domains;
  mutable Proven proven;

  Result<PeerIdentity> verify(std::span<const Bytes> chain, Purpose purpose, Instant now) const;
};

TrustStore::TrustStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
TrustStore::~TrustStore() = default;

std::string TrustStore::anchors() const {
  constexpr std::size_t most = 8;
  std::string out;
  std::size_t named = 0;
  for (const Domain& domain : state_->domains) {
    for (const auto& anchor : domain.anchors) {
      if (named++ == most) return out + "; …";
      out += (out.empty() ? "" : "; ") + domain.name + ": " + anchor;
    }
  }
  return out;
}

std::vector<TrustStore::Ends> TrustStore::ends() const {
  std::vector<Ends> out;
  for (const Domain& domain : state_->domains) {
    Ends one{domain.name, *domain.anchors_until, std::nullopt};
    for (const auto& list : domain.lists) {
      one.lists = std::min(one.lists.value_or(list.next_update), list.next_update);
    }
    out.push_back(std::move(one));
  }
  return out;
}

Result<std::shared_ptr<const TrustStore>> TrustStore::build(std::vector<TrustDomainConfig> domains
) {
  auto state = std::make_unique<State>();
  std::set<std::string> names;
  std::set<Digest> anchors_seen;
  for (TrustDomainConfig& config : domains) {
    if (!is_domain_name(config.domain)) {
      return misconfigured("identity.trust-domain-name", {{"domain", config.domain}});
    }
    if (!names.insert(config.domain).second) {
      return misconfigured("identity.trust-domain-twice", {{"domain", config.domain}});
    }
    auto domain = build_domain(std::move(config), anchors_seen);
    if (!domain) return fail(std::move(domain));
    state->domains.push_back(std::move(*domain));
  }
  return std::shared_ptr<const TrustStore>(new TrustStore(std::move(state)));
}

Result<PeerIdentity> TrustStore::verify(
    std::span<const Bytes> chain_der, Purpose purpose, Instant now
) const {
  const Digest chain = digest_of(chain_der, purpose);
  if (auto known = state_->proven.find(chain, now)) return *std::move(known);
  auto identity = state_->verify(chain_der, purpose, now);
  if (identity) state_->proven.add(chain, now, *identity);
  return identity;
}

Result<PeerIdentity> TrustStore::State::verify(
    std::span<const Bytes> chain_der, Purpose purpose, Instant now
) const {
  if (chain_der.empty()) return refuse("identity.no-certificate", {});
  PeerIdentity identity;
  identity.certificate_sha256 = to_hex(sha256(chain_der.front()));
  const std::map<std::string, std::string> params{{"certificate", identity.certificate_sha256}};
  if (chain_der.size() > most_certificates) {
    return refuse("identity.certificate-malformed", params);
  }

  const StackPtr sent(sk_X509_new_null());
  for (const Bytes& der : chain_der) {
    CertificatePtr certificate = parse_certificate(der);
    if (!certificate) return refuse("identity.certificate-malformed", params);
    sk_X509_push(sent.get(), certificate.release());
  }
  X509* leaf = sk_X509_value(sent.get(), 0);

  const Domain* domain = nullptr;
  StoreContextPtr proof;
  std::string why = "identity.unknown-anchor";
  for (const Domain& candidate : domains) {
    StoreContextPtr context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), candidate.store.get(), leaf, sent.get());
    X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_time(param, now.seconds);
    X509_VERIFY_PARAM_set_auth_level(param, 2);  // RSA ≥ 2048, no SHA-1
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    if (purpose == Purpose::client) X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
    if (purpose == Purpose::server) X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    if (X509_verify_cert(context.get()) == 1) {
      if (domain != nullptr) return refuse("identity.ambiguous-anchor", params);
      domain = &candidate;
      proof = std::move(context);
      continue;
    }
    const std::string code = code_of(X509_STORE_CTX_get_error(context.get()));
    // The domain that knows the anchor knows best what is wrong.
    if (code != "identity.unknown-anchor") why = code;
    forget_openssl_errors();
  }
  if (domain == nullptr) return refuse(why, params);

  if (!fits_purpose(leaf, purpose)) return refuse("identity.wrong-purpose", params);
  if (purpose == Purpose::contract) {
    identity.contract_key = ed25519_key_of(X509_get0_pubkey(leaf));
    if (!identity.contract_key) return refuse("identity.wrong-key", params);
  }

  const auto uris = uris_of(leaf);
  if (!uris) return refuse("identity.certificate-malformed", params);
  if (uris->empty()) return refuse("identity.no-uri", params);
  if (uris->size() > 1) return refuse("identity.several-uris", params);
  const std::string& uri = uris->front();
  if (!is_party_uri(uri)) return refuse("identity.uri-malformed", params);
  const bool allowed = std::any_of(
      domain->uri_prefixes.begin(),
      domain->uri_prefixes.end(),
      [&](const std::string& prefix) { return has_prefix(uri, prefix); }
  );
  if (!allowed) {
    return refuse(
        "identity.uri-not-allowed",
        {{"uri", uri}, {"domain", domain->name}, {"certificate", identity.certificate_sha256}}
    );
  }

  identity.party = {domain->name, uri};
  identity.subject = subject_of(leaf);
  identity.chain.assign(chain_der.begin(), chain_der.end());
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(proof.get());
  identity.not_after = to_instant(X509_get0_notAfter(leaf));
  for (int i = 1; i < sk_X509_num(chain); ++i) {
    identity.not_after =
        std::min(identity.not_after, to_instant(X509_get0_notAfter(sk_X509_value(chain, i))));
  }
  identity.good_until = identity.not_after;
  auto checked = check_revocation(*domain, chain, purpose, now, identity);
  if (!checked) return fail(std::move(checked));
  return identity;
}

}  // namespace tally::identity
