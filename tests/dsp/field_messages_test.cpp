// Messages in the shape in which connectors of the field send them (docs/interop.md), in words of
// our own: what a stock Eclipse EDC adds, leaves out and names otherwise.
#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"
#include "tally/dsp/policy_form.hpp"

#include "dsp/test_data.hpp"

namespace tally::dsp {
namespace {

Json field(const std::string& name) {
  return read_json(data_folder() / "field" / (name + ".json"));
}

TEST(FieldMessages, EachIsRead) {
  const auto files = json_files(data_folder() / "field");
  ASSERT_GE(files.size(), 18U);
  for (const auto& file : files) {
    const auto again = reread(read_json(file));
    EXPECT_TRUE(again) << file << " " << again.error().message.code << again.error().pointer;
  }
}

// What permits nothing in words is shown as it is: an offer without rules.
TEST(FieldMessages, AnOfferWithoutRulesIsReadInACatalogueAndRefusedWhereItIsAskedFor) {
  const auto catalog = from_json<Catalog>(field("catalog"));
  ASSERT_TRUE(catalog);
  const Json& open = catalog->dataset.at(0).has_policy.at(0);
  EXPECT_FALSE(open.contains("permission") || open.contains("prohibition"));
  EXPECT_EQ(catalog->dataset.at(0).distribution.at(0).format, "HttpData-PULL");
  Json asked = open;
  asked["target"] = "tide-gauge";
  const auto form = check_wire_policy(asked, PolicyForm::message_offer);
  ASSERT_FALSE(form);
  EXPECT_EQ(form.error().message.code, "dsp.policy-without-rule");
}

TEST(FieldMessages, APrefixedOperandIsTheSameWord) {
  const Json offer = field("contract-request").at("offer");
  const Json agreement = field("agreement").at("agreement");
  EXPECT_TRUE(check_wire_policy(offer, PolicyForm::message_offer));
  EXPECT_TRUE(check_wire_policy(agreement, PolicyForm::agreement));
  Json full = offer;
  full["permission"][0]["constraint"][0]["leftOperand"] = "http://www.w3.org/ns/odrl/2/purpose";
  EXPECT_TRUE(same_rules(agreement, full));
  full["permission"][0]["constraint"][0]["leftOperand"] = "http://www.w3.org/ns/odrl/2/count";
  EXPECT_FALSE(same_rules(agreement, full));
}

TEST(FieldMessages, ADataAddressWithoutEndpointHasItUnderItsFullName) {
  const auto start = from_json<TransferStartMessage>(field("transfer-start"));
  ASSERT_TRUE(start && start->data_address);
  const auto& address = *start->data_address;
  EXPECT_FALSE(address.endpoint);
  for (const auto& [name, value] :
       {std::pair{"endpoint", "http://stock.example:7291/public"},
        std::pair{"authorization", "not.a.token"},
        std::pair{"authType", "bearer"}}) {
    const auto* found = address.property(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(*found, value);
  }
  const auto resumption = from_json<TransferStartMessage>(field("transfer-resumption"));
  ASSERT_TRUE(resumption);
  EXPECT_FALSE(resumption->data_address);
}

TEST(FieldMessages, AnErrorWithoutPidsIsReadForWhatItSays) {
  for (const char* name : {"negotiation-error", "transfer-error", "catalog-error"}) {
    EXPECT_TRUE(reread(field(name))) << name;
  }
  const auto error = from_json<ContractNegotiationError>(field("negotiation-error"));
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->provider_pid.empty() && error->consumer_pid.empty());
}

}  // namespace
}  // namespace tally::dsp
