// What an agreement says of groups: how small one may be, what may be asked of it, and how much in
// all. Of the obligations `limitGroups` of a permission (docs/odrl-profile.md). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "tally/aggregates/query.hpp"
#include "tally/catalog/schema.hpp"
#include "tally/dataplane/shape.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::aggregates {

inline constexpr std::size_t least_group = 2;  // of one row a group is the row
inline constexpr std::size_t most_group = 1'000'000;

struct GroupTerms {
  std::size_t min_group_size = 0;           // at least least_group
  std::set<Function> functions;             // min and max only where the policy names them
  std::optional<std::int64_t> cell_budget;  // values handed out under the agreement, in all
  // `columns` names the columns: a private one may then be seen, so be grouped and filtered by.
  bool columns_named = false;
};

// Of a permission that covers `aggregate`. nullopt: it limits no groups, so nothing is answered
// under it. The policy was checked when it was loaded; what is wrong all the same is nullopt too.
std::optional<GroupTerms> group_terms(const odrl::CompiledPolicy& policy, const RuleId& permission);

// What a permit under the permission asks of the rows that its groups are made of. That they leave
// as groups alone (`anonymize` by aggregation) is done by answering with groups.
std::vector<odrl::Obligation> row_obligations(
    const odrl::CompiledPolicy& policy, const RuleId& permission
);

// For loading an offer: what speaks against answering queries under the policy. `schema` null: the
// asset has none; `keeps_keys`: this side has a secret for pseudonyms. Pointers into the policy.
// Codes: aggregates.offer-*, and dataplane.shape-*.
std::vector<odrl::Problem> check_groups(
    const odrl::CompiledPolicy& policy, const catalog::Schema* schema, bool keeps_keys
);

}  // namespace tally::aggregates
