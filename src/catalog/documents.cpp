#include "tally/catalog/documents.hpp"

#include <algorithm>

#include "tally/odrl/terms.hpp"

namespace tally::catalog {

std::string_view to_string(Delivery delivery) {
  return delivery == Delivery::custody ? "custody" : "call";
}

std::string_view format_of(Delivery delivery) {
  return delivery == Delivery::custody ? "HttpData-PULL" : "HttpData-QUERY";
}

std::string_view action_of(Delivery delivery) {
  return delivery == Delivery::custody ? odrl::iri::archive : odrl::iri::read;
}

odrl::Side counting_side(Delivery delivery) {
  return delivery == Delivery::custody ? odrl::Side::consumer : odrl::Side::provider;
}

bool Audience::holds(const Viewer& viewer) const {
  const PartyId& party = viewer.party;
  if (party.empty()) return false;
  if (domain.empty() && uri.empty()) return true;
  if (domain != party.domain || (!uri.empty() && uri != party.uri)) return false;
  return std::all_of(subject.begin(), subject.end(), [&](const auto& attribute) {
    const auto& has = viewer.subject;
    return std::find(has.begin(), has.end(), attribute) != has.end();
  });
}

bool Offer::visible_to_viewer(const Viewer& viewer) const {
  return std::any_of(visible_to.begin(), visible_to.end(), [&](const Audience& audience) {
    return audience.holds(viewer);
  });
}

Json Offer::message_offer() const {
  Json offer = Json::parse(policy);
  offer["target"] = asset.value;
  return offer;
}

}  // namespace tally::catalog
