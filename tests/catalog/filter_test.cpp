#include "tally/catalog/filter.hpp"

#include <gtest/gtest.h>

#include "catalog/documents.hpp"

namespace tally::catalog {
namespace {

std::shared_ptr<const Catalog> library() {
  const auto asset = [](const std::string& id, const char* more) {
    Json json = asset_json(id);
    json.update(Json::parse(more));
    return document(id + ".json", json);
  };
  std::vector<Document> policies;
  for (const char* id : {"a", "b", "c", "d"}) {
    policies.push_back(
        document(std::string(id) + ".policy", policy_json("urn:o:" + std::string(id), id))
    );
  }
  auto built = build(
      {asset("a", R"({"keyword": ["blood", "冠心病"], "theme": "urn:theme:labs"})"),
       asset("b", R"({"keyword": ["blood"], "class": "public",
                      "metadata": {"http://purl.org/dc/terms/publisher": {"@id": "urn:p:b"}}})"),
       asset("c", R"({"metadata": {"dct:publisher": "urn:p:b", "ex:n": 4, "ex:open": true,
                                   "ex:deep": {"dcat:keyword": "blood"}}})"),
       asset("d", R"({"title": "\"dcat:keyword\":[\"blood\"]", "metadata": {"ex:n": [4, 5]}})")},
      policies,
      options()
  );
  EXPECT_TRUE(built.problems.empty()) << all(built.problems);
  return built.catalog;
}

std::string found(const Catalog& catalog, const Filter& filter) {
  auto request = first_page(institute);
  request.filter = filter;
  std::string out;
  const Json body = Json::parse(catalog.page(request).body);
  for (const auto& dataset : body.value("dataset", Json::array())) {
    out += dataset.at("@id").get<std::string>();
  }
  return out;
}

TEST(Filter, ShowsWhatHoldsAll) {
  const auto catalog = library();
  const struct {
    const char* filter;
    const char* found;
  } cases[] = {
      {"[]", "abcd"},
      {R"([{"keyword": "blood"}])", "ab"},
      {R"([{"keyword": "冠心病"}])", "a"},
      {R"([{"keyword": "bloo"}])", ""},
      {R"([{"theme": "urn:theme:labs"}])", "a"},
      {R"([{"class": "public"}])", "b"},
      {R"([{"class": "health"}])", "acd"},
      {R"([{"id": "c"}])", "c"},
      {R"([{"keyword": "blood", "class": "public"}])", "b"},
      {R"([{"keyword": "blood"}, {"class": "public"}])", "b"},
      {R"([{"keyword": "blood"}, {"id": "c"}])", ""},
      // A prefix and its IRI are one name, a bare value and one in @id are one value.
      {R"([{"property": "dct:publisher", "value": "urn:p:b"}])", "bc"},
      {R"([{"property": "http://purl.org/dc/terms/publisher", "value": "urn:p:b"}])", "bc"},
      {R"([{"property": "dcat:mediaType", "value": "text/csv"}])", "abcd"},
      {R"([{"property": "ex:n", "value": 4}])", "cd"},
      {R"([{"property": "ex:n", "value": "4"}])", ""},
      {R"([{"property": "ex:open", "value": true}])", "c"},
      // Only members of the dataset itself, never text that looks like one.
      {R"([{"property": "ex:deep", "value": "blood"}])", ""},
      {R"([{"@type": "QuerySpec", "limit": 50, "offset": 0, "sortOrder": "ASC",
            "filterExpression": []}])",
       "abcd"},
      {R"([{"@type": "QuerySpec", "filterExpression": [{"@type": "Criterion",
            "operandLeft": "https://w3id.org/edc/v0.0.1/ns/id", "operator": "=",
            "operandRight": "b"}]}])",
       "b"},
      {R"([{"@type": "https://w3id.org/edc/v0.0.1/ns/QuerySpec",
            "https://w3id.org/edc/v0.0.1/ns/filterExpression":
              {"edc:operandLeft": "keyword", "edc:operator": "=", "edc:operandRight": "blood"}}])",
       "ab"},
  };
  for (const auto& one : cases) {
    const auto filter = read_filter(Json::parse(one.filter).get<std::vector<Json>>());
    ASSERT_TRUE(filter) << one.filter;
    EXPECT_EQ(found(*catalog, *filter), one.found) << one.filter;
    // What a link carries means the same.
    const auto again = read_filter(filter->to_json().get<std::vector<Json>>());
    ASSERT_TRUE(again) << one.filter;
    EXPECT_EQ(again->conditions, filter->conditions);
    EXPECT_EQ(again->limit, filter->limit);
  }
}

TEST(Filter, WhatIsNotUnderstoodIsRefusedWithItsPlace) {
  const std::string long_text(2100, 'x');
  const struct {
    std::string filter;
    const char* code;
    const char* pointer;
  } cases[] = {
      {R"(["x"])", "catalog.filter-form", "/filter/0"},
      {R"([{}])", "catalog.filter-form", "/filter/0"},
      {R"([{"keyword": "x"}, {"colour": "y"}])", "catalog.filter-unknown", "/filter/1/colour"},
      {R"([{"property": "dct:title"}])", "catalog.filter-form", "/filter/0"},
      {R"([{"value": "x"}])", "catalog.filter-form", "/filter/0"},
      {R"([{"property": "", "value": "x"}])", "catalog.filter-form", "/filter/0/value"},
      {R"([{"property": 1, "value": "x"}])", "catalog.filter-form", "/filter/0/property"},
      {R"([{"keyword": ["x"]}])", "catalog.filter-value", "/filter/0/keyword"},
      {R"([{"keyword": null}])", "catalog.filter-value", "/filter/0/keyword"},
      {R"([{"@type": "Sparql"}])", "catalog.filter-form", "/filter/0/@type"},
      {R"([{"@type": "QuerySpec", "limit": -1}])", "catalog.filter-number", "/filter/0/limit"},
      {R"([{"@type": "QuerySpec", "offset": "1"}])", "catalog.filter-number", "/filter/0/offset"},
      {R"([{"@type": "QuerySpec", "sortField": "x"}])",
       "catalog.filter-unknown",
       "/filter/0/sortField"},
      {R"([{"@type": "QuerySpec", "filterExpression": [{"operandLeft": "id", "operator": "like",
            "operandRight": "x"}]}])",
       "catalog.filter-operator",
       "/filter/0/filterExpression/0/operator"},
      {R"([{"@type": "QuerySpec", "filterExpression": [{"operandLeft": "id", "operator": "="}]}])",
       "catalog.filter-form",
       "/filter/0/filterExpression/0"},
      {R"([{"keyword": ")" + long_text + R"("}])", "catalog.filter-too-long", "/filter"},
  };
  for (const auto& one : cases) {
    const auto filter = read_filter(Json::parse(one.filter).get<std::vector<Json>>());
    ASSERT_FALSE(filter) << one.filter;
    EXPECT_EQ(filter.error().message.code, one.code) << one.filter;
    EXPECT_EQ(filter.error().pointer, one.pointer) << one.filter;
    EXPECT_EQ(filter.error().kind, ErrorKind::invalid);
  }
  std::vector<Json> many(17, Json{{"keyword", "x"}});
  EXPECT_EQ(read_filter(many).error().message.code, "catalog.filter-too-long");
}

}  // namespace
}  // namespace tally::catalog
