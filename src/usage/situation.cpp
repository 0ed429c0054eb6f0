#include "situation.hpp"

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "tally/odrl/terms.hpp"

namespace tally::usage {
namespace {

odrl::Request request_of(const Act& act, const AgreementTerms& terms) {
  odrl::Request request;
  request.assignee = act.party.uri;
  request.action = act.action;
  request.target = terms.asset.value;
  request.passed_on = act.passed_on;
  if (!act.purposes.empty()) {
    request.declared.push_back(
        odrl::declared_names(odrl::iri::purpose, act.purposes, act.purpose_source)
    );
  }
  return request;
}

// As policies ask: `witnessing strict` while nothing is missing, `receiptBeforeKey required` while
// data goes out so.
std::span<const odrl::Fact> standing_facts(const Around& around) {
  using Facts = std::vector<odrl::Fact>;
  static const auto made = [](bool strictly, bool key) {
    Facts facts;
    const auto add = [&facts](std::string_view operand, std::vector<std::string> names) {
      facts.push_back(odrl::declared_names(operand, names, odrl::Source::measured));
    };
    add(odrl::iri::witnessing,
        strictly ? std::vector<std::string>{"async", "strict"} : std::vector<std::string>{"async"});
    if (key) add(odrl::iri::receipt_before_key, {std::string(odrl::required_word)});
    return facts;
  };
  static const std::array<Facts, 4> all{
      made(false, false), made(false, true), made(true, false), made(true, true)};
  return all[(around.witnessed ? 2U : 0U) + (around.receipt_before_key ? 1U : 0U)];
}

// The use whose answer is given again, as far as counters look at it.
Use use_of(const Act::Repeats& earlier) {
  Use use;
  use.id = earlier.use.value;
  use.at = earlier.at;
  use.adds = earlier.adds;
  return use;
}

}  // namespace

Situation::Situation(
    const Entry& entry,
    const Act& act,
    const ClockReading& reading,
    const Around& around,
    const Use* without
)
    : policy_(*entry.terms->policy),
      request_(request_of(act, *entry.terms)),
      enforceable_(odrl::enforced_duties_of(act.action)) {
  std::optional<Use> repeated;
  if (act.repeats) without = &repeated.emplace(use_of(*act.repeats));
  world_.now = reading.at;
  world_.clock_reliable = reading.reliable;
  world_.here = entry.terms->our_side;
  world_.usage = entry.usage();
  if (entry.asked.metered()) {
    usage_ = entry.usage_at(reading.at, without);
    world_.usage = usage_;
  } else if (without != nullptr) {
    usage_ = entry.usage_without(*without);
    world_.usage = usage_;
  }
  world_.overdue = entry.overdue;
  if (!around.begun && entry.duties.owes_after()) {
    overdue_ = entry.duties.overdue(reading, entry);
    overdue_.insert(overdue_.end(), entry.overdue.begin(), entry.overdue.end());
    world_.overdue = overdue_;
  }
  world_.performed = entry.duties.performed();
  world_.facts = standing_facts(around);
  if (entry.asked.facts()) {
    facts_.assign(world_.facts.begin(), world_.facts.end());
    entry.asked.add_act_facts(act, *entry.terms, facts_);
    world_.facts = facts_;
    world_.lasting = entry.lasting;
  }
  if (entry.around) {
    world_.taxonomy = entry.around->taxonomy;
    world_.events = entry.around->events;
  }
  world_.last_contact = around.last_contact;
}

odrl::Decision Situation::decide(odrl::Explain explain) const {
  odrl::EvaluateOptions options;
  options.explain = explain;
  // An obligation that nobody here carries out is no permit.
  options.enforceable = enforceable_;
  return odrl::evaluate(policy_, request_, world_, options);
}

}  // namespace tally::usage
