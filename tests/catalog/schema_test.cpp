// The schema of an asset: read strictly, every fault at its place.
#include <gtest/gtest.h>

#include "catalog/documents.hpp"
#include "catalog/read.hpp"

namespace tally::catalog {
namespace {

Json asset_with_schema() {
  Json asset = asset_json();
  asset["schema"] = Json::parse(R"({
    "csv": {"encoding": "GB18030", "delimiter": ";", "header": false},
    "columns": [
      {"name": "编号", "type": "integer", "class": "enterprise"},
      {"name": "姓名", "class": "personal", "level": 4, "privacy": "name"},
      {"name": "seen", "type": "dateTime", "class": "public", "level": 0}
    ]})");
  return asset;
}

TEST(Schema, IsRead) {
  const auto asset = read_asset(document("a.json", asset_with_schema()), options());
  ASSERT_TRUE(asset) << all(asset.error());
  const Schema expected{
      DataForm::csv,
      Encoding::gb18030,
      ';',
      false,
      {{"编号", ColumnType::integer, SourceClass::enterprise, 3, ""},
       {"姓名", ColumnType::text, SourceClass::personal, 4, "name"},
       {"seen", ColumnType::date_time, SourceClass::public_, 0, ""}}};
  EXPECT_EQ(asset->schema, expected);
  EXPECT_EQ(asset->schema->find("姓名"), 1U);
  EXPECT_EQ(asset->schema->find("none"), Schema::absent);
}

TEST(Schema, NeedNotBeThere) {
  const auto asset = read_asset(document("a.json", asset_json()), options());
  ASSERT_TRUE(asset);
  EXPECT_FALSE(asset->schema);
}

TEST(Schema, TheMediaTypeSaysTheForm) {
  for (const auto& [type, form] : std::map<std::string, DataForm>{
           {"text/csv", DataForm::csv},
           {"application/json", DataForm::json_array},
           {"application/x-ndjson", DataForm::json_lines}}) {
    Json json = asset_with_schema();
    json["mediaType"] = type;
    if (form != DataForm::csv) json["schema"].erase("csv");
    const auto asset = read_asset(document("a.json", json), options());
    ASSERT_TRUE(asset) << all(asset.error());
    EXPECT_EQ(asset->schema->form, form);
  }
}

// What makes a sound asset a faulty one, and what is said of it.
struct Fault {
  const char* at;
  Json value;  // null: taken out
  const char* pointer;
  const char* code;
};

void expect_named_at_their_place(const Json& sound, const std::vector<Fault>& faults) {
  for (const Fault& one : faults) {
    Json json = sound;
    const Json::json_pointer at(one.at);
    if (one.value.is_null()) {
      json.at(at.parent_pointer()).erase(at.back());
    } else {
      json[at] = one.value;
    }
    const auto asset = read_asset(document("a.json", json), options());
    ASSERT_FALSE(asset) << one.at << " " << one.value;
    const bool found = std::ranges::any_of(asset.error(), [&](const Problem& problem) {
      return problem.message.code == one.code && problem.pointer == one.pointer;
    });
    EXPECT_TRUE(found) << one.at << " " << one.value << "\n" << all(asset.error());
  }
}

TEST(Schema, FaultsAreNamedAtTheirPlace) {
  const Json column{{"name", "x"}, {"class", "public"}};
  const std::vector<Fault> faults{
      {"/mediaType", "text/plain", "/mediaType", "catalog.schema-media-type"},
      {"/mediaType", "text/csv; charset=utf-8", "/mediaType", "catalog.schema-media-type"},
      {"/mediaType", "application/json", "/schema/csv", "catalog.schema-csv-only"},
      {"/schema", "text", "/schema", "catalog.not-an-object"},
      {"/schema/colums", Json::array(), "/schema/colums", "catalog.misspelt-member"},
      {"/schema/csv", 7, "/schema/csv", "catalog.not-an-object"},
      {"/schema/csv/encoding", "GBK", "/schema/csv/encoding", "catalog.unknown-value"},
      {"/schema/csv/encoding", "UTF8", "/schema/csv/encoding", "catalog.misspelt-value"},
      {"/schema/csv/encoding", 8, "/schema/csv/encoding", "catalog.member-type"},
      {"/schema/csv/delimiter", "::", "/schema/csv/delimiter", "catalog.unknown-value"},
      {"/schema/csv/delimiter", "", "/schema/csv/delimiter", "catalog.unknown-value"},
      {"/schema/csv/header", "no", "/schema/csv/header", "catalog.member-type"},
      {"/schema/csv/quote", "'", "/schema/csv/quote", "catalog.unknown-member"},
      {"/schema/columns", nullptr, "/schema/columns", "catalog.member-missing"},
      {"/schema/columns", Json::array(), "/schema/columns", "catalog.member-type"},
      {"/schema/columns", Json(1025, column), "/schema/columns", "catalog.member-type"},
      {"/schema/columns/0", "x", "/schema/columns/0", "catalog.not-an-object"},
      {"/schema/columns/0/name", nullptr, "/schema/columns/0/name", "catalog.member-missing"},
      {"/schema/columns/0/name", "", "/schema/columns/0/name", "catalog.column-name"},
      {"/schema/columns/0/name", "a\nb", "/schema/columns/0/name", "catalog.column-name"},
      {"/schema/columns/0/name", "姓名", "/schema/columns/1/name", "catalog.duplicate-column"},
      {"/schema/columns/0/type", "int", "/schema/columns/0/type", "catalog.unknown-value"},
      {"/schema/columns/0/class", nullptr, "/schema/columns/0/class", "catalog.member-missing"},
      {"/schema/columns/0/class", "private", "/schema/columns/0/class", "catalog.unknown-value"},
      {"/schema/columns/0/level", 10, "/schema/columns/0/level", "catalog.member-type"},
      {"/schema/columns/1/privacy", "", "/schema/columns/1/privacy", "catalog.member-type"},
      {"/schema/columns/1/privacy", true, "/schema/columns/1/privacy", "catalog.member-type"},
      {"/schema/columns/1/mask", "x", "/schema/columns/1/mask", "catalog.unknown-member"},
  };
  expect_named_at_their_place(asset_with_schema(), faults);
}

Json asset_with_parameters() {
  Json asset = asset_with_schema();
  asset["delivery"] = "call";
  asset["parameters"] = Json::parse(R"([
    {"name": "no", "column": "编号", "required": true}, {"name": "seen"}])");
  return asset;
}

TEST(Parameters, AreReadAndKept) {
  const auto asset = read_asset(document("a.json", asset_with_parameters()), options());
  ASSERT_TRUE(asset) << all(asset.error());
  const std::vector<Parameter> expected{{"no", "编号", true}, {"seen", "seen", false}};
  EXPECT_EQ(asset->parameters, expected);
  EXPECT_EQ(parse_parameters(to_json(expected)), expected);
}

TEST(Parameters, FaultsAreNamedAtTheirPlace) {
  const std::vector<Fault> faults{
      {"/parameters", 1, "/parameters", "catalog.member-type"},
      {"/parameters", Json(17, Json{{"name", "x"}}), "/parameters", "catalog.member-type"},
      {"/parameters/0", "no", "/parameters/0", "catalog.not-an-object"},
      {"/parameters/0/name", nullptr, "/parameters/0/name", "catalog.member-missing"},
      {"/parameters/0/name", "", "/parameters/0/name", "catalog.parameter-name"},
      {"/parameters/0/name", "a b", "/parameters/0/name", "catalog.parameter-name"},
      {"/parameters/0/name", "purpose", "/parameters/0/name", "catalog.parameter-name"},
      {"/parameters/0/name", "seen", "/parameters/1/name", "catalog.parameter-name"},
      {"/parameters/0/column", "age", "/parameters/0/column", "catalog.parameter-column"},
      {"/parameters/1/name", "age", "/parameters/1/name", "catalog.parameter-column"},
      {"/parameters/0/required", "yes", "/parameters/0/required", "catalog.member-type"},
      {"/parameters/0/type", "text", "/parameters/0/type", "catalog.unknown-member"},
      {"/schema", nullptr, "/parameters/0/column", "catalog.parameter-no-schema"},
      {"/delivery", "custody", "/parameters", "catalog.parameter-delivery"},
  };
  expect_named_at_their_place(asset_with_parameters(), faults);
}

// What is kept with an agreement, and told to a consumer, reads as it was written.
TEST(Schema, IsWrittenAsItWasRead) {
  for (const auto* type : {"text/csv", "application/json", "application/x-ndjson"}) {
    Json json = asset_with_schema();
    json["mediaType"] = type;
    if (std::string_view(type) != "text/csv") json["schema"].erase("csv");
    const auto asset = read_asset(document("a.json", json), options());
    ASSERT_TRUE(asset) << all(asset.error());
    const auto again = parse_schema(to_json(*asset->schema), type);
    ASSERT_TRUE(again) << type << " " << again.error().pointer;
    EXPECT_EQ(*again, *asset->schema);
  }
  EXPECT_FALSE(parse_schema(Json::array(), "text/csv"));
  EXPECT_FALSE(parse_schema(Json(), "text/csv"));
}

// What cannot be handed out so is no offer.
TEST(Schema, AnOfferIsHeldAgainstIt) {
  std::map<AssetId, Asset> assets;
  assets.emplace(
      AssetId("cohort-2026"), *read_asset(document("a.json", asset_with_schema()), options())
  );
  BuildOptions checked = options();
  checked.check_shape = [&](const odrl::CompiledPolicy& policy, const Schema* schema) {
    EXPECT_EQ(policy.rules().size(), 1U);
    std::vector<odrl::Problem> out;
    if (schema == nullptr) return out;
    EXPECT_EQ(schema->columns.size(), 3U);
    out.push_back({{"catalog.column-name", {}}, "/permission/0"});
    return out;
  };
  const auto offer = read_policy(document("p.json", policy_json()), assets, checked);
  ASSERT_FALSE(offer);
  EXPECT_EQ(offer.error().front().pointer, "/policy/permission/0");
  assets.at(AssetId("cohort-2026")).schema.reset();
  EXPECT_TRUE(read_policy(document("p.json", policy_json()), assets, checked));
}

}  // namespace
}  // namespace tally::catalog
