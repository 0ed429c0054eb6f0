#include "tally/odrl/one_sided.hpp"

#include "tally/odrl/terms.hpp"

#include "plan.hpp"

namespace tally::odrl {

namespace {

class Left {
 public:
  Left(const Plan& plan, bool sees_each_use) : plan_(plan), sees_each_use_(sees_each_use) {}

  std::vector<std::string> run() {
    for (const Rule& rule : plan_.rules) {
      if (rule.kind == RuleKind::prohibition) {
        places_.push_back(rule.pointer);
        continue;
      }
      all(rule.constraints);
      for (const ActionUse& action : rule.actions) all(action.refinements);
      all(rule.target_attributes);
      all(rule.assignee_attributes);
      for (const Index duty : rule.duties) places_.push_back(plan_.duties[duty].pointer);
    }
    for (const Index duty : plan_.obligations) places_.push_back(plan_.duties[duty].pointer);
    return std::move(places_);
  }

 private:
  void all(Range nodes) {
    for (const Index index : plan_.children_of(nodes)) node(index);
  }

  void node(Index index) {
    const Node& node = plan_.node(index);
    if (node.kind != NodeKind::atom) return all(node.inner);
    const auto operand = plan_.term(node).iri;
    const bool counted = operand == iri::count && node.owner == Side::provider;
    if (sees_each_use_ && (counted || operand == iri::date_time)) return;
    places_.push_back(plan_.texts[index].pointer);
  }

  const Plan& plan_;
  const bool sees_each_use_;
  std::vector<std::string> places_;
};

}  // namespace

std::vector<std::string> left_to_consumer(const CompiledPolicy& policy, bool sees_each_use) {
  return Left(policy.plan(), sees_each_use).run();
}

}  // namespace tally::odrl
