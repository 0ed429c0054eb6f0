#include <map>

#include <gtest/gtest.h>

#include "tally/core/json.hpp"

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::agreement;
using test::atom;
using test::faults;
using test::load;
using Strings = std::vector<std::string>;

Json rule(Json extra) {
  auto out = agreement();
  out["permission"][0].update(extra);
  return out;
}
Json policy(Json extra) {
  auto out = agreement();
  out.update(extra);
  return out;
}
Json without(const char* name) {
  auto out = agreement();
  out.erase(name);
  return out;
}
Json constrained(Json one) {
  return agreement(Json::array({std::move(one)}));
}

struct Refused {
  const char* name;
  Json document;
  Strings faults;
};

TEST(Load, RefusesWithCodeAndPointer) {
  const std::string c = "/permission/0/constraint/0";
  const std::vector<Refused> table{
      {"not an object", Json::array(), {"odrl.member-type "}},
      {"receiptBeforeKey said otherwise",
       constrained(atom("urn:tally:profile:1#receiptBeforeKey", "eq", "yes")),
       {"odrl.receipt-before-key-value " + c}},
      {"receiptBeforeKey turned round",
       constrained(atom("urn:tally:profile:1#receiptBeforeKey", "neq", "required")),
       {"odrl.receipt-before-key-value " + c}},
      {"no uid", without("@id"), {"odrl.missing-member "}},
      {"no rules", without("permission"), {"odrl.missing-member "}},
      {"empty rules", policy({{"permission", Json::array()}}), {"odrl.missing-member "}},
      {"rules are numbers",
       policy({{"permission", Json::array({1, 2})}}),
       {"odrl.member-type /permission/0", "odrl.member-type /permission/1"}},
      {"agreement without assignee", without("assignee"), {"odrl.missing-member /permission/0"}},
      {"agreement without assigner", without("assigner"), {"odrl.missing-member /permission/0"}},
      {"type misspelt", policy({{"@type", "Agrement"}}), {"odrl.unknown-policy-type /@type"}},
      {"type never in force",
       policy({{"@type", "Ticket"}}),
       {"odrl.unsupported-policy-type /@type"}},
      {"inheritance", policy({{"inheritFrom", "urn:x"}}), {"odrl.unsupported-member /inheritFrom"}},
      {"constraint of the policy",
       policy({{"constraint", Json::array()}}),
       {"odrl.unsupported-member /constraint"}},
      {"replaced",
       policy({{"dct:isReplacedBy", "urn:x"}}),
       {"odrl.policy-replaced /dct:isReplacedBy"}},
      {"profile", policy({{"profile", "urn:x"}}), {"odrl.unknown-profile /profile"}},
      {"second profile",
       policy({{"profile", Json::array({"urn:tally:profile:1", "urn:x"})}}),
       {"odrl.unknown-profile /profile/1"}},
      {"conflict", policy({{"conflict", "permit"}}), {"odrl.unknown-conflict-term /conflict"}},
      {"uid twice", policy({{"uid", "urn:x"}}), {"odrl.duplicate-member /uid"}},
      {"member twice by prefix",
       policy({{"odrl:permission", Json::array()}}),
       {"odrl.duplicate-member /permission"}},
      {"unknown context", policy({{"@context", "urn:x"}}), {"odrl.unknown-context /@context"}},
      {"context gives a word another meaning",
       policy({{"@context", Json{{"lteq", "http://www.w3.org/ns/odrl/2/"}}}}),
       {"odrl.unsupported-context /@context/lteq"}},
      {"context gives a term",
       policy({{"@context", Json{{"tries", "http://www.w3.org/ns/odrl/2/count"}}}}),
       {"odrl.unsupported-context /@context/tries"}},
      {"vocabulary of another house",
       policy({{"@context", Json{{"@vocab", "urn:x#"}}}}),
       {"odrl.unsupported-context /@context/@vocab"}},
      {"empty target list", policy({{"target", Json::array()}}), {"odrl.empty-list /target"}},
      {"collection as target",
       rule({{"target", Json{{"@id", "urn:x"}, {"@type", "AssetCollection"}}}}),
       {"odrl.unsupported-collection /permission/0/target"}},
      {"refined target",
       rule({{"target", Json{{"@id", "urn:x"}, {"refinement", Json::array()}}}}),
       {"odrl.unsupported-collection /permission/0/target",
        "odrl.unsupported-refinement /permission/0/target/refinement"}},
      {"refined action",
       rule({{"action", Json{{"rdf:value", "use"}, {"refinement", Json::array()}}}}),
       {"odrl.unsupported-refinement /permission/0/action/refinement"}},
      {"action misspelt",
       rule({{"action", "distribut"}}),
       {"odrl.unknown-action /permission/0/action"}},
      {"action far from all",
       rule({{"action", "urn:x:frobnicate"}}),
       {"odrl.unknown-action-listed /permission/0/action"}},
      {"no action",
       [] {
         auto out = agreement();
         out["permission"][0].erase("action");
         return out;
       }(),
       {"odrl.missing-member /permission/0"}},
      {"empty action list",
       rule({{"action", Json::array()}}),
       {"odrl.empty-list /permission/0/action"}},
      {"remedy",
       rule({{"remedy", Json::array()}}),
       {"odrl.unsupported-member /permission/0/remedy"}},
      {"rule member misspelt",
       rule({{"constraints", Json::array()}}),
       {"odrl.unknown-member /permission/0/constraints"}},
      {"rule member of nobody",
       rule({{"urn:x:only-if", true}}),
       {"odrl.unknown-member-listed /permission/0/urn:x:only-if"}},
      {"rule of another type",
       rule({{"@type", "Prohibition"}}),
       {"odrl.member-type /permission/0/@type"}},
      {"duty in a prohibition",
       policy({{"prohibition", Json::array({Json{{"action", "sell"}, {"duty", Json::array()}}})}}),
       {"odrl.unsupported-member /prohibition/0/duty"}},
      {"count in a prohibition",
       policy(
           {{"prohibition",
             Json::array({Json{{"action", "sell"}, {"constraint", atom("count", "gt", 3)}}})}}
       ),
       {"odrl.stateful-prohibition /prohibition/0"}},
      {"two rules of one id",
       policy({{"prohibition", Json::array({Json{{"@id", "urn:test:rule"}, {"action", "sell"}}})}}),
       {"odrl.duplicate-rule /prohibition/0"}},
      {"operand misspelt",
       constrained(atom("odrl:purpos", "eq", "urn:x")),
       {"odrl.unknown-left-operand " + c + "/leftOperand"}},
      {"operand of another vocabulary",
       constrained(atom("urn:x:mood", "eq", "urn:x")),
       {"odrl.unknown-left-operand-listed " + c + "/leftOperand"}},
      {"operand that nobody measures",
       constrained(atom("percentage", "lteq", 10)),
       {"odrl.unsupported-left-operand " + c + "/leftOperand"}},
      {"delay outside a duty",
       constrained(atom("delayPeriod", "lteq", "PT1H")),
       {"odrl.unsupported-left-operand " + c + "/leftOperand"}},
      {"operator misspelt",
       constrained(atom("count", "lteqq", 3)),
       {"odrl.unknown-operator " + c + "/operator"}},
      {"operator of another case",
       constrained(atom("purpose", "isanyof", "urn:x")),
       {"odrl.unknown-operator " + c + "/operator"}},
      {"operator that cannot compare",
       constrained(atom("purpose", "lt", "urn:x")),
       {"odrl.operator-mismatch " + c}},
      {"set operator on a duration",
       constrained(atom("elapsedTime", "isAnyOf", "P1D")),
       {"odrl.operator-mismatch " + c}},
      {"taxonomy on a number",
       constrained(atom("count", "isA", 3)),
       {"odrl.operator-mismatch " + c}},
      {"no left operand",
       constrained(Json{{"operator", "eq"}, {"rightOperand", "x"}}),
       {"odrl.constraint-incomplete " + c}},
      {"no operator",
       constrained(Json{{"leftOperand", "count"}, {"rightOperand", 3}}),
       {"odrl.constraint-incomplete " + c}},
      {"no right operand",
       constrained(Json{{"leftOperand", "count"}, {"operator", "lteq"}}),
       {"odrl.constraint-incomplete " + c}},
      {"empty constraint",
       constrained(Json::object()),
       {"odrl.constraint-incomplete " + c,
        "odrl.constraint-incomplete " + c,
        "odrl.constraint-incomplete " + c}},
      {"constraint is a string", constrained("count lteq 3"), {"odrl.member-type " + c}},
      {"reference",
       constrained(Json{
           {"leftOperand", "count"}, {"operator", "lteq"}, {"rightOperandReference", "urn:x"}}),
       {"odrl.unsupported-member " + c + "/rightOperandReference"}},
      {"unit",
       constrained([] {
         auto one = atom("count", "lteq", 3);
         one["unit"] = "urn:x";
         return one;
       }()),
       {"odrl.unsupported-member " + c + "/unit"}},
      {"status",
       constrained([] {
         auto one = atom("count", "lteq", 3);
         one["status"] = 1;
         return one;
       }()),
       {"odrl.unsupported-member " + c + "/status"}},
      {"ordered sequence",
       constrained(Json{{"andSequence", Json::array({atom("count", "lteq", 3)})}}),
       {"odrl.unsupported-member " + c + "/andSequence"}},
      {"empty or",
       constrained(Json{{"or", Json::array()}}),
       {"odrl.constraint-incomplete " + c + "/or"}},
      {"or and and in one",
       constrained(Json{
           {"or", Json::array({atom("count", "lteq", 3)})},
           {"and", Json::array({atom("count", "lteq", 3)})}}),
       {"odrl.constraint-ambiguous " + c + "/or"}},
      {"or beside an operand",
       constrained(Json{{"or", Json::array({atom("count", "lteq", 3)})}, {"leftOperand", "count"}}),
       {"odrl.constraint-ambiguous " + c + "/leftOperand"}},
      {"fault deep inside",
       constrained(Json{{"or", Json::array({Json{{"and", Json::array({atom("conut", "eq", 1)})}}})}}
       ),
       {"odrl.unknown-left-operand " + c + "/or/0/and/0/leftOperand"}},
      {"two values for eq",
       constrained(atom("purpose", "eq", Json::array({"urn:x", "urn:y"}))),
       {"odrl.one-value " + c + "/rightOperand/1"}},
      {"no value for isAnyOf",
       constrained(atom("purpose", "isAnyOf", Json::array())),
       {"odrl.empty-list " + c + "/rightOperand"}},
      {"null",
       constrained(atom("count", "lteq", nullptr)),
       {"odrl.member-type " + c + "/rightOperand"}},
      {"boolean",
       constrained(atom("count", "lteq", true)),
       {"odrl.type-mismatch " + c + "/rightOperand"}},
      {"word for a number",
       constrained(atom("count", "lteq", "three")),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"half a use",
       constrained(atom("count", "lteq", 2.5)),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"number for a date",
       constrained(atom("dateTime", "lt", 20270101)),
       {"odrl.type-mismatch " + c + "/rightOperand"}},
      {"day that does not exist",
       constrained(atom("dateTime", "lt", "2027-02-29")),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"stamp without zone",
       constrained(atom(
           "dateTime", "lt", Json{{"@value", "2027-01-01T00:00:00"}, {"@type", "xsd:dateTimeStamp"}}
       )),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"date as a duration",
       constrained(atom("elapsedTime", "lteq", Json{{"@value", "P1D"}, {"@type", "xsd:date"}})),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"months in a dayTimeDuration",
       constrained(
           atom("elapsedTime", "lteq", Json{{"@value", "P1M"}, {"@type", "xsd:dayTimeDuration"}})
       ),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"number as a purpose",
       constrained(atom("purpose", "eq", Json{{"@value", "3"}, {"@type", "xsd:integer"}})),
       {"odrl.type-mismatch " + c + "/rightOperand"}},
      {"negative nonNegativeInteger",
       constrained(
           atom("count", "lteq", Json{{"@value", "-1"}, {"@type", "xsd:nonNegativeInteger"}})
       ),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"double as a count",
       constrained(atom("count", "lteq", Json{{"@value", "NaN"}, {"@type", "xsd:double"}})),
       {"odrl.invalid-literal " + c + "/rightOperand"}},
      {"language tag",
       constrained(atom("purpose", "eq", Json{{"@value", "x"}, {"@language", "en"}})),
       {"odrl.type-mismatch " + c + "/rightOperand"}},
      {"dataType against @type",
       constrained([] {
         auto one = atom("dateTime", "lt", Json{{"@value", "2027-01-01"}, {"@type", "xsd:date"}});
         one["dataType"] = "xsd:dateTime";
         return one;
       }()),
       {"odrl.type-mismatch " + c + "/rightOperand"}},
      {"countedBy of nobody",
       agreement(Json::array(
           {atom("count", "lteq", 3), atom("urn:tally:profile:1#countedBy", "eq", "broker")}
       )),
       {"odrl.counted-by-value /permission/0/constraint/1"}},
      {"countedBy of not",
       agreement(Json::array(
           {atom("count", "lteq", 3), atom("urn:tally:profile:1#countedBy", "neq", "provider")}
       )),
       {"odrl.counted-by-value /permission/0/constraint/1"}},
      {"countedBy twice",
       agreement(Json::array(
           {atom("count", "lteq", 3),
            atom("urn:tally:profile:1#countedBy", "eq", "provider"),
            atom("urn:tally:profile:1#countedBy", "eq", "consumer")}
       )),
       {"odrl.counted-by-place /permission/0/constraint/2"}},
      {"countedBy alone",
       agreement(Json::array({atom("urn:tally:profile:1#countedBy", "eq", "provider")})),
       {"odrl.counted-by-alone /permission/0/constraint"}},
      {"countedBy under or",
       constrained(Json{
           {"or",
            Json::array(
                {atom("count", "lteq", 3), atom("urn:tally:profile:1#countedBy", "eq", "provider")}
            )}}),
       {"odrl.counted-by-place " + c + "/or/1"}},
      {"duty of another kind",
       rule({{"duty", Json::array({Json{{"action", "watermark"}}})}}),
       {"odrl.unsupported-duty /permission/0/duty/0/action"}},
      {"told before the use",
       rule(
           {{"duty",
             Json::array({Json{
                 {"action", "inform"},
                 {"constraint", atom("event", "lt", "http://www.w3.org/ns/odrl/2/policyUsage")}}})}}
       ),
       {"odrl.inform-before /permission/0/duty/0"}},
      {"told of what is refused",
       rule(
           {{"duty",
             Json::array({Json{
                 {"action", "https://w3id.org/idsa/code/NOTIFY"},
                 {"constraint",
                  atom(
                      "https://w3id.org/idsa/code/NOTIFICATION_LEVEL",
                      "eq",
                      "https://w3id.org/idsa/code/ON_DENY"
                  )}}})}}
       ),
       {"odrl.inform-level /permission/0/duty/0"}},
      {"anonymized by what nobody knows",
       rule(
           {{"duty",
             Json::array({Json{
                 {"action", "anonymize"},
                 {"constraint", atom("urn:tally:profile:1#technique", "eq", "k-anonymity")}}})}}
       ),
       {"odrl.unknown-technique /permission/0/duty/0"}},
      {"a next policy where nothing is passed on",
       policy({{"obligation", Json::array({Json{{"action", "nextPolicy"}}})}}),
       {"odrl.next-policy-place /obligation/0"}},
      {"a next policy that is none",
       rule(
           {{"duty",
             Json::array({Json{
                 {"action", "nextPolicy"},
                 {"constraint", atom("urn:tally:profile:1#onwardPolicy", "eq", "{")}}})}}
       ),
       {"odrl.next-policy-not-loaded /permission/0/duty/0"}},
      {"payment that no permission waits for",
       policy({{"obligation", Json::array({Json{{"action", "compensate"}}})}}),
       {"odrl.confirmed-duty-place /obligation/0"}},
      {"duty misspelt",
       rule({{"duty", Json::array({Json{{"action", "delet"}}})}}),
       {"odrl.unknown-action /permission/0/duty/0/action"}},
      {"duty with a consequence",
       rule({{"duty", Json::array({Json{{"action", "delete"}, {"consequence", Json::array()}}})}}),
       {"odrl.unsupported-member /permission/0/duty/0/consequence"}},
      {"duty about something else",
       rule({{"duty", Json::array({Json{{"action", "delete"}, {"target", "urn:x"}}})}}),
       {"odrl.unsupported-duty-scope /permission/0/duty/0/target"}},
      {"duty of somebody else",
       policy({{"obligation", Json::array({Json{{"action", "delete"}, {"assignee", "urn:x"}}})}}),
       {"odrl.unsupported-duty-scope /obligation/0/assignee"}},
      {"deadline that only begins",
       policy(
           {{"obligation",
             Json::array({Json{
                 {"action", "delete"}, {"constraint", atom("dateTime", "gt", "2027-01-01")}}})}}
       ),
       {"odrl.unsupported-deadline /obligation/0/constraint"}},
      {"deadline by count",
       policy(
           {{"obligation",
             Json::array({Json{
                 {"action", "delete"}, {"constraint", Json::array({atom("count", "lteq", 3)})}}})}}
       ),
       {"odrl.unsupported-deadline /obligation/0/constraint/0"}},
  };
  for (const auto& one : table) {
    auto expected = one.faults;
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(faults(one.document), expected) << one.name;
  }
}

TEST(Load, NamesAllFaultsOfADocumentAtOnce) {
  auto document = agreement(Json::array({atom("cuont", "lteq", 3), atom("count", "ltq", 3)}));
  document["permission"][0]["action"] = "reed";
  document["conflict"] = "prohbit";
  document["obligation"] = Json::array({Json{{"action", "watermark"}}});
  EXPECT_EQ(
      faults(document),
      (Strings{
          "odrl.unknown-action /permission/0/action",
          "odrl.unknown-conflict-term /conflict",
          "odrl.unknown-left-operand /permission/0/constraint/0/leftOperand",
          "odrl.unknown-operator /permission/0/constraint/1/operator",
          "odrl.unsupported-duty /obligation/0/action",
      })
  );
}

TEST(Load, SuggestsTheClosestKnownTerm) {
  struct Row {
    const char* written;
    const char* closest;
  };
  for (const auto& [written, closest] : std::vector<Row>{
           {"cuont", "count"},
           {"odrl:purpse", "purpose"},
           {"http://www.w3.org/ns/odrl/2/datetime", "dateTime"},
           {"elapsed_time", "elapsedTime"},
           {"urn:tally:profile:1#countBy", "urn:tally:profile:1#countedBy"},
       }) {
    const auto loaded = load_policy(constrained(atom(written, "eq", "3")));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().front().message.code, "odrl.unknown-left-operand") << written;
    EXPECT_EQ(loaded.error().front().message.params.at("closest"), closest);
    EXPECT_EQ(loaded.error().front().message.params.at("term"), written);
  }
}

TEST(Load, TakesTermsAsBareWordsPrefixesAndIris) {
  for (const std::string ns : {"", "odrl:", "http://www.w3.org/ns/odrl/2/"}) {
    auto document = constrained(atom(ns + "count", ns + "lteq", "3"));
    document["permission"][0]["action"] = ns + "use";
    document["@type"] = ns + "Agreement";
    document["conflict"] = ns + "prohibit";
    const auto policy = load(document);
    ASSERT_TRUE(policy) << ns;
    ASSERT_EQ(policy->rules().size(), 1U);
    EXPECT_EQ(policy->rules()[0].limits.size(), 1U);
    EXPECT_EQ(policy->rules()[0].actions, Strings{std::string(iri::use)});
  }
  const auto prefixed = load(Json{
      {"@type", "odrl:Set"},
      {"@id", "urn:x"},
      {"odrl:permission",
       Json{
           {"odrl:target", Json{{"@id", "urn:a"}}},
           {"odrl:action", Json{{"@id", "odrl:read"}}},
           {"odrl:constraint",
            Json{
                {"odrl:leftOperand", Json{{"@id", "odrl:count"}}},
                {"odrl:operator", Json{{"@id", "odrl:lteq"}}},
                {"odrl:rightOperand", Json{{"@value", "3"}, {"@type", "xsd:int"}}}}}}},
  });
  ASSERT_TRUE(prefixed);
  EXPECT_EQ(prefixed->rules()[0].limits[0].allowed, 3);
}

TEST(Load, TakesADspOfferWithoutTarget) {
  const auto offer = load(Json{
      {"@type", "Offer"},
      {"@id", "urn:uuid:1"},
      {"permission",
       Json::array({Json{
           {"action", "use"},
           {"constraint",
            Json::array(
                {atom("http://www.w3.org/ns/odrl/2/purpose", "isAnyOf", Json::array({"urn:x"})),
                 atom(
                     "http://www.w3.org/ns/odrl/2/count",
                     "lteq",
                     Json{{"@value", "3"}, {"@type", "xsd:integer"}}
                 ),
                 atom("urn:tally:profile:1#countedBy", "eq", "consumer")}
            )},
       }})},
      {"profile", "urn:tally:profile:1"},
  });
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->type(), PolicyType::offer);
  EXPECT_TRUE(offer->warnings().empty());
  EXPECT_EQ(offer->rules()[0].id.value, "urn:uuid:1#/permission/0");
  EXPECT_EQ(offer->rules()[0].limits[0].owner, Side::consumer);
}

TEST(Load, AnOfferMayNotSayExportWithoutSayingWhich) {
  auto offer = rule({{"action", "odrl:export"}});
  EXPECT_TRUE(faults(offer).empty());  // an agreement: the old word for transform
  offer["@type"] = "Offer";
  const auto loaded = load_policy(offer);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error()[0].message.code, "odrl.export-ambiguous");
  EXPECT_EQ(loaded.error()[0].message.params.at("transform"), "transform");
  EXPECT_EQ(loaded.error()[0].message.params.at("export"), iri::export_);
  offer["permission"][0]["action"] = std::string(iri::export_);
  EXPECT_TRUE(faults(offer).empty());
}

TEST(Load, RequiresTheTypeThatIsAskedFor) {
  LoadOptions options;
  options.required_type = PolicyType::offer;
  EXPECT_EQ(faults(agreement(), options), Strings{"odrl.wrong-policy-type /@type"});
}

TEST(Load, LimitsNameTheirOwner) {
  LoadOptions options;
  options.default_owner = Side::provider;
  const auto by_default = load(constrained(atom("count", "lt", 3)), options);
  ASSERT_TRUE(by_default);
  const auto& limit = by_default->rules()[0].limits.at(0);
  EXPECT_EQ(limit.owner, Side::provider);
  EXPECT_EQ(limit.limit, 3);
  EXPECT_EQ(limit.allowed, 2);
  EXPECT_EQ(limit.op, Operator::lt);
  EXPECT_EQ(limit.pointer, "/permission/0/constraint/0");
  const auto named = load(
      agreement(Json::array(
          {atom("urn:tally:profile:1#countedBy", "eq", "consumer"), atom("count", "lteq", 3)}
      )),
      options
  );
  ASSERT_TRUE(named);
  EXPECT_EQ(named->rules()[0].limits.at(0).owner, Side::consumer);
  EXPECT_EQ(named->warnings().size(), 1U);  // the profile is not named
}

TEST(Load, KnowsWhenNothingIsPermittedAnyMore) {
  struct Row {
    Json constraint;
    const char* end;  // "" is never
  };
  const auto before = [](const char* text) { return atom("dateTime", "lt", text); };
  const std::vector<Row> table{
      {Json::array({before("2026-06-01T00:00:00Z")}), "2026-06-01T00:00:00Z"},
      {Json::array({atom("dateTime", "lteq", "2026-06-01")}), "2026-06-02T00:00:00Z"},
      {Json::array({before("2026-06-01T00:00:00Z"), before("2026-05-01T00:00:00Z")}),
       "2026-05-01T00:00:00Z"},
      {Json::array({Json{{"and", Json::array({before("2026-06-01T00:00:00Z")})}}}),
       "2026-06-01T00:00:00Z"},
      {Json::array({Json{
           {"or", Json::array({before("2026-06-01T00:00:00Z"), before("2026-07-01T00:00:00Z")})}}}),
       "2026-07-01T00:00:00Z"},
      {Json::array({Json{
           {"or", Json::array({before("2026-06-01T00:00:00Z"), atom("count", "lteq", 1)})}}}),
       ""},
      {Json::array({atom("dateTime", "gt", "2026-06-01")}), ""},
      {Json::array({atom("dateTime", "neq", "2026-06-01")}), ""},
      {Json::array(), ""},
  };
  for (const auto& row : table) {
    const auto policy = load(agreement(row.constraint));
    ASSERT_TRUE(policy);
    const auto expected =
        *row.end == '\0' ? std::nullopt : std::optional<Instant>(test::at(row.end));
    EXPECT_EQ(policy->not_after(), expected) << row.constraint.dump();
  }
  // One permission without an end is enough to have none.
  auto two = agreement(Json::array({before("2026-06-01T00:00:00Z")}));
  two["permission"].push_back(Json{{"action", "index"}});
  EXPECT_FALSE(load(two)->not_after());
}

TEST(Load, DutiesHaveDeadlines) {
  const auto duty_of = [](Json constraint, bool in_permission, Json rule_constraint) {
    auto document = agreement(std::move(rule_constraint));
    Json duty{{"action", "delete"}};
    if (!constraint.is_null()) duty["constraint"] = Json::array({constraint});
    if (in_permission) {
      document["permission"][0]["duty"] = Json::array({duty});
    } else {
      document["obligation"] = Json::array({duty});
    }
    const auto policy = load(document);
    return policy ? policy->duties().at(0) : DutySummary{};
  };
  const auto ends = Json::array({atom("dateTime", "lt", "2026-06-01T00:00:00Z")});
  const auto dated = duty_of(atom("dateTime", "lteq", "2026-05-01T00:00:00Z"), true, Json::array());
  EXPECT_EQ(dated.deadline, DeadlineKind::at_instant);
  EXPECT_EQ(dated.at, test::at("2026-05-01T00:00:00Z"));
  EXPECT_EQ(dated.permission.value, "urn:test:rule");
  EXPECT_EQ(dated.action, iri::delete_);
  const auto delayed = duty_of(atom("elapsedTime", "lteq", "P30D"), false, ends);
  EXPECT_EQ(delayed.deadline, DeadlineKind::after_use);
  EXPECT_EQ(delayed.after, *parse_duration("P30D"));
  EXPECT_TRUE(delayed.permission.empty());
  const auto expired = duty_of(nullptr, false, ends);
  EXPECT_EQ(expired.deadline, DeadlineKind::when_expired);
  EXPECT_EQ(expired.at, test::at("2026-06-01T00:00:00Z"));
  EXPECT_EQ(duty_of(nullptr, false, Json::array()).deadline, DeadlineKind::at_once);
  EXPECT_EQ(duty_of(nullptr, true, ends).deadline, DeadlineKind::at_once);
}

TEST(Load, WhatAPermitCanCarryIsKnownBeforeOne) {
  const auto filter = [](const char* op, Json list) {
    return atom("urn:tally:profile:1#rowFilter", op, std::move(list));
  };
  auto document = agreement(Json::array({filter("isAnyOf", {"a eq 1", "b eq x, y"})}));
  document["profile"] = "urn:tally:profile:1";
  document["permission"][0]["duty"] = Json::array(
      {Json{
           {"action", "urn:tally:profile:1#dropColumn"},
           {"constraint", Json::array({atom("urn:tally:profile:1#column", "eq", "c")})}},
       Json{{"action", "compensate"}}}  // somebody else's to do
  );
  document["obligation"] = Json::array({Json{{"action", "delete"}}});
  LoadOptions options;
  options.enforced_only = false;
  const auto policy = load(document, options);
  ASSERT_TRUE(policy);
  const auto found = possible_obligations(*policy, RuleId("urn:test:rule"));
  ASSERT_EQ(found.size(), 3U);
  std::map<std::string, Obligation> by_pointer;
  for (const auto& one : found) by_pointer.emplace(one.pointer, one);
  EXPECT_TRUE(by_pointer.contains("/obligation/0"));
  EXPECT_EQ(by_pointer.at("/permission/0/duty/0").action, iri::drop_column);
  const auto& rows = by_pointer.at("/permission/0/constraint/0");
  EXPECT_EQ(rows.action, iri::select_rows);
  ASSERT_EQ(rows.parameters.size(), 1U);
  // A value with a comma stays one value.
  EXPECT_EQ(rows.parameters[0].op, Operator::is_any_of);
  ASSERT_EQ(rows.parameters[0].values.size(), 2U);
  EXPECT_EQ(to_text(rows.parameters[0].values[1]), "b eq x, y");
  EXPECT_TRUE(possible_obligations(*policy, RuleId("urn:test:other")).empty());
}

TEST(Load, DutiesToLogSayHowLong) {
  auto document = agreement();
  EXPECT_TRUE(load(document)->log_retention().empty());
  const auto log_for = [](const char* op, const char* term) {
    const auto retention = atom(
        "urn:tally:profile:1#retention", op, Json{{"@value", term}, {"@type", "xsd:duration"}}
    );
    return Json{{"action", "urn:tally:profile:1#log"}, {"constraint", Json::array({retention})}};
  };
  document["profile"] = "urn:tally:profile:1";
  document["permission"][0]["duty"] = Json::array({log_for("eq", "P6M")});
  document["obligation"] = Json::array({log_for("gteq", "P100D")});
  const auto policy = load(document);
  ASSERT_TRUE(policy);
  auto found = policy->log_retention();
  ASSERT_EQ(found.size(), 2U);
  std::ranges::sort(found, {}, &XsdDuration::months);
  EXPECT_EQ(found[0], *parse_duration("P100D"));
  EXPECT_EQ(found[1], *parse_duration("P6M"));
}

TEST(Load, DigestIsThatOfTheCanonicalForm) {
  const auto document = agreement();
  EXPECT_EQ(load(document)->digest(), sha256(to_jcs(document)));
}

TEST(Load, DescriptionsAreNoRules) {
  auto document = agreement();
  document["dct:description"] = "for the cohort study";
  document["@context"] =
      Json::array({"http://www.w3.org/ns/odrl.jsonld", Json{{"terms", "http://purl.org/dc/terms/"}}}
      );
  document["permission"][0]["terms:title"] = Json{{"@value", "x"}, {"@language", "en"}};
  document["timestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(faults(document).empty());
}

TEST(Load, HostileDocumentsAreRefusedWhole) {
  LoadOptions options;
  options.limits.policy_bytes = 4096;
  options.limits.policy_rules = 8;
  options.limits.policy_constraints = 8;
  options.limits.policy_list = 4;
  options.limits.json_depth = 12;
  const auto refused = [&](const Json& document) {
    const auto found = faults(document, options);
    return !found.empty() && found[0].starts_with("odrl.too-large");
  };
  EXPECT_TRUE(faults(agreement(), options).empty());

  auto big = agreement();
  big["dct:description"] = std::string(5000, 'x');
  EXPECT_TRUE(refused(big));

  auto many = agreement();
  for (int i = 0; i < 9; ++i) many["permission"].push_back(Json{{"action", "use"}});
  EXPECT_TRUE(refused(many));

  auto product = agreement();  // 3 × 3 × 1 atomic rules
  product["permission"][0]["action"] = Json::array({"use", "read", "print"});
  product["permission"][0]["target"] = Json::array({"urn:a", "urn:b", "urn:c"});
  EXPECT_TRUE(refused(product));

  auto constraints = agreement();
  for (int i = 0; i < 9; ++i) {
    constraints["permission"][0]["constraint"].push_back(atom("count", "lteq", 3));
  }
  EXPECT_TRUE(refused(constraints));

  EXPECT_TRUE(refused(constrained(atom("count", "isAnyOf", Json::array({1, 2, 3, 4, 5})))));

  Json nested = atom("count", "lteq", 3);
  for (int i = 0; i < 10; ++i) nested = Json{{"or", Json::array({nested})}};
  EXPECT_TRUE(refused(constrained(nested)));
}

}  // namespace
}  // namespace tally::odrl
