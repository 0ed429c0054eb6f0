// How calls to programs are signed, and which answers of theirs count.
#include <gtest/gtest.h>

#include "tally/events/hook_caller.hpp"

namespace tally::events {
namespace {

using Decision = negotiation::HookAnswer::Decision;

// The example of the specification of Standard Webhooks, so that its libraries agree with us.
const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const std::string id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const std::string timestamp = "1614265330";
const std::string body = R"({"test": 2432232314})";
const std::string wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const Instant now{1614265330, 0};

CallKey key() {
  return CallKey::parse(secret).value();
}

TEST(CallSignature, IsThatOfStandardWebhooks) {
  EXPECT_EQ(key().signature(id, timestamp, body), wanted);
  HttpRequest request;
  request.body = body;
  sign_call(request, CallKey::parse(secret + "\n").value(), id, now);
  EXPECT_EQ(request.headers.get("webhook-id"), id);
  EXPECT_EQ(request.headers.get("webhook-timestamp"), timestamp);
  EXPECT_EQ(request.headers.get("webhook-signature"), wanted);
}

TEST(CallSignature, AKeyHasItsForm) {
  for (const std::string text :
       {"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!!"}) {
    const auto parsed = CallKey::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message.code, "events.key-malformed") << text;
  }
  EXPECT_FALSE(CallKey::parse("whsec_" + to_base64(as_bytes(std::string(65, 'x')))));
}

struct AnswerCase {
  std::string name;
  std::string id, timestamp, signature;  // of the answer; empty: no such field
  std::int64_t seconds_later;
  std::string code;  // empty: it is good
};

TEST(CallSignature, AnAnswerHasToBeOfThisCallAndOfNow) {
  const AnswerCase cases[] = {
      {"good", id, timestamp, wanted, 0, ""},
      {"one of several", id, timestamp, "v1,AAAA " + wanted, 299, ""},
      {"no id", "", timestamp, wanted, 0, "events.answer-unsigned"},
      {"no time", id, "", wanted, 0, "events.answer-unsigned"},
      {"no signature", id, timestamp, "", 0, "events.answer-unsigned"},
      {"other signature", id, timestamp, "v1,AAAA", 0, "events.answer-signature"},
      {"other version", id, timestamp, "v2" + wanted.substr(2), 0, "events.answer-signature"},
      {"other call", "msg_other", timestamp, wanted, 0, "events.answer-signature"},
      {"other time", id, "1614265331", wanted, 0, "events.answer-signature"},
      {"too old", id, timestamp, wanted, 301, "events.answer-old"},
      {"of the future", id, timestamp, wanted, -301, "events.answer-old"},
  };
  for (const auto& one : cases) {
    Headers headers;
    if (!one.id.empty()) headers.set("Webhook-Id", one.id);
    if (!one.timestamp.empty()) headers.set("Webhook-Timestamp", one.timestamp);
    if (!one.signature.empty()) headers.set("Webhook-Signature", one.signature);
    const auto checked =
        check_answer_signature(headers, body, key(), id, {now.seconds + one.seconds_later, 0});
    EXPECT_EQ(checked ? "" : checked.error().message.code, one.code) << one.name;
  }
}

struct BodyCase {
  std::string body;
  std::optional<Decision> decision;  // none: malformed
  std::string at;                    // then where
};

TEST(HookAnswers, OnlyADecisionIsOne) {
  const BodyCase cases[] = {
      {R"({"decision": "agree", "more": 1})", Decision::agree, ""},
      {R"({"decision": "wait"})", Decision::wait, ""},
      {R"({"decision": "reject"})", Decision::reject, ""},
      {R"({"decision": "reject", "reason": "no"})", Decision::reject, ""},
      {R"({"decision": "counter", "policy": {}})", Decision::counter, ""},
      {R"({"decision": "counter"})", std::nullopt, "/policy"},
      {R"({"decision": "counter", "policy": []})", std::nullopt, "/policy"},
      {R"({"decision": "reject", "reason": 1})", std::nullopt, "/reason"},
      {R"({"decision": "silent"})", std::nullopt, "/decision"},
      {R"({"decision": true})", std::nullopt, "/decision"},
      {R"({})", std::nullopt, "/decision"},
      {R"(["agree"])", std::nullopt, "object"},
      {R"({"decision": "wait", "decision": "agree"})", std::nullopt, "core.json-"},
      {"", std::nullopt, "core.json-"},
  };
  for (const auto& one : cases) {
    const auto parsed = parse_hook_answer(one.body);
    ASSERT_EQ(parsed.has_value(), one.decision.has_value()) << one.body;
    if (parsed) {
      EXPECT_EQ(parsed->decision, *one.decision) << one.body;
      continue;
    }
    EXPECT_EQ(parsed.error().message.code, "events.answer-malformed") << one.body;
    EXPECT_TRUE(parsed.error().message.params.at("reason").starts_with(one.at)) << one.body;
  }
  const std::string bare = R"({"decision": "reject", "reason": ")";
  EXPECT_TRUE(parse_hook_answer(bare + std::string(400, 'x') + "\"}"));
  EXPECT_FALSE(parse_hook_answer(bare + std::string(401, 'x') + "\"}"));
}

}  // namespace
}  // namespace tally::events
