#include "bound_query.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "tally/odrl/values.hpp"

namespace tally::aggregates {

namespace {

using catalog::ColumnType;

bool is_number(ColumnType type) {
  return type == ColumnType::integer || type == ColumnType::decimal;
}

class Binder {
 public:
  Binder(const Query& query, const catalog::Schema& columns, const GroupTerms& terms)
      : query_(query), terms_(terms) {
    out_.columns = columns;
    out_.totals = query.totals;
  }

  Result<BoundQuery> bind() {
    for (std::size_t i = 0; i < query_.group_by.size(); ++i) {
      const auto at = child("/groupBy", i);
      const auto column = seen_column(query_.group_by[i], at);
      if (!column) return tl::unexpected(column.error());
      out_.keys.push_back(*column);
    }
    for (std::size_t i = 0; i < query_.values.size(); ++i) {
      if (auto done = add(query_.values[i], child("/values", i)); !done) {
        return fail(std::move(done));
      }
    }
    for (std::size_t i = 0; i < query_.filter.size(); ++i) {
      if (auto done = add(query_.filter[i], child("/filter", i)); !done) {
        return fail(std::move(done));
      }
    }
    return std::move(out_);
  }

 private:
  static tl::unexpected<Error> refuse(
      ErrorKind kind, const char* code, std::map<std::string, std::string> params, std::string at
  ) {
    return fail(kind, {code, std::move(params)}, std::move(at));
  }

  Result<std::size_t> column(const std::string& name, const std::string& at) {
    const auto found = out_.columns.find(name);
    if (found != catalog::Schema::absent) return found;
    auto closest = closest_term(name, out_.columns.names());
    if (closest.empty()) {
      return refuse(ErrorKind::invalid, "aggregates.unknown-column", {{"column", name}}, at);
    }
    return refuse(
        ErrorKind::invalid,
        "aggregates.misspelt-column",
        {{"column", name}, {"closest", std::move(closest)}},
        at
    );
  }

  // Whose single values come out, or choose rows: no private one, unless it is masked (then it is
  // private no more) or the policy names it.
  Result<std::size_t> seen_column(const std::string& name, const std::string& at) {
    const auto found = column(name, at);
    if (!found || terms_.columns_named || out_.columns.columns[*found].privacy.empty()) {
      return found;
    }
    return refuse(ErrorKind::forbidden, "aggregates.private-column", {{"column", name}}, at);
  }

  Result<void> add(const Measure& measure, const std::string& at) {
    if (!terms_.functions.contains(measure.function)) {
      std::string allowed;
      for (const auto one : terms_.functions) {
        if (!allowed.empty()) allowed += ", ";
        allowed += to_string(one);
      }
      return refuse(
          ErrorKind::forbidden,
          "aggregates.function-not-allowed",
          {{"function", std::string(to_string(measure.function))}, {"allowed", allowed}},
          at
      );
    }
    if (measure.column.empty()) {
      out_.measures.push_back({measure.function, BoundMeasure::rows});
      return {};
    }
    const bool one_value = measure.function == Function::min || measure.function == Function::max;
    const auto place = one_value ? seen_column(measure.column, at) : column(measure.column, at);
    if (!place) return tl::unexpected(place.error());
    const auto type = out_.columns.columns[*place].type;
    const bool fits = measure.function == Function::count || is_number(type) ||
                      (one_value && (type == ColumnType::date || type == ColumnType::date_time));
    if (!fits) {
      return refuse(
          ErrorKind::invalid,
          "aggregates.column-type",
          {{"column", measure.column},
           {"type", std::string(catalog::to_string(type))},
           {"function", std::string(to_string(measure.function))}},
          at
      );
    }
    auto slot = std::ranges::find(out_.measured, *place);
    if (slot == out_.measured.end()) slot = out_.measured.insert(slot, *place);
    out_.measures.push_back(
        {measure.function, static_cast<std::size_t>(slot - out_.measured.begin())}
    );
    return {};
  }

  Result<void> add(const Condition& condition, const std::string& at) {
    const auto place = seen_column(condition.column, at);
    if (!place) return tl::unexpected(place.error());
    const auto type = out_.columns.columns[*place].type;
    BoundCondition out{*place, condition.op, {}};
    bool fits = type != ColumnType::boolean || !odrl::orders(condition.op);
    for (const auto& text : condition.values) {
      auto literal = typed_literal(text, type);
      fits = fits && literal.has_value();
      if (literal) out.values.push_back(std::move(*literal));
    }
    if (!fits) {
      // Not the value: the answer may be kept by others.
      return refuse(
          ErrorKind::invalid,
          "aggregates.filter-value",
          {{"column", condition.column}, {"type", std::string(catalog::to_string(type))}},
          at
      );
    }
    out_.filter.push_back(std::move(out));
    return {};
  }

  const Query& query_;
  const GroupTerms& terms_;
  BoundQuery out_;
};

std::optional<double> real(const std::string& text) {
  double number = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(begin, end, number);
  if (failed != std::errc() || stop != end) return std::nullopt;
  return number == 0 ? 0 : number;  // one zero
}

}  // namespace

std::optional<Literal> typed_literal(const std::string& text, ColumnType type) {
  if (!is_number(type)) {
    if (type == ColumnType::boolean && text != "true" && text != "false") return std::nullopt;
    return Literal(text);
  }
  // What is a number is said there; how large it may be, here.
  const auto parsed = odrl::parse_decimal(text, true);
  if (!parsed) return std::nullopt;
  if (type == ColumnType::integer) {
    if (parsed->digits.size() > parsed->whole) return std::nullopt;
    if (parsed->whole <= 18) return Literal(*odrl::integral(*parsed));
  }
  const auto number = real(text);
  if (!number) return std::nullopt;
  return Literal(*number);
}

Result<BoundQuery> bind(
    const Query& query, const catalog::Schema& columns, const GroupTerms& terms
) {
  return Binder(query, columns, terms).bind();
}

}  // namespace tally::aggregates
