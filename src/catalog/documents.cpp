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

bool Audience::holds(const PartyId& party) const {
  if (party.empty()) return false;
  if (domain.empty() && uri.empty()) return true;
  return domain == party.domain && (uri.empty() || uri == party.uri);
}

bool Offer::visible_to_party(const PartyId& party) const {
  return std::any_of(visible_to.begin(), visible_to.end(), [&](const Audience& audience) {
    return audience.holds(party);
  });
}

Json Offer::message_offer() const {
  Json offer = Json::parse(policy);
  offer["target"] = asset.value;
  return offer;
}

}  // namespace tally::catalog
