// Does a request go beyond an offer? Each step is sound by itself: what is not seen to be within
// counts as beyond.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/odrl/compare.hpp"

#include "imply.hpp"

namespace tally::odrl {
namespace {

std::string actions_of(const Plan& plan, const Rule& rule) {
  std::string out;
  for (const auto& action : rule.actions) {
    if (!out.empty()) out += ", ";
    out += local_name(plan.names[action.name]);
  }
  return out;
}

Widening widening(
    std::string code,
    std::string pointer,
    std::string operand,
    std::string required,
    std::string found
) {
  Widening out;
  out.pointer = std::move(pointer);
  out.left_operand = std::move(operand);
  out.required = std::move(required);
  out.found = std::move(found);
  out.message = {
      std::move(code),
      {{"operand", std::string(local_name(out.left_operand))},
       {"required", out.required},
       {"found", out.found.empty() ? "-" : out.found},
       {"pointer", out.pointer}}};
  return out;
}

bool actions_within(const Plan& in, const Rule& inner, const Plan& out, const Rule& outer) {
  if (inner.any_action) return outer.any_action;
  return std::ranges::all_of(inner.actions, [&](const ActionUse& one) {
    return outer.any_action || std::ranges::any_of(outer.actions, [&](const ActionUse& high) {
             return one.action && high.action && is_or_below(*one.action, *high.action) &&
                    keeps_all(in, one.refinements, out, high.refinements);
           });
  });
}

bool selectors_within(
    const Plan& in,
    const std::vector<Selector>& inner,
    const Plan& out,
    const std::vector<Selector>& outer
) {
  return std::ranges::all_of(inner, [&](const Selector& one) {
    return std::ranges::any_of(outer, [&](const Selector& two) {
      return in.names[one.name] == out.names[two.name] &&
             keeps_all(in, one.refinements, out, two.refinements);
    });
  });
}

bool has_refinements(const std::vector<Selector>& list) {
  return std::ranges::any_of(list, [](const Selector& one) { return one.refinements.count > 0; });
}

// Targets and parties that the rule itself names, where they differ from the policy's. What the
// policies share is the negotiation's own business, unless it is refined.
bool scope_within(const Plan& in, const Rule& inner, const Plan& out, const Rule& outer) {
  const auto within = [&](bool own, const auto& narrow, bool theirs, const auto& wide) {
    const bool named = own || theirs || has_refinements(wide);
    if (!named) return true;
    if (wide.empty()) return !own || theirs == own;
    return !narrow.empty() && selectors_within(in, narrow, out, wide);
  };
  const bool targets = within(inner.own_targets, inner.targets, outer.own_targets, outer.targets);
  const bool assignees =
      outer.assignees.empty() ||
      within(inner.own_assignees, inner.assignees, outer.own_assignees, outer.assignees);
  return targets && assignees;
}

std::optional<Widening> duties_lost(
    const Plan& offer,
    const std::vector<Index>& wanted,
    const Plan& request,
    const std::vector<Index>& have,
    const std::string& pointer
) {
  for (const auto index : wanted) {
    const auto& duty = offer.duties[index];
    const bool kept = std::ranges::any_of(have, [&](Index one) {
      return keeps(request, request.duties[one], offer, duty) == Truth::yes;
    });
    if (kept) continue;
    const auto* found = have.empty() ? nullptr : &request.duties[have.front()];
    return widening(
        "odrl.widens-duty",
        found ? found->pointer : pointer,
        {},
        duty_text(offer, duty),
        found ? duty_text(request, *found) : ""
    );
  }
  return std::nullopt;
}

// --- permissions ---

// How `request` goes beyond `offer`, and how many of the offer's constraints it keeps.
struct Fit {
  std::optional<Widening> widening;
  std::size_t kept = 0;
};

// A name outside the offer beside the offer's own constraint would make a contract that permits
// nothing. Who asks for it asks for more than is offered, and has to be told.
std::optional<Widening> names_outside(
    const std::vector<Term>& found, const std::vector<Term>& required
) {
  const auto is_list = [](const Term& one) {
    return one.node().kind == NodeKind::atom && one.term().kind == ValueKind::name &&
           one.term().every_value && lists_what_is_meant(one.node().op);
  };
  for (const auto& one : found) {
    if (!is_list(one)) continue;
    for (const auto& limit : required) {
      if (!is_list(limit) || limit.term().iri != one.term().iri) continue;
      if (implies(one, limit) || implies(limit, one)) continue;
      return widening(
          "odrl.widens-value",
          one.pointer(),
          std::string(one.term().iri),
          text_of(limit),
          text_of(one)
      );
    }
  }
  return std::nullopt;
}

Widening lost_constraint(const Term& wanted, const std::vector<Term>& found, const Rule& ours) {
  if (wanted.node().kind != NodeKind::atom) {
    return widening("odrl.widens-constraint", ours.pointer, {}, text_of(wanted), "");
  }
  const auto same = std::ranges::find_if(found, [&](const Term& one) {
    return one.node().kind == NodeKind::atom && one.term().iri == wanted.term().iri;
  });
  const bool present = same != found.end();
  return widening(
      present ? "odrl.widens-value" : "odrl.widens-missing",
      present ? same->pointer() : ours.pointer,
      std::string(wanted.term().iri),
      text_of(wanted),
      present ? text_of(*same) : ""
  );
}

Fit fit_permission(const Plan& offer, const Rule& theirs, const Plan& request, const Rule& ours) {
  Fit fit;
  if (!scope_within(request, ours, offer, theirs)) {
    fit.widening = widening("odrl.widens-scope", ours.pointer, {}, theirs.id.value, ours.id.value);
    return fit;
  }
  const auto required = conditions_of(offer, theirs);
  const auto found = conditions_of(request, ours);
  for (const auto& wanted : required) {
    if (held_by(found, wanted)) {
      ++fit.kept;
    } else if (!fit.widening) {
      fit.widening = lost_constraint(wanted, found, ours);
    }
  }
  if (!fit.widening) fit.widening = names_outside(found, required);
  if (!fit.widening) {
    fit.widening = duties_lost(offer, theirs.duties, request, ours.duties, ours.pointer);
  }
  return fit;
}

std::optional<Widening> permissions(const Plan& offer, const Plan& request) {
  std::vector<bool> taken(offer.rules.size(), false);
  for (const auto& ours : request.rules) {
    if (ours.kind != RuleKind::permission) continue;
    std::optional<Fit> best;
    bool covered = false;
    for (std::size_t i = 0; i < offer.rules.size() && !covered; ++i) {
      const auto& theirs = offer.rules[i];
      const bool fits = theirs.kind == RuleKind::permission && !ours.lacks_action &&
                        !theirs.lacks_action && actions_within(request, ours, offer, theirs);
      if (!fits) continue;
      auto fit = fit_permission(offer, theirs, request, ours);
      // Two rules in the place of one that counts would count to its limit twice.
      if (!fit.widening && theirs.stateful && taken[i]) {
        fit.widening =
            widening("odrl.widens-twice", ours.pointer, {}, theirs.id.value, ours.id.value);
      }
      covered = !fit.widening;
      if (covered) taken[i] = true;
      if (!best || fit.kept > best->kept) best = std::move(fit);
    }
    if (covered) continue;
    if (best) return best->widening;
    std::string offered;
    for (const auto& theirs : offer.rules) {
      if (theirs.kind != RuleKind::permission) continue;
      if (!offered.empty()) offered += ", ";
      offered += actions_of(offer, theirs);
    }
    return widening(
        "odrl.widens-action", child(ours.pointer, "action"), {}, offered, actions_of(request, ours)
    );
  }
  return std::nullopt;
}

// --- prohibitions ---

// The request's prohibition has to reach as far: no action, target or party less, and no further
// condition.
bool reaches(const Plan& request, const Rule& ours, const Plan& offer, const Rule& theirs) {
  const bool acts = std::ranges::all_of(theirs.actions, [&](const ActionUse& one) {
    return ours.any_action || std::ranges::any_of(ours.actions, [&](const ActionUse& high) {
             return one.action && high.action && is_or_below(*one.action, *high.action) &&
                    keeps_all(offer, one.refinements, request, high.refinements);
           });
  });
  const auto wide_enough = [&](bool own, const auto& wide, bool other, const auto& narrow) {
    if (!own && !other && !has_refinements(wide)) return true;
    return wide.empty() || (!narrow.empty() && selectors_within(offer, narrow, request, wide));
  };
  return acts && !theirs.any_action &&
         wide_enough(ours.own_targets, ours.targets, theirs.own_targets, theirs.targets) &&
         wide_enough(ours.own_assignees, ours.assignees, theirs.own_assignees, theirs.assignees) &&
         keeps_all(conditions_of(offer, theirs), conditions_of(request, ours));
}

std::optional<Widening> prohibitions(const Plan& offer, const Plan& request) {
  for (const auto& theirs : offer.rules) {
    if (theirs.kind != RuleKind::prohibition) continue;
    const bool kept = std::ranges::any_of(request.rules, [&](const Rule& ours) {
      return ours.kind == RuleKind::prohibition && reaches(request, ours, offer, theirs);
    });
    if (!kept) return widening("odrl.widens-prohibition", "", {}, actions_of(offer, theirs), "");
  }
  if (request.conflict == Conflict::perm && offer.conflict != Conflict::perm) {
    return widening(
        "odrl.widens-conflict",
        "/conflict",
        {},
        offer.conflict == Conflict::prohibit ? "prohibit" : "invalid",
        "perm"
    );
  }
  return std::nullopt;
}

}  // namespace

std::optional<Widening> widens(const CompiledPolicy& offer, const CompiledPolicy& request) {
  const auto& theirs = offer.plan();
  const auto& ours = request.plan();
  auto found = permissions(theirs, ours);
  if (!found) found = prohibitions(theirs, ours);
  if (!found) found = duties_lost(theirs, theirs.obligations, ours, ours.obligations, "");
  // An act that shows it, where a search of the states finds one.
  if (found) {
    CompareFacts facts;
    facts.most_steps = 200'000;  // a stranger's request, on the thread that serves everybody
    found->witness = refines(request, offer, facts).witness;
  }
  return found;
}

std::optional<Widening> widens(const Json& offer, const Json& request, const LoadOptions& options) {
  const auto refused = [](const std::vector<Problem>& problems) {
    Widening out;
    out.pointer = problems.front().pointer;
    out.message = problems.front().message;
    return out;
  };
  const auto theirs = load_policy(offer, options);
  if (!theirs) return refused(theirs.error());
  const auto ours = load_policy(request, options);
  if (!ours) return refused(ours.error());
  return widens(**theirs, **ours);
}

}  // namespace tally::odrl
