// The bounds of an order for a catalogue and those nested in it: how deep, how many, how long.
// Peers are a function here; what they do with links and packed bodies is tried over the wire
// (tests/e2e).
#include "catalog_tree.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/run.hpp"

namespace tally::api {
namespace {

std::string base(const std::string& name) {
  return "https://" + name + ".example/dsp";
}

// Everybody whose name it is asked for is configured, at an address of that name.
class Everybody final : public Peer, public negotiation::PeerDirectory, public Clock {
 public:
  awaitable<Result<PeerAnswer>> send(PeerRequest request) override {
    asked.push_back(request.to.uri);
    at = at + each;
    PeerAnswer answer;
    answer.status = 200;
    if (next) answer.headers.set("Link", "<?page=" + std::to_string(asked.size()) + ">; rel=next");
    answer.body = catalog(request.to.uri).dump();
    co_return answer;
  }
  awaitable<Result<PeerStream>> open(PeerRequest) override {
    const Message none{"net.peer-unreachable", {}};
    co_return fail(ErrorKind::unavailable, none);
  }
  ClockReading read() override { return {at, true}; }

  [[nodiscard]] std::optional<std::string> base_url(const PartyId& party) const override {
    return base(party.uri);
  }
  [[nodiscard]] std::optional<PartyId> party_at(std::string_view url) const override {
    const auto start = url.find("//") + 2;
    return PartyId{"city", std::string(url.substr(start, url.find('.') - start))};
  }
  [[nodiscard]] bool host_allowed(const PartyId&, std::string_view) const override { return true; }
  [[nodiscard]] std::optional<std::string> tally_url(const PartyId&) const override { return {}; }
  [[nodiscard]] negotiation::DataDialect data_dialect(const PartyId&) const override { return {}; }
  [[nodiscard]] dsp::PolicyDialect policy_dialect(const PartyId&) const override { return {}; }
  [[nodiscard]] bool accepts_unsigned(const PartyId&) const override { return false; }
  [[nodiscard]] std::string jurisdiction(const PartyId&) const override { return {}; }

  [[nodiscard]] Json catalog(const std::string& name) const {
    Json out = {
        {"@context", {"https://w3id.org/dspace/2025/1/context.jsonld"}},
        {"@type", "Catalog"},
        {"@id", "urn:catalog:" + name},
        {"participantId", name}};
    Json inner = Json::array();
    for (const auto& other : nested(name)) {
      inner.push_back(
          {{"@type", "Catalog"},
           {"@id", "urn:catalog:" + other},
           {"service",
            {{{"@id", "urn:service"}, {"@type", "DataService"}, {"endpointURL", base(other)}}}}}
      );
    }
    if (!inner.empty()) out["catalog"] = inner;
    return out;
  }

  std::function<std::vector<std::string>(const std::string&)> nested = [](const auto&) {
    return std::vector<std::string>{};
  };
  bool next = false;  // each page names another one
  Nanos each = 0;     // how long an answer takes
  Instant at{1'800'000'000, 0};
  std::vector<std::string> asked;
};

Result<Json> order(Everybody& everybody, const Limits& limits) {
  const RemotePeers wire{everybody, everybody, limits, everybody};
  CatalogOrder order;
  order.party = {"city", "first"};
  order.follow = true;
  return testing::run(fetch_catalog_tree(wire, std::move(order), Lang::en));
}

std::string why(const Json& entry) {
  return entry.contains(not_followed) ? entry[not_followed]["code"].get<std::string>() : "";
}

TEST(CatalogTree, GoesNoDeeperThanItsBound) {
  Everybody everybody;
  everybody.nested = [](const std::string& name) { return std::vector{name + "x"}; };
  Limits limits;
  const auto found = order(everybody, limits);
  ASSERT_TRUE(found) << found.error().message.code;
  EXPECT_EQ(everybody.asked.size(), 1 + limits.catalog_depth);
  Json entry = *found;
  for (std::size_t depth = 0; depth < limits.catalog_depth; ++depth) {
    entry = Json(entry["catalog"][0]);
    EXPECT_EQ(why(entry), "") << depth;
  }
  EXPECT_EQ(why(entry["catalog"][0]), "api.nested-bound");
}

TEST(CatalogTree, AsksNoMoreThanItsBound) {
  Everybody everybody;
  everybody.nested = [](const std::string& name) {
    std::vector<std::string> names;
    for (int i = 0; name == "first" && i < 100; ++i) names.push_back("n" + std::to_string(i));
    return names;
  };
  Limits limits;
  const auto found = order(everybody, limits);
  ASSERT_TRUE(found) << found.error().message.code;
  EXPECT_EQ(everybody.asked.size(), 1 + limits.catalog_nested);
  EXPECT_EQ(why((*found)["catalog"][limits.catalog_nested - 1]), "");
  EXPECT_EQ(why((*found)["catalog"][limits.catalog_nested]), "api.nested-bound");
}

TEST(CatalogTree, AsksNobodyTwice) {
  Everybody everybody;
  everybody.nested = [](const std::string&) { return std::vector<std::string>{"first"}; };
  const auto found = order(everybody, {});
  ASSERT_TRUE(found) << found.error().message.code;
  EXPECT_EQ(everybody.asked.size(), 1U);
  EXPECT_EQ(why((*found)["catalog"][0]), "api.nested-again");
}

TEST(CatalogTree, EndsAfterItsTimeAndItsPages) {
  Everybody everybody;
  everybody.next = true;
  Limits limits;
  limits.catalog_pages = 50;
  auto found = order(everybody, limits);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message.code, "api.catalog-too-long");
  EXPECT_EQ(everybody.asked.size(), limits.catalog_pages);

  everybody.asked.clear();
  everybody.each = seconds(7);
  found = order(everybody, limits);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message.code, "api.catalog-too-slow");
  EXPECT_EQ(everybody.asked.size(), 18U);  // the last one at 119 seconds
}

}  // namespace
}  // namespace tally::api
