#include "data_sources.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/terms.hpp"

namespace tally::daemon {

namespace {

// The latest artefact under an agreement. One request.
class HeldSource final : public dataplane::Source {
 public:
  HeldSource(HeldReader& held, AgreementId agreement)
      : held_(held), agreement_(std::move(agreement)) {}

  awaitable<Result<dataplane::SourceIdentity>> identify() override {
    auto found = held_.held(agreement_);
    if (!found) co_return fail(std::move(found));
    artefact_ = found->artefact;
    co_return dataplane::SourceIdentity{found->content, found->length};
  }
  awaitable<Result<std::unique_ptr<BodyReader>>>
  open(std::uint64_t offset, std::optional<std::uint64_t>) override {
    return held_.open(artefact_, offset);
  }

 private:
  HeldReader& held_;
  AgreementId agreement_;
  ArtefactId artefact_;
};

}  // namespace

AgreementId held_under(const Json& spec) {
  if (!spec.is_object() || spec.value("type", Json()) != "custody") return {};
  return AgreementId(string_member(spec, "agreement", "").value_or(""));
}

std::vector<std::string> onward_purposes(const Json& spec) {
  const auto purpose = spec.is_object() ? spec.value("purpose", Json()) : Json();
  if (!purpose.is_string()) return {};
  return {purpose.get<std::string>()};
}

DataSources::DataSources(
    dataplane::SourceReader& files, const usage::Enforcer& enforcer, PartyId self
)
    : files_(files), enforcer_(enforcer), self_(std::move(self)) {}

Result<void> DataSources::check(const Json& spec) const {
  const auto type = string_member(spec, "type", "");
  if (!type || *type != "custody") {
    auto source = files_.source(spec);
    if (!source) return fail(std::move(source));
    return {};
  }
  for (const auto& [key, value] : spec.items()) {
    if (key == "type" || key == "agreement") continue;
    if (key == "purpose" && value.is_string()) continue;
    return fail(ErrorKind::invalid, {"sources.unknown-member", {{"member", key}}}, child("", key));
  }
  const auto agreement = string_member(spec, "agreement", "");
  if (!agreement) return tl::unexpected(agreement.error());
  const auto known = enforcer_.state(AgreementId(*agreement));
  if (!known || known->terms.our_side != odrl::Side::consumer) {
    return fail(
        ErrorKind::invalid, {"catalog.source-agreement", {{"agreement", *agreement}}}, "/agreement"
    );
  }
  usage::Act act;
  act.agreement = AgreementId(*agreement);
  act.action = std::string(odrl::iri::distribute);
  act.party = self_;
  act.purposes = onward_purposes(spec);
  act.purpose_source = odrl::Source::registration;
  const auto looked = enforcer_.dry_run(act);
  if (!looked) return tl::unexpected(looked.error());
  if (looked->refusal) {
    return fail(
        ErrorKind::forbidden, {"catalog.not-passed-on", {{"agreement", *agreement}}}, "/agreement"
    );
  }
  return {};
}

odrl::PolicyPtr DataSources::bound_by(const Json& spec) const {
  const auto agreement = held_under(spec);
  if (agreement.empty()) return nullptr;
  const auto known = enforcer_.state(agreement);
  return known ? known->terms.policy : nullptr;
}

Result<std::unique_ptr<dataplane::Source>> DataSources::source(const Json& spec) {
  const auto agreement = held_under(spec);
  if (agreement.empty()) return files_.source(spec);
  if (held_ == nullptr) {
    return fail(ErrorKind::not_found, {"api.nothing-held", {{"agreement", agreement.value}}});
  }
  return std::unique_ptr<dataplane::Source>(new HeldSource(*held_, agreement));
}

}  // namespace tally::daemon
