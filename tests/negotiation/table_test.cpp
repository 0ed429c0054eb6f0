// Every state × every message × both roles, over the service itself: what the table of the protocol
// allows moves and is answered with the new state, everything else is 400 and moves nothing.
#include <set>

#include <gtest/gtest.h>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"

#include "negotiation/machine.hpp"
#include "negotiation/negotiation_process.hpp"

namespace tally::negotiation {
namespace {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;
using test::hospital;
using test::institute;
using test::Machine;

constexpr NegotiationState states[] = {
    NegotiationState::requested,
    NegotiationState::offered,
    NegotiationState::accepted,
    NegotiationState::agreed,
    NegotiationState::verified,
    NegotiationState::finalized,
    NegotiationState::terminated,
};
constexpr NegotiationEvent events[] = {
    NegotiationEvent::counter_request,
    NegotiationEvent::offer,
    NegotiationEvent::accepted,
    NegotiationEvent::agreement,
    NegotiationEvent::verification,
    NegotiationEvent::finalized,
    NegotiationEvent::termination,
};

Json agreement_document(const std::string& id, Role role) {
  Json document = test::offer_policy(id);
  document["@type"] = "Agreement";
  document["assigner"] = role == Role::provider ? hospital.uri : institute.uri;
  document["assignee"] = role == Role::provider ? institute.uri : hospital.uri;
  document["timestamp"] = "2026-01-01T00:00:00Z";
  return document;
}

// A negotiation of the hospital with the institute, put into the store as it would stand there.
Process put_process(Machine& machine, Role role, NegotiationState state, const std::string& name) {
  Process process;
  process.pid = Pid("urn:test:own:" + name);
  process.role = role;
  process.peer = institute;
  process.peer_pid = Pid("urn:test:peer:" + name);
  process.peer_base = test::Directory::root_of(institute) + test::dsp_base;
  process.state = state;
  process.offer = test::offer_policy();
  process.offer_id = OfferId("urn:test:offer");
  process.asset = AssetId("urn:test:cohort");
  const bool agreed = state == NegotiationState::agreed || state == NegotiationState::verified ||
                      state == NegotiationState::finalized;
  if (agreed) {
    Agreement agreement;
    agreement.id = AgreementId("urn:test:agreement:" + name);
    agreement.document = to_jcs(agreement_document(agreement.id.value, role));
    agreement.our_side = role == Role::provider ? odrl::Side::provider : odrl::Side::consumer;
    agreement.provider = role == Role::provider ? hospital : institute;
    agreement.consumer = role == Role::provider ? institute : hospital;
    agreement.asset = process.asset;
    agreement.offer = process.offer_id;
    agreement.negotiation = process.pid;
    agreement.peer_base = process.peer_base;
    process.agreement = agreement.id;
    Row row = to_row(agreement);
    row.version = 1;
    machine.image.rows[{row.kind, row.id}] = row;
  }
  Row row = to_row(process);
  row.version = 1;
  machine.image.rows[{row.kind, row.id}] = row;
  return process;
}

// The path below the base and the body of `event` as the peer of `process` would send it.
std::pair<std::string, Json> message(
    const Process& process, NegotiationEvent event, const std::string& id
) {
  const auto pids = process.pids();
  const auto path = [&](const char* step) {
    return test::dsp_base + dsp::negotiation_path(process.pid, step);
  };
  switch (event) {
    case NegotiationEvent::counter_request: {
      dsp::ContractRequestMessage body;
      body.id = id;
      body.consumer_pid = pids.consumer;
      body.provider_pid = pids.provider;
      body.offer = test::offer_policy();
      return {path("request"), dsp::to_json(body)};
    }
    case NegotiationEvent::offer: {
      dsp::ContractOfferMessage body;
      body.id = id;
      body.consumer_pid = pids.consumer;
      body.provider_pid = pids.provider;
      body.offer = test::offer_policy();
      return {path("offers"), dsp::to_json(body)};
    }
    case NegotiationEvent::agreement: {
      dsp::ContractAgreementMessage body{
          id,
          pids.provider,
          pids.consumer,
          agreement_document("urn:test:new-agreement:" + process.pid.value, Role::consumer)};
      return {path("agreement"), dsp::to_json(body)};
    }
    case NegotiationEvent::verification:
      return {
          path("agreement/verification"),
          dsp::to_json(dsp::ContractAgreementVerificationMessage{id, pids.provider, pids.consumer}
          )};
    case NegotiationEvent::accepted:
    case NegotiationEvent::finalized: {
      const auto type = event == NegotiationEvent::accepted ? dsp::EventType::accepted
                                                            : dsp::EventType::finalized;
      return {
          path("events"),
          dsp::to_json(dsp::ContractNegotiationEventMessage{id, pids.provider, pids.consumer, type}
          )};
    }
    default:
      return {
          path("termination"),
          dsp::to_json(dsp::ContractNegotiationTerminationMessage{
              id, pids.provider, pids.consumer, "bye", {}})};
  }
}

std::string shown_state(Machine& machine, const Process& process) {
  const auto path = test::dsp_base + dsp::negotiation_path(process.pid);
  const auto answer = machine.receive("GET", path, nullptr, institute);
  if (answer.status != 200) return std::to_string(answer.status);
  return text_of(parse_json(answer.body).value(), "state");
}

TEST(NegotiationTable, EveryStateMeetsEveryMessageInBothRoles) {
  for (const Role role : {Role::provider, Role::consumer}) {
    for (const auto state : states) {
      for (const auto event : events) {
        sim::World world(1);
        sim::SimNetwork network(world);
        Machine machine(world, network, hospital);
        machine.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
        const auto process = put_process(machine, role, state, "table");
        machine.start();
        const auto before = machine.records().size();
        const auto [path, body] = message(process, event, "urn:test:message");
        const auto answer = machine.receive("POST", path, body, institute);
        const auto expected = dsp::next(state, event, dsp::other(role));
        const auto what = std::string(dsp::to_string(role)) + " in " +
                          std::string(dsp::to_string(state)) + " gets " +
                          std::string(dsp::to_string(event)) + ": " + answer.body;
        if (!expected) {
          EXPECT_EQ(answer.status, 400) << what;
          EXPECT_NE(answer.body.find("ContractNegotiationError"), std::string::npos) << what;
          EXPECT_EQ(shown_state(machine, process), dsp::to_string(state)) << what;
          continue;
        }
        EXPECT_EQ(answer.status, 200) << what;
        const auto json = parse_json(answer.body).value();
        EXPECT_EQ(text_of(json, "state"), dsp::to_string(*expected)) << what;
        EXPECT_GT(machine.records().size(), before - (event == NegotiationEvent::accepted)) << what;

        // The very same again: the same answer, and nothing happens.
        const auto records = machine.records().size();
        const auto repeat = machine.receive("POST", path, body, institute);
        EXPECT_EQ(repeat.status, answer.status) << what;
        EXPECT_EQ(repeat.body, answer.body) << what;
        EXPECT_LE(machine.records().size(), records + 1) << what;  // what follows by rule
        // The same id with another content is another message.
        Json other = body;
        other["x"] = 1;
        const auto reused = machine.receive("POST", path, other, institute);
        EXPECT_EQ(reused.status, 400) << what;
        EXPECT_NE(reused.body.find("message-id-reused"), std::string::npos) << what;
      }
    }
  }
}

// The message that would begin a negotiation again, in every state of the one that it began.
TEST(NegotiationTable, NothingBeginsTwice) {
  for (const Role role : {Role::provider, Role::consumer}) {
    for (const auto state : states) {
      sim::World world(1);
      sim::SimNetwork network(world);
      Machine machine(world, network, hospital);
      machine.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
      const auto process = put_process(machine, role, state, "one");
      Row index;
      index.kind = peer_index_kind;
      index.id = peer_index(institute, process.peer_pid);
      index.version = 1;
      index.body = Json{{"pid", process.pid.value}}.dump();
      machine.image.rows[{index.kind, index.id}] = index;
      machine.start();
      const auto callback = test::Directory::root_of(institute) + test::dsp_base;
      Json body;
      std::string path = test::dsp_base;
      if (role == Role::provider) {
        dsp::ContractRequestMessage request;
        request.id = "urn:test:again";
        request.consumer_pid = process.peer_pid;
        request.callback_address = callback;
        request.offer = test::offer_policy();
        body = dsp::to_json(request);
        path += dsp::negotiation_request_path;
      } else {
        dsp::ContractOfferMessage offer;
        offer.id = "urn:test:again";
        offer.provider_pid = process.peer_pid;
        offer.callback_address = callback;
        offer.offer = test::offer_policy();
        body = dsp::to_json(offer);
        path += dsp::negotiation_offers_path;
      }
      const auto answer = machine.receive("POST", path, body, institute);
      EXPECT_EQ(answer.status, 400) << dsp::to_string(state) << answer.body;
      EXPECT_EQ(machine.store->rows({"negotiation", "", "", "", 10}).value().size(), 1U);
    }
  }
}

// A message of ours is on its way: the peer stands before it or behind it, and what fits neither is
// refused. Against our termination only a termination.
TEST(NegotiationTable, EveryStateWithAMessageOnItsWayMeetsEveryMessage) {
  int cases = 0;
  for (const auto& sent : dsp::negotiation_transitions()) {
    if (!sent.in_diagram || sent.from == NegotiationState::none) continue;
    for (const auto event : events) {
      sim::World world(1);
      sim::SimNetwork network(world);
      Machine machine(world, network, hospital);
      machine.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
      auto process = put_process(machine, sent.sender, sent.from, "one");
      process.pending = Process::Pending{"urn:test:ours", sent.event, sent.to};
      if (sent.event == NegotiationEvent::agreement) {
        // Made with the message that is on its way.
        const auto made = put_process(machine, sent.sender, NegotiationState::agreed, "one");
        process.agreement = made.agreement;
      }
      Row row = to_row(process);
      row.version = 1;
      machine.image.rows[{row.kind, row.id}] = row;
      machine.start();
      const auto [path, body] = message(process, event, "urn:test:message");
      const auto answer = machine.receive("POST", path, body, institute);
      const auto peer = dsp::other(sent.sender);
      auto expected = dsp::next(sent.from, event, peer);
      if (!expected) expected = dsp::next(sent.to, event, peer);
      if (sent.event == NegotiationEvent::termination && event != NegotiationEvent::termination) {
        expected = std::nullopt;
      }
      const auto what = std::string(dsp::to_string(sent.sender)) + " in " +
                        std::string(dsp::to_string(sent.from)) + " sending " +
                        std::string(dsp::to_string(sent.event)) + " gets " +
                        std::string(dsp::to_string(event)) + ": " + answer.body;
      ++cases;
      if (!expected) {
        EXPECT_EQ(answer.status, 400) << what;
        EXPECT_EQ(shown_state(machine, process), dsp::to_string(sent.from)) << what;
        continue;
      }
      EXPECT_EQ(answer.status, 200) << what;
      EXPECT_EQ(text_of(parse_json(answer.body).value(), "state"), dsp::to_string(*expected))
          << what;
    }
  }
  EXPECT_GT(cases, 80);
}

TEST(NegotiationTable, StrangersLearnNothing) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  const auto process = put_process(machine, Role::provider, NegotiationState::offered, "one");
  machine.start();
  Process none = process;
  none.pid = Pid("urn:test:nobody");
  for (const auto event : events) {
    const auto [path, body] = message(process, event, "urn:test:m");
    const auto [no_path, no_body] = message(none, event, "urn:test:m");
    // The same URI under another trust domain is another party.
    for (const auto& stranger : {test::outsider, PartyId{"health", "did:web:other.example"}}) {
      const auto answer = machine.receive("POST", path, body, stranger);
      EXPECT_EQ(answer.status, 404);
      const auto unknown = machine.receive("POST", no_path, no_body, stranger);
      EXPECT_EQ(unknown.status, 404);
    }
  }
  const auto path = test::dsp_base + dsp::negotiation_path(process.pid);
  EXPECT_EQ(machine.receive("GET", path, nullptr, test::outsider).status, 404);
  EXPECT_EQ(machine.receive("GET", path, nullptr, institute).status, 200);
}

TEST(NegotiationTable, PidsThatDoNotFitAreRefusedAndMoveNothing) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  const auto process = put_process(machine, Role::provider, NegotiationState::offered, "one");
  machine.start();
  const auto [path, body] = message(process, NegotiationEvent::accepted, "urn:test:m");
  for (const char* member : {"providerPid", "consumerPid"}) {
    Json wrong = body;
    wrong[member] = "urn:test:other";
    EXPECT_EQ(machine.receive("POST", path, wrong, institute).status, 400) << member;
  }
  EXPECT_EQ(shown_state(machine, process), "OFFERED");
}

TEST(NegotiationTable, RefusesMessagesThatAreNotWhatTheySay) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  machine.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
  machine.start();
  const auto path = test::dsp_base + "/negotiations/request";
  dsp::ContractRequestMessage message;
  message.id = "urn:test:m";
  message.consumer_pid = Pid("urn:test:c");
  message.callback_address = test::Directory::root_of(institute) + test::dsp_base;
  message.offer = test::offer_policy();
  const Json good = dsp::to_json(message);
  const auto with = [&](const char* pointer, const Json& value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = value;
    return changed;
  };
  const auto without = [&](const char* member) {
    Json changed = good;
    changed.erase(member);
    return changed;
  };
  const std::vector<Json> bad = {
      without("@context"),
      without("consumerPid"),
      without("callbackAddress"),
      without("offer"),
      with("/@type", "ContractOfferMessage"),
      with("/providerPid", "urn:test:p"),
      with("/consumerPid", std::string(2100, 'x')),
      with("/consumerPid", "a b"),
      with("/@id", std::string(2100, 'x')),
      with("/offer/target", "urn:test:another"),
      with("/offer/permission", Json::array()),
      // Hosts that are not configured for this party, or cannot be.
      with("/callbackAddress", "https://169.254.169.254/latest"),
      with("/callbackAddress", "https://hospital.example/dsp"),
      with("/callbackAddress", "https://institute.example.evil.example/"),
      with("/callbackAddress", "file:///etc/passwd"),
  };
  for (const auto& body : bad) {
    EXPECT_EQ(machine.receive("POST", path, body, institute).status, 400) << body.dump();
  }
  EXPECT_EQ(machine.records("contract.offered").size(), 0U);
  EXPECT_TRUE(machine.store->rows({"negotiation", "", "", "", 10}).value().empty());
  // The limit of each case is that it alone is wrong.
  EXPECT_EQ(machine.receive("POST", path, good, institute).status, 201);
  EXPECT_EQ(machine.receive("POST", path, good, institute).status, 201);
  EXPECT_EQ(machine.records("contract.offered").size(), 1U);
  // Another message with the same consumerPid begins nothing.
  EXPECT_EQ(machine.receive("POST", path, with("/@id", "urn:test:m2"), institute).status, 400);
  EXPECT_EQ(machine.store->rows({"negotiation", "", "", "", 10}).value().size(), 1U);
}

TEST(NegotiationTable, AnAgreementIdThatIsKnownMeansNothingNew) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  machine.directory.unsigned_ok = true;
  const auto first = put_process(machine, Role::consumer, NegotiationState::requested, "first");
  const auto second = put_process(machine, Role::consumer, NegotiationState::requested, "second");
  machine.start();
  const auto send = [&](const Process& process, const std::string& count) {
    auto [path, body] = message(process, NegotiationEvent::agreement, "urn:test:m" + count);
    body["agreement"]["@id"] = "urn:test:the-agreement";
    body["agreement"]["permission"][0]["constraint"][1]["rightOperand"] = count;
    return machine.receive("POST", path, body, institute);
  };
  EXPECT_EQ(send(first, "3").status, 200);
  const auto reused = send(second, "300");
  EXPECT_EQ(reused.status, 400);
  EXPECT_NE(reused.body.find("agreement-id-reused"), std::string::npos);
  EXPECT_EQ(shown_state(machine, second), "REQUESTED");
  EXPECT_EQ(machine.node->notices().count("negotiation.agreement-id-reused"), 1U);
}

// One more row: the agreement that is there, in a message with another id, as it is or changed.
TEST(NegotiationTable, TheSameAgreementAgainIsTakenWhereItWasAgreedAndNothingMoves) {
  for (const Role role : {Role::provider, Role::consumer}) {
    for (const auto state : states) {
      for (const bool changed : {false, true}) {
        sim::World world(1);
        sim::SimNetwork network(world);
        Machine machine(world, network, hospital);
        const auto process = put_process(machine, role, state, "again");
        if (process.agreement.empty()) continue;
        machine.start();
        world.run_for(seconds(1));  // what follows by rule is on its way
        const auto records = machine.records().size();
        const auto before = machine.negotiations->describe(process.pid).value();
        auto [path, body] = message(process, NegotiationEvent::agreement, "urn:test:again");
        body["agreement"] = agreement_document(process.agreement.value, role);
        if (changed) body["agreement"]["timestamp"] = "2026-01-02T00:00:00Z";
        const bool taken = role == Role::consumer && state == NegotiationState::agreed && !changed;
        const auto answer = machine.receive("POST", path, body, institute);
        EXPECT_EQ(answer.status, taken ? 200 : 400) << dsp::to_string(state) << answer.body;
        EXPECT_EQ(machine.negotiations->describe(process.pid).value(), before);
        EXPECT_EQ(machine.records().size(), records);
        const bool noted = machine.node->notices().count("negotiation.agreement-id-reused") > 0;
        EXPECT_EQ(noted, changed && role == Role::consumer) << dsp::to_string(state);
      }
    }
  }
}

TEST(NegotiationTable, TheConsumerEndsAnAgreementThatIsNotWhatItAskedFor) {
  const std::map<std::string, std::function<void(Json&)>> changes = {
      {"permission",
       [](Json& agreement) { agreement["permission"][0]["constraint"][1]["rightOperand"] = "2"; }},
      {"target", [](Json& agreement) { agreement["target"] = "urn:test:other"; }},
      {"assignee", [](Json& agreement) { agreement["assignee"] = "did:web:other.example"; }},
      {"assigner", [](Json& agreement) { agreement["assigner"] = "did:web:other.example"; }},
  };
  for (const auto& [member, change] : changes) {
    sim::World world(1);
    sim::SimNetwork network(world);
    Machine machine(world, network, hospital);
    machine.directory.unsigned_ok = true;
    const auto process = put_process(machine, Role::consumer, NegotiationState::requested, "one");
    machine.start();
    auto [path, body] = message(process, NegotiationEvent::agreement, "urn:test:m");
    change(body["agreement"]);
    EXPECT_EQ(machine.receive("POST", path, body, institute).status, 200);
    world.run_for(seconds(2));
    const auto json = machine.negotiations->describe(process.pid).value();
    EXPECT_EQ(json.at("reason").at("code"), "negotiation.agreement-differs") << member;
    EXPECT_EQ(json.at("reason").at("params").at("member"), member);
    EXPECT_EQ(json.at("sending"), "termination");
    EXPECT_TRUE(machine.enforcer->agreements().empty());
  }
}

TEST(NegotiationTable, TheConsumerNamesTheRuleThatItCannotEnforce) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  machine.directory.unsigned_ok = true;
  auto process = put_process(machine, Role::consumer, NegotiationState::requested, "one");
  // What was asked for came from the peer's catalogue; that it cannot be enforced shows here.
  Json offer = *process.offer;
  offer["permission"][0]["constraint"][0]["leftOperand"] = "http://www.w3.org/ns/odrl/2/industry";
  process.offer = offer;
  Row row = to_row(process);
  row.version = 1;
  machine.image.rows[{row.kind, row.id}] = row;
  machine.start();
  auto [path, body] = message(process, NegotiationEvent::agreement, "urn:test:m");
  body["agreement"]["permission"] = offer["permission"];
  EXPECT_EQ(machine.receive("POST", path, body, institute).status, 200);
  world.run_for(seconds(2));
  const auto json = machine.negotiations->describe(process.pid).value();
  EXPECT_EQ(json.at("reason").at("code"), "negotiation.rule-not-enforceable") << json.dump(1);
  EXPECT_NE(
      json.at("reason").at("params").at("rule").get<std::string>().find("/permission/0"),
      std::string::npos
  );
}

// A write error at each step in turn: nothing is answered as done, and after a restart the same
// message leads to the same end, once.
TEST(NegotiationTable, AFailingStoreOrLogAcknowledgesNothing) {
  for (int step = 1; step <= 6; ++step) {
    for (const bool of_log : {false, true}) {
      sim::World world(static_cast<std::uint64_t>(step));
      sim::SimNetwork network(world);
      Machine machine(world, network, hospital);
      machine.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
      machine.start();
      if (of_log) {
        machine.disk.fail_sync(static_cast<std::uint64_t>(step), true);
      } else {
        machine.store->fail_batch(static_cast<std::uint64_t>(step));
      }
      dsp::ContractRequestMessage message;
      message.callback_address = test::Directory::root_of(institute) + test::dsp_base;
      message.offer = test::offer_policy();
      std::set<int> acknowledged;
      std::set<int> refused;
      // A repeat must not be told what the first was not.
      for (const int n : {0, 1, 2, 3, 0, 1, 2, 3}) {
        message.id = "urn:test:m" + std::to_string(n);
        message.consumer_pid = Pid("urn:test:c" + std::to_string(n));
        const auto answer = machine.receive(
            "POST", test::dsp_base + "/negotiations/request", dsp::to_json(message), institute
        );
        EXPECT_TRUE(answer.status == 201 || answer.status == 503) << answer.body;
        if (answer.status == 201) {
          EXPECT_FALSE(refused.contains(n)) << step << of_log << n;
          acknowledged.insert(n);
        } else {
          refused.insert(n);
        }
      }
      const auto durable = machine.records("contract.offered").size();
      EXPECT_GE(durable, acknowledged.size()) << step << of_log;
      machine.cut_power();
      machine.disk.mend();
      machine.start();
      world.run_for(seconds(1));
      EXPECT_GE(machine.records("contract.offered").size(), acknowledged.size()) << step << of_log;
      for (int n = 0; n < 4; ++n) {
        message.id = "urn:test:m" + std::to_string(n);
        message.consumer_pid = Pid("urn:test:c" + std::to_string(n));
        const auto answer = machine.receive(
            "POST", test::dsp_base + "/negotiations/request", dsp::to_json(message), institute
        );
        EXPECT_EQ(answer.status, 201) << answer.body;
      }
      EXPECT_EQ(machine.records("contract.offered").size(), 4U) << step << of_log;
    }
  }
}

TEST(NegotiationTable, WhatIsNotInTheLogIsNotShownAndARepeatOfItIsNotAnswered) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Machine machine(world, network, hospital);
  const auto process = put_process(machine, Role::provider, NegotiationState::offered, "one");
  machine.start();
  machine.disk.fail_sync(1, true);
  const auto [path, body] = message(process, NegotiationEvent::accepted, "urn:test:m");
  // ACCEPTED itself leaves no record; the termination does.
  const auto [end_path, end_body] = message(process, NegotiationEvent::termination, "urn:test:n");
  EXPECT_EQ(machine.receive("POST", end_path, end_body, institute).status, 503);
  EXPECT_EQ(machine.receive("POST", end_path, end_body, institute).status, 503);
  EXPECT_EQ(shown_state(machine, process), "OFFERED");
  machine.cut_power();
  machine.disk.mend();
  machine.start();
  EXPECT_EQ(shown_state(machine, process), "TERMINATED");
  EXPECT_EQ(machine.receive("POST", end_path, end_body, institute).status, 200);
  EXPECT_EQ(machine.receive("POST", path, body, institute).status, 400);
  EXPECT_EQ(machine.records("contract.terminated").size(), 1U);
}

}  // namespace
}  // namespace tally::negotiation
