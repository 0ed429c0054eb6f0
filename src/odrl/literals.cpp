#include "literals.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"

namespace tally::odrl {
namespace {

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

// Derived from xsd:string: the same values.
constexpr auto string_types = std::to_array<std::string_view>(
    {"normalizedString", "token", "Name", "NCName", "NMTOKEN", "language"}
);

// The name of an xsd type, or empty.
std::string_view xsd_name(const Literal& literal) {
  std::string_view type = literal.type;
  if (!type.starts_with(iri::xsd)) return {};
  type.remove_prefix(iri::xsd.size());
  return type;
}

std::string lower(std::string text) {
  for (auto& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

Value malformed(const Literal& literal) {
  return Malformed{literal.text};
}

Instant moved(Instant at, int minutes) {
  return {at.seconds - static_cast<std::int64_t>(minutes) * 60, at.nanos};
}

// xsd writes a zone as Z or ±hh:mm behind the day or the time.
bool has_zone(std::string_view text) {
  if (text.ends_with('Z')) return true;
  return text.size() > 6 && text[text.size() - 3] == ':' &&
         (text[text.size() - 6] == '+' || text[text.size() - 6] == '-');
}

Value read_time(const Literal& literal, bool needs_zone, int default_zone) {
  const auto at = parse_date_time(literal.text);
  if (!at || (needs_zone && !at->had_zone)) return malformed(literal);
  const auto instant = at->had_zone ? at->instant : moved(at->instant, default_zone);
  return TimeSpan{instant, instant + 1};
}

// Both 00:00:00 and 24:00:00 are midnight.
Value read_time_of_day(const Literal& literal, int default_zone) {
  constexpr Instant day{86400, 0};
  const bool midnight = literal.text.starts_with("24:00:00");
  const auto text = midnight ? "00" + literal.text.substr(2) : literal.text;
  const auto at = parse_date_time("1970-01-02T" + text);
  if (!at) return malformed(literal);
  const auto instant = at->had_zone ? at->instant : moved(at->instant, default_zone);
  return TimeOfDay{instant - day};
}

Value read_day(const Literal& literal, int default_zone) {
  const auto day = parse_date(literal.text);
  if (!day) return malformed(literal);
  if (has_zone(literal.text)) return TimeSpan{day->start, day->end};
  return TimeSpan{moved(day->start, default_zone), moved(day->end, default_zone)};
}

Value read_duration(const Literal& literal, std::string_view name) {
  const auto span = parse_duration(literal.text);
  if (!span || (name == "dayTimeDuration" && span->months != 0) ||
      (name == "yearMonthDuration" && (span->seconds != 0 || span->nanos != 0))) {
    return malformed(literal);
  }
  return *span;
}

Value read_integer(const Literal& literal, const IntegerType& type) {
  const auto number = parse_decimal(literal.text);
  if (!number || literal.text.find('.') != std::string::npos) return malformed(literal);
  const auto whole = *integral(*number);
  if (whole < type.least || whole > type.most) return malformed(literal);
  return *number;
}

Value read_decimal(const Literal& literal, bool exponent) {
  auto number = parse_decimal(literal.text, exponent);
  if (!number) return malformed(literal);
  return std::move(*number);
}

// Spellings of one xsd:double or xsd:float are one value: its shortest.
template <class Float>
Value read_float(const Literal& literal) {
  if (!parse_decimal(literal.text, true)) return malformed(literal);
  std::string_view text = literal.text;
  if (text.starts_with('+')) text.remove_prefix(1);
  Float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return malformed(literal);
  std::array<char, 64> shortest{};
  const auto written = std::to_chars(shortest.data(), shortest.data() + shortest.size(), value);
  return *parse_decimal({shortest.data(), written.ptr}, true);
}

Value read_octets(const Literal& literal, bool hex) {
  auto text = literal.text;
  // XSD lets base64Binary have blanks between its characters.
  if (!hex) std::erase(text, ' ');
  const auto bytes = hex ? from_hex(lower(text)) : from_base64(text);
  if (!bytes) return malformed(literal);
  return Octets{std::string(bytes->begin(), bytes->end()), hex};
}

// "100/P1D"
Value read_rate(const Literal& literal) {
  const auto slash = literal.text.find('/');
  if (slash == std::string::npos) return malformed(literal);
  const auto number = parse_decimal(std::string_view(literal.text).substr(0, slash));
  const auto most = number ? integral(*number) : std::nullopt;
  const auto window = parse_duration(std::string_view(literal.text).substr(slash + 1));
  const bool empty = window && window->months <= 0 && window->seconds <= 0 && window->nanos <= 0;
  if (!most || *most < 0 || !window || empty) return malformed(literal);
  return Rate{*most, *window};
}

Value read_typed(const Literal& literal, ValueKind kind, int zone) {
  const auto name = xsd_name(literal);
  if (name == "anyURI") return Name{canonical_iri(literal.text)};
  if (name == "dateTime" || name == "dateTimeStamp") {
    return read_time(literal, name == "dateTimeStamp", zone);
  }
  if (name == "date") return read_day(literal, zone);
  if (name == "duration" || name == "dayTimeDuration" || name == "yearMonthDuration") {
    return read_duration(literal, name);
  }
  if (name == "decimal") return read_decimal(literal, false);
  if (name == "double") return read_float<double>(literal);
  if (name == "float") return read_float<float>(literal);
  if (name == "boolean") {
    if (literal.text == "true" || literal.text == "1") return true;
    if (literal.text == "false" || literal.text == "0") return false;
    return malformed(literal);
  }
  if (name == "hexBinary" || name == "base64Binary") return read_octets(literal, name[0] == 'h');
  if (name == "time") return read_time_of_day(literal, zone);
  if (std::ranges::find(string_types, name) != string_types.end()) {
    auto plain = literal;
    plain.type.clear();
    return type_value(plain, kind, zone);
  }
  for (const auto& type : integer_types) {
    if (type.name == name) return read_integer(literal, type);
  }
  if (kind == ValueKind::any) return Foreign{literal.text, literal.type};
  return malformed(literal);
}

Value read_plain(const Literal& literal, ValueKind kind, int zone) {
  switch (kind) {
    case ValueKind::instant: {
      auto day = read_day(literal, zone);
      return std::holds_alternative<Malformed>(day) ? read_time(literal, false, zone) : day;
    }
    case ValueKind::duration:
      return read_duration(literal, "duration");
    case ValueKind::integer:
    case ValueKind::decimal:
      return read_decimal(literal, false);
    case ValueKind::rate:
      return read_rate(literal);
    case ValueKind::name:
    case ValueKind::language:
    case ValueKind::network:
      return literal.text.empty() ? malformed(literal) : Value(Name{canonical_iri(literal.text)});
    case ValueKind::any:
    case ValueKind::no_compare:
      return Text{literal.text, {}};
  }
  return malformed(literal);
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
    } else if (key == "@value" && member.is_boolean()) {
      out.text = member.dump();
      out.is_boolean = true;
    } else if (key == "@type" && !by_id && member.is_string()) {
      out.type = context.expand(member.get_ref<const std::string&>());
    } else if (key == "@language" && !by_id && member.is_string()) {
      out.language = lower(member.get<std::string>());
    } else if (key == "unit" && !by_id && member.is_string()) {
      out.unit = context.expand(member.get_ref<const std::string&>());
    } else {
      return bad(key);
    }
  }
  if (!out.type.empty() && !out.language.empty()) return bad("@language");
  if (!out.type.empty()) out.is_number = out.is_boolean = false;
  if (out.is_iri && out.text.find(':') == std::string::npos) {
    problems.push_back(
        {{"odrl.invalid-literal", {{"value", out.text}, {"expected", "IRI"}}}, out.pointer}
    );
    return false;
  }
  return true;
}

bool read_literal(
    const Json& value, const Context& context, Literal& out, std::vector<Problem>& problems
) {
  if (value.is_string()) {
    out.text = context.expand(value.get_ref<const std::string&>());
  } else if (value.is_number()) {
    out.text = value.dump();
    out.is_number = true;
  } else if (value.is_boolean()) {
    out.text = value.dump();
    out.is_boolean = true;
  } else if (value.is_object()) {
    return read_object(value, out.pointer, context, out, problems);
  } else {
    problems.push_back(
        {{"odrl.member-type",
          {{"member", "rightOperand"}, {"expected", "string|number|boolean|object|array"}}},
         out.pointer}
    );
    return false;
  }
  return true;
}

}  // namespace

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
  const auto refuse = [&](Message message) {
    problems.push_back({std::move(message), list_at});
    return false;
  };
  if (list != &value && !many) {
    return refuse({"odrl.member-type", {{"member", "@list"}, {"expected", "array"}}});
  }
  const std::size_t size = many ? list->size() : 1;
  if (size == 0) return refuse({"odrl.empty-list", {{"member", "rightOperand"}}});
  if (size > most) {
    return refuse({"odrl.too-large", {{"what", "rightOperand"}, {"most", std::to_string(most)}}});
  }
  bool good = true;
  for (std::size_t i = 0; i < size; ++i) {
    Literal literal;
    literal.pointer = many ? child(list_at, i) : list_at;
    if (read_literal(many ? (*list)[i] : *list, context, literal, problems)) {
      out.push_back(std::move(literal));
    } else {
      good = false;
    }
  }
  return good;
}

Value type_value(const Literal& literal, ValueKind kind, int default_zone) {
  if (literal.is_iri) return Name{literal.text};
  if (literal.is_boolean) return literal.text == "true";
  // JSON numbers are decimals by their text; the exponent is how JSON writes a long one.
  if (literal.is_number) return read_decimal(literal, true);
  if (!literal.language.empty()) return Text{literal.text, literal.language};
  const bool plain = literal.type.empty() || xsd_name(literal) == "string";
  if (!plain) return read_typed(literal, kind, default_zone);
  if (kind == ValueKind::any) return Text{literal.text, {}};
  return read_plain(literal, kind, default_zone);
}

bool fits(const Value& value, ValueKind kind) {
  switch (kind) {
    case ValueKind::instant:
      return std::holds_alternative<TimeSpan>(value);
    case ValueKind::duration:
      return std::holds_alternative<XsdDuration>(value);
    case ValueKind::integer:
    case ValueKind::decimal:
      return std::holds_alternative<Decimal>(value);
    case ValueKind::rate:
      return std::holds_alternative<Rate>(value);
    case ValueKind::name:
    case ValueKind::language:
    case ValueKind::network:
      return std::holds_alternative<Name>(value);
    case ValueKind::any:
    case ValueKind::no_compare:
      return !std::holds_alternative<Malformed>(value);
  }
  return false;
}

std::string_view expected_type(ValueKind kind) {
  switch (kind) {
    case ValueKind::instant:
      return "xsd:dateTime";
    case ValueKind::duration:
      return "xsd:duration";
    case ValueKind::integer:
      return "xsd:integer";
    case ValueKind::decimal:
      return "xsd:decimal";
    case ValueKind::rate:
      return "n/xsd:duration";
    case ValueKind::name:
      return "IRI|xsd:string";
    case ValueKind::language:
      return "BCP 47";
    case ValueKind::network:
      return "IPv4/n|domain";
    case ValueKind::any:
    case ValueKind::no_compare:
      return "xsd";
  }
  return {};
}

std::string found_type(const Literal& literal) {
  if (literal.is_iri) return "IRI";
  if (literal.is_number) return "number";
  if (literal.is_boolean) return "boolean";
  return literal.type.empty() ? "string" : literal.type;
}

bool lacks_zone(const Literal& literal, const Value& value) {
  const auto* span = std::get_if<TimeSpan>(&value);
  return span != nullptr && span->end - span->start == 1 && !has_zone(literal.text);
}

}  // namespace tally::odrl
