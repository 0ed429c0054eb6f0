#include "tally/negotiation/own_offer.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::negotiation {

Result<Json> offer_message(
    Json policy,
    const OfferId& id,
    const AssetId& target,
    std::string_view at,
    dsp::EmptyPolicy empty
) {
  if (!policy.is_object()) {
    const Message malformed{
        "core.member-type",
        {{"member", "policy"}, {"expected", "object"}, {"found", policy.type_name()}}};
    return fail(ErrorKind::invalid, malformed, std::string(at));
  }
  Json offer = dsp::with_wire_terms(dsp::with_arrays(std::move(policy)));
  offer.erase("@context");
  offer["@type"] = "Offer";
  offer["@id"] = id.value;
  offer["target"] = target.value;
  auto form = dsp::check_wire_policy(
      offer, dsp::PolicyForm::message_offer, at, dsp::PolicyOrigin::own, empty
  );
  if (!form) return fail(std::move(form));
  return offer;
}

Result<Json> own_offer(
    Json policy, const OfferId& id, const AssetId& target, const Limits& limits, std::string_view at
) {
  auto offer = offer_message(std::move(policy), id, target, at);
  if (!offer) return offer;
  odrl::LoadOptions load;
  load.limits = limits;
  load.required_type = odrl::PolicyType::offer;
  const auto loaded = odrl::load_policy(*offer, load);
  if (!loaded) {
    const auto& first = loaded.error().front();
    return fail(ErrorKind::invalid, first.message, std::string(at) + first.pointer);
  }
  return offer;
}

Json policy_of_use() {
  return {{"permission", Json::array({{{"action", "use"}}})}};
}

}  // namespace tally::negotiation
