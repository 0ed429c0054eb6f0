#include "facts.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "tally/odrl/terms.hpp"

namespace tally::usage {
namespace {

struct Word {
  std::string_view iri;
  Subject subject;
};
constexpr auto words = std::to_array<Word>({
    {odrl::iri::application, Subject::application},
    {"https://w3id.org/idsa/code/APPLICATION", Subject::application},
    {odrl::iri::role, Subject::role},
    {"https://w3id.org/idsa/code/ROLE", Subject::role},
    {"http://www.w3.org/2006/vcard/ns#hasRole", Subject::role},
    {odrl::iri::connector, Subject::connector},
    {"https://w3id.org/idsa/code/CONNECTOR", Subject::connector},
    {odrl::iri::system_device, Subject::connector},
    {"http://www.w3.org/ns/odrl/2/system", Subject::connector},
    {"http://www.w3.org/ns/odrl/2/device", Subject::connector},
    {odrl::iri::spatial, Subject::place},
    {odrl::iri::virtual_location, Subject::network},
    {odrl::iri::security_level, Subject::security_level},
    {"https://w3id.org/idsa/code/SECURITY_LEVEL", Subject::security_level},
    {odrl::iri::jurisdiction, Subject::jurisdiction},
    {"http://www.w3.org/2006/vcard/ns#hasGeo", Subject::jurisdiction},
    {odrl::iri::environment_state, Subject::environment},
    {"https://w3id.org/idsa/code/STATE", Subject::environment},
    {odrl::iri::artifact_state, Subject::artefact},
    {"https://w3id.org/idsa/code/ARTIFACT_STATE", Subject::artefact},
    {odrl::iri::classification, Subject::classification},
    {odrl::iri::recipient, Subject::recipient},
});

// Custody keeps nothing in the clear.
const std::vector<std::string> encrypted{"encrypted", "https://w3id.org/idsa/code/ENCRYPTED"};
const std::vector<std::string> encrypted_and_derived{
    "encrypted", "https://w3id.org/idsa/code/ENCRYPTED", "derived"};

// What leaves this connector has a recipient that nobody here knows.
bool leaves(std::string_view action) {
  return odrl::is_or_below(action, odrl::iri::export_) ||
         odrl::is_or_below(action, odrl::iri::distribute) ||
         odrl::is_or_below(action, odrl::iri::transfer);
}

}  // namespace

std::optional<Subject> subject_of(std::string_view operand) {
  const auto found = std::ranges::find(words, operand, &Word::iri);
  if (found == words.end()) return std::nullopt;
  return found->subject;
}

Asked::Asked(const odrl::CompiledPolicy& policy) {
  for (const auto operand : policy.operands()) {
    contact_ = contact_ || operand == odrl::iri::check_in;
    metered_ = metered_ || operand == odrl::iri::metered_time;
    if (const auto subject = subject_of(operand)) operands_.push_back({operand, *subject});
  }
}

std::vector<odrl::Fact> Asked::lasting_facts(
    const AgreementTerms& terms, const Surroundings& around
) const {
  static const Site nothing;
  const bool provides = terms.our_side == odrl::Side::provider;
  const auto peer = around.peers.find(terms.consumer);
  const Site& site = !provides ? around.own : peer == around.peers.end() ? nothing : peer->second;
  std::vector<odrl::Fact> facts;
  const auto add = [&facts](
                       std::string_view operand,
                       std::span<const std::string> values,
                       odrl::Source source = odrl::Source::registration
                   ) {
    if (!values.empty()) facts.push_back(odrl::declared_names(operand, values, source));
  };
  for (const auto& [iri, subject] : operands_) {
    switch (subject) {
      case Subject::connector:
        add(iri,
            {&terms.consumer.uri, 1},
            provides ? odrl::Source::certificate : odrl::Source::registration);
        break;
      case Subject::place:
        add(iri, site.places);
        break;
      case Subject::network:
        add(iri, site.networks);
        break;
      case Subject::security_level:
        add(iri, site.security_levels);
        break;
      case Subject::environment:
        add(iri, site.states);
        break;
      case Subject::jurisdiction:
        if (!terms.consumer_country.empty()) {
          add(iri, {&terms.consumer_country, 1}, odrl::Source::certificate);
        } else if (!site.jurisdiction.empty()) {
          add(iri, {&site.jurisdiction, 1});
        }
        break;
      case Subject::artefact:
        if (!provides) add(iri, encrypted, odrl::Source::measured);
        break;
      case Subject::classification:
        if (!terms.asset_class.empty()) add(iri, {&terms.asset_class, 1});
        break;
      case Subject::application:
      case Subject::role:
      case Subject::recipient:
        break;
    }
  }
  return facts;
}

void Asked::add_act_facts(
    const Act& act, const AgreementTerms& terms, std::vector<odrl::Fact>& facts
) const {
  const auto add = [&facts](
                       std::string_view operand,
                       std::span<const std::string> values,
                       odrl::Source source = odrl::Source::registration
                   ) { facts.push_back(odrl::declared_names(operand, values, source)); };
  for (const auto& [iri, subject] : operands_) {
    switch (subject) {
      case Subject::application:
        if (!act.app.empty()) add(iri, {&act.app.value, 1});
        break;
      case Subject::role:
        if (!act.roles.empty()) add(iri, act.roles);
        break;
      case Subject::connector:
        // Its name is the operator's word, not an authority's.
        if (act.by_credential) add(iri, {&terms.consumer.uri, 1});
        break;
      case Subject::network:
        if (!act.address.empty()) add(iri, {&act.address, 1}, odrl::Source::measured);
        break;
      case Subject::classification:
        if (!act.asset_class.empty()) add(iri, {&act.asset_class, 1});
        break;
      case Subject::artefact:
        if (act.of_derived) add(iri, encrypted_and_derived, odrl::Source::measured);
        break;
      case Subject::recipient:
        if (!leaves(act.action)) {
          const bool certified = terms.our_side == odrl::Side::provider && !act.by_credential;
          add(iri,
              {&terms.consumer.uri, 1},
              certified ? odrl::Source::certificate : odrl::Source::registration);
        }
        break;
      default:
        break;
    }
  }
}

}  // namespace tally::usage
