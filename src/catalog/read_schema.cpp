#include "read_schema.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "tally/core/json.hpp"

namespace tally::catalog {

namespace {

template <class X>
struct Word {
  std::string_view word;
  X value;
};

constexpr auto column_types = std::to_array<Word<ColumnType>>(
    {{"text", ColumnType::text},
     {"integer", ColumnType::integer},
     {"decimal", ColumnType::decimal},
     {"date", ColumnType::date},
     {"dateTime", ColumnType::date_time},
     {"boolean", ColumnType::boolean}}
);
constexpr auto source_classes = std::to_array<Word<SourceClass>>(
    {{"public", SourceClass::public_},
     {"enterprise", SourceClass::enterprise},
     {"personal", SourceClass::personal}}
);
constexpr auto encodings = std::to_array<Word<Encoding>>(
    {{"UTF-8", Encoding::utf8}, {"UTF-8-BOM", Encoding::utf8_bom}, {"GB18030", Encoding::gb18030}}
);
constexpr auto delimiters =
    std::to_array<Word<char>>({{",", ','}, {";", ';'}, {"\t", '\t'}, {"|", '|'}});
// The asset's mediaType says which form it has, so that the two cannot contradict.
constexpr auto media_types = std::to_array<Word<DataForm>>(
    {{"text/csv", DataForm::csv},
     {"application/json", DataForm::json_array},
     {"application/x-ndjson", DataForm::json_lines}}
);
constexpr std::array<std::string_view, 3> forms{"CSV", "JSON", "NDJSON"};

template <class X, std::size_t n>
std::string_view word_of(const std::array<Word<X>, n>& table, X value) {
  return std::ranges::find(table, value, &Word<X>::value)->word;
}

// The member's word, looked up; a fault, and the fallback, when it is none of the table.
template <class X, std::size_t n>
X read_word(
    StrictObject& in,
    std::string_view key,
    const std::string& written,
    const std::array<Word<X>, n>& table,
    X fallback
) {
  std::vector<std::string_view> words;
  for (const auto& one : table) words.push_back(one.word);
  const std::string word = in.word(key, written, words);
  const auto found = std::ranges::find(table, std::string_view(word), &Word<X>::word);
  return found == table.end() ? fallback : found->value;
}

// A name stands in a header, in policies and in what people read.
bool is_usable_name(std::string_view name) {
  return !name.empty() && name.size() <= longest_column_name &&
         std::ranges::none_of(name, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

// It stands in an address, and in what people read.
bool is_parameter_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void read_csv(
    StrictObject& in, const Document& document, std::vector<Problem>& faults, Schema& schema
) {
  const Json* value = in.member("csv");
  if (!value) return;
  if (schema.form != DataForm::csv) {
    return in.fault(
        {"catalog.schema-csv-only", {{"form", std::string(to_string(schema.form))}}}, in.at("csv")
    );
  }
  StrictObject csv(*value, in.at("csv"), document, faults);
  schema.encoding =
      read_word(csv, "encoding", csv.text("encoding", "UTF-8"), encodings, Encoding::utf8);
  schema.delimiter = read_word(csv, "delimiter", csv.text("delimiter", ","), delimiters, ',');
  schema.header = csv.flag("header", true);
  csv.refuse_others();
}

Column read_column(
    const Json& value,
    std::string at,
    int asset_level,
    const Document& document,
    std::vector<Problem>& faults
) {
  StrictObject in(value, std::move(at), document, faults);
  Column column;
  column.name = in.required_text("name");
  if (value.is_object() && value.contains("name") && !is_usable_name(column.name)) {
    in.fault({"catalog.column-name", {}}, in.at("name"));
  }
  column.type = read_word(in, "type", in.text("type", "text"), column_types, ColumnType::text);
  // No default: what nobody classified is not taken to be public.
  if (in.required("class") != nullptr) {
    column.source = read_word(in, "class", in.text("class"), source_classes, SourceClass::personal);
  }
  column.level = in.number("level", asset_level, highest_level);
  column.privacy = in.text("privacy");
  if (column.privacy.empty() && in.member("privacy") != nullptr) in.wrong_type("privacy", "string");
  in.refuse_others();
  return column;
}

void read_columns(
    StrictObject& in,
    int asset_level,
    const Document& document,
    std::vector<Problem>& faults,
    Schema& schema
) {
  const Json* list = in.required("columns");
  if (!list) return;
  if (!list->is_array() || list->empty() || list->size() > most_columns) {
    return in.wrong_type("columns", "list of 1 to " + std::to_string(most_columns));
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string at = child(in.at("columns"), i);
    auto column = read_column((*list)[i], at, asset_level, document, faults);
    if (!column.name.empty() && !names.insert(column.name).second) {
      in.fault({"catalog.duplicate-column", {{"column", column.name}}}, child(at, "name"));
    }
    schema.columns.push_back(std::move(column));
  }
}

}  // namespace

std::string_view to_string(ColumnType type) {
  return word_of(column_types, type);
}
std::string_view to_string(SourceClass source) {
  return word_of(source_classes, source);
}
std::string_view to_string(DataForm form) {
  return forms[static_cast<std::size_t>(form)];
}
std::string_view to_string(Encoding encoding) {
  return word_of(encodings, encoding);
}

std::size_t Schema::find(std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &Column::name);
  return found == columns.end() ? absent : static_cast<std::size_t>(found - columns.begin());
}

std::vector<std::string_view> Schema::names() const {
  std::vector<std::string_view> out;
  for (const auto& column : columns) out.push_back(column.name);
  return out;
}

std::optional<Schema> read_schema(
    StrictObject& in,
    std::string_view media_type,
    int asset_level,
    const Document& document,
    std::vector<Problem>& faults
) {
  const Json* value = in.member("schema");
  if (!value) return std::nullopt;
  const std::size_t before = faults.size();
  const auto form = std::ranges::find(media_types, media_type, &Word<DataForm>::word);
  if (form == media_types.end()) {
    in.fault(
        {"catalog.schema-media-type", {{"type", std::string(media_type)}}}, in.at("mediaType")
    );
    return std::nullopt;
  }
  Schema schema;
  schema.form = form->value;
  StrictObject members(*value, in.at("schema"), document, faults);
  read_csv(members, document, faults, schema);
  read_columns(members, asset_level, document, faults, schema);
  members.refuse_others();
  if (faults.size() != before) return std::nullopt;
  return schema;
}

std::vector<Parameter> read_parameters(
    StrictObject& in,
    const std::optional<Schema>& schema,
    const Document& document,
    std::vector<Problem>& faults
) {
  std::vector<Parameter> out;
  const Json* list = in.member("parameters");
  if (!list) return out;
  if (!list->is_array() || list->size() > most_parameters) {
    in.wrong_type("parameters", "list of at most " + std::to_string(most_parameters));
    return out;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < list->size(); ++i) {
    StrictObject one((*list)[i], child(in.at("parameters"), i), document, faults);
    Parameter parameter;
    parameter.name = one.required_text("name");
    parameter.column = one.text("column", parameter.name);
    parameter.required = one.flag("required", false);
    one.refuse_others();
    // `purpose` is what an application says of its use, beside them in an address.
    if (!is_parameter_name(parameter.name) || parameter.name == "purpose" ||
        !names.insert(parameter.name).second) {
      one.fault({"catalog.parameter-name", {{"parameter", parameter.name}}}, one.at("name"));
    }
    if (!schema) {
      one.fault({"catalog.parameter-no-schema", {}}, one.at("column"));
    } else if (schema->find(parameter.column) == Schema::absent) {
      one.fault(
          {"catalog.parameter-column", {{"column", parameter.column}}},
          (*list)[i].is_object() && (*list)[i].contains("column") ? one.at("column")
                                                                  : one.at("name")
      );
    }
    out.push_back(std::move(parameter));
  }
  return out;
}

Json to_json(const std::vector<Parameter>& parameters) {
  Json out = Json::array();
  for (const auto& one : parameters) {
    out.push_back({{"name", one.name}, {"column", one.column}, {"required", one.required}});
  }
  return out;
}

std::vector<Parameter> parse_parameters(const Json& json) {
  std::vector<Parameter> out;
  for (const auto& one : json) {
    out.push_back(
        {one.value("name", std::string()),
         one.value("column", std::string()),
         one.value("required", true)}
    );
  }
  return out;
}

Json to_json(const Schema& schema) {
  Json out;
  if (schema.form == DataForm::csv) {
    out["csv"] = {
        {"encoding", to_string(schema.encoding)},
        {"delimiter", std::string(1, schema.delimiter)},
        {"header", schema.header}};
  }
  Json columns = Json::array();
  for (const auto& column : schema.columns) {
    Json one = {
        {"name", column.name},
        {"type", to_string(column.type)},
        {"class", to_string(column.source)},
        {"level", static_cast<unsigned>(column.level)}};
    if (!column.privacy.empty()) one["privacy"] = column.privacy;
    columns.push_back(std::move(one));
  }
  out["columns"] = std::move(columns);
  return out;
}

Result<Schema> parse_schema(const Json& json, std::string_view media_type) {
  const Document document{"schema", {}, Home::api};
  const Json asset = {{"schema", json}};
  std::vector<Problem> faults;
  StrictObject in(asset, {}, document, faults);
  auto schema = read_schema(in, media_type, 0, document, faults);
  if (schema && faults.empty()) return *std::move(schema);
  const std::string place = faults.empty() ? "/schema" : faults.front().pointer;
  return fail(ErrorKind::invalid, {"catalog.schema-unreadable", {{"place", place}}}, place);
}

}  // namespace tally::catalog
