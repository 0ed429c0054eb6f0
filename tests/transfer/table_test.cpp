// Every state × every message × both roles of a transfer, over the service itself.
#include <tuple>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/exchange.hpp"

#include "transfer/connector.hpp"
#include "transfer/transfer_process.hpp"

namespace tally::transfer {
namespace {

using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;
using test::Connector;
using test::hospital;
using test::institute;

constexpr TransferState states[] = {
    TransferState::requested,
    TransferState::started,
    TransferState::suspended,
    TransferState::completed,
    TransferState::terminated,
};
constexpr TransferEvent events[] = {
    TransferEvent::start,
    TransferEvent::suspension,
    TransferEvent::completion,
    TransferEvent::termination,
};

// A transfer of the hospital with the institute under an agreement that is in force.
Process put_process(Connector& machine, Role role, TransferState state) {
  negotiation::Agreement agreement;
  agreement.id = AgreementId("urn:test:agreement");
  Json document = negotiation::test::offer_policy(agreement.id.value);
  document["@type"] = "Agreement";
  document["assigner"] = role == Role::provider ? hospital.uri : institute.uri;
  document["assignee"] = role == Role::provider ? institute.uri : hospital.uri;
  document["timestamp"] = "2026-01-01T00:00:00Z";
  agreement.document = to_jcs(document);
  agreement.status = negotiation::AgreementStatus::active;
  agreement.our_side = role == Role::provider ? odrl::Side::provider : odrl::Side::consumer;
  agreement.provider = role == Role::provider ? hospital : institute;
  agreement.consumer = role == Role::provider ? institute : hospital;
  agreement.asset = AssetId("urn:test:cohort");
  agreement.negotiation = Pid("urn:test:negotiation");
  agreement.confirmed = true;
  agreement.purposes = {test::research};
  Row agreement_row = negotiation::to_row(agreement);
  agreement_row.version = 1;
  machine.image.rows[{agreement_row.kind, agreement_row.id}] = agreement_row;

  Process process;
  process.pid = Pid("urn:test:own");
  process.role = role;
  process.peer = institute;
  process.peer_pid = Pid("urn:test:peer");
  process.peer_base = negotiation::test::Directory::root_of(institute) + "/dsp/2025-1";
  process.state = state;
  process.agreement = agreement.id;
  process.asset = agreement.asset;
  process.format = "HttpData-PULL";
  // A start under it rests on the agreement alone: this ledger has read no log.
  process.action = "http://www.w3.org/ns/odrl/2/read";
  process.certificate = negotiation::test::identity_of(institute).certificate_sha256;
  process.endpoint = "https://institute.example/data/urn:test:peer";
  if (role == Role::provider && state == TransferState::requested) {
    // A message of ours is under way, so that nothing follows by rule and the table stands alone.
    process.pending =
        Process::Pending{"urn:test:start", TransferEvent::start, TransferState::started};
  }
  Row row = to_row(process);
  row.version = 1;
  machine.image.rows[{row.kind, row.id}] = row;
  return process;
}

std::pair<std::string, Json> message(const Process& process, TransferEvent event) {
  const auto pids = process.pids();
  const std::string id = "urn:test:message";
  const auto path = [&](const char* step) {
    return "/dsp/2025-1" + dsp::transfer_path(process.pid, step);
  };
  switch (event) {
    case TransferEvent::start: {
      dsp::TransferStartMessage body{id, pids.provider, pids.consumer, std::nullopt};
      if (process.role == Role::consumer) {
        dsp::DataAddress address;
        address.endpoint_type = "https://w3id.org/idsa/v4.1/HTTP";
        address.endpoint = process.endpoint;
        address.endpoint_properties = {{"authorization", "token"}};
        body.data_address = address;
      }
      return {path("start"), dsp::to_json(body)};
    }
    case TransferEvent::suspension:
      return {
          path("suspension"),
          dsp::to_json(dsp::TransferSuspensionMessage{id, pids.provider, pids.consumer, "pause", {}}
          )};
    case TransferEvent::completion:
      return {
          path("completion"),
          dsp::to_json(dsp::TransferCompletionMessage{id, pids.provider, pids.consumer})};
    default:
      return {
          path("termination"),
          dsp::to_json(dsp::TransferTerminationMessage{id, pids.provider, pids.consumer, "bye", {}}
          )};
  }
}

std::string shown_state(Connector& machine, const Process& process) {
  const auto path = "/dsp/2025-1" + dsp::transfer_path(process.pid);
  const auto answer = machine.receive("GET", path, nullptr, institute);
  if (answer.status != 200) return std::to_string(answer.status);
  return negotiation::text_of(parse_json(answer.body).value(), "state");
}

TEST(TransferTable, EveryStateMeetsEveryMessageInBothRoles) {
  for (const Role role : {Role::provider, Role::consumer}) {
    for (const auto state : states) {
      for (const auto event : events) {
        sim::World world(1);
        sim::SimNetwork network(world);
        Connector machine(world, network, hospital);
        const auto process = put_process(machine, role, state);
        machine.start();
        const auto [path, body] = message(process, event);
        const auto answer = machine.receive("POST", path, body, institute);
        auto expected = dsp::next(state, event, dsp::other(role));
        // While our start is under way the peer may stand behind it already.
        if (!expected && process.pending) {
          expected = dsp::next(process.pending->target, event, dsp::other(role));
        }
        const auto what = std::string(dsp::to_string(role)) + " in " +
                          std::string(dsp::to_string(state)) + " gets " +
                          std::string(dsp::to_string(event)) + ": " + answer.body;
        if (!expected) {
          EXPECT_EQ(answer.status, 400) << what;
          EXPECT_NE(answer.body.find("TransferError"), std::string::npos) << what;
          EXPECT_EQ(shown_state(machine, process), dsp::to_string(state)) << what;
          continue;
        }
        EXPECT_EQ(answer.status, 200) << what;
        EXPECT_EQ(
            negotiation::text_of(parse_json(answer.body).value(), "state"),
            dsp::to_string(*expected)
        ) << what;
        const auto records = machine.records().size();
        const auto repeat = machine.receive("POST", path, body, institute);
        EXPECT_EQ(repeat.status, 200) << what;
        EXPECT_EQ(repeat.body, answer.body) << what;
        EXPECT_EQ(machine.records().size(), records) << what;
        Json other = body;
        other["x"] = 1;
        EXPECT_EQ(machine.receive("POST", path, other, institute).status, 400) << what;
      }
    }
  }
}

// Both sides resume at once: the provider's start, which is under way, is the only one; and until
// it has arrived the consumer, who is STARTED by its own, cannot suspend again.
TEST(TransferTable, AConsumersStartThatMeetsOursIsAnsweredByIt) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Connector machine(world, network, hospital);
  auto process = put_process(machine, Role::provider, TransferState::suspended);
  process.pending =
      Process::Pending{"urn:test:start", TransferEvent::start, TransferState::started};
  Row row = to_row(process);
  row.version = 1;
  machine.image.rows[{row.kind, row.id}] = row;
  machine.start();
  const auto starts = [&] {
    int queued = 0;
    const auto shown = machine.transfers->describe(process.pid).value();
    for (const auto& line : shown.at("history")) {
      queued += line.at("direction") == "out" && line.at("message") == "TransferStartMessage";
    }
    return queued;
  };

  auto [path, body] = message(process, TransferEvent::start);
  EXPECT_EQ(machine.receive("POST", path, body, institute).status, 200);
  EXPECT_EQ(shown_state(machine, process), "STARTED");
  EXPECT_EQ(starts(), 0) << "a second start with another token";

  std::tie(path, body) = message(process, TransferEvent::suspension);
  body["@id"] = "urn:test:suspension";
  EXPECT_EQ(machine.receive("POST", path, body, institute).status, 503);
  EXPECT_EQ(shown_state(machine, process), "STARTED");
}

TEST(TransferTable, EveryStateMeetsEveryCommandInBothRoles) {
  for (const Role role : {Role::provider, Role::consumer}) {
    for (const auto state : states) {
      for (const auto event : events) {
        sim::World world(1);
        sim::SimNetwork network(world);
        Connector machine(world, network, hospital);
        const auto process = put_process(machine, role, state);
        machine.start();
        const auto order = [&]() -> Result<void> {
          switch (event) {
            case TransferEvent::start:
              return machine.await(machine.transfers->restart(process.pid));
            case TransferEvent::suspension:
              return machine.await(machine.transfers->suspend(process.pid, {"test.pause", {}}));
            case TransferEvent::completion:
              return machine.await(machine.transfers->complete(process.pid));
            default:
              return machine.await(machine.transfers->terminate(process.pid, {"test.end", {}}));
          }
        };
        // What a person orders: the first start is the connector's own.
        const bool expected = dsp::may_send(state, event, role) &&
                              (event != TransferEvent::start || state == TransferState::suspended);
        const auto what = std::string(dsp::to_string(role)) + " in " +
                          std::string(dsp::to_string(state)) + " orders " +
                          std::string(dsp::to_string(event));
        const auto done = order();
        EXPECT_EQ(done.has_value(), expected) << what;
        if (!done) {
          EXPECT_EQ(done.error().kind, ErrorKind::conflict) << what;
          EXPECT_EQ(done.error().message.code, "transfer.cannot") << what;
          continue;
        }
        const auto shown = machine.transfers->describe(process.pid).value();
        EXPECT_EQ(shown.at("sending"), dsp::to_string(event)) << what;
        // The peer has not got it yet: nothing but an end can follow.
        const auto second = machine.await(machine.transfers->suspend(process.pid, {"test", {}}));
        ASSERT_FALSE(second) << what;
        EXPECT_EQ(second.error().kind, ErrorKind::conflict) << what;
      }
    }
  }
}

TEST(TransferTable, ARequestWithAKnownConsumerPidMeetsEveryState) {
  for (const auto state : states) {
    for (const std::string format : {"HttpData-PULL", "HttpData-QUERY"}) {
      sim::World world(1);
      sim::SimNetwork network(world);
      Connector machine(world, network, hospital);
      const auto process = put_process(machine, Role::provider, state);
      Row index;
      index.kind = peer_index_kind;
      index.id = peer_index(institute, process.peer_pid);
      index.version = 1;
      index.body = Json{{"pid", process.pid.value}}.dump();
      machine.image.rows[{index.kind, index.id}] = index;
      machine.start();
      dsp::TransferRequestMessage message;
      message.id = "urn:test:another";
      message.consumer_pid = process.peer_pid;
      message.agreement_id = process.agreement;
      message.format = format;
      message.callback_address = process.peer_base;
      const auto answer = machine.receive(
          "POST", "/dsp/2025-1/transfers/request", dsp::to_json(message), institute
      );
      const bool same = format == process.format;
      EXPECT_EQ(answer.status, same ? 200 : 400) << dsp::to_string(state) << answer.body;
      EXPECT_EQ(shown_state(machine, process), dsp::to_string(state));
      if (!same) continue;
      const auto json = parse_json(answer.body).value();
      EXPECT_EQ(negotiation::text_of(json, "state"), dsp::to_string(state));
      EXPECT_EQ(negotiation::text_of(json, "providerPid"), process.pid.value);
    }
  }
}

TEST(TransferTable, StrangersLearnNothing) {
  sim::World world(1);
  sim::SimNetwork network(world);
  Connector machine(world, network, hospital);
  const auto process = put_process(machine, Role::provider, TransferState::started);
  machine.start();
  for (const auto event : events) {
    const auto [path, body] = message(process, event);
    EXPECT_EQ(machine.receive("POST", path, body, test::outsider).status, 404);
  }
  const std::string pid = process.pid.value;
  for (const auto& stranger : {test::outsider, PartyId{"health", "did:web:other.example"}}) {
    EXPECT_EQ(
        machine.receive("GET", "/dsp/2025-1/transfers/" + pid, nullptr, stranger).status, 404
    );
    EXPECT_EQ(machine.receive("GET", "/tally/v1/receipts/" + pid, nullptr, stranger).status, 404);
    const Json note = {{"note", "x"}};
    EXPECT_EQ(machine.receive("POST", "/tally/v1/receipts/" + pid, note, stranger).status, 404);
    EXPECT_EQ(
        machine.receive("POST", "/tally/v1/tokens/" + pid, Json::object(), stranger).status, 404
    );
  }
  EXPECT_EQ(
      machine.receive("POST", "/tally/v1/tokens/" + pid, Json::object(), institute).status, 200
  );
}

TEST(TransferTable, ADataAddressAtAStrangeHostIsNeverCalled) {
  for (const char* endpoint :
       {"https://169.254.169.254/latest", "https://institute.example.evil.example/x", "nonsense"}) {
    sim::World world(1);
    sim::SimNetwork network(world);
    Connector machine(world, network, hospital);
    auto process = put_process(machine, Role::consumer, TransferState::requested);
    process.endpoint = endpoint;
    machine.start();
    const auto [path, body] = message(process, TransferEvent::start);
    EXPECT_EQ(machine.receive("POST", path, body, institute).status, 200);
    world.run_for(seconds(2));
    const auto json = machine.transfers->describe(process.pid).value();
    EXPECT_EQ(json.at("reason").at("code"), "transfer.endpoint-not-allowed") << json.dump(1);
  }
}

}  // namespace
}  // namespace tally::transfer
