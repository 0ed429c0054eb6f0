// Who asks to see something: a party, and what its verified certificate says of it. Values.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tally/core/ids.hpp"

namespace tally {

// Attributes of a certificate's subject: "O", "OU" or "C", and the value in UTF-8. A name may occur
// several times.
using SubjectAttributes = std::vector<std::pair<std::string, std::string>>;

struct Viewer {
  PartyId party;
  SubjectAttributes subject;
  Viewer() = default;
  // Not explicit: a party of which nothing else is known is a viewer.
  Viewer(PartyId who, SubjectAttributes attributes = {})
      : party(std::move(who)), subject(std::move(attributes)) {}
};

}  // namespace tally
