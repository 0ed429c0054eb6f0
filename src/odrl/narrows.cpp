#include "tally/odrl/narrows.hpp"

#include <algorithm>
#include <compare>
#include <limits>

#include <nlohmann/json.hpp>

#include "plan.hpp"

namespace tally::odrl {
namespace {

template <class T>
bool subset(const std::vector<T>& inner, const std::vector<T>& outer) {
  return std::ranges::all_of(inner, [&](const T& one) {
    return std::ranges::find(outer, one) != outer.end();
  });
}

template <class T>
bool disjoint(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::none_of(a, [&](const T& one) {
    return std::ranges::find(b, one) != b.end();
  });
}

bool lists_what_is_meant(Operator op) {
  return op == Operator::eq || op == Operator::is_any_of;
}
bool lists_what_is_not_meant(Operator op) {
  return op == Operator::neq || op == Operator::is_none_of;
}

bool equal(const Atom& a, const Atom& b) {
  return a.operand == b.operand && a.op == b.op && a.values == b.values &&
         (a.operand != Operand::count || a.owner == b.owner);
}

bool equal(const Node& a, const Node& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == NodeKind::atom) return equal(a.atom, b.atom);
  return std::ranges::equal(a.children, b.children, [](const Node& x, const Node& y) {
    return equal(x, y);
  });
}

struct Range {
  std::optional<std::int64_t> least, most;
};
std::optional<Range> range_of(const Atom& atom) {
  const auto& values = std::get<std::vector<std::int64_t>>(atom.values);
  const auto first = values.front();
  constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
  constexpr auto highest = std::numeric_limits<std::int64_t>::max();
  switch (atom.op) {
    case Operator::lt:
      return first == lowest ? std::nullopt : std::optional(Range{{}, first - 1});
    case Operator::lteq:
      return Range{{}, first};
    case Operator::gt:
      return first == highest ? std::nullopt : std::optional(Range{first + 1, {}});
    case Operator::gteq:
      return Range{first, {}};
    case Operator::eq:
    case Operator::is_any_of:
      return Range{*std::ranges::min_element(values), *std::ranges::max_element(values)};
    default:
      return std::nullopt;
  }
}

bool count_implies(const Atom& a, const Atom& b) {
  if (a.owner != b.owner) return false;
  // Only bounds are compared; a list of b has holes, unless a lists no more than b does.
  if (lists_what_is_meant(a.op) && lists_what_is_meant(b.op)) {
    return subset(
        std::get<std::vector<std::int64_t>>(a.values), std::get<std::vector<std::int64_t>>(b.values)
    );
  }
  if (lists_what_is_meant(b.op)) return false;
  const auto inner = range_of(a);
  const auto outer = range_of(b);
  if (!inner || !outer) return false;
  return (!outer->most || (inner->most && *inner->most <= *outer->most)) &&
         (!outer->least || (inner->least && *inner->least >= *outer->least));
}

bool time_implies(const Atom& a, const Atom& b) {
  const bool bounded = b.op == Operator::lt || b.op == Operator::lteq || b.op == Operator::gt ||
                       b.op == Operator::gteq || b.op == Operator::eq;
  if (!bounded) return false;
  const auto inner = time_bounds(a);
  const auto outer = time_bounds(b);
  return (!outer.until || (inner.until && *inner.until <= *outer.until)) &&
         (!outer.from || (inner.from && *inner.from >= *outer.from));
}

bool elapsed_implies(const Atom& a, const Atom& b) {
  const auto upper = [](Operator op) { return op == Operator::lt || op == Operator::lteq; };
  const auto lower = [](Operator op) { return op == Operator::gt || op == Operator::gteq; };
  const auto order = compare(
      std::get<std::vector<XsdDuration>>(a.values).front(),
      std::get<std::vector<XsdDuration>>(b.values).front()
  );
  if (!order) return false;
  if (upper(a.op) && upper(b.op)) {
    return std::is_lt(*order) || (std::is_eq(*order) && (a.op == b.op || a.op == Operator::lt));
  }
  if (lower(a.op) && lower(b.op)) {
    return std::is_gt(*order) || (std::is_eq(*order) && (a.op == b.op || a.op == Operator::gt));
  }
  return false;
}

bool purpose_implies(const Atom& a, const Atom& b) {
  const auto& inner = std::get<std::vector<std::string>>(a.values);
  const auto& outer = std::get<std::vector<std::string>>(b.values);
  if (lists_what_is_meant(a.op)) {
    if (lists_what_is_not_meant(b.op)) return disjoint(inner, outer);
    return (lists_what_is_meant(b.op) || b.op == Operator::is_a || b.op == Operator::is_part_of) &&
           subset(inner, outer);
  }
  if (lists_what_is_not_meant(a.op)) return lists_what_is_not_meant(b.op) && subset(outer, inner);
  const bool below_a = a.op == Operator::is_a || a.op == Operator::is_part_of;
  const bool below_b = b.op == Operator::is_a || b.op == Operator::is_part_of;
  if (below_a && below_b) return subset(inner, outer);
  return a.op == Operator::is_all_of && b.op == Operator::is_all_of && subset(outer, inner);
}

bool atom_implies(const Atom& a, const Atom& b) {
  if (a.operand != b.operand) return false;
  if (equal(a, b)) return true;
  switch (a.operand) {
    case Operand::date_time:
      return time_implies(a, b);
    case Operand::count:
      return count_implies(a, b);
    case Operand::purpose:
      return purpose_implies(a, b);
    case Operand::elapsed_time:
      return elapsed_implies(a, b);
  }
  return false;
}

// Whenever `a` holds, `b` holds. Each step is sound by itself; a false may only mean "not seen".
bool implies(const Node& a, const Node& b) {
  if (equal(a, b)) return true;
  const auto any = [](const auto& nodes, auto&& test) { return std::ranges::any_of(nodes, test); };
  const auto all = [](const auto& nodes, auto&& test) { return std::ranges::all_of(nodes, test); };
  if (b.kind == NodeKind::all)
    return all(b.children, [&](const Node& one) { return implies(a, one); });
  if (a.kind == NodeKind::any)
    return all(a.children, [&](const Node& one) { return implies(one, b); });
  if (a.kind == NodeKind::all &&
      any(a.children, [&](const Node& one) { return implies(one, b); })) {
    return true;
  }
  if (b.kind == NodeKind::any)
    return any(b.children, [&](const Node& one) { return implies(a, one); });
  return a.kind == NodeKind::atom && b.kind == NodeKind::atom && atom_implies(a.atom, b.atom);
}

// The nodes that all have to hold, with `and` opened up.
void flatten(const std::vector<Node>& nodes, std::vector<const Node*>& out) {
  for (const auto& node : nodes) {
    if (node.kind == NodeKind::all) {
      flatten(node.children, out);
    } else {
      out.push_back(&node);
    }
  }
}

bool held_by(const std::vector<const Node*>& nodes, const Node& wanted) {
  return std::ranges::any_of(nodes, [&](const Node* one) { return implies(*one, wanted); });
}

std::string text_of(const Node& node) {
  if (node.kind == NodeKind::atom) {
    std::string out(operator_word(node.atom.op));
    out += ' ';
    out += node.atom.required;
    if (node.atom.operand == Operand::count) {
      out += " (";
      out += to_string(node.atom.owner);
      out += ')';
    }
    return out;
  }
  std::string out = node.kind == NodeKind::all   ? "and("
                    : node.kind == NodeKind::any ? "or("
                                                 : "xone(";
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (i > 0) out += ", ";
    const auto& inner = node.children[i];
    if (inner.kind == NodeKind::atom) {
      out += operand_word(inner.atom.operand);
      out += ' ';
    }
    out += text_of(inner);
  }
  return out + ")";
}

std::string actions_of(const Rule& rule) {
  std::string out;
  for (const auto action : rule.actions) {
    if (!out.empty()) out += ", ";
    out += local_name(action_iri(action));
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

bool actions_within(const Rule& inner, const Rule& outer) {
  return std::ranges::all_of(inner.actions, [&](ActionId one) {
    return std::ranges::any_of(outer.actions, [&](ActionId high) {
      return is_or_below(one, high);
    });
  });
}

// Targets and parties that the rule itself names, where they differ from the policy's.
bool scope_within(const Rule& inner, const Rule& outer) {
  const auto within = [](bool own, const auto& narrow, const auto& wide) {
    return !own || wide.empty() || (!narrow.empty() && subset(narrow, wide));
  };
  return within(outer.own_targets, inner.targets, outer.targets) &&
         within(outer.own_assignees, inner.assignees, outer.assignees) &&
         // A rule of the request that names its own target where the offer's does not reaches out.
         (!inner.own_targets || subset(inner.targets, outer.targets)) &&
         (!inner.own_assignees || outer.assignees.empty() ||
          subset(inner.assignees, outer.assignees));
}

// Is the duty of the request due no later than that of the offer?
bool no_later(const DutySummary& ours, const DutySummary& theirs) {
  if (ours.action != theirs.action) return false;
  if (ours.deadline == DeadlineKind::at_once) return true;
  if (ours.at && theirs.at) return *ours.at <= *theirs.at;
  if (ours.deadline != DeadlineKind::after_use || theirs.deadline != DeadlineKind::after_use) {
    return false;
  }
  const auto order = compare(ours.after, theirs.after);
  return order && std::is_lteq(*order);
}

std::string deadline_text(const DutySummary& duty) {
  switch (duty.deadline) {
    case DeadlineKind::at_instant:
    case DeadlineKind::when_expired:
      return "delete lteq " + format_micros(*duty.at);
    case DeadlineKind::after_use:
      return "delete lteq " + format_duration(duty.after);
    case DeadlineKind::at_once:
      return "delete";
  }
  return {};
}

std::optional<Widening> duties_lost(
    const std::vector<DutySummary>& offered,
    const std::vector<std::size_t>& wanted,
    const std::vector<DutySummary>& requested,
    const std::vector<std::size_t>& have,
    const std::string& pointer
) {
  for (const auto index : wanted) {
    const auto& duty = offered[index];
    const bool kept =
        std::ranges::any_of(have, [&](std::size_t one) { return no_later(requested[one], duty); });
    if (kept) continue;
    const auto* found = have.empty() ? nullptr : &requested[have.front()];
    return widening(
        "odrl.widens-duty",
        found ? found->pointer : pointer,
        {},
        deadline_text(duty),
        found ? deadline_text(*found) : ""
    );
  }
  return std::nullopt;
}

// How `request` goes beyond `offer`, and how many of the offer's constraints it keeps.
struct Fit {
  std::optional<Widening> widening;
  std::size_t kept = 0;
};

Fit fit_permission(const Plan& offer, const Rule& theirs, const Plan& request, const Rule& ours) {
  Fit fit;
  if (!scope_within(ours, theirs)) {
    fit.widening = widening("odrl.widens-scope", ours.pointer, {}, theirs.id.value, ours.id.value);
    return fit;
  }
  std::vector<const Node*> required, found;
  flatten(theirs.constraints, required);
  flatten(ours.constraints, found);
  for (const auto* node : required) {
    if (held_by(found, *node)) {
      ++fit.kept;
      continue;
    }
    if (fit.widening) continue;
    if (node->kind != NodeKind::atom) {
      fit.widening = widening("odrl.widens-constraint", ours.pointer, {}, text_of(*node), "");
      continue;
    }
    const auto same = std::ranges::find_if(found, [&](const Node* one) {
      return one->kind == NodeKind::atom && one->atom.operand == node->atom.operand;
    });
    const bool present = same != found.end();
    fit.widening = widening(
        present ? "odrl.widens-value" : "odrl.widens-missing",
        present ? (*same)->pointer : ours.pointer,
        std::string(operand_iri(node->atom.operand)),
        text_of(*node),
        present ? text_of(**same) : ""
    );
  }
  if (!fit.widening) {
    // A purpose outside the offer beside the offer's own constraint would make a contract that
    // permits nothing. Who asks for it asks for more than is offered, and has to be told.
    for (const auto* node : found) {
      if (node->kind != NodeKind::atom || node->atom.operand != Operand::purpose ||
          !lists_what_is_meant(node->atom.op)) {
        continue;
      }
      for (const auto* limit : required) {
        if (limit->kind != NodeKind::atom || limit->atom.operand != Operand::purpose ||
            !lists_what_is_meant(limit->atom.op)) {
          continue;
        }
        if (implies(*node, *limit) || implies(*limit, *node)) continue;
        fit.widening = widening(
            "odrl.widens-value",
            node->pointer,
            std::string(iri::purpose),
            text_of(*limit),
            text_of(*node)
        );
        return fit;
      }
    }
  }
  if (!fit.widening) {
    fit.widening =
        duties_lost(offer.duties, theirs.duties, request.duties, ours.duties, ours.pointer);
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
      if (theirs.kind != RuleKind::permission || !actions_within(ours, theirs)) continue;
      auto fit = fit_permission(offer, theirs, request, ours);
      // Two rules in the place of one that counts would count to its limit twice.
      const bool counts = theirs.has_count() || theirs.has_elapsed;
      if (!fit.widening && counts && taken[i]) {
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
      offered += actions_of(theirs);
    }
    return widening(
        "odrl.widens-action", child(ours.pointer, "action"), {}, offered, actions_of(ours)
    );
  }
  return std::nullopt;
}

std::optional<Widening> prohibitions(const Plan& offer, const Plan& request) {
  for (const auto& theirs : offer.rules) {
    if (theirs.kind != RuleKind::prohibition) continue;
    std::vector<const Node*> when;
    flatten(theirs.constraints, when);
    const bool kept = std::ranges::any_of(request.rules, [&](const Rule& ours) {
      if (ours.kind != RuleKind::prohibition || !actions_within(theirs, ours)) return false;
      // The prohibition of the request has to reach as far: no target or party less.
      const auto reaches = [](bool own, const auto& wide, const auto& narrow) {
        return !own || (!narrow.empty() && subset(narrow, wide));
      };
      if (!reaches(ours.own_targets, ours.targets, theirs.targets) ||
          !reaches(ours.own_assignees, ours.assignees, theirs.assignees)) {
        return false;
      }
      if (theirs.own_targets && !ours.targets.empty() && !subset(theirs.targets, ours.targets)) {
        return false;
      }
      return std::ranges::all_of(ours.constraints, [&](const Node& one) {
        return held_by(when, one) || (one.kind == NodeKind::all &&
                                      std::ranges::all_of(one.children, [&](const Node& inner) {
                                        return held_by(when, inner);
                                      }));
      });
    });
    if (!kept) {
      return widening("odrl.widens-prohibition", "", {}, actions_of(theirs), "");
    }
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
  if (auto found = permissions(theirs, ours)) return found;
  if (auto found = prohibitions(theirs, ours)) return found;
  return duties_lost(theirs.duties, theirs.obligations, ours.duties, ours.obligations, "");
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
