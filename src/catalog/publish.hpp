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

dsp::DataService service_of(std::string base_url);

// What Asset::dataset holds: id, description for people, metadata. How it is distributed is said to
// each reader in its own way (distribution_of).
std::string publish_dataset(
    const Asset& asset, const std::string& description, const Json& metadata
);

// The value of `distribution`: one format, at `service`, inline, so that a dataset that is asked
// for alone needs no list beside it. Text of JSON.
std::string distribution_of(Delivery delivery, const dsp::DataService& service);

}  // namespace tally::catalog
