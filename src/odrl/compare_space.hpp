// The states of the world that tell constraints apart: per operand the few points that matter, and
// a search over their product. A point of an ordered operand is a rank: 2i + 1 is the i-th constant
// that the policies name, 2i the gap before it; no arithmetic on values is needed to decide.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tally/odrl/compare.hpp"

#include "plan.hpp"

namespace tally::odrl {

// One operand, as every constraint of the comparison that names it sees it.
struct Axis {
  enum class Kind : std::uint8_t { ordered, names, periodic, equality, undecidable };
  std::string operand;  // IRI
  OperandTerm term;
  Kind kind = Kind::undecidable;
  std::vector<Value> constants;  // ordered: ascending
  // ordered: ranks. names: index into `names`. periodic: days. equality: index of a constant, or
  // one past the last for a value that none of them is.
  std::vector<std::int64_t> candidates;
  struct Concept {
    std::string name;
    bool fresh = false;  // something nobody named, below `name`; below nothing when that is empty
  };
  std::vector<Concept> names;
};

// What one comparison may still look at; shared by all its spaces.
class Budget {
 public:
  explicit Budget(std::size_t steps) : left_(steps) {}
  // False once it is used up, and from then on.
  bool spend(std::size_t steps) {
    left_ -= std::min(left_, steps);
    return left_ > 0;
  }

 private:
  std::size_t left_;
};

class Space {
 public:
  Space(const CompareFacts& facts, Budget& budget) : facts_(facts), budget_(budget) {}

  // Before `build`: all constraints that will be asked. `of` keeps what an act is asked apart from
  // what an asset or a party is asked.
  void add(const Plan& plan, Range nodes, const std::string& of = {});
  void build();

  // No candidate chosen is -1, and makes what looks at that axis unknown.
  using State = std::vector<std::int32_t>;
  [[nodiscard]] Truth truth(const Plan& plan, Range nodes, const State& state) const;
  // Facts that hold in every state: no more time is metered than has passed.
  [[nodiscard]] Truth facts(const State& state) const;

  struct Answer {
    Truth found = Truth::no;  // unknown: some state may do, or the budget was used up
    State state;
  };
  // A state in which `goal` is true. It is asked with states that are chosen in part, in Kleene's
  // sense.
  [[nodiscard]] Answer search(const std::function<Truth(const State&)>& goal) const;
  [[nodiscard]] std::vector<WitnessValue> witness(const State& state) const;

 private:
  struct Use {
    const Plan* plan = nullptr;
    Index node = 0;
  };
  void add_node(const Plan& plan, Index index, const std::string& of);
  void add_sequence_sum(const Plan& plan, const Node& node);
  void build_axis(Axis& axis, const std::vector<Use>& uses);
  void build_ordered(Axis& axis, const std::vector<Use>& uses);
  void build_names(Axis& axis);
  void build_periodic(Axis& axis, const std::vector<Use>& uses);
  void add_bounds(Axis& axis, std::int64_t& lowest, std::int64_t& highest);
  [[nodiscard]] Truth truth(const Plan& plan, Index index, const State& state) const;
  [[nodiscard]] Truth atom_truth(const Plan& plan, Index index, const State& state) const;
  [[nodiscard]] Truth sequence_truth(const Plan& plan, const Node& node, const State& state) const;
  [[nodiscard]] Truth ordered_truth(
      const Axis& axis, const Node& node, std::span<const Value> required, std::int64_t rank
  ) const;
  [[nodiscard]] Truth name_truth(
      const Axis& axis, const Node& node, std::span<const Value> required, const Axis::Concept& at
  ) const;
  [[nodiscard]] Truth is_same(const Axis::Concept& at, const std::string& name) const;
  [[nodiscard]] Truth is_below(const Axis::Concept& at, const std::string& name) const;
  [[nodiscard]] bool within(const Axis& axis, const std::string& a, const std::string& b) const;
  [[nodiscard]] bool disjoint(const std::string& a, const std::string& b) const;
  bool visit(const std::function<Truth(const State&)>& goal, std::size_t axis, Answer& answer)
      const;
  [[nodiscard]] const Axis* find(std::string_view operand) const;
  [[nodiscard]] std::string witness_text(const Axis& axis, std::int64_t candidate) const;

  const CompareFacts& facts_;
  Budget& budget_;
  std::vector<Axis> axes_;
  std::map<std::string, std::vector<Use>> uses_;  // by axis key
  std::map<std::pair<const Plan*, Index>, std::size_t> axis_of_;
  std::vector<Value> durations_;   // every duration named, and sums of sequences: one shared scale
  bool durations_ordered_ = true;  // a month and thirty days have no order
};

}  // namespace tally::odrl
