// A policy, loaded: checked whole, normalised and compiled into what `evaluate` walks.
//
// Loading refuses everything that this engine cannot enforce, names every fault of the document at
// once, and never skips anything. A CompiledPolicy is immutable; share it between threads freely.
// Whether the policy was agreed, and by whom, is not known here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <tl/expected.hpp>

#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/message.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::odrl {

enum class PolicyType : std::uint8_t {
  set,
  offer,
  agreement,
  assertion,
  privacy,
  request,
  ticket,
};
enum class Side : std::uint8_t { provider, consumer };
enum class RuleKind : std::uint8_t { permission, prohibition, duty };
enum class Conflict : std::uint8_t { invalid, perm, prohibit };

std::string_view to_string(PolicyType type);  // "Offer"
std::string_view to_string(Side side);        // "provider"
std::string_view to_string(RuleKind kind);    // "permission"

// What is wrong with a document, and where. `message.code` is odrl.<error code of the docs>.
struct Problem {
  Message message;
  std::string pointer;  // JSON pointer; "" is the whole document

  bool operator==(const Problem&) const = default;
};

// Where the document of a parent policy (`inheritFrom`) is looked for.
using PolicyLibrary = std::function<const Json*(std::string_view uid)>;

struct LoadOptions {
  Limits limits;
  // Who counts a limit that has no countedBy beside it (docs/odrl-profile.md).
  Side default_owner = Side::consumer;
  // Counts every limit, also where countedBy says otherwise: the other side confirmed nothing.
  std::optional<Side> sole_owner;
  // A document of another type is refused (odrl.wrong-policy-type).
  std::optional<PolicyType> required_type;
  // Refuse also what this connector cannot enforce, though ODRL knows it. Off for tools that only
  // evaluate, compare and explain.
  bool enforced_only = true;
  // A rule without a target is refused rather than read as "any asset".
  bool strict_target = false;
  // Vocabulary beyond ours that is to count as registered: IRIs.
  std::vector<std::string> extra_profiles;
  std::vector<std::string> extra_operands;
  PolicyLibrary library;
  // Minutes east of UTC, for times without a zone.
  int default_zone = 0;
};

// One bound on the number of uses, under the rule as it was written.
struct LimitSummary {
  RuleId rule;
  std::string unit;          // unitOfCount, or empty: uses
  std::int64_t limit = 0;    // the number in the policy: 3 for "lteq 3" and for "lt 3"
  std::int64_t allowed = 0;  // how many uses that allows: 3 and 2
  Side owner = Side::consumer;
  Operator op = Operator::lteq;
  std::string pointer;  // of the constraint
};

// One bound on the number of uses in any window of a length, under the rule as it was written.
struct RateSummary {
  RuleId rule;
  std::int64_t most = 0;
  XsdDuration window;
  Side owner = Side::consumer;
  std::string pointer;  // of the constraint
};

enum class DeadlineKind : std::uint8_t {
  at_instant,    // DutySummary::at
  after_use,     // end of use + DutySummary::after
  when_expired,  // DutySummary::at, the instant from which on no permission can be Active
  at_once,       // when the use has ended
};

// A duty that has to be carried out after the use, with its deadline.
struct DutySummary {
  RuleId duty;
  RuleId permission;   // the permission it belongs to, or empty: an obligation of the policy
  std::string action;  // IRI
  DeadlineKind deadline = DeadlineKind::at_once;
  std::optional<Instant> at;
  XsdDuration after;
  std::string pointer;
};

// One rule as it was written.
struct RuleSummary {
  RuleId id;
  RuleKind kind = RuleKind::permission;
  std::vector<std::string> actions;  // IRIs
  std::vector<LimitSummary> limits;
  std::vector<RateSummary> rates;
  std::optional<Instant> not_before;  // never Active before
  std::optional<Instant> not_after;   // never Active at or after
  std::string pointer;
};

struct Plan;  // src/odrl/plan.hpp

class CompiledPolicy {
 public:
  explicit CompiledPolicy(std::unique_ptr<const Plan> plan);
  ~CompiledPolicy();
  CompiledPolicy(const CompiledPolicy&) = delete;
  CompiledPolicy& operator=(const CompiledPolicy&) = delete;

  [[nodiscard]] const std::string& uid() const;
  [[nodiscard]] PolicyType type() const;
  // Of the policy itself; empty if it names none (or if only its rules do).
  [[nodiscard]] const std::string& target() const;
  [[nodiscard]] const std::string& assigner() const;
  [[nodiscard]] const std::string& assignee() const;
  // SHA-256 of the JCS form of the policy as it was given.
  [[nodiscard]] const Digest& digest() const;
  [[nodiscard]] const std::vector<Problem>& warnings() const;

  // Permissions and prohibitions, in the order of the document.
  [[nodiscard]] const std::vector<RuleSummary>& rules() const;
  // The duty `delete` of permissions and of the policy.
  [[nodiscard]] const std::vector<DutySummary>& duties() const;
  // From this instant on (inclusive) no permission can be Active, whatever else holds. nullopt:
  // some permission has no end in time. Bounds under `or` count when every branch has one.
  [[nodiscard]] std::optional<Instant> not_after() const;

  // How long its duties `log` want the record of a use kept: each of these, at least.
  [[nodiscard]] std::vector<XsdDuration> log_retention() const;

  // Whether some constraint compares the operand with this name.
  [[nodiscard]] bool asks_for(std::string_view operand, std::string_view name) const;

  // The left operands that its constraints compare, each once: IRIs of known_operands(), or as
  // written. Valid as long as the policy.
  [[nodiscard]] std::vector<std::string_view> operands() const;

  [[nodiscard]] const Plan& plan() const { return *plan_; }

 private:
  std::unique_ptr<const Plan> plan_;
};

using PolicyPtr = std::shared_ptr<const CompiledPolicy>;

// What came of reading a document. `policy` is absent when the document is not valid or may not be
// evaluated; `reason` then says why as decisions say it.
struct Reading {
  PolicyPtr policy;
  std::vector<Problem> problems;  // why there is no policy
  // What the policy says that nobody can decide (unknown words): never skipped, each makes the
  // constraint or rule it stands in unknown.
  std::vector<Problem> doubts;
  std::string_view reason;  // "invalid-policy", "unsupported-profile", "policy-replaced"
};

// For tools: everything of ODRL, and what is not understood stays in the policy as unknown.
// `enforced_only` counts as off.
Reading read_policy(const Json& document, const LoadOptions& options = {});

// For the connector: all problems of the document, or the policy. Never both, never neither. What
// read_policy would leave as a doubt is a problem here.
tl::expected<PolicyPtr, std::vector<Problem>> load_policy(
    const Json& document, const LoadOptions& options = {}
);

}  // namespace tally::odrl
