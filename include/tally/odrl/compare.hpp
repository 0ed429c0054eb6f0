// What two policies have to do with each other, before anybody acts under them: can one state of
// the world satisfy both, does one permit no more than the other, can one be satisfied at all, and
// do their rules contradict each other.
//
// Every answer has three values, and a yes or no that a state of the world can show comes with that
// state. Too large a question is answered with unknown, never with a guess. Orders are dense; a
// duration is a point here, also with eq (in `evaluate` it is a budget). Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tally/odrl/policy.hpp"
#include "tally/odrl/values.hpp"

namespace tally::odrl {

enum class Verdict {
  compatible,
  conflict,
  refines,
  not_refines,
  realizable,
  unrealizable,
  unknown,
};
std::string_view to_string(Verdict verdict);  // "not-refines"

// What may be taken as known beyond the policies.
struct CompareFacts {
  std::vector<Broader> taxonomy;
  // Two names that nothing can be both of. {"urn:x:*", ""}: all that begin so are pairwise
  // distinct.
  std::vector<std::pair<std::string, std::string>> disjoint;
  // Different names are different things unless the taxonomy relates them.
  bool closed_world = false;
  // per_operand: an operand that only one side names is unknown rather than left out.
  bool silent_is_unknown = false;
  // How much may be looked at before the answer is unknown: one step is one constraint in one state.
  // About 50 ns each; a policy from a stranger cannot take more.
  std::size_t most_steps = 2'000'000;
};

// One value of a state of the world.
struct WitnessValue {
  std::string operand;  // IRI
  std::string value;    // as people read it
};
// "purpose = urn:x, count = 4"; "-" for none.
std::string to_text(const std::vector<WitnessValue>& witness);

struct Comparison {
  Verdict verdict = Verdict::unknown;
  // The state that shows it: that satisfies both, that the first permits and the second does not,
  // that satisfies the one. Empty where no state does.
  std::vector<WitnessValue> witness;
  std::string pointer;        // in the first policy: the rule or constraint at fault
  std::string other_pointer;  // in the second
  // per_operand: operand and verdict of each.
  std::vector<std::pair<std::string, Verdict>> operands;
  Message message;  // the sentence
};

// Can one state satisfy both policies' permissions? compatible, conflict, unknown.
Comparison joint(const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts = {});
// One verdict per operand, together the worst of them: conflict, unknown, compatible.
Comparison per_operand(
    const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts = {}
);
// Is everything that `a` permits permitted by `b`? refines, not_refines, unknown.
Comparison refines(
    const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts = {}
);
// Can any permission of the policy ever be Active? realizable, unrealizable, unknown.
Comparison realizable(const CompiledPolicy& policy, const CompareFacts& facts = {});
// Is there a request for which a permission of one and a prohibition of the other are both Active,
// a duty of one that the other prohibits, or an obligation to do so? conflict names both rules. Of
// a policy and itself: do its own rules contradict each other?
Comparison conflicts(
    const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts = {}
);

// What the author of a policy should know before it is used, beyond its warnings: that it can never
// permit anything, or that its rules contradict and nothing says which wins, so that it is void
// where they do. Refuses nothing.
std::vector<Problem> concerns(const CompiledPolicy& policy);

// Does a counter-offer, or an agreement, permit anything that the offer does not? Used before
// anything is signed. Sound, not complete: what cannot be decided counts as widening. Not compared:
// uid, type, policy-level target, assigner, assignee and timestamp, which are the negotiation's own
// business.
struct Widening {
  std::string pointer;                // in the request: the constraint, or the rule that lacks one
  std::string left_operand;           // IRI, or empty when no constraint is at fault
  std::string required;               // what the offer says
  std::string found;                  // what the request says; empty: nothing
  std::vector<WitnessValue> witness;  // an act that the request permits and the offer does not
  Message message;                    // the sentence for the one who asked
};

// The first way in which `request` goes beyond `offer`; nullopt: it stays within.
std::optional<Widening> widens(const CompiledPolicy& offer, const CompiledPolicy& request);
// The same for documents. One that cannot be loaded widens, with its first problem.
std::optional<Widening> widens(
    const Json& offer, const Json& request, const LoadOptions& options = {}
);

}  // namespace tally::odrl
