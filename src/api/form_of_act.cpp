#include "tally/api/form_of_act.hpp"

namespace tally::api {

using Form = dataplane::RuleShapes::Form;

const Form* form_of_act(
    const usage::Enforcer& enforcer,
    const dataplane::RuleShapes& shapes,
    usage::Act& act,
    Notices* notices
) {
  const Form* form = shapes.common(act.action);
  if (form == nullptr) {
    const auto looked = enforcer.dry_run(act);
    if (!looked || !looked->permit) return nullptr;
    form = shapes.of(looked->decisive_rule);
  }
  if (form == nullptr || form->problems.empty()) return form;
  // The requester learns that it cannot be had; which column is why is ours to know.
  act.cannot = Message{"usage.form-unavailable", {{"agreement", act.agreement.value}}};
  if (notices != nullptr) {
    notices->note(Severity::error, *act.cannot);
    for (const auto& problem : form->problems) notices->note(Severity::error, problem.message);
  }
  return form;
}

bool is_of_form(const usage::Grant& grant, const dataplane::RuleShapes& shapes, const Form* form) {
  const Form* granted = shapes.of(grant.decision.decisive_rule);
  if (granted == nullptr || form == nullptr) return false;
  return granted == form || dataplane::same_form(*granted, *form);
}

}  // namespace tally::api
