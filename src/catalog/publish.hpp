// From the policy that an operator wrote to the offer that other connectors read.
#pragma once

#include <string>

#include "tally/catalog/catalog.hpp"
#include "tally/core/json.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::catalog {

// Terms as full IRIs, `@id` for `uid`, no `@context` and no target (the dataset is it), and beside
// each count that does not say so who counts it: `owner`. Precondition: the policy loads.
Json publish(Json policy, odrl::Side owner);

// The catalogue without its lists, but for its closing bracket.
std::string publish_head(const std::string& participant_id, const std::string& base_url);
// The member `catalog` with a comma before it; empty where there is none: the schema refuses an
// empty list.
std::string publish_nested(const std::vector<NestedCatalog>& nested);

// What Asset::dataset holds: id, description for people, metadata. How it is distributed is said to
// each reader in its own way (Distributions).
std::string publish_dataset(
    const Asset& asset, const std::string& description, const Json& metadata
);

// The value of `distribution`, as JSON text, of what one reader is served.
class Distributions {
 public:
  Distributions(const Publisher& publisher, const PartyId& reader);
  [[nodiscard]] const std::string& of(Delivery delivery) const {
    return delivery == Delivery::call ? call_ : custody_;
  }

 private:
  std::string custody_;
  std::string call_;
};

}  // namespace tally::catalog
