// A provider that is not yet where it says: our verification comes too early for it, it refuses it
// and sends the same agreement again, in a message with another id.
#include <gtest/gtest.h>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"

#include "negotiation/machine.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;

// The hospital by hand. It signs nothing, and takes no verification before `ready`.
struct Early {
  Early() {
    network.serve(
        provider,
        test::Directory::root_of(hospital) + "/",
        hospital,
        [this](HttpRequest request, PartyId) { return answer(std::move(request)); }
    );
    machine.directory.unsigned_ok = true;
    machine.start();
    pid = machine.await(machine.negotiations->negotiate(test::order_for(hospital))).value();
    world.run_for(seconds(1));
  }

  awaitable<HttpResponse> answer(HttpRequest request) {
    HttpResponse response;
    const dsp::ContractNegotiation standing{{}, Pid("urn:test:provider"), pid, state};
    response.body = dsp::to_json(standing).dump();
    if (request.target.ends_with("/negotiations/request")) {
      Json asked = parse_json(request.body).value();
      offer = asked.at("offer");
      const Json pids = {
          {"providerPid", "urn:test:provider"}, {"consumerPid", asked.at("consumerPid")}};
      response.body = pids.dump();
    } else if (request.target.ends_with("/verification")) {
      ++verifications;
      if (!ready) response.status = 409;
    }
    co_return response;
  }

  HttpAnswer agree(const std::string& message_id) {
    Json agreement = offer;
    agreement["@id"] = "urn:test:agreement";
    agreement["@type"] = "Agreement";
    agreement["assigner"] = hospital.uri;
    agreement["assignee"] = institute.uri;
    agreement["timestamp"] = "2026-01-01T00:00:00Z";
    const dsp::ContractAgreementMessage message{
        message_id, Pid("urn:test:provider"), pid, agreement};
    const auto path = test::dsp_base + dsp::negotiation_path(pid, "agreement");
    return machine.receive("POST", path, dsp::to_json(message), hospital);
  }

  std::string our_state() {
    return machine.negotiations->describe(pid).value().at("state").get<std::string>();
  }

  sim::World world{9};
  sim::SimNetwork network{world};
  sim::Node provider{world, "by hand"};
  Machine machine{world, network, institute};
  Pid pid;
  Json offer;
  dsp::NegotiationState state = dsp::NegotiationState::requested;
  bool ready = false;
  int verifications = 0;
};

TEST(AgreementAgain, ThatComesAfterATooEarlyVerificationIsAnsweredAndTheContractIsMade) {
  Early early;
  EXPECT_EQ(early.agree("urn:test:m1").status, 200);
  early.state = dsp::NegotiationState::agreed;
  early.world.run_for(milliseconds(300));
  EXPECT_GE(early.verifications, 1);
  EXPECT_EQ(early.our_state(), "AGREED");
  for (const char* id : {"urn:test:m2", "urn:test:m3"}) {
    const auto again = early.agree(id);
    EXPECT_EQ(again.status, 200) << again.body;
    EXPECT_NE(again.body.find("AGREED"), std::string::npos);
  }
  early.ready = true;
  early.world.run_for(seconds(5));
  EXPECT_EQ(early.our_state(), "VERIFIED");
  const dsp::ContractNegotiationEventMessage finalized{
      "urn:test:m4", Pid("urn:test:provider"), early.pid, dsp::EventType::finalized};
  const auto path = test::dsp_base + dsp::negotiation_path(early.pid, "events");
  EXPECT_EQ(early.machine.receive("POST", path, dsp::to_json(finalized), hospital).status, 200);
  EXPECT_EQ(early.our_state(), "FINALIZED");
  EXPECT_EQ(early.machine.records("contract.agreed").size(), 1U);
  EXPECT_EQ(early.machine.records("contract.finalized").size(), 1U);
}

TEST(AgreementAgain, IsNotAnsweredBeforeTheFirstIsInTheLog) {
  Early early;
  early.machine.disk.fail_sync(1, true);
  EXPECT_EQ(early.agree("urn:test:m1").status, 503);
  EXPECT_EQ(early.agree("urn:test:m2").status, 503);
  early.machine.cut_power();
  early.machine.disk.mend();
  early.state = dsp::NegotiationState::agreed;
  early.machine.start();
  early.world.run_for(seconds(1));
  EXPECT_EQ(early.agree("urn:test:m3").status, 200);
  EXPECT_EQ(early.machine.records("contract.agreed").size(), 1U);
}

}  // namespace
}  // namespace tally::negotiation
