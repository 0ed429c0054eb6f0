#include "tally/core/ids.hpp"

namespace tally {

std::string to_string(const PartyId& party) {
  return party.domain + "|" + party.uri;
}

}  // namespace tally
