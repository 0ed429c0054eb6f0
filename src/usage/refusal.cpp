#include "refusal.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tally/odrl/explain.hpp"
#include "tally/odrl/terms.hpp"

#include "facts.hpp"

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

// Where an operator registers what is asked for.
std::string_view setting_of(Subject subject) {
  switch (subject) {
    case Subject::place:
      return "places";
    case Subject::network:
      return "networks";
    case Subject::security_level:
      return "securityLevels";
    case Subject::environment:
      return "states";
    default:
      return "jurisdiction";
  }
}

Message nobody_vouches(const AgreementTerms& terms, const Act& act, const ConstraintReport& leaf) {
  const auto subject = subject_of(leaf.left_operand);
  decltype(Message::params) params{
      {"agreement", terms.id.value},
      {"operand", std::string(odrl::local_name(leaf.left_operand))},
      {"required", leaf.required}};
  if (!subject) {
    if (leaf.left_operand == odrl::iri::event) return {"usage.event-unknown", std::move(params)};
    return {"usage.value-unknown", std::move(params)};
  }
  const bool provides = terms.our_side == odrl::Side::provider;
  switch (*subject) {
    case Subject::application:
    case Subject::role:
      if (provides || act.app.empty()) return {"usage.application-unknown", std::move(params)};
      params["app"] = act.app.value;
      return {"usage.role-unregistered", std::move(params)};
    case Subject::classification:
      return {"usage.class-unknown", std::move(params)};
    case Subject::connector:
    case Subject::artefact:
    case Subject::recipient:
      return {"usage.value-unknown", std::move(params)};
    default:
      break;
  }
  const std::string setting(setting_of(*subject));
  if (!provides) {
    params["setting"] = "site." + setting;
    return {"usage.site-unregistered", std::move(params)};
  }
  params["setting"] =
      *subject == Subject::jurisdiction ? "peers[].jurisdiction" : "peers[].site." + setting;
  params["peer"] = terms.consumer.uri;
  return {"usage.peer-unregistered", std::move(params)};
}

Message value_refused(const AgreementTerms& terms, const ConstraintReport& leaf) {
  return {
      "usage.value-not-allowed",
      {{"agreement", terms.id.value},
       {"operand", std::string(odrl::local_name(leaf.left_operand))},
       {"operator", leaf.op},
       {"required", leaf.required},
       {"found", leaf.actual}}};
}

// Whose confirmation is missing, and how it is given. nullopt: of no such duty.
std::optional<Message> unconfirmed(
    const AgreementTerms& terms,
    const odrl::DutyReport& condition,
    const std::vector<DutyState>& all
) {
  const auto found = std::ranges::find_if(all, [&](const DutyState& one) {
    return one.duty.duty == condition.duty;
  });
  if (!condition.blocks || found == all.end()) return std::nullopt;
  const DutyState& state = *found;
  const bool consent = state.duty.action == odrl::iri::obtain_consent;
  Message message{
      consent ? "usage.consent-missing" : "usage.confirmation-missing",
      {{"agreement", terms.id.value},
       {"action", std::string(odrl::local_name(state.duty.action))},
       {"duty", state.duty.pointer},
       {"provider", terms.provider.uri},
       {"party", state.duty.parties.empty() ? terms.provider.uri : state.duty.parties[0].second}}};
  const auto say = [&message](const char* code, const std::optional<Instant>& since) {
    message.code = code;
    message.params["since"] = since ? format_seconds(*since) : std::string("–");
  };
  if (state.standing == DutyStanding::overdue) {
    say("usage.confirmation-overdue", state.since);
  } else if (state.asked) {
    say("usage.consent-waiting", state.asked);
  } else if (state.rejected) {
    say("usage.consent-rejected", state.rejected);
  } else if (state.standing == DutyStanding::withdrawn) {
    say("usage.confirmation-withdrawn", state.since);
  } else if (state.standing == DutyStanding::lapsed) {
    say("usage.confirmation-lapsed", state.since);
  }
  return message;
}

// The condition that the sentence speaks of, beside it.
struct Said {
  Message message;
  const ConstraintReport* about = nullptr;
};

Said outer_sentence(
    const AgreementTerms& terms,
    const Act& act,
    const odrl::Decision& decision,
    const std::optional<audit::Unwitnessed>& unwitnessed,
    const std::vector<DutyState>& duties
) {
  const std::string agreement = terms.id.value;
  const std::string action(odrl::local_name(decision.action));
  const bool waits = decision.reason == odrl::Reason::condition_unfulfilled ||
                     decision.reason == odrl::Reason::condition_violated;
  if (waits && !decision.rules.empty()) {
    for (const auto& condition : decision.rules.front().conditions) {
      if (auto message = unconfirmed(terms, condition, duties)) return {*std::move(message)};
    }
  }
  switch (decision.reason) {
    case odrl::Reason::prohibited:
      return {{"usage.prohibited", {{"agreement", agreement}, {"action", action}}}};
    case odrl::Reason::condition_violated:
      return {{"usage.duty-overdue", {{"agreement", agreement}}}};
    case odrl::Reason::clock_unreliable:
      return {{"usage.clock-unreliable", {{"agreement", agreement}}}};
    default:
      break;
  }
  if (!decision.rules.empty()) {
    const auto& rule = decision.rules.front();
    if (rule.action != odrl::Truth::yes) {
      return {{"usage.action-not-allowed", {{"agreement", agreement}, {"action", action}}}};
    }
    // What no repetition can heal is said before what another request could put right.
    const auto because = [&rule](std::string_view operand, std::string_view why) {
      return find_failed(rule.constraints, [&](const ConstraintReport& leaf) {
        return leaf.left_operand == operand && leaf.because == why;
      });
    };
    const auto until = [](const ConstraintReport& leaf) {
      return leaf.until ? format_seconds(*leaf.until) : std::string("-");
    };
    if (const auto* leaf = because(odrl::iri::date_time, "ended")) {
      return {{"usage.expired", {{"agreement", agreement}, {"until", leaf->required}}}, leaf};
    }
    if (const auto* leaf = because(odrl::iri::elapsed_time, "ended")) {
      return {{"usage.period-over", {{"agreement", agreement}, {"period", leaf->required}}}, leaf};
    }
    const auto is_spent = [](const ConstraintReport& one) {
      return one.left_operand == odrl::iri::metered_time && one.state == odrl::Truth::no;
    };
    if (const auto* leaf = find_failed(rule.constraints, is_spent)) {
      return {
          {"usage.time-used-up",
           {{"agreement", agreement}, {"limit", leaf->required}, {"used", leaf->actual}}},
          leaf};
    }
    if (const auto* leaf = because(odrl::iri::purpose, "not-permitted-value")) {
      return {
          {"usage.purpose-not-allowed",
           {{"agreement", agreement}, {"required", leaf->required}, {"found", leaf->actual}}},
          leaf};
    }
    if (const auto* leaf = because(odrl::iri::purpose, "missing-value")) {
      return {
          {"usage.purpose-missing", {{"agreement", agreement}, {"required", leaf->required}}},
          leaf};
    }
    if (const auto* leaf = because(odrl::iri::count, "limit-reached")) {
      return {
          {"usage.limit-reached",
           {{"agreement", agreement},
            {"used", std::to_string(leaf->used.value_or(0))},
            {"limit", std::to_string(leaf->limit.value_or(0))}}},
          leaf};
    }
    for (const auto operand : {odrl::iri::count, odrl::iri::frequency, odrl::iri::metered_time}) {
      if (const auto* leaf = because(operand, "counted-elsewhere")) {
        return {{"usage.counted-elsewhere", {{"agreement", agreement}, {"action", action}}}, leaf};
      }
    }
    if (unwitnessed && because(odrl::iri::witnessing, "not-permitted-value") != nullptr) {
      return {not_witnessed(terms, *unwitnessed)};
    }
    if (because(odrl::iri::receipt_before_key, "missing-value") != nullptr) {
      return {{"usage.receipt-before-key", {{"agreement", agreement}, {"action", action}}}};
    }
    if (const auto* leaf = because(odrl::iri::date_time, "not-yet")) {
      return {{"usage.not-yet", {{"agreement", agreement}, {"from", leaf->required}}}, leaf};
    }
    for (const auto why : {"ended", "missing-value"}) {
      if (const auto* leaf = because(odrl::iri::check_in, why)) {
        return {
            {"usage.check-in-due",
             {{"agreement", agreement},
              {"period", leaf->required},
              {"provider", terms.provider.uri},
              {"last", leaf->actual.empty() ? std::string("-") : leaf->actual}}},
            leaf};
      }
    }
    if (const auto* leaf = because(odrl::iri::frequency, "limit-reached")) {
      return {
          {"usage.too-often",
           {{"agreement", agreement}, {"rate", leaf->required}, {"until", until(*leaf)}}},
          leaf};
    }
    if (const auto* leaf = because(odrl::iri::time_interval, "not-yet")) {
      return {
          {"usage.interval",
           {{"agreement", agreement}, {"period", leaf->required}, {"until", until(*leaf)}}},
          leaf};
    }
    // What is known and not allowed goes before what nobody knows.
    for (const auto* conditions : {&rule.constraints, &rule.refinements}) {
      const auto* leaf = find_failed(*conditions, [](const ConstraintReport& one) {
        return one.state == odrl::Truth::no &&
               (subject_of(one.left_operand) || one.left_operand == odrl::iri::event);
      });
      if (leaf == nullptr) continue;
      if (leaf->left_operand != odrl::iri::event) return {value_refused(terms, *leaf), leaf};
      return {
          {"usage.event-not-now", {{"agreement", agreement}, {"required", leaf->required}}}, leaf};
    }
    for (const auto* conditions : {&rule.constraints, &rule.refinements}) {
      const auto* leaf = find_failed(*conditions, [](const ConstraintReport& one) {
        return one.state == odrl::Truth::unknown && one.because == "missing-value";
      });
      if (leaf != nullptr) return {nobody_vouches(terms, act, *leaf), leaf};
    }
    for (const auto& [why, code] :
         {std::pair{"not-attested", "usage.not-attested"},
          std::pair{"incomparable", "usage.value-incomparable"}}) {
      for (const auto* conditions : {&rule.constraints, &rule.refinements}) {
        const auto* leaf = find_failed(*conditions, [&](const ConstraintReport& one) {
          return one.because == why;
        });
        if (leaf == nullptr) continue;
        auto message = value_refused(terms, *leaf);
        message.code = code;
        return {std::move(message), leaf};
      }
    }
  }
  return {
      {"usage.refused",
       {{"agreement", agreement}, {"reason", std::string(odrl::to_string(decision.reason))}}}};
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
    const Act& act,
    odrl::Decision decision,
    const std::optional<audit::Unwitnessed>& unwitnessed,
    const std::vector<DutyState>& duties
) {
  Refusal refusal;
  refusal.agreement = terms.id;
  auto [code, about] = outer_sentence(terms, act, decision, unwitnessed, duties);
  refusal.code = std::move(code);
  if (about != nullptr) {
    refusal.used = about->used;
    refusal.limit = about->limit;
    refusal.until = about->until;
  }
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
  const bool purposes = !act.purposes_not_registered.empty();
  Refusal refusal;
  refusal.agreement = terms.id;
  refusal.code = {
      purposes ? "usage.purpose-not-registered" : "usage.role-not-registered",
      {{"agreement", terms.id.value},
       {"app", act.app.value},
       {"found", joined(purposes ? act.purposes_not_registered : act.roles_not_registered)}}};
  refusal.decision = closed_decision(odrl::Reason::no_active_permission, terms, act);
  refusal.reasons = odrl::explain(refusal.decision);
  return refusal;
}

}  // namespace tally::usage
