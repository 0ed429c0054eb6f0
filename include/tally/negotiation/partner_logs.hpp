// The logs of those with whom there are agreements, and the keys of their witnesses, as their key
// statements named them: signed with the contract key, archived with the agreement when it was
// signed. Learned once at start and from every agreement that comes into force; an agreement that
// has ended still counts, for the proof of what was destroyed comes after the end.
//
// Home executor only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/note.hpp"
#include "tally/core/ids.hpp"
#include "tally/negotiation/agreement.hpp"

namespace tally::negotiation {

class PartnerLogs {
 public:
  // Nothing is learned from an agreement that never came into force, or whose peer signed no key
  // statement. An origin has to begin with the peer's own URI and "/log/": nobody speaks for the
  // log of another.
  void learn(const Agreement& agreement);

  // First keys of the log `origin` of `party`, each once; empty: no such log.
  [[nodiscard]] std::vector<audit::VerifierKey> log_keys(
      const PartyId& party, std::string_view origin
  ) const;
  // The partner that named one of `keys` as the first of its log `origin`; empty: nobody did.
  [[nodiscard]] PartyId owner_of(
      std::string_view origin, const std::vector<audit::VerifierKey>& keys
  ) const;
  // Of all its logs, in order.
  [[nodiscard]] std::vector<std::string> origins(const PartyId& party) const;
  // By which `party` cosigns, the last one it named at the end; empty: it witnesses nobody.
  [[nodiscard]] std::vector<audit::VerifierKey> witness_keys(const PartyId& party) const;
  // In force now or once, signed with a key statement.
  [[nodiscard]] std::vector<PartyId> parties() const;

 private:
  struct Partner {
    std::map<std::string, std::vector<audit::VerifierKey>, std::less<>> logs;
    std::vector<audit::VerifierKey> witnesses;
  };
  std::map<PartyId, Partner> partners_;
};

}  // namespace tally::negotiation
