// How the policies of a peer are to be read where the protocol's own context leaves it open: what
// the bare words and prefixes mean that a context of the peer gives, and what a policy without
// rules says. The configuration of the peer declares it (`PolicyDialect`); a policy keeps the part
// that it was read by (`PolicyReading`), so that no later change of the configuration gives it
// another meaning. The policy itself stays as it came. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tally/core/json.hpp"
#include "tally/dsp/policy_form.hpp"

namespace tally::dsp {

// A bare word to its IRI; a prefix, without its colon, to an IRI that ends in '/', '#' or ':'.
using Words = std::map<std::string, std::string>;

struct PolicyDialect {
  std::map<std::string, Words> contexts;  // by URL; no word of two meanings
  EmptyPolicy empty = EmptyPolicy::refused;
};

struct PolicyReading {
  std::vector<std::string> contexts;  // that the policy stood under and that are declared
  Words words;                        // of these, the ones that its operands and actions use
  bool empty_is_use = false;          // it has no rule, and that permits use without limits

  [[nodiscard]] bool is_plain() const { return contexts.empty() && !empty_is_use; }
  bool operator==(const PolicyReading&) const = default;
};

// How `policy`, in a message with these further contexts, is read from a peer of this dialect.
PolicyReading reading_of(
    const Json& policy, const std::vector<std::string>& contexts, const PolicyDialect& dialect
);
// How a policy is read that names no context because its writer means the peer's words: an order of
// our own operator.
PolicyReading reading_by_all(const Json& policy, const PolicyDialect& dialect);

// The contexts that a message with a policy needs to `dialect`'s peer: those of the policy, and all
// that the peer has, since members that nobody here knows may be words of one of them.
std::vector<std::string> contexts_for(const PolicyDialect& dialect, const PolicyReading& reading);

// A copy with the words of `reading` written as IRIs; the same places, nothing else changed.
Json with_words(Json policy, const PolicyReading& reading);
// The same, and where no rule means use, with the rule that says so: what is compiled.
Json as_read(Json policy, const PolicyReading& reading);

// {"contexts": […], "words": {…}, "emptyPolicy": "use"}; members that say nothing are left out.
Json to_json(const PolicyReading& reading);
// What it does not understand it leaves out: rows and records are ours.
PolicyReading policy_reading_from_json(const Json& json);

}  // namespace tally::dsp
