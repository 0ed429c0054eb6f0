// In which form an agreement's data are handed out under each of its permissions (docs/shapes.md).
// Compiled once for an agreement; immutable, share it between threads freely. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/dataplane/shape.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::dataplane {

class RuleShapes {
 public:
  struct Form {
    RuleId rule;
    ShapePtr shape;                       // null: the bytes as they are
    std::vector<odrl::Problem> problems;  // any: nothing can be handed out under this rule
    std::vector<RuleId> duties;           // that the shape carries out
  };

  // The provider's: of the data as they are. `schema` null: nobody can look into them. `keys` null:
  // there is no secret for pseudonyms.
  RuleShapes(
      const odrl::CompiledPolicy& policy, const catalog::Schema* schema, const PseudonymKeys* keys
  );
  // The consumer's: of data that came in another shape. What `carried_out` (ids of duties of this
  // policy) did is not done twice, also where another rule asks for the same; and which private
  // columns may be seen was the provider's to say.
  RuleShapes(
      const odrl::CompiledPolicy& policy,
      const catalog::Schema* schema,
      const PseudonymKeys* keys,
      std::span<const RuleId> carried_out
  );

  // Of a permission of the policy; null: there is none of that id.
  [[nodiscard]] const Form* of(const RuleId& rule) const;
  // What every permission that covers `action` has in common; null: they differ, or there is none.
  [[nodiscard]] const Form* common(std::string_view action) const;

 private:
  void add(const std::vector<std::string>& actions, Form form);

  std::vector<Form> forms_;  // of each permission
  // Of each of odrl::known_actions(): the place in `forms_` of the first form that covers it, or
  // one of the two marks. Asked with every act, so it is looked up and not compared.
  std::vector<std::uint16_t> of_action_;
};

// Whether data have the same bytes in both.
bool same_form(const RuleShapes::Form& a, const RuleShapes::Form& b);

}  // namespace tally::dataplane
