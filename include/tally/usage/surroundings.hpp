// What an operator registered of the places where data is used: this connector's own and those of
// its peers, what is part of what, and when events are. The enforcement point vouches for these
// values as `registration`; what is not here is unknown, and a policy that asks for it refuses.
//
// Values; a snapshot is replaced as a whole (Enforcer::surround).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/odrl/evaluate.hpp"

namespace tally::usage {

// One place of use. All of it IRIs or words, as policies name them.
struct Site {
  std::vector<std::string> places;           // spatial
  std::vector<std::string> networks;         // virtualLocation: addresses, ranges, domains
  std::vector<std::string> security_levels;  // securityLevel
  std::vector<std::string> states;           // environmentState
  std::string jurisdiction;                  // where the participant is at home, or empty
};

struct Surroundings {
  Site own;
  std::map<PartyId, Site> peers;
  std::vector<odrl::Broader> taxonomy;
  std::vector<odrl::EventSpan> events;
};

// When somebody was last heard who proved who it is.
class Contacts {
 public:
  virtual ~Contacts() = default;
  // Any thread; nullopt: never, as far as is known.
  [[nodiscard]] virtual std::optional<Instant> last_contact(const PartyId& party) const = 0;
};

}  // namespace tally::usage
