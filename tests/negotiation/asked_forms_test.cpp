// What consumers of the field make of an offer when they ask for it, and the agreement that they
// get.
#include <gtest/gtest.h>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"

#include "negotiation/machine.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;

constexpr const char* ours = "urn:tally:profile:1";

// The agreement that the hospital sends to an institute that asks for `asked`.
Json agreed(const Json& offered, const Json& asked) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  auto offer = test::cohort_offer();
  offer.policy = offered;
  offer.require_signature = false;
  machine.offers.offers["urn:test:offer"] = {offer, {}};
  machine.start();
  dsp::ContractRequestMessage message;
  message.id = "urn:test:request";
  message.consumer_pid = Pid("urn:test:consumer");
  message.callback_address = test::Directory::root_of(institute) + test::dsp_base;
  message.offer = asked;
  const auto path = test::dsp_base + "/negotiations/request";
  const auto answer = machine.receive("POST", path, dsp::to_json(message), institute);
  EXPECT_EQ(answer.status, 201) << answer.body;
  world.run_for(seconds(2));
  const auto sent = machine.store->messages().value();
  if (sent.size() != 1U) return {};
  return parse_json(sent.front().body).value().value("agreement", Json());
}

Json with_profile(const Json& profile) {
  Json policy = test::offer_policy();
  if (!profile.is_null()) policy["profile"] = profile;
  return policy;
}

TEST(AskedForms, AnAgreementHasTheProfileOfTheOfferAlsoWhereTheRequestLeavesItOut) {
  const struct {
    Json offered, asked, expected;
  } cases[] = {
      {nullptr, nullptr, nullptr},
      {ours, nullptr, ours},
      {ours, ours, ours},
      {ours, Json::array({ours}), Json::array({ours})},
      {Json::array({ours}), nullptr, Json::array({ours})},
  };
  for (const auto& each : cases) {
    const auto agreement = agreed(with_profile(each.offered), with_profile(each.asked));
    ASSERT_TRUE(agreement.is_object()) << each.offered << each.asked;
    EXPECT_EQ(agreement.value("profile", Json()), each.expected) << each.offered << each.asked;
  }
}

// A word that was spelt otherwise on the way is the same word, and the agreement has the consumer's
// own spelling: it compares with what it sent.
TEST(AskedForms, AnAgreementHasTheWordsAsTheyWereAskedFor) {
  const Json offered = test::offer_policy();
  Json asked = offered;
  auto& permission = asked["permission"][0];
  permission["constraint"][0]["leftOperand"] = "odrl:purpose";
  permission["constraint"][1]["leftOperand"] = "odrl:count";
  permission["constraint"][2]["leftOperand"] = "dateTime";
  permission["duty"][0]["action"] = "odrl:delete";
  asked["assigner"] = hospital.uri;
  const auto agreement = agreed(offered, asked);
  ASSERT_TRUE(agreement.is_object());
  EXPECT_EQ(agreement["permission"], asked["permission"]) << agreement.dump(1);
}

}  // namespace
}  // namespace tally::negotiation
