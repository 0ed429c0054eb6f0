#include "tally/catalog/catalog.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"

#include "catalog/documents.hpp"

namespace tally::catalog {

BuildResult hospital() {
  Json open = policy_json("urn:uuid:3", "labs");
  open["visibleTo"] = {"*"};
  Json domain = policy_json("urn:uuid:2", "cohort-2026");
  domain["visibleTo"] = Json::array({{{"domain", "health"}}});
  Json nobody = policy_json("urn:uuid:4", "secret");
  nobody["visibleTo"] = Json::array();
  Json calls = asset_json("labs");
  calls["delivery"] = "call";
  return build(
      {document("a.json", asset_json()),
       document("b.json", calls),
       document("c.json", asset_json("secret"))},
      {document("p2.json", domain),
       document("p1.json", policy_json("urn:uuid:1", "cohort-2026")),
       document("p3.json", open),
       document("p4.json", nobody)},
      options()
  );
}

std::string ids(const std::vector<const Offer*>& offers) {
  std::string text;
  for (const Offer* offer : offers) text += offer->id.value + " ";
  return text;
}

TEST(Catalog, EachPartySeesTheOffersAddressedToIt) {
  const auto built = hospital();
  ASSERT_TRUE(built.problems.empty()) << all(built.problems);
  const Catalog& catalog = *built.catalog;
  const AssetId cohort("cohort-2026");
  EXPECT_EQ(ids(catalog.visible_offers(cohort, institute, today)), "urn:uuid:1 urn:uuid:2 ");
  EXPECT_EQ(ids(catalog.visible_offers(cohort, neighbour, today)), "urn:uuid:2 ");
  // The same URI under another anchor is another party.
  EXPECT_EQ(ids(catalog.visible_offers(cohort, namesake, today)), "");
  EXPECT_EQ(ids(catalog.visible_offers(AssetId("labs"), namesake, today)), "urn:uuid:3 ");
  EXPECT_EQ(ids(catalog.visible_offers(AssetId("secret"), institute, today)), "");
  EXPECT_EQ(ids(catalog.visible_offers(AssetId("labs"), PartyId{}, today)), "");
}

// `lt` 2030: from then on it permits nothing, and is offered to nobody.
TEST(Catalog, AnOfferThatIsOverIsLikeOneThatDoesNotExist) {
  const auto built = hospital();
  const Catalog& catalog = *built.catalog;
  const auto end = parse_date_time("2030-01-01T00:00:00Z")->instant;
  const AssetId cohort("cohort-2026");
  const auto before = end + -1;
  EXPECT_EQ(ids(catalog.visible_offers(cohort, institute, before)), "urn:uuid:1 urn:uuid:2 ");
  EXPECT_NE(catalog.visible_offer(OfferId("urn:uuid:1"), institute, before), nullptr);
  EXPECT_EQ(ids(catalog.visible_offers(cohort, institute, end)), "");
  EXPECT_EQ(catalog.visible_offer(OfferId("urn:uuid:1"), institute, end), nullptr);
  EXPECT_EQ(catalog.dataset_body(cohort, institute, end), std::nullopt);
  auto request = first_page(institute);
  request.now = end;
  EXPECT_EQ(catalog.page(request).body.find("cohort-2026"), std::string::npos);
}

TEST(Catalog, WhatAPartyMayNotSeeIsLikeWhatDoesNotExist) {
  const auto built = hospital();
  const Catalog& catalog = *built.catalog;
  for (const AssetId& id : {AssetId("secret"), AssetId("nothing"), AssetId("cohort-2026")}) {
    EXPECT_EQ(ids(catalog.visible_offers(id, namesake, today)), "") << id.value;
    EXPECT_EQ(catalog.dataset_body(id, namesake, today), std::nullopt) << id.value;
  }
  for (const OfferId& id : {OfferId("urn:uuid:1"), OfferId("urn:uuid:4"), OfferId("nothing")}) {
    EXPECT_EQ(catalog.visible_offer(id, namesake), nullptr) << id.value;
  }
  const std::string body = catalog.page(first_page(namesake)).body;
  for (const char* hidden : {"cohort-2026", "secret", "urn:uuid:1", "urn:uuid:2", "urn:uuid:4"}) {
    EXPECT_EQ(body.find(hidden), std::string::npos) << hidden;
  }
  // A dataset that is shown shows only the offers for this party.
  const auto dataset = catalog.dataset_body(AssetId("cohort-2026"), neighbour, today);
  ASSERT_TRUE(dataset);
  EXPECT_EQ(dataset->find("urn:uuid:1\""), std::string::npos);
  EXPECT_NE(dataset->find("urn:uuid:2\""), std::string::npos);
}

TEST(Catalog, TheBodiesAreTheObjectsOfTheProtocol) {
  const auto built = hospital();
  for (const PartyId& party : {institute, neighbour, namesake, PartyId{}}) {
    const auto body = parse_json(built.catalog->page(first_page(party)).body);
    ASSERT_TRUE(body);
    const auto catalog = dsp::from_json<dsp::Catalog>(*body);
    ASSERT_TRUE(catalog);
    // Nothing is there that the protocol's object does not have, and nothing is missing.
    EXPECT_EQ(to_jcs(*body), to_jcs(dsp::to_json(*catalog)));
    for (const auto& [id, asset] : built.catalog->assets()) {
      const auto text = built.catalog->dataset_body(id, party, today);
      const bool listed = std::any_of(
          catalog->dataset.begin(),
          catalog->dataset.end(),
          [&](const dsp::Dataset& dataset) { return dataset.id == id.value; }
      );
      ASSERT_EQ(listed, text.has_value());
      if (!text) continue;
      const auto parsed = parse_json(*text);
      ASSERT_TRUE(parsed);
      const auto dataset = dsp::from_json<dsp::Dataset>(*parsed);
      ASSERT_TRUE(dataset);
      EXPECT_EQ(to_jcs(*parsed), to_jcs(dsp::to_json(*dataset)));
    }
  }
}

TEST(Catalog, AnEmptyCatalogueHasNoDatasetMember) {
  const auto built = build({}, {}, options());
  const auto body = parse_json(built.catalog->page(first_page(institute)).body);
  ASSERT_TRUE(body);
  EXPECT_FALSE(body->contains("dataset"));
  EXPECT_FALSE(body->contains("catalog"));
  EXPECT_EQ((*body)["participantId"], "https://hospital.example/connector");
  EXPECT_EQ((*body)["service"].size(), 1U);
}

TEST(Catalog, TheAddressIsTheOneByWhichTheReaderComesIn) {
  const auto built = hospital();
  for (const auto& [party, port] : {std::pair{institute, "8443"}, std::pair{neighbour, "9443"}}) {
    const auto base = std::string("https://hospital.example:") + port + "/dsp/2025-1";
    const auto catalog = parse_json(built.catalog->page(first_page(party)).body);
    ASSERT_TRUE(catalog);
    EXPECT_EQ(catalog->at("/service/0/endpointURL"_json_pointer), base);
    EXPECT_EQ(catalog->at("@id"), base + "/catalog");
    const auto dataset = built.catalog->dataset_body(AssetId("cohort-2026"), party, today);
    ASSERT_TRUE(dataset);
    const auto read = parse_json(*dataset);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->at("/distribution/0/accessService/endpointURL"_json_pointer), base);
  }
}

TEST(Catalog, ADatasetSaysWhatTheAssetIs) {
  const auto built = hospital();
  const auto text = built.catalog->dataset_body(AssetId("cohort-2026"), institute, today);
  ASSERT_TRUE(text);
  const Json dataset = Json::parse(*text);
  EXPECT_EQ(dataset["dct:title"], "居民队列 2026");
  EXPECT_EQ(dataset["dct:publisher"], "https://hospital.example");
  EXPECT_EQ(dataset["dcat:mediaType"], "text/csv");
  EXPECT_EQ(dataset["urn:tally:profile:1#level"], "3");
  EXPECT_EQ(dataset["distribution"][0]["format"], "HttpData-PULL");
  EXPECT_EQ(text->find("cohort.csv"), std::string::npos) << "the source is nobody's business";
}

TEST(Catalog, ACertificateMayHaveToSayMoreThanTheParty) {
  Json offer = policy_json();
  offer["visibleTo"] =
      Json::parse(R"([{"domain": "health", "subject": {"O": "研究所", "C": "CN"}}])");
  const auto built =
      build({document("a.json", asset_json())}, {document("p.json", offer)}, options());
  ASSERT_TRUE(built.problems.empty()) << all(built.problems);
  const struct {
    const char* name;
    Viewer viewer;
    bool sees;
  } cases[] = {
      {"both", {institute, {{"C", "CN"}, {"O", "研究所"}}}, true},
      {"one of several", {neighbour, {{"O", "x"}, {"O", "研究所"}, {"C", "CN"}}}, true},
      {"one is missing", {institute, {{"O", "研究所"}}}, false},
      {"another country", {institute, {{"O", "研究所"}, {"C", "DE"}}}, false},
      {"the value under another name", {institute, {{"OU", "研究所"}, {"C", "CN"}}}, false},
      {"nothing is known", institute, false},
      {"another domain", {namesake, {{"C", "CN"}, {"O", "研究所"}}}, false},
  };
  for (const auto& one : cases) {
    const auto body = built.catalog->dataset_body(AssetId("cohort-2026"), one.viewer, today);
    EXPECT_EQ(body.has_value(), one.sees) << one.name;
    const auto page = built.catalog->page(first_page(one.viewer)).body;
    EXPECT_EQ(page.find("cohort") != std::string::npos, one.sees) << one.name;
    EXPECT_EQ(built.catalog->visible_offer(OfferId("urn:uuid:1"), one.viewer) != nullptr, one.sees);
  }
}

TEST(Catalog, TheDeliverySaysFormatActionAndWhoCounts) {
  const auto built = hospital();
  const Catalog& catalog = *built.catalog;
  EXPECT_EQ(
      catalog.action_of(AssetId("cohort-2026"), "HttpData-PULL"),
      "http://www.w3.org/ns/odrl/2/archive"
  );
  EXPECT_EQ(
      catalog.action_of(AssetId("labs"), "HttpData-QUERY"), "http://www.w3.org/ns/odrl/2/read"
  );
  EXPECT_EQ(catalog.action_of(AssetId("labs"), "HttpData-PULL"), std::nullopt);
  EXPECT_EQ(catalog.action_of(AssetId("nothing"), "HttpData-PULL"), std::nullopt);
  const auto& cohort = catalog.offer(OfferId("urn:uuid:1"))->policy;
  const auto& labs = catalog.offer(OfferId("urn:uuid:3"))->policy;
  EXPECT_NE(cohort.find("\"rightOperand\":\"consumer\""), std::string::npos) << cohort;
  EXPECT_NE(labs.find("\"rightOperand\":\"provider\""), std::string::npos) << labs;
}

TEST(Catalog, AReaderSeesItsOwnWordForACall) {
  auto with = options();
  with.publisher.call_format = [](const PartyId& reader) {
    return std::string(reader == neighbour ? "HttpData-PULL" : "");
  };
  Json calls = asset_json("labs");
  calls["delivery"] = "call";
  Json open = policy_json("urn:uuid:3", "labs");
  open["visibleTo"] = {"*"};
  const auto built = build({document("a.json", calls)}, {document("p.json", open)}, with);
  for (const auto& [reader, word] : {std::pair{neighbour, "PULL"}, std::pair{institute, "QUERY"}}) {
    const auto said = std::string("\"format\":\"HttpData-") + word + "\"";
    const auto body = built.catalog->dataset_body(AssetId("labs"), reader, today).value();
    EXPECT_NE(body.find(said), std::string::npos) << body;
    EXPECT_NE(built.catalog->page(first_page(reader)).body.find(said), std::string::npos);
  }
}

TEST(Catalog, BadDocumentsAreReportedAndTheOthersStay) {
  Json misspelt = policy_json("urn:uuid:9", "cohort-2026");
  misspelt["policy"]["permission"][0]["constraint"][0]["leftOperand"] = "porpose";
  const auto built = build(
      {{"broken.json", "{"}, document("a.json", asset_json())},
      {document("bad.json", misspelt), document("p.json", policy_json())},
      options()
  );
  ASSERT_EQ(built.problems.size(), 2U) << all(built.problems);
  EXPECT_EQ(built.problems[0].file, "broken.json");
  EXPECT_EQ(built.problems[1].file, "bad.json");
  EXPECT_EQ(built.problems[1].pointer, "/policy/permission/0/constraint/0/leftOperand");
  EXPECT_EQ(built.catalog->assets().size(), 1U);
  EXPECT_EQ(
      ids(built.catalog->visible_offers(AssetId("cohort-2026"), institute, today)), "urn:uuid:1 "
  );
}

TEST(Catalog, WhatAuthorsShouldKnowIsToldAndRefusesNothing) {
  Json forbids = policy_json("urn:uuid:2");
  forbids["policy"]["conflict"] = "prohibit";
  forbids["policy"]["prohibition"] = Json::parse(R"([{"action": "read", "constraint": [
    {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"}]}])");
  Json never = policy_json("urn:uuid:3");
  for (const char* op : {"lt", "gt"}) {
    never["policy"]["permission"][0]["constraint"].push_back(
        {{"leftOperand", "dateTime"}, {"operator", op}, {"rightOperand", "2029-01-01T00:00:00Z"}}
    );
  }
  const auto built = build(
      {document("a.json", asset_json())},
      {document("p.json", policy_json()), document("q.json", forbids), document("r.json", never)},
      options()
  );
  EXPECT_TRUE(built.problems.empty()) << all(built.problems);
  EXPECT_EQ(built.catalog->offers().size(), 3U);
  ASSERT_EQ(built.warnings.size(), 2U) << all(built.warnings);
  EXPECT_EQ(built.warnings[0].file, "r.json");
  EXPECT_EQ(built.warnings[0].message.code, "odrl.compare-unrealizable");
  const auto& contradiction = built.warnings[1].message;
  EXPECT_EQ(built.warnings[1].file, "q.json");
  EXPECT_EQ(contradiction.code, "catalog.offers-contradict");
  EXPECT_EQ(contradiction.params.at("other"), "urn:uuid:1");
  EXPECT_EQ(contradiction.params.at("rule"), "/prohibition/0");
  EXPECT_EQ(contradiction.params.at("otherRule"), "/permission/0");
}

TEST(Catalog, TheFirstDocumentOfAnIdStands) {
  Json other = asset_json();
  other["title"] = "another";
  const auto built = build(
      {document("a.json", asset_json()), document("z.json", other)},
      {document("p.json", policy_json()), document("q.json", policy_json())},
      options()
  );
  ASSERT_EQ(built.problems.size(), 2U);
  EXPECT_EQ(built.problems[0].message.params.at("file"), "a.json");
  EXPECT_EQ(built.problems[1].message.code, "catalog.duplicate-offer");
  EXPECT_EQ(built.catalog->asset(AssetId("cohort-2026"))->title, "居民队列 2026");
}

TEST(Catalog, EachDocumentHasOneHome) {
  Document stored = document("management API", policy_json("urn:uuid:2"));
  stored.home = Home::api;
  const auto built = build(
      {document("a.json", asset_json())}, {document("p.json", policy_json()), stored}, options()
  );
  const Catalog& catalog = *built.catalog;
  EXPECT_EQ(catalog.home_of(AssetId("cohort-2026"))->name, "a.json");
  EXPECT_EQ(catalog.home_of(OfferId("urn:uuid:2"))->home, Home::api);
  EXPECT_FALSE(catalog.home_of(OfferId("nothing")));

  Document put = document("management API", asset_json());
  put.home = Home::api;
  const auto asset = check_asset(put, catalog, options());
  ASSERT_FALSE(asset);
  EXPECT_EQ(asset.error().kind, ErrorKind::conflict);
  EXPECT_EQ(asset.error().message.code, "catalog.home-is-file");
  EXPECT_EQ(asset.error().message.params.at("file"), "a.json");

  put = document("management API", policy_json("urn:uuid:1"));
  put.home = Home::api;
  EXPECT_EQ(check_policy(put, catalog, options()).error().kind, ErrorKind::conflict);
  put = document("management API", policy_json("urn:uuid:2"));
  put.home = Home::api;
  EXPECT_TRUE(check_policy(put, catalog, options()));
  put = document("management API", asset_json("new"));
  put.home = Home::api;
  EXPECT_TRUE(check_asset(put, catalog, options()));
}

}  // namespace tally::catalog
