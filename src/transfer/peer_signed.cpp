#include "peer_signed.hpp"

#include <utility>

#include "tally/audit/follows.hpp"

namespace tally::transfer {

Result<WithPeerKey> with_peer_key(Store& store, const AgreementId& id, const PartyId& from) {
  auto found = negotiation::find_agreement(store, id);
  if (!found) return fail(std::move(found));
  if (!*found || (*found)->peer() != from) {
    return fail(ErrorKind::not_found, {"transfer.unknown-agreement", {}}, "/agreement");
  }
  const auto key = (*found)->peer_key();
  if (!key) return fail(ErrorKind::invalid, {"transfer.no-key", {}});
  return WithPeerKey{std::move(**found), audit::make_verifier_key(from.uri, *key)};
}

bool is_log_of_peer(const negotiation::Agreement& agreement, std::string_view origin) {
  const auto said = agreement.peer_statement();
  return !said || said->log_origin == origin || audit::comes_after(origin, said->log_origin);
}

}  // namespace tally::transfer
