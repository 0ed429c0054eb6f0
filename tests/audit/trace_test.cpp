#include "tally/audit/trace.hpp"

#include <algorithm>
#include <set>

#include "two_logs.hpp"

namespace tally::audit {
namespace {

// Two agreements about one asset; of the first the consumer reads, derives and destroys.
class TraceTest : public TwoLogs {
 protected:
  static constexpr const char* whole = "sha256:c0";
  static constexpr const char* derived = "sha256:d0";

  void SetUp() override {
    begin_both();
    say(provider, "offer.published", R"({"asset":"cohort","offer":"o","policy":"sha256:0f"})");
    say(provider, "offer.published", R"({"asset":"other","offer":"p","policy":"sha256:0e"})");
    const std::string asset = R"("asset":"cohort",)";
    finalized(provider, "A", "provider", "did:web:lab.example", asset);
    finalized(consumer, "A", "consumer", "did:web:clinic.example", asset);
    finalized(provider, "B", "provider", "did:web:bank.example", asset);
    say(provider, "transfer.sent", R"({"agreement":"A","pid":"p","content":"sha256:c0","bytes":9})"
    );
    say(provider, "transfer.sent", R"({"agreement":"B","pid":"q","content":"sha256:b0","bytes":9})"
    );
    say(consumer,
        "transfer.received",
        R"({"agreement":"A","pid":"c","content":"sha256:c0","bytes":9})");
    say(consumer,
        "use.executed",
        R"({"agreement":"A","uses":[{"use":"u1","bytes":9,"content":"sha256:c0"}]})");
    say(consumer,
        "use.executed",
        R"({"agreement":"A","uses":[{"use":"u2","bytes":3,"content":"sha256:c1"},{"use":"u3"}]})");
    say(consumer,
        "process.executed",
        R"({"agreement":"A","inputs":["sha256:c1"],"outputs":["sha256:d0"]})");
    say(consumer,
        "data.destroyed",
        R"({"agreement":"A","artefacts":["x"],"contents":["sha256:c0"],"method":"key-shredded"})");
  }
  Trace trace(const LineageNode& start, Direction direction) {
    const auto left = open_log(provider.disk);
    const auto right = open_log(consumer.disk);
    auto result = trace_lineage({records_of(*left), records_of(*right)}, start, direction);
    EXPECT_TRUE(result);
    return result ? *result : Trace{};
  }
  // "log depth type from>to"
  static std::vector<std::string> lines(const Trace& trace) {
    std::vector<std::string> all;
    for (const Hop& hop : trace.hops) {
      std::string line = std::to_string(hop.log) + " ";
      line += (hop.direction == Direction::up ? "-" : "+") + std::to_string(hop.depth) + " ";
      line += hop.type + " ";
      for (const auto& node : hop.from) line += node + " ";
      line += ">";
      for (const auto& node : hop.to) line += " " + node;
      all.push_back(line);
    }
    return all;
  }
  using Lines = std::vector<std::string>;
};

TEST_F(TraceTest, WhatCameEncryptedIsFollowedThroughItsKey) {
  say(consumer,
      "transfer.received",
      R"({"agreement":"A","pid":"s","content":"sha256:e0","bytes":25})");
  say(consumer,
      "key.received",
      R"({"agreement":"A","pid":"s","content":"sha256:e0","plain":{"content":"sha256:f0","bytes":9}})"
  );
  say(consumer,
      "use.executed",
      R"({"agreement":"A","uses":[{"use":"u9","bytes":9,"content":"sha256:f0"}]})");
  EXPECT_EQ(
      lines(trace("sha256:e0", Direction::down)),
      (Lines{
          "1 +1 transfer.received agreement:A sha256:e0 > sha256:e0",
          "1 +1 key.received sha256:e0 > sha256:f0",
          "1 +2 use.executed sha256:f0 >"})
  );
}

TEST_F(TraceTest, DownFromAContentIsEverythingThatBecameOfIt) {
  EXPECT_EQ(
      lines(trace(whole, Direction::down)),
      (Lines{
          "1 +1 transfer.received agreement:A sha256:c0 > sha256:c0",
          "1 +1 use.executed sha256:c0 >",
          "1 +1 use.executed sha256:c0 > sha256:c1",
          "1 +1 data.destroyed sha256:c0 >",
          "1 +2 process.executed sha256:c1 > sha256:d0"})
  );
}

TEST_F(TraceTest, UpFromWhatWasDerivedIsTheWayToTheAsset) {
  EXPECT_EQ(
      lines(trace(derived, Direction::up)),
      (Lines{
          "1 -1 process.executed sha256:c1 > sha256:d0",
          "1 -2 use.executed sha256:c0 > sha256:c1",
          "0 -3 transfer.sent agreement:A > sha256:c0",
          "1 -3 transfer.received agreement:A sha256:c0 > sha256:c0",
          "0 -4 contract.finalized asset:cohort > agreement:A",
          "1 -4 contract.finalized asset:cohort > agreement:A",
          "0 -5 offer.published > asset:cohort"})
  );
}

TEST_F(TraceTest, AnAgreementGoesBothWaysAndTouchesNoOther) {
  const auto found = trace(agreement_node("A"), Direction::both);
  std::set<std::pair<std::size_t, std::uint64_t>> once;
  for (const Hop& hop : found.hops) {
    EXPECT_TRUE(once.insert({hop.log, hop.seq}).second) << hop.type << " twice";
    EXPECT_NE(hop.agreement, "B");
  }
  EXPECT_EQ(found.hops.size(), 9U);
  ASSERT_EQ(found.contracts.size(), 1U);
  EXPECT_EQ(found.contracts.at("A").provider, "did:web:clinic.example");
  EXPECT_EQ(found.contracts.at("A").consumer, "did:web:lab.example");
}

TEST_F(TraceTest, DownFromTheAssetReachesEveryContract) {
  const auto found = trace(asset_node("cohort"), Direction::down);
  std::set<std::string> agreements;
  for (const Hop& hop : found.hops) agreements.insert(hop.agreement);
  EXPECT_EQ(agreements, (std::set<std::string>{"A", "B"}));
}

TEST_F(TraceTest, WhatAProviderServesComesFromItsContract) {
  say(provider,
      "use.executed",
      R"({"agreement":"B","uses":[{"use":"u9","bytes":1,"content":"sha256:e0"}]})");
  const auto found = lines(trace("sha256:e0", Direction::up));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0], "0 -1 use.executed agreement:B > sha256:e0");
}

TEST_F(TraceTest, EveryHopCarriesThePlaceOfItsRecord) {
  const auto storage = open_log(consumer.disk);
  std::map<std::uint64_t, Digest> leaves;
  const auto each = [&leaves](const RecordView& record) { leaves[record.seq] = record.leaf; };
  ASSERT_TRUE(for_each_record(*storage, 0, each));
  for (const Hop& hop : trace(whole, Direction::down).hops) {
    EXPECT_EQ(hop.leaf, leaves.at(hop.seq));
  }
}

TEST_F(TraceTest, WhatNoLogNamesIsNotFound) {
  const auto left = open_log(provider.disk);
  const auto result = trace_lineage({records_of(*left)}, "sha256:ff", Direction::both);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.code, "audit.trace-unknown");
}

// --- PROV ---

void check_terms(const Json& value, const Json& context) {
  if (value.is_array()) {
    for (const Json& one : value) check_terms(one, context);
  }
  if (!value.is_object()) return;
  for (const auto& [key, member] : value.items()) {
    if (!key.starts_with("@")) {
      EXPECT_TRUE(context.contains(key)) << key;
      const bool reference = context.contains(key) && context[key].is_object() &&
                             context[key].value("@type", "") == "@id";
      if (reference) {
        for (const Json& one : member.is_array() ? member : Json::array({member})) {
          EXPECT_NE(one.get<std::string>().find(':'), std::string::npos) << key << " " << one;
        }
      }
    }
    if (key == "@type") {
      for (const Json& one : member.is_array() ? member : Json::array({member})) {
        EXPECT_TRUE(context.contains(one.get<std::string>())) << one;
      }
    }
    check_terms(member, context);
  }
}

const Json* find_node(const Json& graph, const std::string& id) {
  for (const Json& node : graph) {
    if (node["@id"] == id) return &node;
  }
  return nullptr;
}

bool has(const Json& node, const char* property, const std::string& value) {
  const auto found = node.find(property);
  return found != node.end() && std::find(found->begin(), found->end(), value) != found->end();
}

TEST_F(TraceTest, ProvUsesNoTermThatItsOwnContextLacks) {
  const Json prov = to_prov(trace(agreement_node("A"), Direction::both));
  ASSERT_TRUE(prov["@context"].is_object());  // inline: nothing is fetched
  ASSERT_FALSE(prov["@graph"].empty());
  check_terms(prov["@graph"], prov["@context"]);
  std::set<std::string> ids;
  for (const Json& node : prov["@graph"]) {
    EXPECT_TRUE(ids.insert(node["@id"]).second) << node["@id"] << " twice";
  }
  // What is referred to is there.
  for (const Json& node : prov["@graph"]) {
    for (const auto& [key, value] : node.items()) {
      const Json& term = prov["@context"].value(key, Json());
      if (!term.is_object() || term.value("@type", "") != "@id") continue;
      for (const Json& one : value) EXPECT_TRUE(ids.contains(one)) << key << " " << one;
    }
  }
}

TEST_F(TraceTest, ProvTellsAssetCopyDerivationAndEnd) {
  // Fetched once more: still one copy, which comes into being once.
  say(consumer,
      "transfer.received",
      R"({"agreement":"A","pid":"c2","content":"sha256:c0","bytes":9})");
  const Json prov = to_prov(trace(agreement_node("A"), Direction::both));
  const Json& graph = prov["@graph"];
  const std::string copy = "urn:sha256:c0#A";
  const Json* content = find_node(graph, "urn:sha256:c0");
  const Json* held = find_node(graph, copy);
  const Json* made = find_node(graph, "urn:sha256:d0");
  const Json* plan = find_node(graph, "urn:sha256:aa");
  ASSERT_TRUE(content && held && made && plan);
  EXPECT_TRUE(has(*content, "wasDerivedFrom", "urn:tally:asset:cohort"));
  EXPECT_TRUE(has(*held, "specializationOf", "urn:sha256:c0"));
  EXPECT_TRUE(has(*made, "wasDerivedFrom", "urn:sha256:c1"));
  EXPECT_EQ((*plan)["@type"], (Json{"Entity", "Plan"}));
  std::map<std::string, int> generated;
  int ends = 0;
  for (const Json& node : graph) {
    if (node.contains("generated")) {
      for (const Json& one : node["generated"]) ++generated[one];
    }
    if (node.value("recordType", "") != "data.destroyed") continue;
    ++ends;
    // The copy ends; the provider's data does not.
    EXPECT_EQ(node["invalidated"], Json::array({copy}));
    EXPECT_EQ(node["wasAssociatedWith"], Json::array({"did:web:lab.example"}));
    EXPECT_EQ(node["qualifiedAssociation"]["hadPlan"], "urn:sha256:aa");
  }
  EXPECT_EQ(ends, 1);
  for (const auto& [id, times] : generated) EXPECT_EQ(times, 1) << id;
  EXPECT_TRUE(generated.contains(copy) && generated.contains("urn:sha256:d0"));
}

}  // namespace
}  // namespace tally::audit
