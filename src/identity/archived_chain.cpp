#include "tally/identity/archived_chain.hpp"

#include <utility>

#include "tally/core/digest.hpp"
#include "tally/identity/trust.hpp"

namespace tally::identity {

namespace {

TrustDomainConfig domain_of(std::string_view anchors_pem) {
  TrustDomainConfig domain;
  domain.domain = "anchors";
  domain.anchors_pem = anchors_pem;
  domain.crl = CrlPolicy::none;
  return domain;
}

std::string pem_of(const Bytes& list) {
  constexpr std::size_t width = 64;
  const std::string text = to_base64(list);
  std::string pem = "-----BEGIN X509 CRL-----\n";
  for (std::size_t at = 0; at < text.size(); at += width) pem += text.substr(at, width) + "\n";
  return pem + "-----END X509 CRL-----\n";
}

}  // namespace

Result<void> check_anchors(std::string_view anchors_pem) {
  auto store = TrustStore::build({domain_of(anchors_pem)});
  if (!store) return fail(std::move(store));
  return {};
}

Result<PeerIdentity> verify_archived_chain(
    std::span<const Bytes> chain,
    std::span<const Bytes> lists,
    std::string_view anchors_pem,
    const std::string& uri,
    Instant at
) {
  TrustDomainConfig domain = domain_of(anchors_pem);
  domain.uri_prefixes = {uri};
  if (!lists.empty()) domain.crl = CrlPolicy::required;
  for (const Bytes& list : lists) domain.crl_pem.push_back(pem_of(list));
  const auto store = TrustStore::build({std::move(domain)});
  if (!store) {
    const bool readable = check_anchors(anchors_pem).has_value();
    if (!readable) return tl::unexpected(store.error());
    return fail(
        ErrorKind::unauthenticated,
        {"identity.archived-list-malformed", {{"code", store.error().message.code}}}
    );
  }
  auto found = (*store)->verify(chain, Purpose::contract, at);
  if (found && found->party.uri != uri) {
    return fail(
        ErrorKind::unauthenticated,
        {"identity.signature-other-party", {{"signer", found->party.uri}, {"expected", uri}}}
    );
  }
  return found;
}

}  // namespace tally::identity
