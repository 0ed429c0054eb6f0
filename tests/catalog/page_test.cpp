#include "tally/catalog/page.hpp"

#include <gtest/gtest.h>

#include "catalog/documents.hpp"

namespace tally::catalog {
namespace {

std::string id_of(int number) {
  const std::string text = std::to_string(number);
  return "asset-" + std::string(5 - text.size(), '0') + text;
}

struct Offered {
  std::vector<Document> assets;
  std::vector<Document> policies;
  void add(const std::string& id, const Json& audience) {
    Json asset = asset_json(id);
    assets.push_back(document(id + ".json", asset));
    Json policy = policy_json("urn:offer:" + id, id);
    policy["visibleTo"] = Json::array({audience});
    policies.push_back(document(id + ".policy.json", policy));
  }
  std::shared_ptr<const Catalog> build_all(std::vector<NestedCatalog> nested = {}) const {
    auto with = options();
    with.nested = std::move(nested);
    auto built = build(assets, policies, with);
    EXPECT_TRUE(built.problems.empty()) << all(built.problems);
    return built.catalog;
  }
};

const Json health = {{"domain", "health"}};
const Json industry = {{"domain", "industry"}};

std::vector<std::string> ids_of(const Page& page) {
  std::vector<std::string> out;
  const Json body = Json::parse(page.body);
  for (const auto& dataset : body.value("dataset", Json::array())) {
    out.push_back(dataset.at("@id"));
  }
  return out;
}

// Follows the links one way; each goes through its token, as on the wire.
std::vector<Page> all_pages(const Catalog& catalog, PageRequest request, bool back = false) {
  std::vector<Page> pages;
  for (int steps = 0; steps < 10'000; ++steps) {
    pages.push_back(catalog.page(request));
    const auto& link = back ? pages.back().previous : pages.back().next;
    if (!link) return pages;
    auto cursor = read_token(to_token(*link));
    if (!cursor) break;
    request.filter = cursor->filter;
    request.from = std::move(*cursor);
  }
  ADD_FAILURE() << "the links have no end";
  return pages;
}

TEST(Pages, EveryVisibleDatasetIsOnExactlyOne) {
  Offered offered;
  std::vector<std::string> expected;
  for (int i = 0; i < 57; ++i) {
    const bool ours = i % 3 != 0;
    offered.add(id_of(i), ours ? health : industry);
    if (ours) expected.push_back(id_of(i));
  }
  const auto catalog = offered.build_all();
  for (const std::size_t size : {1U, 2U, 7U, 38U, 39U, 100U}) {
    auto request = first_page(institute);
    request.most = size;
    const auto pages = all_pages(*catalog, request);
    std::vector<std::string> forth;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const auto ids = ids_of(pages[i]);
      EXPECT_EQ(ids.size(), std::min(size, expected.size() - forth.size()));
      forth.insert(forth.end(), ids.begin(), ids.end());
      // The first has no page before it, the last none behind it.
      EXPECT_EQ(pages[i].previous.has_value(), i > 0) << size << " " << i;
      EXPECT_EQ(pages[i].next.has_value(), i + 1 < pages.size());
    }
    EXPECT_EQ(forth, expected) << size;
    if (pages.size() == 1) continue;
    request.from = pages.back().previous;
    auto back = ids_of(pages.back());
    for (const Page& page : all_pages(*catalog, request, true)) {
      auto ids = ids_of(page);
      EXPECT_TRUE(page.next.has_value());
      back.insert(back.begin(), ids.begin(), ids.end());
    }
    EXPECT_EQ(back, expected) << size << " backwards";
  }
}

TEST(Pages, ALinkSurvivesWhatComesAndGoes) {
  Offered offered;
  for (int i = 0; i < 20; i += 2) offered.add(id_of(i), health);
  auto request = first_page(institute);
  request.most = 3;
  const auto link = offered.build_all()->page(request).next;  // behind asset-00004
  ASSERT_TRUE(link);
  Offered changed;
  for (int i = 0; i < 20; i += 2) {
    if (i != 4 && i != 6) changed.add(id_of(i), health);  // the one that the link names is gone
  }
  changed.add(id_of(1), health);
  changed.add(id_of(9), health);
  request.from = link;
  EXPECT_EQ(
      ids_of(changed.build_all()->page(request)),
      (std::vector<std::string>{id_of(8), id_of(9), id_of(10)})
  );
  Offered fewer;
  fewer.add(id_of(0), health);
  const auto nothing = fewer.build_all()->page(request);
  EXPECT_TRUE(ids_of(nothing).empty());
  EXPECT_FALSE(nothing.next || nothing.previous);
}

TEST(Pages, OneEndsBeforeItHasTooManyBytes) {
  Offered offered;
  for (int i = 0; i < 6; ++i) offered.add(id_of(i), health);
  const auto catalog = offered.build_all();
  auto request = first_page(institute);
  request.most_bytes = 1;  // a dataset is shown however large it is
  EXPECT_EQ(all_pages(*catalog, request).size(), 6U);
  request.most_bytes = 4000;
  const auto pages = all_pages(*catalog, request);
  EXPECT_GT(pages.size(), 1U);
  EXPECT_LT(pages.size(), 6U);
}

TEST(Pages, AnotherViewerWithTheSameLinkSeesItsOwn) {
  Offered offered;
  for (int i = 0; i < 10; ++i) offered.add(id_of(i), i % 2 == 0 ? health : industry);
  const auto catalog = offered.build_all();
  auto request = first_page(institute);
  request.most = 2;
  auto stolen = first_page(namesake);
  stolen.from = catalog->page(request).next;  // behind asset-00002
  EXPECT_EQ(
      ids_of(catalog->page(stolen)),
      (std::vector<std::string>{id_of(3), id_of(5), id_of(7), id_of(9)})
  );
}

TEST(Pages, LimitAndOffsetOfAQuerySpec) {
  Offered offered;
  for (int i = 0; i < 10; ++i) offered.add(id_of(i), health);
  const auto catalog = offered.build_all();
  auto request = first_page(institute);
  request.filter.limit = 3;
  request.filter.offset = 4;
  const auto pages = all_pages(*catalog, request);
  ASSERT_EQ(pages.size(), 2U);
  EXPECT_EQ(ids_of(pages[0]), (std::vector<std::string>{id_of(4), id_of(5), id_of(6)}));
  EXPECT_EQ(ids_of(pages[1]), (std::vector<std::string>{id_of(7), id_of(8), id_of(9)}));
  EXPECT_TRUE(pages[0].previous);
  request.filter.offset = 10;
  EXPECT_TRUE(ids_of(catalog->page(request)).empty());
}

TEST(Pages, NestedCataloguesStandOnTheFirstAlone) {
  Offered offered;
  for (int i = 0; i < 3; ++i) offered.add(id_of(i), health);
  const auto catalog =
      offered.build_all({{"urn:catalog:city", "City", "https://city.example/dsp"}});
  auto request = first_page(institute);
  request.most = 2;
  const auto pages = all_pages(*catalog, request);
  ASSERT_EQ(pages.size(), 2U);
  EXPECT_FALSE(Json::parse(pages[1].body).contains("catalog"));
  const Json nested = Json::parse(pages[0].body).at("catalog").at(0);
  EXPECT_EQ(nested.at("@type"), "Catalog");
  EXPECT_EQ(nested.at("@id"), "urn:catalog:city");
  EXPECT_EQ(nested.at("dct:title"), "City");
  EXPECT_EQ(nested.at("distribution").at(0).at("format"), "Catalog");
  EXPECT_EQ(nested.at("service").at(0).at("endpointURL"), "https://city.example/dsp");
}

TEST(Tokens, WhatIsNotOneIsRefused) {
  const auto token = [](const std::string& text) {
    return to_base64url({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  EXPECT_TRUE(read_token(token(R"({"after":"x","filter":[]})")));
  const std::string long_id(513, 'x');
  for (const std::string& bad :
       {std::string(),
        std::string("%%%"),
        token("{"),
        token("[]"),
        token(R"({"after":"x"})"),
        token(R"({"after":1,"filter":[]})"),
        token(R"({"after":"x","before":"y"})"),
        token(R"({"behind":"x","filter":[]})"),
        token(R"({"after":"x","filter":[],"more":1})"),
        token(R"({"after":"x","filter":[{"nothing":"y"}]})"),
        token(R"({"after":")" + long_id + R"(","filter":[]})"),
        std::string(5000, 'A')}) {
    const auto read = read_token(bad);
    ASSERT_FALSE(read) << bad.substr(0, 100);
    EXPECT_EQ(read.error().message.code, "catalog.token");
  }
  // The longest that we write is read.
  Cursor cursor{Cursor::Side::before, std::string(512, 'x'), {}};
  cursor.filter.conditions.push_back({"dct:title", "\"" + std::string(1800, 'y') + "\""});
  const std::string longest = to_token(cursor);
  EXPECT_LE(longest.size(), 4608U);
  const auto read = read_token(longest);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, cursor.id);
  EXPECT_EQ(read->filter.conditions, cursor.filter.conditions);
}

}  // namespace
}  // namespace tally::catalog
