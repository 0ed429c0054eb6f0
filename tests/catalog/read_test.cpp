#include "catalog/read.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "catalog/documents.hpp"

namespace tally::catalog {

struct Case {
  std::string name;
  std::string at;  // JSON pointer of the change
  Json value;      // discarded: the member is removed
  std::string pointer;
  std::string code;
};

Json with(Json document, const Case& one) {
  const Json::json_pointer at(one.at);
  if (one.value.is_discarded()) {
    document.at(at.parent_pointer()).erase(at.back());
  } else {
    document[at] = one.value;
  }
  return document;
}

const Json removed = Json::value_t::discarded;

bool holds(const std::vector<Problem>& problems, const Case& one) {
  for (const Problem& problem : problems) {
    if (problem.message.code == one.code && problem.pointer == one.pointer) return true;
  }
  return false;
}

TEST(Assets, AGoodDocumentIsRead) {
  const auto asset = read_asset(document("cohort.json", asset_json()), options());
  ASSERT_TRUE(asset) << all(asset.error());
  EXPECT_EQ(asset->id, AssetId("cohort-2026"));
  EXPECT_EQ(asset->title, "居民队列 2026");
  EXPECT_EQ(asset->media_type, "text/csv");
  EXPECT_EQ(asset->version, "3");
  EXPECT_EQ(asset->level, 3);
  EXPECT_EQ(asset->class_, "health");
  EXPECT_EQ(asset->delivery, Delivery::custody);
  EXPECT_EQ(asset->source["path"], "cohort.csv");
  EXPECT_EQ(asset->file, "cohort.json");
  EXPECT_TRUE(asset->digest.starts_with("sha256:"));
}

TEST(Assets, FourMembersAreEnough) {
  const Json little{{"id", "a"}, {"delivery", "call"}, {"source", Json::object()}};
  const auto asset = read_asset(document("a.json", little), options());
  ASSERT_TRUE(asset) << all(asset.error());
  EXPECT_EQ(asset->title, "a");
  EXPECT_EQ(asset->media_type, "application/octet-stream");
  EXPECT_EQ(asset->version, "1");
  EXPECT_EQ(asset->delivery, Delivery::call);
}

TEST(Assets, FaultsAreNamedAtTheirPlace) {
  const std::vector<Case> cases{
      {"no id", "/id", removed, "/id", "catalog.member-missing"},
      {"id number", "/id", 7, "/id", "catalog.member-type"},
      {"id with blank", "/id", "a b", "/id", "catalog.bad-id"},
      {"id empty", "/id", "", "/id", "catalog.bad-id"},
      {"no delivery", "/delivery", removed, "/delivery", "catalog.member-missing"},
      {"delivery unknown", "/delivery", "push", "/delivery", "catalog.unknown-value"},
      {"delivery number", "/delivery", 1, "/delivery", "catalog.member-type"},
      {"no source", "/source", removed, "/source", "catalog.member-missing"},
      {"source string", "/source", "cohort.csv", "/source", "catalog.member-type"},
      {"level negative", "/level", -1, "/level", "catalog.member-type"},
      {"level high", "/level", 10, "/level", "catalog.member-type"},
      {"level fraction", "/level", 1.5, "/level", "catalog.member-type"},
      {"title number", "/title", 1, "/title", "catalog.member-type"},
      {"misspelt", "/mediatype", "x", "/mediatype", "catalog.misspelt-member"},
      {"unknown", "/colour", "x", "/colour", "catalog.unknown-member"},
      {"metadata bare name", "/metadata/title", "x", "/metadata/title", "catalog.metadata-name"},
      {"metadata keyword", "/metadata/@type", "x", "/metadata/@type", "catalog.metadata-name"},
      {"metadata list", "/metadata", Json::array(), "/metadata", "catalog.member-type"},
  };
  for (const Case& one : cases) {
    const auto asset = read_asset(document("a.json", with(asset_json(), one)), options());
    ASSERT_FALSE(asset) << one.name;
    EXPECT_TRUE(holds(asset.error(), one)) << one.name << "\n" << all(asset.error());
  }
}

TEST(Assets, AMisspeltMemberIsToldTheClosestOne) {
  Json json = asset_json();
  json["mediatype"] = "text/csv";
  const auto asset = read_asset(document("a.json", json), options());
  ASSERT_FALSE(asset);
  EXPECT_NE(all(asset.error()).find("mediaType"), std::string::npos) << all(asset.error());
}

TEST(Assets, AllFaultsOfADocumentAreNamedAtOnce) {
  Json json = asset_json();
  json.erase("id");
  json["level"] = "high";
  json["colour"] = 1;
  const auto asset = read_asset(document("a.json", json), options());
  ASSERT_FALSE(asset);
  EXPECT_EQ(asset.error().size(), 3U) << all(asset.error());
}

TEST(Assets, WhatIsNotStrictJsonIsRefused) {
  for (const char* bytes : {"", "{", "[]", "7", R"({"id":"a","id":"b"})", "{} {}"}) {
    EXPECT_FALSE(read_asset({"a.json", bytes}, options())) << bytes;
    EXPECT_FALSE(read_policy({"p.json", bytes}, {}, options())) << bytes;
  }
}

TEST(Assets, TheSourceIsCheckedByItsReader) {
  BuildOptions checked = options();
  checked.check_source = [](const Json& source) -> Result<void> {
    if (source.contains("path")) return {};
    return fail(ErrorKind::invalid, {"catalog.member-missing", {{"member", "path"}}}, "/path");
  };
  EXPECT_TRUE(read_asset(document("a.json", asset_json()), checked));
  Json json = asset_json();
  json["source"].erase("path");
  const auto asset = read_asset(document("a.json", json), checked);
  ASSERT_FALSE(asset);
  EXPECT_EQ(asset.error()[0].pointer, "/source/path");
}

std::map<AssetId, Asset> known_assets() {
  std::map<AssetId, Asset> assets;
  for (const char* id : {"cohort-2026", "labs"}) {
    assets.emplace(AssetId(id), *read_asset(document("a.json", asset_json(id)), options()));
  }
  return assets;
}

TEST(Policies, AGoodDocumentIsRead) {
  const auto offer = read_policy(document("p.json", policy_json()), known_assets(), options());
  ASSERT_TRUE(offer) << all(offer.error());
  EXPECT_EQ(offer->id, OfferId("urn:uuid:1"));
  EXPECT_EQ(offer->asset, AssetId("cohort-2026"));
  EXPECT_TRUE(offer->require_signature);
  EXPECT_FALSE(offer->accept_unconfirmed);
  EXPECT_TRUE(offer->visible_to_viewer(institute));
  EXPECT_EQ(offer->message_offer()["target"], "cohort-2026");
}

TEST(Policies, FaultsAreNamedAtTheirPlace) {
  const std::string c0 = "/policy/permission/0/constraint/0";
  const std::string c1 = "/policy/permission/0/constraint/1";
  const std::vector<Case> cases{
      {"no visibleTo", "/visibleTo", removed, "/visibleTo", "catalog.member-missing"},
      {"visibleTo star alone", "/visibleTo", "*", "/visibleTo", "catalog.member-type"},
      {"audience without domain",
       "/visibleTo/0/domain",
       removed,
       "/visibleTo/0/domain",
       "catalog.member-missing"},
      {"audience of an empty uri",
       "/visibleTo/0/uri",
       "",
       "/visibleTo/0/uri",
       "catalog.member-type"},
      {"audience of an empty domain",
       "/visibleTo/0/domain",
       "",
       "/visibleTo/0/domain",
       "catalog.member-type"},
      {"audience misspelt",
       "/visibleTo/0/urii",
       "x",
       "/visibleTo/0/urii",
       "catalog.misspelt-member"},
      {"empty subject",
       "/visibleTo/0/subject",
       Json::object(),
       "/visibleTo/0/subject",
       "catalog.member-type"},
      {"subject of another attribute",
       "/visibleTo/0/subject",
       {{"CN", "x"}},
       "/visibleTo/0/subject/CN",
       "catalog.unknown-member"},
      {"subject of an empty value",
       "/visibleTo/0/subject",
       {{"O", ""}},
       "/visibleTo/0/subject/O",
       "catalog.member-type"},
      {"audience string", "/visibleTo/0", "health", "/visibleTo/0", "catalog.not-an-object"},
      {"domain misspelt",
       "/visibleTo/0/domain",
       "heatlh",
       "/visibleTo/0/domain",
       "catalog.misspelt-domain"},
      {"domain unknown",
       "/visibleTo/0/domain",
       "zoo",
       "/visibleTo/0/domain",
       "catalog.unknown-domain"},
      {"decide misspelt", "/decide", "aprove", "/decide", "catalog.misspelt-value"},
      {"decide hook", "/decide", "hook", "/hook", "catalog.member-missing"},
      {"hook unasked", "/hook", "pricing", "/hook", "catalog.hook-not-asked"},
      {"decide unknown", "/decide", "maybe", "/decide", "catalog.unknown-value"},
      {"signature string", "/requireSignature", "no", "/requireSignature", "catalog.member-type"},
      {"misspelt", "/requireSignatur", false, "/requireSignatur", "catalog.misspelt-member"},
      {"no policy", "/policy", removed, "/policy", "catalog.member-missing"},
      {"policy string", "/policy", "x", "/policy", "catalog.member-type"},
      {"an assignee that may not see it",
       "/policy/assignee",
       "did:web:other.example",
       "/policy/assignee",
       "catalog.assignee-not-visible"},
      {"several assignees",
       "/policy/assignee",
       {institute.uri, "did:web:other.example"},
       "/policy/assignee",
       "catalog.assignee-not-visible"},
      {"no target", "/policy/target", removed, "/policy/target", "catalog.policy-target"},
      {"target object",
       "/policy/target",
       Json{{"@id", "cohort-2026"}},
       "/policy/target",
       "catalog.policy-target"},
      {"target misspelt",
       "/policy/target",
       "cohort-2062",
       "/policy/target",
       "catalog.misspelt-asset"},
      {"target unknown", "/policy/target", "x", "/policy/target", "catalog.unknown-asset"},
      {"inline context",
       "/policy/@context",
       Json{{"a", "https://a.example/"}},
       "/policy/@context",
       "catalog.policy-context"},
      {"misspelt operand",
       c0 + "/leftOperand",
       "porpose",
       c0 + "/leftOperand",
       "odrl.unknown-left-operand"},
      {"number", c1 + "/rightOperand", 3, c1 + "/rightOperand", "dsp.policy-right-operand"},
      {"dataType", c1 + "/dataType", "xsd:integer", c1 + "/dataType", "dsp.policy-no-wire-form"},
      {"permission no list",
       "/policy/permission",
       Json{{"action", "use"}},
       "/policy/permission",
       "dsp.policy-not-a-list"},
      {"rule target",
       "/policy/permission/0/target",
       "cohort-2026",
       "/policy/permission/0/target",
       "dsp.policy-rule-target"},
      {"agreement", "/policy/@type", "Agreement", "/policy/@type", "odrl.wrong-policy-type"},
  };
  const auto assets = known_assets();
  for (const Case& one : cases) {
    Json json = with(policy_json(), one);
    if (one.name == "dataType") json.at(Json::json_pointer(c1))["rightOperand"] = "3";
    const auto offer = read_policy(document("p.json", json), assets, options());
    ASSERT_FALSE(offer) << one.name;
    EXPECT_TRUE(holds(offer.error(), one)) << one.name << "\n" << all(offer.error());
  }
}

TEST(Policies, OneWithAnAssigneeIsForThatPartyAlone) {
  Json json = policy_json();
  json["policy"]["assignee"] = institute.uri;
  json["visibleTo"] = Json::array({{{"domain", "health"}}, "*"});
  const auto offer = read_policy(document("p.json", json), known_assets(), options());
  ASSERT_TRUE(offer) << all(offer.error());
  EXPECT_TRUE(offer->visible_to_viewer(institute));
  EXPECT_FALSE(offer->visible_to_viewer(PartyId{"health", "https://other.example/connector"}));
  EXPECT_FALSE(offer->visible_to_viewer(namesake));
}

TEST(Policies, AHookIsOneOfThoseConfigured) {
  BuildOptions with_hooks = options();
  with_hooks.hooks = {"pricing", "desk"};
  for (const auto& [hook, code] :
       {std::pair{"pricing", ""},
        std::pair{"pricin", "catalog.misspelt-hook"},
        std::pair{"else", "catalog.unknown-hook"}}) {
    Json policy = policy_json();
    policy["decide"] = "hook";
    policy["hook"] = hook;
    const auto offer = read_policy(document("p.json", policy), known_assets(), with_hooks);
    if (std::string(code).empty()) {
      ASSERT_TRUE(offer) << all(offer.error());
      EXPECT_EQ(offer->decide, Decide::hook);
      EXPECT_EQ(offer->hook, hook);
      continue;
    }
    ASSERT_FALSE(offer) << hook;
    EXPECT_TRUE(holds(offer.error(), {"", "", {}, "/hook", code})) << all(offer.error());
  }
}

TEST(Policies, ReceiptBeforeKeyNeedsAWrappingKeyAndDataThatIsPulled) {
  Json policy = policy_json();
  policy["policy"]["profile"] = "urn:tally:profile:1";
  policy["policy"]["permission"][0]["constraint"].push_back(
      {{"leftOperand", "urn:tally:profile:1#receiptBeforeKey"},
       {"operator", "eq"},
       {"rightOperand", "required"}}
  );
  const auto codes = [&](const char* delivery, bool keeps_keys) {
    auto with = options();
    with.keeps_keys = keeps_keys;
    Json asset = asset_json();
    asset["delivery"] = delivery;
    const auto built =
        build({document("cohort.json", asset)}, {document("offer.json", policy)}, with);
    std::vector<std::string> found;
    for (const auto& problem : built.problems) found.push_back(problem.message.code);
    return found;
  };
  using Codes = std::vector<std::string>;
  EXPECT_EQ(codes("custody", true), Codes{});
  EXPECT_EQ(codes("custody", false), Codes{"catalog.receipt-before-key-wrapping"});
  EXPECT_EQ(codes("call", true), Codes{"catalog.receipt-before-key-call"});
}

TEST(Policies, AMisspeltOperandIsToldTheClosestTerm) {
  Json json = policy_json();
  json["policy"]["permission"][0]["constraint"][0]["leftOperand"] = "porpose";
  const auto offer = read_policy(document("p.json", json), known_assets(), options());
  ASSERT_FALSE(offer);
  const std::string text = all(offer.error());
  EXPECT_NE(text.find("p.json /policy/permission/0/constraint/0/leftOperand"), std::string::npos)
      << text;
  EXPECT_NE(text.find("purpose"), std::string::npos) << text;
}

// What docs/assets-and-offers.md shows can be copied and works.
TEST(Policies, TheExamplesOfTheDocumentationAreGood) {
  std::ifstream in(std::string(TALLY_SOURCE_DIR) + "/docs/assets-and-offers.md");
  std::vector<std::string> blocks;
  std::string line;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  ASSERT_EQ(blocks.size(), 3U);
  const auto built = build({{"asset", blocks[0]}}, {{"policy", blocks[2]}}, options());
  EXPECT_TRUE(built.problems.empty()) << all(built.problems);
  Json with_schema = Json::parse(blocks[0]);
  with_schema["schema"] = Json::parse(blocks[1]);
  const auto read = read_asset(document("asset", with_schema), options());
  ASSERT_TRUE(read) << all(read.error());
  EXPECT_TRUE(read->schema);
}

TEST(Policies, EverySentenceOfThisModuleIsInTheTable) {
  std::size_t count = 0;
  for (const Sentence& sentence : sentence_table()) {
    if (sentence.code.starts_with("catalog.")) ++count;
  }
  EXPECT_GE(count, 19U);
}

}  // namespace tally::catalog
