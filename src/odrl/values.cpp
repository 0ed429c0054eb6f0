#include "values.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <nlohmann/json.hpp>

namespace tally::odrl {
namespace {

constexpr std::string_view xsd = iri::xsd;

struct IntegerType {
  std::string_view name;
  std::int64_t least;
  std::int64_t most;
};
constexpr std::int64_t no_least = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t no_most = std::numeric_limits<std::int64_t>::max();

constexpr auto integer_types = std::to_array<IntegerType>({
    {"integer", no_least, no_most},
    {"long", no_least, no_most},
    {"int", -2147483648LL, 2147483647LL},
    {"short", -32768, 32767},
    {"byte", -128, 127},
    {"nonNegativeInteger", 0, no_most},
    {"positiveInteger", 1, no_most},
    {"nonPositiveInteger", no_least, 0},
    {"negativeInteger", no_least, -1},
    {"unsignedLong", 0, no_most},
    {"unsignedInt", 0, 4294967295LL},
    {"unsignedShort", 0, 65535},
    {"unsignedByte", 0, 255},
});

Problem type_mismatch(const Literal& literal, std::string_view expected) {
  std::string found = literal.is_iri ? "IRI" : literal.type;
  if (found.empty()) found = literal.is_number ? "number" : "string";
  return {
      {"odrl.type-mismatch",
       {{"value", literal.text}, {"found", std::move(found)}, {"expected", std::string(expected)}}},
      literal.pointer};
}

Problem invalid_literal(const Literal& literal, std::string_view expected) {
  return {
      {"odrl.invalid-literal", {{"value", literal.text}, {"expected", std::string(expected)}}},
      literal.pointer};
}

// The name of an xsd type, or empty. xsd:string is what a plain string is.
std::string_view xsd_name(const Literal& literal) {
  std::string_view type = literal.type;
  if (!type.starts_with(xsd)) return {};
  type.remove_prefix(xsd.size());
  return type;
}

bool is_plain(const Literal& literal) {
  return !literal.is_iri && !literal.is_number &&
         (literal.type.empty() || xsd_name(literal) == "string");
}

bool type_time(
    const Literal& literal,
    std::vector<TimeSpan>& out,
    std::vector<Problem>& problems,
    std::vector<Problem>& warnings
) {
  const auto name = xsd_name(literal);
  const bool plain = is_plain(literal);
  if (!plain && (literal.is_iri || literal.is_number ||
                 (name != "date" && name != "dateTime" && name != "dateTimeStamp"))) {
    problems.push_back(type_mismatch(literal, "xsd:dateTime"));
    return false;
  }
  if (plain || name == "date") {
    if (const auto day = parse_date(literal.text)) {
      out.push_back({day->start, day->end});
      return true;
    }
    if (!plain) {
      problems.push_back(invalid_literal(literal, "xsd:date"));
      return false;
    }
  }
  const auto at = parse_date_time(literal.text);
  if (!at || (name == "dateTimeStamp" && !at->had_zone)) {
    problems.push_back(
        invalid_literal(literal, name == "dateTimeStamp" ? "xsd:dateTimeStamp" : "xsd:dateTime")
    );
    return false;
  }
  if (!at->had_zone) {
    warnings.push_back({{"odrl.zone-missing", {{"value", literal.text}}}, literal.pointer});
  }
  out.push_back({at->instant, at->instant + 1});
  return true;
}

bool type_count(
    const Literal& literal, std::vector<std::int64_t>& out, std::vector<Problem>& problems
) {
  const auto name = xsd_name(literal);
  const auto integer = std::ranges::find(integer_types, name, &IntegerType::name);
  const bool is_integer = !literal.type.empty() && integer != integer_types.end();
  if (literal.is_iri ||
      (!is_integer && !is_plain(literal) && !literal.is_number && name != "decimal")) {
    problems.push_back(type_mismatch(literal, "xsd:integer"));
    return false;
  }
  std::int64_t number = 0;
  bool good = parse_integral(literal.text, number) == IntegerFault::none;
  if (is_integer) {
    good = good && literal.text.find('.') == std::string::npos && number >= integer->least &&
           number <= integer->most;
  }
  if (!good) {
    problems.push_back(
        invalid_literal(literal, is_integer ? "xsd:" + std::string(name) : "xsd:integer")
    );
    return false;
  }
  out.push_back(number);
  return true;
}

bool type_duration(
    const Literal& literal, std::vector<XsdDuration>& out, std::vector<Problem>& problems
) {
  const auto name = xsd_name(literal);
  if (literal.is_iri || literal.is_number ||
      (!is_plain(literal) && name != "duration" && name != "dayTimeDuration" &&
       name != "yearMonthDuration")) {
    problems.push_back(type_mismatch(literal, "xsd:duration"));
    return false;
  }
  const auto span = parse_duration(literal.text);
  if (!span || (name == "dayTimeDuration" && span->months != 0) ||
      (name == "yearMonthDuration" && (span->seconds != 0 || span->nanos != 0))) {
    problems.push_back(invalid_literal(
        literal, name.empty() || name == "string" ? "xsd:duration" : "xsd:" + std::string(name)
    ));
    return false;
  }
  out.push_back(*span);
  return true;
}

bool type_purpose(
    const Literal& literal, std::vector<std::string>& out, std::vector<Problem>& problems
) {
  const auto name = xsd_name(literal);
  if (!literal.is_iri && !is_plain(literal) && name != "anyURI") {
    problems.push_back(type_mismatch(literal, "IRI|xsd:string"));
    return false;
  }
  if (literal.text.empty()) {
    problems.push_back(invalid_literal(literal, "IRI|xsd:string"));
    return false;
  }
  out.push_back(literal.text);
  return true;
}

bool read_object(
    const Json& value,
    const std::string& at,
    const Context& context,
    Literal& out,
    std::vector<Problem>& problems
) {
  const auto bad = [&](const std::string& key) {
    problems.push_back({{"odrl.invalid-value-member", {{"member", key}}}, child(at, key)});
    return false;
  };
  const bool by_id = value.contains("@id");
  if (by_id == value.contains("@value")) {
    problems.push_back({{"odrl.constraint-incomplete", {{"member", "@value"}}}, at});
    return false;
  }
  for (const auto& [key, member] : value.items()) {
    if (key == "@id" && by_id && member.is_string()) {
      out.text = context.expand(member.get_ref<const std::string&>());
      out.is_iri = true;
    } else if (key == "@value" && member.is_string()) {
      out.text = member.get<std::string>();
    } else if (key == "@value" && member.is_number()) {
      out.text = member.dump();
      out.is_number = true;
    } else if (key == "@type" && !by_id && member.is_string()) {
      out.type = context.expand(member.get_ref<const std::string&>());
    } else {
      return bad(key);
    }
  }
  if (!out.type.empty()) out.is_number = false;
  // anyURI is an IRI by another name; its prefix is not expanded, since JSON-LD does not.
  if (out.is_iri && out.text.find(':') == std::string::npos) {
    problems.push_back(invalid_literal(out, "IRI"));
    return false;
  }
  return true;
}

}  // namespace

IntegerFault parse_integral(std::string_view text, std::int64_t& out) {
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  const auto dot = text.find('.');
  const auto whole = text.substr(0, dot);
  const auto part = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  const auto digits = [](std::string_view piece) {
    return std::ranges::all_of(piece, [](char c) { return c >= '0' && c <= '9'; });
  };
  if ((whole.empty() && part.empty()) || !digits(whole) || !digits(part)) {
    return IntegerFault::not_a_number;
  }
  if (std::ranges::any_of(part, [](char c) { return c != '0'; })) return IntegerFault::not_integral;
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  std::int64_t number = 0;
  for (const char c : whole) {
    const int digit = c - '0';
    number = number > (most - digit) / 10 ? most : number * 10 + digit;
    if (number == most) break;
  }
  out = negative ? -number : number;
  return IntegerFault::none;
}

bool read_literals(
    const Json& value,
    const std::string& at,
    const Context& context,
    std::size_t most,
    std::vector<Literal>& out,
    std::vector<Problem>& problems
) {
  const Json* list = &value;
  std::string list_at = at;
  if (value.is_object() && value.size() == 1 && value.contains("@list")) {
    list = &value["@list"];
    list_at = child(at, "@list");
  }
  const bool many = list->is_array();
  if (list != &value && !many) {
    problems.push_back({{"odrl.member-type", {{"member", "@list"}, {"expected", "array"}}}, list_at}
    );
    return false;
  }
  const std::size_t size = many ? list->size() : 1;
  if (size == 0) {
    problems.push_back({{"odrl.empty-list", {{"member", "rightOperand"}}}, list_at});
    return false;
  }
  if (size > most) {
    problems.push_back(
        {{"odrl.too-large", {{"what", "rightOperand"}, {"most", std::to_string(most)}}}, list_at}
    );
    return false;
  }
  bool good = true;
  for (std::size_t i = 0; i < size; ++i) {
    const Json& one = many ? (*list)[i] : *list;
    Literal literal;
    literal.pointer = many ? child(list_at, i) : list_at;
    if (one.is_string()) {
      literal.text = context.expand(one.get_ref<const std::string&>());
    } else if (one.is_number()) {
      literal.text = one.dump();
      literal.is_number = true;
    } else if (one.is_object()) {
      if (!read_object(one, literal.pointer, context, literal, problems)) {
        good = false;
        continue;
      }
    } else {
      problems.push_back(
          {{"odrl.member-type",
            {{"member", "rightOperand"}, {"expected", "string|number|object|array"}}},
           literal.pointer}
      );
      good = false;
      continue;
    }
    out.push_back(std::move(literal));
  }
  return good;
}

bool type_values(
    Operand operand,
    const std::vector<Literal>& literals,
    Values& out,
    std::vector<Problem>& problems,
    std::vector<Problem>& warnings
) {
  bool good = true;
  switch (operand) {
    case Operand::date_time: {
      auto& list = out.emplace<std::vector<TimeSpan>>();
      for (const auto& one : literals) good = type_time(one, list, problems, warnings) && good;
      break;
    }
    case Operand::count: {
      auto& list = out.emplace<std::vector<std::int64_t>>();
      for (const auto& one : literals) good = type_count(one, list, problems) && good;
      break;
    }
    case Operand::purpose: {
      auto& list = out.emplace<std::vector<std::string>>();
      for (const auto& one : literals) good = type_purpose(one, list, problems) && good;
      break;
    }
    case Operand::elapsed_time: {
      auto& list = out.emplace<std::vector<XsdDuration>>();
      for (const auto& one : literals) good = type_duration(one, list, problems) && good;
      break;
    }
  }
  return good;
}

}  // namespace tally::odrl
