// Orders of regulators: what is signed is what is read, and nothing else passes.
#include "tally/audit/hold_order.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"

namespace tally::audit {
namespace {

struct Key {
  explicit Key(std::string name, std::uint8_t seed) : bytes(32, seed) {
    key = make_verifier_key(name, ed25519_public_key(bytes).value());
    signer = [seed_bytes = bytes](std::span<const std::uint8_t> text) {
      return ed25519_sign(seed_bytes, text);
    };
  }
  Bytes bytes;
  VerifierKey key;
  Signer signer;
};

const Key regulator("data.bureau.example/holds", 1);
const Key another("data.bureau.example/holds", 2);
const Key second("health.bureau.example", 3);

std::vector<Regulator> configured() {
  return {{"bureau", regulator.key}, {"health", second.key}};
}

HoldOrder order() {
  HoldOrder out;
  out.to = "did:web:hospital.example";
  out.hold = "case-17";
  out.on = {HoldScope::asset, "urn:test:cohort"};
  out.time = {1'800'000'000, 5'000};
  out.until = Instant{1'800'000'100, 0};
  out.reference = "2026/17, 第三号";
  return out;
}

Json content() {
  return {
      {"act", "place"},
      {"hold", "case-17"},
      {"scope", "asset"},
      {"target", "urn:test:cohort"},
      {"time", "2027-01-15T08:00:00.000000Z"},
      {"to", "did:web:hospital.example"}};
}

std::string signed_text(const Json& json, const Key& key = regulator) {
  return sign_json("tally/hold-order/v1", to_jcs(json), key.key, key.signer).value();
}

std::string code(const Result<SignedOrder>& result) {
  return result ? "ok" : result.error().message.code + result.error().pointer;
}

TEST(HoldOrders, WhatWasSignedIsRead) {
  auto lift = order();
  lift.lifts = true;
  lift.on = {};
  lift.until.reset();
  auto everything = order();
  everything.on = {};
  everything.reference.clear();
  for (const auto& each : {order(), lift, everything}) {
    const auto note = sign_hold_order(each, regulator.key, regulator.signer);
    ASSERT_TRUE(note);
    const auto read = verify_hold_order(*note, configured());
    ASSERT_TRUE(read) << read.error().message.code;
    EXPECT_EQ(read->order, each);
    EXPECT_EQ(read->regulator, "bureau");
  }
  const auto of_second = sign_hold_order(order(), second.key, second.signer);
  EXPECT_EQ(verify_hold_order(*of_second, configured())->regulator, "health");
}

TEST(HoldOrders, OnlyAConfiguredKeyOrders) {
  const auto note = sign_hold_order(order(), regulator.key, regulator.signer).value();
  EXPECT_EQ(code(verify_hold_order(note, {})), "audit.note-unsigned");
  EXPECT_EQ(
      code(verify_hold_order(
          sign_hold_order(order(), another.key, another.signer).value(), configured()
      )),
      "audit.note-unsigned"
  );
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(verify_hold_order(changed, configured())) << i;
  }
  EXPECT_FALSE(verify_hold_order(note.substr(0, note.rfind("\xE2\x80\x94")), configured()));
  // Another kind of note by the same key is no order.
  const auto other =
      sign_json("tally/statement/v1", to_jcs(content()), regulator.key, regulator.signer).value();
  EXPECT_EQ(code(verify_hold_order(other, configured())), "audit.note-other");
}

TEST(HoldOrders, EveryMemberIsLookedAt) {
  ASSERT_EQ(code(verify_hold_order(signed_text(content()), configured())), "ok");
  const std::vector<std::pair<std::string, std::function<void(Json&)>>> faults = {
      {"/act", [](Json& json) { json["act"] = "keep"; }},
      {"/act", [](Json& json) { json.erase("act"); }},
      {"/hold", [](Json& json) { json["hold"] = "a b"; }},
      {"/hold", [](Json& json) { json["hold"] = ""; }},
      {"/hold", [](Json& json) { json["hold"] = std::string(65, 'a'); }},
      {"/hold", [](Json& json) { json["hold"] = "self:x"; }},
      {"/scope", [](Json& json) { json["scope"] = "all"; }},
      {"/scope", [](Json& json) { json.erase("scope"); }},
      {"/target", [](Json& json) { json.erase("target"); }},
      {"/target", [](Json& json) { json["target"] = "a b"; }},
      {"/target", [](Json& json) { json["scope"] = "everything"; }},
      {"/target", [](Json& json) { json["target"] = std::string(2049, 'a'); }},
      {"/time", [](Json& json) { json["time"] = "2027-01-15T08:00:00Z"; }},
      {"/time", [](Json& json) { json["time"] = "soon"; }},
      {"/until", [](Json& json) { json["until"] = "2027-01-15T08:00:00.000000Z"; }},
      {"/until", [](Json& json) { json["until"] = 5; }},
      {"/to", [](Json& json) { json.erase("to"); }},
      {"/reference", [](Json& json) { json["reference"] = std::string(201, 'a'); }},
      {"/reference", [](Json& json) { json["reference"] = "a\nb"; }},
  };
  for (const auto& [pointer, spoil] : faults) {
    Json json = content();
    spoil(json);
    EXPECT_EQ(
        code(verify_hold_order(signed_text(json), configured())), "audit.hold-malformed" + pointer
    ) << json;
  }
}

}  // namespace
}  // namespace tally::audit
