// From obligations and a schema to a shape; all faults at once.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/dataplane/at_rest.hpp"
#include "tally/dataplane/rule_shapes.hpp"
#include "tally/dataplane/shape.hpp"
#include "tally/odrl/terms.hpp"

#include "shape_digest.hpp"
#include "shape_parts.hpp"
#include "typed_cell.hpp"

namespace tally::dataplane {

namespace {

namespace iri = odrl::iri;
using catalog::ColumnType;
using catalog::Schema;
using odrl::Obligation;
using odrl::Operator;

constexpr std::int64_t most_step = 1'000'000'000'000'000;
constexpr std::int64_t most_kept = 1'000'000;  // characters; a value is shorter than its record

enum class Act { rows, columns, most, drop, keep, pseudonym, generalize, replace, anonymize };
struct ActOf {
  std::string_view action;
  Act act;
};
// The words of the IDS say the same as the profile's.
constexpr auto acts = std::to_array<ActOf>({
    {iri::select_rows, Act::rows},
    {iri::select_columns, Act::columns},
    {iri::limit_rows, Act::most},
    {iri::drop_column, Act::drop},
    {iri::mask_keep, Act::keep},
    {iri::pseudonymize, Act::pseudonym},
    {iri::generalize, Act::generalize},
    {iri::replace_value, Act::replace},
    {iri::ids_drop, Act::drop},
    {iri::ids_hash, Act::pseudonym},
    {iri::ids_replace, Act::replace},
    {iri::anonymize, Act::anonymize},
    {iri::ids_anonymize, Act::anonymize},
});
constexpr std::string_view ids_json_path = "https://w3id.org/idsa/code/JSON_PATH";
constexpr std::string_view ids_replace_with = "https://w3id.org/idsa/code/REPLACE_WITH";

const odrl::DutyParameter* find(const Obligation& from, std::string_view operand) {
  const auto found = std::ranges::find(from.parameters, operand, &odrl::DutyParameter::operand);
  return found == from.parameters.end() ? nullptr : &*found;
}

bool is_time(ColumnType type) {
  return type == ColumnType::date || type == ColumnType::date_time;
}
bool is_number(ColumnType type) {
  return type == ColumnType::integer || type == ColumnType::decimal;
}

class ShapeCompiler {
 public:
  ShapeCompiler(const Schema& schema, const PseudonymKeys* keys, PrivateColumns columns)
      : schema_(schema), keys_(keys), private_columns_(columns) {}

  void take(const Obligation& from) {
    const auto found = std::ranges::find(acts, from.action, &ActOf::action);
    if (found == acts.end() || is_at_rest(from)) return;
    from_ = &from;
    switch (found->act) {
      case Act::rows:
        return take_rows();
      case Act::columns:
        return take_columns();
      case Act::most:
        return take_most();
      case Act::anonymize:
        return take_anonymize();
      default:
        return take_mask(found->act);
    }
  }

  tl::expected<ShapePtr, std::vector<odrl::Problem>> finish() {
    auto parts = std::make_unique<Shape::Parts>();
    parts->input = schema_;
    parts->output = schema_;
    parts->output.encoding = catalog::Encoding::utf8;
    parts->output.columns.clear();
    parts->filter = std::move(filter_);
    parts->most_rows = most_rows_;
    for (std::size_t i = 0; i < schema_.columns.size(); ++i) {
      if (dropped_.contains(i) || (permitted_ && !permitted_->contains(i))) continue;
      auto mask = masks_.find(i);
      const auto& column = schema_.columns[i];
      // Suppressed, whoever named it: what no mask of its own treats is not there.
      if (suppresses_ && !column.privacy.empty() && mask == masks_.end()) continue;
      // `columns` that names it says that it may be seen; its absence says nothing.
      if (private_columns_ == PrivateColumns::masked_or_named && !column.privacy.empty() &&
          mask == masks_.end() && !permitted_) {
        problems_.push_back(
            {{"dataplane.shape-privacy",
              {{"column", column.name},
               {"label", column.privacy},
               {"place", "/schema/columns/" + std::to_string(i)}}},
             ""}
        );
      }
      OutputColumn out{i, std::nullopt};
      parts->output.columns.push_back(column);
      if (mask != masks_.end()) {
        out.mask = std::move(mask->second.mask);
        auto& left = parts->output.columns.back();
        left.privacy.clear();
        if (!std::holds_alternative<Round>(*out.mask)) left.type = ColumnType::text;
      }
      parts->columns.push_back(std::move(out));
    }
    if (parts->columns.empty()) problems_.push_back({{"dataplane.shape-no-columns", {}}, ""});
    if (!problems_.empty()) return tl::unexpected(std::move(problems_));
    parts->digest = digest_of(*parts);
    return std::make_shared<const Shape>(std::move(parts));
  }

 private:
  struct Masked {
    Mask mask;
    const Obligation* by = nullptr;
  };

  void fault(std::string code, std::map<std::string, std::string> params) {
    params["rule"] = from_->duty.value;
    problems_.push_back({{std::move(code), std::move(params)}, from_->pointer});
  }

  std::optional<std::size_t> column(const std::string& name) {
    const auto found = schema_.find(name);
    if (found != Schema::absent) return found;
    auto closest = closest_term(name, schema_.names());
    if (closest.empty()) {
      fault("dataplane.shape-unknown-column", {{"column", name}});
    } else {
      fault("dataplane.shape-misspelt-column", {{"column", name}, {"closest", std::move(closest)}});
    }
    return std::nullopt;
  }

  // --- rows and columns ---

  void take_rows() {
    const auto* filters = find(*from_, iri::row_filter);
    if (filters == nullptr || filters->values.empty()) {
      return fault("dataplane.shape-parameter", {{"parameter", "rowFilter"}});
    }
    std::vector<RowCondition> any;
    for (const auto& value : filters->values) {
      auto condition = read_condition(odrl::to_text(value));
      if (!condition) continue;
      if (filters->op == Operator::is_any_of) {
        any.push_back(std::move(*condition));
      } else {
        filter_.push_back({std::move(*condition)});
      }
    }
    if (filters->op == Operator::is_any_of) filter_.push_back(std::move(any));
  }

  // "column op value"; the form was checked when the policy was loaded.
  std::optional<RowCondition> read_condition(const std::string& text) {
    const auto first = text.find(' ');
    const auto second = first == std::string::npos ? first : text.find(' ', first + 1);
    const auto op = second == std::string::npos
                        ? std::nullopt
                        : odrl::find_operator(text.substr(first + 1, second - first - 1));
    const bool compares = op && (*op == Operator::eq || *op == Operator::neq || odrl::orders(*op));
    if (!compares) {
      fault("dataplane.shape-filter", {{"filter", text}});
      return std::nullopt;
    }
    const auto place = column(text.substr(0, first));
    if (!place) return std::nullopt;
    const auto& found = schema_.columns[*place];
    RowCondition out{*place, *op, typed_text(text.substr(second + 1), found.type)};
    const bool ordered = found.type != ColumnType::boolean || !odrl::orders(*op);
    if (std::holds_alternative<odrl::Malformed>(out.value) || !ordered) {
      fault(
          "dataplane.shape-filter-type",
          {{"filter", text}, {"column", found.name}, {"type", std::string(to_string(found.type))}}
      );
      return std::nullopt;
    }
    return out;
  }

  void take_columns() {
    const auto* list = find(*from_, iri::columns);
    if (list == nullptr) return fault("dataplane.shape-parameter", {{"parameter", "columns"}});
    std::set<std::size_t> named;
    for (const auto& value : list->values) {
      if (const auto place = column(odrl::to_text(value))) named.insert(*place);
    }
    // Two lists are both kept to.
    if (permitted_)
      std::erase_if(named, [&](std::size_t one) { return !permitted_->contains(one); });
    permitted_ = std::move(named);
  }

  // Of several the smallest.
  void take_most() {
    const auto* written = find(*from_, iri::max_rows);
    const auto most = written == nullptr ? std::nullopt : read_whole(*written);
    if (!most || *most < 1) {
      return fault("dataplane.shape-parameter", {{"parameter", "maxRows"}});
    }
    const auto rows = static_cast<std::uint64_t>(*most);
    most_rows_ = std::min(rows, most_rows_.value_or(rows));
  }

  void take_anonymize() {
    const auto* technique = find(*from_, iri::technique);
    if (technique == nullptr || technique->text != odrl::suppression) {
      // Of groups it is what leaves that is anonymized; rows never are.
      return fault(
          "dataplane.shape-technique",
          {{"technique", technique ? technique->text : std::string("-")}}
      );
    }
    const bool labelled = std::ranges::any_of(schema_.columns, [](const catalog::Column& one) {
      return !one.privacy.empty();
    });
    // Without a label nobody said what is personal: nothing would be done.
    if (!labelled && private_columns_ == PrivateColumns::masked_or_named) {
      return fault("dataplane.shape-nothing-private", {});
    }
    suppresses_ = true;
  }

  static std::optional<std::int64_t> read_whole(const odrl::DutyParameter& written) {
    if (written.values.size() != 1) return std::nullopt;
    const auto* number = std::get_if<odrl::Decimal>(&written.values.front());
    return number == nullptr ? std::nullopt : odrl::integral(*number);
  }

  // --- masks ---

  void take_mask(Act act) {
    const auto place = masked_column();
    if (!place) return;
    if (act == Act::drop) {
      dropped_.insert(*place);
      return;
    }
    auto mask = read_mask(act, schema_.columns[*place]);
    if (!mask) return;
    const auto [found, added] = masks_.try_emplace(*place, Masked{std::move(*mask), from_});
    if (added) return;
    // Which of two comes first would decide what is seen.
    fault(
        "dataplane.shape-two-masks",
        {{"column", schema_.columns[*place].name}, {"other", found->second.by->duty.value}}
    );
  }

  // By its name, or by "$.name".
  std::optional<std::size_t> masked_column() {
    const auto* name = find(*from_, iri::column);
    const auto* path = find(*from_, iri::json_path);
    if (path == nullptr) path = find(*from_, ids_json_path);
    if ((name != nullptr) == (path != nullptr)) {
      fault("dataplane.shape-parameter", {{"parameter", "column|jsonPath"}});
      return std::nullopt;
    }
    if (name != nullptr) return column(name->text);
    if (!path->text.starts_with("$.")) {
      fault("dataplane.shape-path", {{"path", path->text}});
      return std::nullopt;
    }
    return column(path->text.substr(2));
  }

  std::optional<Mask> read_mask(Act act, const catalog::Column& masked) {
    switch (act) {
      case Act::keep:
        return read_keep();
      case Act::pseudonym: {
        const auto* name = find(*from_, iri::key_name);
        if (keys_ == nullptr) {
          fault("dataplane.shape-no-key", {{"column", masked.name}});
          return std::nullopt;
        }
        return Pseudonym{name ? keys_->of_name(name->text) : keys_->of_column(masked.name)};
      }
      case Act::generalize:
        return read_generalize(masked);
      default:
        return read_replace();
    }
  }

  std::optional<Mask> read_keep() {
    const auto head = read_count(iri::keep_head);
    const auto tail = read_count(iri::keep_tail);
    if (!head || !tail) return std::nullopt;
    return Keep{*head, *tail};
  }

  // Of characters; none is said: 0.
  std::optional<std::size_t> read_count(std::string_view operand) {
    const auto* parameter = find(*from_, operand);
    if (parameter == nullptr) return 0;
    const auto count = read_whole(*parameter);
    if (count && *count >= 0 && *count <= most_kept) return static_cast<std::size_t>(*count);
    fault("dataplane.shape-parameter", {{"parameter", std::string(odrl::local_name(operand))}});
    return std::nullopt;
  }

  std::optional<Mask> read_generalize(const catalog::Column& masked) {
    const auto* level = find(*from_, iri::level);
    if (level != nullptr && is_time(masked.type)) {
      if (level->text == "year") return Calendar::year;
      if (level->text == "month") return Calendar::month;
      // A date has nothing finer than its day, and an integer than one: those would hide nothing.
      if (level->text == "day" && masked.type == ColumnType::date_time) return Calendar::day;
    }
    if (level != nullptr && is_number(masked.type)) {
      const auto number = odrl::parse_decimal(level->text);
      const auto step = number ? odrl::integral(*number) : std::nullopt;
      const std::int64_t least = masked.type == ColumnType::integer ? 2 : 1;
      if (step && *step >= least && *step <= most_step) return Round{*step};
    }
    fault(
        "dataplane.shape-level",
        {{"level", level ? level->text : ""},
         {"column", masked.name},
         {"type", std::string(to_string(masked.type))}}
    );
    return std::nullopt;
  }

  std::optional<Mask> read_replace() {
    const auto* with = find(*from_, iri::replace_with);
    if (with == nullptr) with = find(*from_, ids_replace_with);
    Replace out;
    if (with == nullptr) return out;  // by nothing
    if (with->values.size() != 1) {
      fault("dataplane.shape-parameter", {{"parameter", "replaceWith"}});
      return std::nullopt;
    }
    const auto& value = with->values.front();
    out.with.text = odrl::to_text(value);
    out.with.kind = std::holds_alternative<odrl::Decimal>(value) ? CellKind::number
                    : std::holds_alternative<bool>(value)        ? CellKind::boolean
                                                                 : CellKind::text;
    return out;
  }

  const Schema& schema_;
  const PseudonymKeys* keys_;
  const PrivateColumns private_columns_;
  const Obligation* from_ = nullptr;  // what is read now
  RowFilter filter_;
  std::optional<std::uint64_t> most_rows_;
  std::optional<std::set<std::size_t>> permitted_;  // nullopt: no `columns`
  std::set<std::size_t> dropped_;
  bool suppresses_ = false;  // private columns that nothing masks
  std::map<std::size_t, Masked> masks_;
  std::vector<odrl::Problem> problems_;
};

}  // namespace

std::span<const std::string> shape_duties() {
  static const std::vector<std::string> made = [] {
    std::vector<std::string> out;
    for (const auto& one : acts) out.emplace_back(one.action);
    return out;
  }();
  return made;
}

tl::expected<ShapePtr, std::vector<odrl::Problem>> compile_shape(
    std::span<const Obligation> obligations,
    const Schema& schema,
    const PseudonymKeys* keys,
    PrivateColumns columns
) {
  ShapeCompiler compiler(schema, keys, columns);
  for (const auto& one : obligations) compiler.take(one);
  return compiler.finish();
}

ShapePtr for_rows(const Shape& shape, std::span<const ColumnValue> values) {
  auto parts = std::make_unique<Shape::Parts>(shape.parts());
  for (const auto& [name, text] : values) {
    const auto place = parts->input.find(name);
    if (place == Schema::absent) return nullptr;
    RowCondition condition{place, Operator::eq, typed_text(text, parts->input.columns[place].type)};
    if (std::holds_alternative<odrl::Malformed>(condition.value)) return nullptr;
    parts->filter.push_back({std::move(condition)});
  }
  parts->digest = digest_of(*parts);
  return std::make_shared<const Shape>(std::move(parts));
}

ShapePtr whole_shape(const Schema& schema) {
  // Nothing is asked for, so nothing can be wrong with it.
  return *compile_shape({}, schema, nullptr, PrivateColumns::decided);
}

std::vector<odrl::Problem> check_shape(
    const odrl::CompiledPolicy& policy, const Schema* schema, bool keeps_keys
) {
  // Which keys does not matter for what is at fault.
  const PseudonymKeys any({}, "");
  const RuleShapes shapes(policy, schema, keeps_keys ? &any : nullptr);
  std::vector<odrl::Problem> out;
  for (const auto& rule : policy.rules()) {
    const bool no_rows =
        !rule.actions.empty() && std::ranges::all_of(rule.actions, [](const std::string& action) {
          return odrl::is_or_below(action, iri::aggregate) ||
                 odrl::is_or_below(action, iri::derive);
        });
    const auto* form = no_rows ? nullptr : shapes.of(rule.id);
    if (form == nullptr) continue;
    for (auto problem : form->problems) {
      if (problem.pointer.empty()) problem.pointer = rule.pointer;
      if (std::ranges::find(out, problem) == out.end()) out.push_back(std::move(problem));
    }
  }
  if (!out.empty()) return out;
  return check_at_rest(policy, schema, keeps_keys ? &any : nullptr);
}

}  // namespace tally::dataplane
