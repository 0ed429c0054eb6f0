// Signatures on the two messages that make an agreement: each way in which one can be wrong ends
// the negotiation, and nothing comes into force.
#include <gtest/gtest.h>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/identity/message_signature.hpp"

#include "negotiation/machine.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;

// The institute by hand, opposite a real provider.
struct Desk {
  Desk() {
    machine.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
    network.serve(
        consumer,
        test::Directory::root_of(institute) + "/",
        institute,
        [this](HttpRequest request, PartyId) { return answer(std::move(request)); }
    );
    machine.start();
  }

  awaitable<HttpResponse> answer(HttpRequest request) {
    const auto body = parse_json(request.body);
    if (body && body->is_object()) messages.push_back(*body);
    HttpResponse response;
    response.body = "{}";
    if (request.method == "GET") response.status = 404;
    co_return response;
  }

  // Up to the provider's agreement message.
  void request() {
    dsp::ContractRequestMessage message;
    message.id = "urn:test:request";
    message.consumer_pid = Pid("urn:test:consumer");
    message.callback_address = test::Directory::root_of(institute) + test::dsp_base;
    message.offer = test::offer_policy();
    const auto path = test::dsp_base + "/negotiations/request";
    const auto answered = machine.receive("POST", path, dsp::to_json(message), institute);
    ASSERT_EQ(answered.status, 201) << answered.body;
    world.run_for(seconds(2));
    ASSERT_EQ(messages.size(), 1U);
    pid = Pid(messages[0].at("providerPid").get<std::string>());
    agreement = messages[0].at("agreement");
  }

  struct Signing {
    bool sign = true;
    PartyId as = institute;
    std::optional<Json> over;  // another agreement than the one agreed
    bool confirm = true;
    bool confirm_wrong = false;
    bool change_body_after = false;
    bool drop_header = false;
  };

  // Sends the verification; the state and the reason that the provider ends in.
  std::pair<std::string, std::string> verify(const Signing& how) {
    HttpRequest request;
    request.method = "POST";
    request.target = test::dsp_base + dsp::negotiation_path(pid, "agreement/verification");
    request.headers.set("Content-Type", "application/json");
    Json body = dsp::to_json(dsp::ContractAgreementVerificationMessage{
        "urn:test:verification", pid, Pid("urn:test:consumer")});
    request.body = body.dump();
    if (how.sign) {
      const auto policy = odrl::load_policy(agreement).value();
      identity::SigningInput input;
      input.agreement = sha256(to_jcs(how.over.value_or(agreement)));
      if (how.confirm) input.enforces = enforces_digest(*policy);
      if (how.confirm_wrong) input.enforces = sha256("something else");
      input.created = world.now();
      input.nonce = "n-1";
      identity::sign_message(request, *test::signer_of(how.as), input);
    }
    if (how.change_body_after) {
      body["x"] = 1;
      request.body = body.dump();
    }
    if (how.drop_header) {
      Headers kept;
      for (const auto& [name, value] : request.headers.all()) {
        if (name != "Signature") kept.add(name, value);
      }
      request.headers = kept;
    }
    auto response = machine.await(machine.handle(std::move(request), institute));
    EXPECT_EQ(response.status, 200) << response.body;
    world.run_for(seconds(5));
    const auto json = machine.negotiations->describe(pid).value();
    std::string reason;
    if (json.contains("reason")) reason = json.at("reason").at("code");
    return {json.at("state"), reason};
  }

  sim::World world{5};
  sim::SimNetwork network{world};
  sim::Node consumer{world, "by hand"};
  Machine machine{world, network, hospital};
  std::vector<Json> messages;
  Pid pid;
  Json agreement;
};

TEST(Signatures, AGoodVerificationPutsTheAgreementInForce) {
  Desk desk;
  desk.request();
  EXPECT_EQ(desk.verify({}).first, "FINALIZED");
  EXPECT_EQ(desk.machine.enforcer->agreements().size(), 1U);
}

TEST(Signatures, EveryWrongVerificationEndsItAndNothingComesIntoForce) {
  Json other = test::offer_policy("urn:test:another");
  other["@type"] = "Agreement";
  Desk::Signing unsigned_, by_provider, by_city, over_other, unconfirmed, wrong_rules, changed, cut;
  unsigned_.sign = false;
  by_provider.as = hospital;
  by_city.as = test::outsider;  // the same URI under the other domain
  over_other.over = other;
  unconfirmed.confirm = false;
  wrong_rules.confirm_wrong = true;
  changed.change_body_after = true;
  cut.drop_header = true;
  const std::vector<std::pair<Desk::Signing, std::string>> table = {
      {unsigned_, "negotiation.nobody-enforces"},
      {by_provider, "identity."},
      {by_city, "identity."},
      {over_other, "negotiation.signed-something-else"},
      {unconfirmed, "negotiation.nobody-enforces"},
      {wrong_rules, "negotiation.nobody-enforces"},
      {changed, "identity."},
      {cut, "identity."},
  };
  for (std::size_t n = 0; n < table.size(); ++n) {
    Desk desk;
    desk.request();
    const auto [state, reason] = desk.verify(table[n].first);
    EXPECT_EQ(state, "TERMINATED") << n;
    EXPECT_TRUE(reason.starts_with(table[n].second)) << n << " " << reason;
    EXPECT_TRUE(desk.machine.enforcer->agreements().empty()) << n;
    EXPECT_TRUE(desk.machine.records("contract.finalized").empty()) << n;
    // The peer is told why.
    ASSERT_EQ(desk.messages.size(), 2U) << n;
    EXPECT_EQ(desk.messages[1].at("@type"), "ContractNegotiationTerminationMessage");
    EXPECT_EQ(desk.messages[1].at("code"), reason);
  }
}

// A bad signature is worse than none: it is refused also where none is asked for.
TEST(Signatures, ABadOneIsRefusedAlsoWhereNoneIsNeeded) {
  Desk desk;
  desk.machine.offers.offers["urn:test:offer"].offer.require_signature = false;
  desk.machine.offers.offers["urn:test:offer"].offer.accept_unconfirmed = true;
  desk.request();
  Desk::Signing bad;
  bad.change_body_after = true;
  EXPECT_EQ(desk.verify(bad).first, "TERMINATED");
}

TEST(Signatures, TheAgreementCarriesOneThatTheConsumerCanCheck) {
  Desk desk;
  desk.request();
  const auto found =
      find_agreement(*desk.machine.store, AgreementId(desk.agreement.at("@id").get<std::string>()));
  ASSERT_TRUE(found && *found);
  const auto archive = parse_json((*found)->provider_signature).value();
  EXPECT_EQ(archive.at("agreement"), digest_text(sha256(to_jcs(desk.agreement))));
  EXPECT_EQ(archive.at("party"), hospital.uri);
  EXPECT_FALSE(archive.at("chain").empty());
}

// The hospital by hand, opposite a real consumer.
struct Counter {
  Counter() {
    network.serve(
        provider,
        test::Directory::root_of(hospital) + "/",
        hospital,
        [this](HttpRequest request, PartyId) { return answer(std::move(request)); }
    );
    machine.start();
  }

  awaitable<HttpResponse> answer(HttpRequest request) {
    HttpResponse response;
    response.body = "{}";
    const auto body = parse_json(request.body);
    if (body && body->is_object()) {
      messages.push_back(*body);
      const Json pids = {
          {"providerPid", "urn:test:provider"}, {"consumerPid", body->at("consumerPid")}};
      response.body = pids.dump();
    }
    if (request.method == "GET") response.status = 404;
    co_return response;
  }

  // The consumer's state, pending message and reason after an agreement signed by `who` over
  // `signed_over` (the agreement itself when empty).
  std::string agree(std::optional<PartyId> who, const std::optional<Json>& signed_over) {
    const auto pid =
        machine.await(machine.negotiations->negotiate(test::order_for(hospital))).value();
    world.run_for(seconds(2));
    Json agreement = messages.at(0).at("offer");
    agreement["@id"] = "urn:test:agreement";
    agreement["@type"] = "Agreement";
    agreement["assigner"] = hospital.uri;
    agreement["assignee"] = institute.uri;
    agreement["timestamp"] = "2026-01-01T00:00:00Z";
    HttpRequest request;
    request.method = "POST";
    request.target = test::dsp_base + dsp::negotiation_path(pid, "agreement");
    request.headers.set("Content-Type", "application/json");
    request.body = dsp::to_json(dsp::ContractAgreementMessage{
                                    "urn:test:m", Pid("urn:test:provider"), pid, agreement})
                       .dump();
    if (who) {
      identity::SigningInput input;
      input.agreement = sha256(to_jcs(signed_over.value_or(agreement)));
      input.created = world.now();
      input.nonce = "n-1";
      identity::sign_message(request, *test::signer_of(*who), input);
    }
    const auto response = machine.await(machine.handle(std::move(request), hospital));
    EXPECT_EQ(response.status, 200) << response.body;
    world.run_for(seconds(2));
    return messages.size() < 2 ? std::string() : messages.back().at("@type").get<std::string>();
  }

  sim::World world{6};
  sim::SimNetwork network{world};
  sim::Node provider{world, "by hand"};
  Machine machine{world, network, institute};
  std::vector<Json> messages;
};

TEST(Signatures, TheConsumerVerifiesOnlyWhatIsSignedByTheProviderAndOverThisAgreement) {
  const std::string good = "ContractAgreementVerificationMessage";
  const std::string ended = "ContractNegotiationTerminationMessage";
  Json other = test::offer_policy("urn:test:another");
  EXPECT_EQ(Counter().agree(hospital, std::nullopt), good);
  EXPECT_EQ(Counter().agree(std::nullopt, std::nullopt), ended);
  EXPECT_EQ(Counter().agree(hospital, other), ended);
  EXPECT_EQ(Counter().agree(institute, std::nullopt), ended);
  EXPECT_EQ(Counter().agree(test::outsider, std::nullopt), ended);
}

}  // namespace
}  // namespace tally::negotiation
