// How an agreement comes into force: its row, its record and its terms, in one step.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

namespace {

// The digest of the key statement that came with a signature; "asserted" without one.
std::string statement_of(const std::string& archive) {
  const auto parsed = archive.empty() ? Json() : Json::parse(archive, nullptr, false);
  const auto pointer = Json::json_pointer("/keyStatement/statement");
  if (!parsed.is_object() || !parsed.contains(pointer) || !parsed.at(pointer).is_string()) {
    return "asserted";
  }
  const auto jcs = from_base64(parsed.at(pointer).get_ref<const std::string&>());
  return jcs ? digest_text(sha256(*jcs)) : "asserted";
}

}  // namespace

Result<void> NegotiationService::State::put_in_force(Step& step, Agreement agreement) const {
  auto terms = terms_of(agreement);
  if (!terms) return fail(std::move(terms));
  agreement.status = AgreementStatus::active;
  agreement.finalized_at = format_micros(now());

  // What the agreement fixes is said here, once, for all records under it.
  auto record = draft("contract.finalized", step.process);
  record.set("asset", agreement.asset.value).set("offer", agreement.offer.value);
  record.set("policy", agreement.digest());
  if (!agreement.reading.is_plain()) record.set_json("reading", dsp::to_json(agreement.reading));
  if (!agreement.asset_version.empty()) record.set("assetVersion", agreement.asset_version);
  if (agreement.asset_level) record.set("level", *agreement.asset_level);
  if (!agreement.asset_class.empty()) record.set("class", agreement.asset_class);
  if (!agreement.purposes.empty()) record.set_json("purposes", agreement.purposes);
  Json limits = Json::array();
  for (const auto& rule : terms->policy->rules()) {
    for (const auto& limit : rule.limits) {
      limits.push_back(
          {{"rule", limit.rule.value},
           {"owner", odrl::to_string(limit.owner)},
           {"allowed", limit.allowed}}
      );
    }
  }
  record.set_json("limits", limits);
  Json awaits = Json::array();
  for (const auto& duty : odrl::confirmed_duties(*terms->policy)) {
    if (duty.phase == odrl::Phase::after) continue;
    awaits.push_back({{"rule", duty.permission.value}, {"duty", duty.duty.value}});
  }
  if (!awaits.empty()) record.set_json("awaits", awaits);
  Json retention = Json::array();
  for (const auto& term : terms->policy->log_retention()) {
    retention.push_back(format_duration(term));
  }
  if (!retention.empty()) record.set_json("retention", retention);
  const auto hash_of = [](const std::string& archive) {
    return archive.empty() ? std::string("asserted") : digest_text(sha256(archive));
  };
  const Json signatures = {
      {"provider", hash_of(agreement.provider_signature)},
      {"consumer", hash_of(agreement.consumer_signature)},
  };
  record.set_json("signatures", signatures);
  record.set_json(
      "statements",
      Json{
          {"provider", statement_of(agreement.provider_signature)},
          {"consumer", statement_of(agreement.consumer_signature)},
      }
  );
  record.set("assurance", agreement.is_asserted() ? "asserted" : "enforced");
  Json sources = {
      {"actor", "config"},
      {"asset", "agreement"},
      {"counterparty", agreement.imported ? "config" : "certificate"},
      {"policy", agreement.imported ? "import" : "agreement"},
      {"purposes", "agreement"},
  };
  // What the words of the policy mean, and what it says without rules, is this side's reading.
  if (!agreement.reading.is_plain()) sources["reading"] = "config";
  // The provider's own rating; the consumer is not told and says nothing of it.
  if (agreement.asset_level) sources["level"] = "asset";
  if (!agreement.asset_class.empty()) sources["class"] = "asset";
  // What an authority vouched for comes before what was typed here.
  const bool provides = agreement.our_side == odrl::Side::provider;
  auto home = signed_in(provides ? agreement.consumer_signature : agreement.provider_signature);
  if (!home.empty()) sources["jurisdiction"] = "certificate";
  if (home.empty()) {
    home = parts.peers.jurisdiction(agreement.peer());
    if (!home.empty()) sources["jurisdiction"] = "config";
  }
  if (!home.empty()) record.set("jurisdiction", home);
  record.set_json("sources", sources);
  step.drafts.push_back(std::move(record));
  step.agreement = std::move(agreement);
  step.activate = std::move(*terms);
  return {};
}

}  // namespace tally::negotiation
