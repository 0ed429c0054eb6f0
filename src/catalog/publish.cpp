#include "publish.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "tally/dsp/messages.hpp"
#include "tally/dsp/policy_form.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::catalog {

namespace {

constexpr std::array<const char*, 3> rule_lists{"permission", "prohibition", "obligation"};
constexpr std::array<const char*, 4> logical_lists{"and", "or", "xone", "andSequence"};

bool is_on(const Json& constraint, std::string_view operand) {
  const auto left = constraint.find("leftOperand");
  return left != constraint.end() && left->is_string() &&
         left->get_ref<const std::string&>() == operand;
}

// What one of the two sides counts or adds up.
constexpr std::array counted{odrl::iri::count, odrl::iri::frequency, odrl::iri::metered_time};

// True when some count in this tree has no countedBy beside it or above it (inside the tree).
bool lacks_owner(const Json& list) {
  if (!list.is_array()) return false;
  const bool owned = std::any_of(list.begin(), list.end(), [](const Json& constraint) {
    return constraint.is_object() && is_on(constraint, odrl::iri::counted_by);
  });
  if (owned) return false;
  return std::any_of(list.begin(), list.end(), [](const Json& constraint) {
    if (!constraint.is_object()) return false;
    const auto is_counted = [&](std::string_view operand) { return is_on(constraint, operand); };
    if (std::ranges::any_of(counted, is_counted)) return true;
    return std::any_of(logical_lists.begin(), logical_lists.end(), [&](const char* key) {
      return constraint.contains(key) && lacks_owner(constraint.at(key));
    });
  });
}

// At the top of the rule's constraints, where all are and-ed; it holds for every count below that
// has none of its own.
bool add_owner(Json& rule, odrl::Side owner) {
  const auto list = rule.find("constraint");
  if (list == rule.end() || !lacks_owner(*list)) return false;
  list->push_back(
      {{"leftOperand", odrl::iri::counted_by},
       {"operator", "eq"},
       {"rightOperand", odrl::to_string(owner)}}
  );
  return true;
}

void name_profile(Json& policy) {
  const Json ours = std::string(odrl::iri::profile);
  Json& profile = policy["profile"];
  if (profile.is_null()) profile = ours;
  if (profile == ours) return;
  if (!profile.is_array()) profile = Json::array({profile});
  if (std::find(profile.begin(), profile.end(), ours) == profile.end()) profile.push_back(ours);
}

dsp::DataService service_at(const std::string& url) {
  dsp::DataService service;
  service.id = url;
  service.endpoint_url = url;
  return service;
}

// One format, at `service`, inline, so that a dataset that is asked for alone needs no list beside
// it.
std::string distribution_of(std::string_view format, const dsp::DataService& service) {
  dsp::Distribution distribution;
  distribution.format = std::string(format);
  distribution.access_service = service;
  dsp::Dataset dataset;
  dataset.distribution.push_back(std::move(distribution));
  return to_jcs(dsp::to_nested_json(dataset).at("distribution"));
}

}  // namespace

Json publish(Json policy, odrl::Side owner) {
  Json offer = dsp::with_wire_terms(std::move(policy));
  for (const char* key : {"@context", "target"}) offer.erase(key);
  if (offer.contains("uid") && !offer.contains("@id")) {
    offer["@id"] = offer["uid"];
    offer.erase("uid");
  }
  bool added = false;
  for (const char* key : rule_lists) {
    const auto rules = offer.find(key);
    if (rules == offer.end() || !rules->is_array()) continue;
    for (Json& rule : *rules) {
      if (rule.is_object()) added = add_owner(rule, owner) || added;
    }
  }
  if (added) name_profile(offer);
  return offer;
}

std::string publish_head(const std::string& participant_id, const std::string& base_url) {
  dsp::Catalog catalog;
  catalog.id = base_url + "/catalog";
  catalog.participant_id = participant_id;
  catalog.service.push_back(service_at(base_url));
  std::string text = to_jcs(dsp::to_json(catalog));
  text.pop_back();
  return text;
}

// A nested catalogue is a place where more can be asked for: DSP 2025-1 shows it with a
// distribution of the format "Catalog".
std::string publish_nested(const std::vector<NestedCatalog>& nested) {
  if (nested.empty()) return {};
  dsp::Catalog around;
  for (const NestedCatalog& entry : nested) {
    dsp::Distribution distribution;
    distribution.format = "Catalog";
    distribution.access_service = entry.url;
    dsp::Catalog catalog;
    catalog.id = entry.id;
    catalog.distribution.push_back(std::move(distribution));
    catalog.service.push_back(service_at(entry.url));
    if (!entry.title.empty()) catalog.extra["dct:title"] = entry.title;
    around.catalog.push_back(std::move(catalog));
  }
  const Json json = dsp::to_json(around);
  return ",\"catalog\":" + to_jcs(json.at("catalog"));
}

Distributions::Distributions(const Publisher& publisher, const PartyId& reader) {
  const auto service = service_at(publisher.base_url(reader));
  const auto own = publisher.call_format ? publisher.call_format(reader) : std::string();
  custody_ = distribution_of(format_of(Delivery::custody), service);
  call_ = distribution_of(own.empty() ? format_of(Delivery::call) : own, service);
}

std::string publish_dataset(
    const Asset& asset, const std::string& description, const Json& metadata
) {
  dsp::Dataset dataset;
  dataset.id = asset.id.value;
  Json& extra = dataset.extra = metadata;
  extra["dct:title"] = asset.title;
  if (!description.empty()) extra["dct:description"] = description;
  extra["dcat:mediaType"] = asset.media_type;
  extra["dcat:version"] = asset.version;
  // Strings, since a JSON-LD reader makes doubles of numbers.
  extra["urn:tally:profile:1#level"] = std::to_string(asset.level);
  if (!asset.class_.empty()) extra["urn:tally:profile:1#class"] = asset.class_;
  std::string text = to_jcs(dsp::to_nested_json(dataset));
  text.back() = ',';  // for distribution and hasPolicy
  text.shrink_to_fit();
  return text;
}

}  // namespace tally::catalog
