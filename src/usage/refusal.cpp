#include "refusal.hpp"

#include <array>
#include <utility>

#include "tally/odrl/explain.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::usage {
namespace {

using odrl::ConstraintReport;

// The first failed leaf for which `wanted` holds, in the order of the document.
template <class Wanted>
const ConstraintReport* find_failed(
    const std::vector<ConstraintReport>& constraints, const Wanted& wanted
) {
  for (const auto& constraint : constraints) {
    if (constraint.state == odrl::Truth::yes) continue;
    if (constraint.children.empty()) {
      if (wanted(constraint)) return &constraint;
    } else if (const auto* found = find_failed(constraint.children, wanted)) {
      return found;
    }
  }
  return nullptr;
}

Message outer_sentence(
    const AgreementTerms& terms,
    const odrl::Decision& decision,
    const std::optional<audit::Unwitnessed>& unwitnessed
) {
  const std::string agreement = terms.id.value;
  const std::string action(odrl::local_name(decision.action));
  switch (decision.reason) {
    case odrl::Reason::prohibited:
      return {"usage.prohibited", {{"agreement", agreement}, {"action", action}}};
    case odrl::Reason::condition_violated:
      return {"usage.duty-overdue", {{"agreement", agreement}}};
    case odrl::Reason::clock_unreliable:
      return {"usage.clock-unreliable", {{"agreement", agreement}}};
    default:
      break;
  }
  if (!decision.rules.empty()) {
    const auto& rule = decision.rules.front();
    if (rule.action != odrl::Truth::yes) {
      return {"usage.action-not-allowed", {{"agreement", agreement}, {"action", action}}};
    }
    // What no repetition can heal is said before what another request could put right.
    const auto because = [&rule](std::string_view operand, std::string_view why) {
      return find_failed(rule.constraints, [&](const ConstraintReport& leaf) {
        return leaf.left_operand == operand && leaf.because == why;
      });
    };
    if (const auto* leaf = because(odrl::iri::date_time, "ended")) {
      return {"usage.expired", {{"agreement", agreement}, {"until", leaf->required}}};
    }
    if (const auto* leaf = because(odrl::iri::elapsed_time, "ended")) {
      return {"usage.period-over", {{"agreement", agreement}, {"period", leaf->required}}};
    }
    if (const auto* leaf = because(odrl::iri::purpose, "not-permitted-value")) {
      return {
          "usage.purpose-not-allowed",
          {{"agreement", agreement}, {"required", leaf->required}, {"found", leaf->actual}}};
    }
    if (const auto* leaf = because(odrl::iri::purpose, "missing-value")) {
      return {"usage.purpose-missing", {{"agreement", agreement}, {"required", leaf->required}}};
    }
    if (const auto* leaf = because(odrl::iri::count, "limit-reached")) {
      return {
          "usage.limit-reached",
          {{"agreement", agreement},
           {"used", std::to_string(leaf->used.value_or(0))},
           {"limit", std::to_string(leaf->limit.value_or(0))}}};
    }
    if (because(odrl::iri::count, "counted-elsewhere") != nullptr) {
      return {"usage.counted-elsewhere", {{"agreement", agreement}, {"action", action}}};
    }
    if (unwitnessed && because(odrl::iri::witnessing, "not-permitted-value") != nullptr) {
      return not_witnessed(terms, *unwitnessed);
    }
    if (because(odrl::iri::receipt_before_key, "missing-value") != nullptr) {
      return {"usage.receipt-before-key", {{"agreement", agreement}, {"action", action}}};
    }
    if (const auto* leaf = because(odrl::iri::date_time, "not-yet")) {
      return {"usage.not-yet", {{"agreement", agreement}, {"from", leaf->required}}};
    }
  }
  return {
      "usage.refused",
      {{"agreement", agreement}, {"reason", std::string(odrl::to_string(decision.reason))}}};
}

odrl::Decision closed_decision(odrl::Reason reason, const AgreementTerms& terms, const Act& act) {
  odrl::Decision decision;
  decision.permit = false;
  decision.reason = reason;
  decision.action = act.action;
  decision.target = terms.asset.value;
  decision.assignee = act.party.uri;
  return decision;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) {
    if (!all.empty()) all += ", ";
    all += text;
  }
  return all;
}

}  // namespace

Message not_witnessed(const AgreementTerms& terms, const audit::Unwitnessed& unwitnessed) {
  return {
      "usage.not-witnessed",
      {{"agreement", terms.id.value},
       {"witness", unwitnessed.witnesses},
       {"since", format_seconds(unwitnessed.since)}}};
}

Refusal refuse(
    const AgreementTerms& terms,
    odrl::Decision decision,
    const std::optional<audit::Unwitnessed>& unwitnessed
) {
  Refusal refusal;
  refusal.agreement = terms.id;
  refusal.code = outer_sentence(terms, decision, unwitnessed);
  refusal.reasons = odrl::explain(decision);
  refusal.decision = std::move(decision);
  return refusal;
}

Refusal refuse_closed(const AgreementTerms& terms, Closed state, const Act& act) {
  static constexpr std::array<std::pair<Closed, const char*>, 3> codes = {{
      {Closed::suspended, "usage.suspended"},
      {Closed::expired, "usage.ended"},
      {Closed::terminated, "usage.closed"},
  }};
  Refusal refusal;
  refusal.agreement = terms.id;
  refusal.code = {"usage.closed", {{"agreement", terms.id.value}}};
  for (const auto& [closed, code] : codes) {
    if (closed == state) refusal.code.code = code;
  }
  refusal.decision = closed_decision(odrl::Reason::agreement_closed, terms, act);
  refusal.reasons = odrl::explain(refusal.decision);
  return refusal;
}

Refusal refuse_held(const AgreementTerms& terms, const Hold& hold, const Act& act) {
  Refusal refusal;
  refusal.agreement = terms.id;
  refusal.code = explain(hold, terms.id);
  refusal.decision = closed_decision(odrl::Reason::held, terms, act);
  refusal.reasons = odrl::explain(refusal.decision);
  return refusal;
}

Refusal refuse_unable(const AgreementTerms& terms, const Act& act) {
  Refusal refusal;
  refusal.agreement = terms.id;
  refusal.code = *act.cannot;
  refusal.decision = closed_decision(odrl::Reason::obligation_unenforceable, terms, act);
  refusal.reasons = odrl::explain(refusal.decision);
  return refusal;
}

Refusal refuse_unregistered(const AgreementTerms& terms, const Act& act) {
  Refusal refusal;
  refusal.agreement = terms.id;
  refusal.code = {
      "usage.purpose-not-registered",
      {{"agreement", terms.id.value},
       {"app", act.app.value},
       {"found", joined(act.purposes_not_registered)}}};
  refusal.decision = closed_decision(odrl::Reason::no_active_permission, terms, act);
  refusal.reasons = odrl::explain(refusal.decision);
  return refusal;
}

}  // namespace tally::usage
