// From a document to a plan. One pass over the document, every fault collected; a plan comes out
// only when there was none. Nothing is ever skipped: what is not understood is a fault, or for
// tools a doubt that stays in the plan as unknown.
//
// One class, in one file per part of the information model: load_policy.cpp, load_rules.cpp,
// load_duties.cpp, load_constraints.cpp, load_summaries.cpp.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/odrl/policy.hpp"

#include "context.hpp"
#include "literals.hpp"
#include "plan.hpp"

namespace tally::odrl {

// The members of one object of the document, under the names ODRL knows them by.
class Members {
 public:
  struct Member {
    std::string_view name;
    std::string_view key;  // as it is written
    const Json* value = nullptr;
  };
  explicit Members(std::string at) : at_(std::move(at)) {}
  void reserve(std::size_t size) { list_.reserve(size); }

  void add(std::string_view name, std::string_view key, const Json& value) {
    list_.push_back({name, key, &value});
  }
  [[nodiscard]] const Member* find(std::string_view name) const;
  [[nodiscard]] const Json* value(std::string_view name) const {
    const auto* found = find(name);
    return found ? found->value : nullptr;
  }
  // JSON pointer of a member; of the object itself when it lacks it.
  [[nodiscard]] std::string pointer(std::string_view name) const;
  [[nodiscard]] const std::string& at() const { return at_; }

 private:
  std::string at_;
  std::vector<Member> list_;
};

// What the policy gives to the rules that lack it (compact form).
struct Shared {
  std::vector<Selector> targets, assignees;
  std::vector<std::string> assigners;
  std::vector<ActionUse> actions;
};

// One document: the policy itself, or one that it inherits from.
struct Document {
  explicit Document(std::string where) : at(std::move(where)), members(at) {}
  std::string uid;
  std::string at;  // what its pointers begin with: empty, or the parent's uid and '#'
  bool inherited = false;
  Context context;
  Members members;
  Shared shared;
  std::optional<Conflict> conflict;
  std::vector<std::unique_ptr<Document>> parents;
};

class Loader {
 public:
  // `strict`: a doubt is a problem.
  Loader(const LoadOptions& options, bool strict) : options_(options), strict_(strict) {}
  Reading load(const Json& document);

 private:
  using Params = std::map<std::string, std::string>;
  using Words = std::span<const std::string_view>;

  void problem(std::string code, Params params, std::string at);
  void doubt(std::string code, Params params, std::string at);
  void warn(std::string code, Params params, std::string at);
  // ODRL knows it and this connector cannot enforce it: a problem where that matters.
  void unsupported(std::string code, Params params, std::string at);
  // `code` with the closest term, or `code`-listed with all of them.
  Message unknown_word(std::string code, std::string_view written, Words known) const;
  void too_large(std::string what, std::size_t most, std::string at);
  [[nodiscard]] bool too_many_problems() const;

  Members members_of(const Json& object, std::string at, Words known);
  void check_type(const Members& members, std::string_view expected);
  std::string read_uid(const Members& members);
  std::string read_iri(const Json& value, const std::string& at, std::string_view name);
  std::optional<std::string> read_word(const Members& members, std::string_view name);
  std::string read_term(const std::string& written, const Members& members, std::string_view name);
  void unknown_prefix(const std::string& written, const std::string& at);
  Index intern(std::string text);

  // load_policy.cpp
  void open_document(const Json& json, Document& document, std::vector<std::string>& chain);
  void open_parents(Document& document, std::vector<std::string>& chain);
  void read_root(const Document& document);
  void read_type(const Document& document);
  void read_profiles(const Document& document);
  std::optional<Conflict> read_conflict(const Members& members);
  void read_timestamp(const Members& members);
  void settle_conflict(const Document& document);
  void inherit_shared(Document& document);
  void read_all_rules(Document& document);

  // load_summaries.cpp
  void finish();
  void finish_rule(Rule& rule);
  void collect_limits(Rule& rule, RuleSummary& summary, Range nodes);
  void summarise_duties();

  // load_rules.cpp
  std::vector<ActionUse> read_actions(const Json& value, const std::string& at);
  void read_action(const Json& value, const std::string& at, std::vector<ActionUse>& out);
  std::vector<Selector> read_selectors(const Members& members, std::string_view name);
  std::optional<Selector> read_selector(
      const Json& value, const std::string& at, std::string_view name
  );
  Range read_refinements(const Json& value, const std::string& at, std::string_view of);
  void read_rules(std::string_view name, RuleKind kind);
  void read_rule(const Json& object, const std::string& at, RuleKind kind);
  bool read_rule_actions(const Members& members, Rule& rule);
  void read_parties_and_assets(const Members& members, Rule& rule);
  bool weigh(const Rule& rule);
  std::string rule_id(const Members& members);
  std::vector<std::string> names_of(const std::vector<Selector>& selectors) const;

  // load_duties.cpp
  std::vector<Index> read_duties(
      const Json& value, const std::string& at, const Rule* rule, bool innermost
  );
  void read_duty(
      const Json& object,
      const std::string& at,
      const Rule* rule,
      bool innermost,
      std::vector<Index>& out
  );
  void read_consequences(const Members& members, const Rule* rule, bool innermost, Duty& duty);
  void collect_duties(const Document& document);
  [[nodiscard]] const Json& resolve_duty(const Json& value) const;
  bool claim_duty_id(const Members& members, const Json& object, Duty& duty);
  void read_duty_scope(const Members& members, const Rule* rule, Duty& duty);
  std::vector<Index> read_timing(const Json& value, const std::string& at, Duty& duty);
  void split_timing(Range nodes, Duty& duty, std::vector<Index>& rest, std::vector<Index>& how);
  void refine_by(const std::vector<Index>& parameters, Duty& duty);
  bool take_phase(const Node& node, Duty& duty);
  bool take_deadline(const Node& node, Duty& duty);
  void check_informing(Duty& duty);
  void check_next_policy(const Duty& duty, const Rule* rule);
  void check_anonymizing(const Duty& duty);
  void add_parameters(Range nodes, Duty& duty);
  bool add_instruction(const Node& node, const NodeText& text);
  bool check_row_filter(const Node& node, const std::string& at);

  // load_constraints.cpp
  // What modifiers in a list say of the constraints beside and below them.
  struct Beside {
    std::optional<Side> owner;
    std::uint8_t vouchers = 0;
    Index unit_of_count = nothing;
    bool chosen = false;  // below or, xone or andSequence: it need not hold
  };
  Range read_constraints(
      const Json& value, const std::string& at, std::size_t depth, bool anded, const Beside& outer
  );
  bool read_modifier(
      const Json& object, const std::string& at, bool anded, Beside& inner, bool& owns
  );
  std::optional<Index> read_constraint(
      const Json& object, const std::string& at, std::size_t depth, const Beside& outer
  );
  std::optional<Index> read_logical(const Members& members, std::size_t depth, const Beside& outer);
  std::optional<Index> read_frequency(const Members& members, Index refinement);
  Index add_node(const Node& node, NodeText text);
  std::optional<Node> read_atom(const Members& members, NodeText& text);
  void read_operand(const Members& members, Node& node);
  void read_operator(const Members& members, Node& node);
  bool read_right_operand(const Members& members, Node& node, NodeText& text);
  bool settle_in_force_dates(std::vector<Literal>& literals);  // in_force_date.cpp
  bool apply_data_type(const Members& members, std::vector<Literal>& literals);
  void read_unit_and_status(const Members& members, Node& node);
  void read_anchor(const Members& members);
  bool check_operator(const Node& node, std::size_t values, const std::string& at);
  bool check_place(const Node& node, const NodeText& text, const Beside& outer);
  void count_constraint(const std::string& at);
  Range append_children(const std::vector<Index>& list);
  bool mentions_count(Range nodes) const;

  const LoadOptions& options_;
  bool strict_;
  std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
  std::vector<Problem> problems_;
  Document* document_ = nullptr;  // the one being read
  std::vector<std::string> visited_;
  std::map<std::string, Index, std::less<>> names_;
  std::set<std::string, std::less<>> rule_ids_;
  std::map<std::string, std::string, std::less<>> duty_texts_;    // id → JCS
  std::map<std::string, const Json*, std::less<>> duties_by_id_;  // of the document being read
  // Where what is written among the constraints of a rule and belongs elsewhere goes.
  struct Lowered {
    bool permits = false;
    std::vector<Index> instructions;  // into Plan::duties
    std::vector<Index> target, assignee;
  };
  Lowered* lowered_ = nullptr;
  std::size_t lowerings_ = 0;  // how often
  std::size_t expanded_rules_ = 0;
  std::size_t constraints_ = 0;
  std::size_t weight_ = 1;            // atomic rules of the rule being read
  bool in_duty_ = false;              // the constraints being read are a duty's
  bool refining_ = false;             // they are refinements: at their place already
  std::optional<Value> anchor_;       // of the constraint being read
  bool in_force_date_ = false;        // its operand is EDC's
  std::optional<Instant> agreed_at_;  // of an agreement: when it was signed
  bool uses_profile_ = false;
  bool names_profile_ = false;
};

namespace detail {
inline constexpr auto party_functions = std::to_array<std::string_view>({
    "informedParty",
    "informingParty",
    "compensatedParty",
    "compensatingParty",
    "consentedParty",
    "consentingParty",
    "contractedParty",
    "contractingParty",
    "trackedParty",
    "trackingParty",
    "attributedParty",
    "attributingParty",
});

template <std::size_t A, std::size_t B>
constexpr auto joined(
    const std::array<std::string_view, A>& a, const std::array<std::string_view, B>& b
) {
  std::array<std::string_view, A + B> out{};
  for (std::size_t i = 0; i < A; ++i) out[i] = a[i];
  for (std::size_t i = 0; i < B; ++i) out[A + i] = b[i];
  return out;
}

template <class Range>
bool holds(const Range& range, std::string_view word) {
  for (const auto& one : range) {
    if (one == word) return true;
  }
  return false;
}

// {"@id": "…"} in the place of a string.
inline const Json& without_id(const Json& value) {
  if (value.is_object() && value.size() == 1 && value.contains("@id")) return value["@id"];
  return value;
}

inline const std::string* string_of(const Json& value) {
  return value.is_string() ? &value.get_ref<const std::string&>() : nullptr;
}

// The values of a member that may be one or an array, each with its pointer.
template <class Visit>
void each(const Json& value, const std::string& at, Visit visit) {
  if (!value.is_array()) {
    visit(value, at);
    return;
  }
  for (std::size_t i = 0; i < value.size(); ++i) visit(value[i], child(at, i));
}
}  // namespace detail

}  // namespace tally::odrl
