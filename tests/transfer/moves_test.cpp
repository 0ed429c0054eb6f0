// Suspension and resumption by either side, completion, and what the provider ends by itself. Two
// whole connectors.
#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"
#include "tally/negotiation/exchange.hpp"

#include "transfer/pair.hpp"

namespace tally::transfer {
namespace {

using test::hospital;
using test::institute;
using test::Pair;

// A transfer that runs for as long as we like: the consumer's own fetches get 503.
struct Running : Pair {
  Running() {
    agree();
    provider.refuse_data = true;
    pid = pull();
    world.run_for(seconds(3));
    theirs = provider_pid(pid);
  }
  std::string token() { return process(pid).token; }
  std::string at_provider() { return providers(pid).at("state"); }
  // What the data route answers to the institute that comes with `authorization`; the body is read
  // to its end.
  int fetch(const std::string& authorization) {
    auto ask = [](test::Connector* at, HttpRequest request, std::string value) -> awaitable<int> {
      identity::Caller caller;
      caller.peer =
          std::make_shared<const identity::PeerIdentity>(negotiation::test::identity_of(institute));
      caller.authorization = Secret(value);
      auto response = co_await at->peer_router->handle(std::move(request), caller);
      std::uint64_t bytes = response.body.size();
      bool complete = true;
      std::uint8_t piece[4096];
      while (response.stream) {
        auto got = co_await response.stream->read(piece);
        complete = got.has_value();
        if (!got || *got == 0) break;
        bytes += *got;
      }
      if (response.on_sent) response.on_sent(bytes, complete);
      co_return response.status;
    };
    HttpRequest request;
    request.method = "GET";
    request.target = "/data/" + percent_encode_segment(theirs.value);
    return provider.await(ask(&provider, std::move(request), authorization));
  }
  Pid pid;
  Pid theirs;
};

TEST(Moves, SuspensionBlocksTheDataAndAStartOpensItAgain) {
  Pair pair;
  pair.agree();
  pair.provider.refuse_data = true;  // the fetch is under way for as long as we like
  const auto pid = pair.pull();
  pair.world.run_for(seconds(3));
  ASSERT_EQ(pair.state(pid), "STARTED");
  const Pid theirs(pair.describe(pid).at("peerPid").get<std::string>());
  ASSERT_TRUE(pair.provider.await(pair.provider.transfers->suspend(theirs, {"test.pause", {}})));
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.state(pid), "SUSPENDED");
  pair.provider.refuse_data = false;
  pair.world.run_for(seconds(100));
  EXPECT_EQ(pair.state(pid), "SUSPENDED");
  EXPECT_TRUE(pair.provider.records("transfer.sent").empty());
  // Also over a restart.
  pair.provider.cut_power();
  pair.provider.start();
  pair.world.run_for(seconds(100));
  EXPECT_TRUE(pair.provider.records("transfer.sent").empty());
  ASSERT_TRUE(pair.provider.await(pair.provider.transfers->restart(theirs)));
  pair.world.run_for(seconds(200));
  EXPECT_EQ(pair.state(pid), "COMPLETED")
      << pair.describe(pid).dump(1) << pair.consumer.node->notices().print();
}

TEST(Moves, TheConsumerSuspendsAndGoesOn) {
  Pair pair;
  pair.agree();
  pair.provider.refuse_data = true;
  const auto pid = pair.pull();
  pair.world.run_for(seconds(3));
  ASSERT_TRUE(pair.consumer.await(pair.consumer.transfers->suspend(pid, {"test.pause", {}})));
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.providers(pid).at("state"), "SUSPENDED");
  pair.provider.refuse_data = false;
  pair.world.run_for(seconds(60));
  EXPECT_TRUE(pair.provider.records("transfer.sent").empty());
  ASSERT_TRUE(pair.consumer.await(pair.consumer.transfers->restart(pid)));
  pair.world.run_for(seconds(200));
  EXPECT_EQ(pair.state(pid), "COMPLETED") << pair.describe(pid).dump(1);
}

TEST(Moves, AResumeByTheProviderGivesAFreshTokenAndTheOldOneIsDead) {
  Running run;
  const auto old = run.token();
  ASSERT_TRUE(run.provider.await(run.provider.transfers->suspend(
      run.theirs, {"transfer.suspended-because", {{"reason", "words of a person"}}}
  )));
  EXPECT_EQ(run.fetch("Bearer " + old), 401);  // before the peer knows
  run.world.run_for(seconds(3));
  EXPECT_EQ(run.state(run.pid), "SUSPENDED");
  EXPECT_EQ(run.describe(run.pid).at("reason").at("params").at("reason"), "words of a person");
  ASSERT_TRUE(run.provider.await(run.provider.transfers->restart(run.theirs)));
  run.world.run_for(seconds(3));
  EXPECT_EQ(run.state(run.pid), "STARTED");
  EXPECT_FALSE(run.describe(run.pid).contains("reason"));
  const auto fresh = run.token();
  EXPECT_NE(fresh, old);
  EXPECT_EQ(run.fetch("Bearer " + old), 401);
  EXPECT_EQ(run.fetch(fresh), 200);  // as it came
  EXPECT_EQ(run.fetch("Bearer " + fresh), 200);
  for (auto* side : {&run.provider, &run.consumer}) {
    EXPECT_EQ(side->records("transfer.suspended").size(), 1U);
    EXPECT_EQ(side->records("transfer.started").size(), 2U);
    EXPECT_EQ(side->log_text().find("words of a person"), std::string::npos);
  }
}

TEST(Moves, AConsumerThatAsksToResumeGetsAStartOfTheProvidersOwn) {
  Running run;
  const auto old = run.token();
  ASSERT_TRUE(run.consumer.await(
      run.consumer.transfers->suspend(run.pid, {"transfer.suspended-by-operator", {}})
  ));
  run.world.run_for(seconds(3));
  ASSERT_EQ(run.at_provider(), "SUSPENDED");
  EXPECT_EQ(run.fetch("Bearer " + old), 401);
  ASSERT_TRUE(run.consumer.await(run.consumer.transfers->restart(run.pid)));
  run.world.run_for(seconds(3));
  EXPECT_EQ(run.state(run.pid), "STARTED");
  EXPECT_EQ(run.at_provider(), "STARTED");
  const auto fresh = run.token();
  EXPECT_NE(fresh, old);
  EXPECT_EQ(run.fetch("Bearer " + old), 401);
  EXPECT_EQ(run.fetch("Bearer " + fresh), 200);
  EXPECT_FALSE(run.process(run.pid).asked_to_resume);
  for (auto* side : {&run.provider, &run.consumer}) {
    EXPECT_EQ(side->records("transfer.started").size(), 2U);
  }
  // Each state says how often it was entered.
  EXPECT_EQ(run.process(run.pid).entered.at(dsp::TransferState::started), 2);
}

TEST(Moves, AnAgreementThatIsOverIsNotResumedAndTheTransferEnds) {
  Running run;
  ASSERT_TRUE(run.consumer.await(
      run.consumer.transfers->suspend(run.pid, {"transfer.suspended-by-operator", {}})
  ));
  run.world.run_for(seconds(3));
  auto agreement = run.provider.agreements().front();
  agreement.status = negotiation::AgreementStatus::terminated;
  Transaction change;
  change.puts.push_back(negotiation::to_row(agreement));
  ASSERT_TRUE(run.provider.await(run.provider.journal->commit(std::move(change), {})));
  ASSERT_TRUE(run.consumer.await(run.consumer.transfers->restart(run.pid)));
  run.world.run_for(seconds(30));
  EXPECT_EQ(run.at_provider(), "TERMINATED");
  EXPECT_EQ(run.state(run.pid), "TERMINATED") << run.describe(run.pid).dump(1);
  EXPECT_EQ(run.describe(run.pid).at("reason").at("code"), "transfer.agreement-not-active");
}

TEST(Moves, ASuspensionThatIsUnderWayKeepsTheDataClosedOverARestart) {
  Running run;
  const auto token = run.token();
  run.consumer.cut_power();
  ASSERT_TRUE(run.provider.await(
      run.provider.transfers->suspend(run.theirs, {"transfer.suspended-by-operator", {}})
  ));
  run.provider.cut_power();
  run.provider.start();
  run.world.run_for(seconds(1));
  EXPECT_EQ(run.fetch("Bearer " + token), 401);
}

TEST(Moves, AStreamIsCutWhenItsTransferIsSuspended) {
  for (const bool by_provider : {true, false}) {
    Pair pair;
    pair.provider.data = test::cohort_csv(4'000'000);
    pair.agree();
    const auto pid = pair.pull();
    ASSERT_TRUE(
        pair.world.run_until([&] { return pair.provider.data_sent.size() > 500'000; }, seconds(60))
    );
    const auto theirs = pair.provider_pid(pid);
    const Message reason{"transfer.suspended-by-operator", {}};
    ASSERT_TRUE(
        by_provider ? pair.provider.await(pair.provider.transfers->suspend(theirs, reason))
                    : pair.consumer.await(pair.consumer.transfers->suspend(pid, reason))
    );
    pair.world.run_for(seconds(1));
    const auto sent = pair.provider.data_sent.size();
    EXPECT_LT(sent, pair.provider.data.size());
    pair.world.run_for(seconds(60));
    EXPECT_EQ(pair.provider.data_sent.size(), sent);
    EXPECT_EQ(pair.state(pid), "SUSPENDED");
    ASSERT_TRUE(pair.provider.await(pair.provider.transfers->restart(theirs)));
    pair.world.run_for(seconds(200));
    EXPECT_EQ(pair.state(pid), "COMPLETED") << pair.describe(pid).dump(1);
    // Resumed within the same use.
    EXPECT_EQ(pair.provider.records("use.permitted").size(), 1U);
  }
}

TEST(Moves, CompletionRevokesForGood) {
  for (const bool by_provider : {true, false}) {
    Running run;
    const auto token = run.token();
    ASSERT_TRUE(
        by_provider ? run.provider.await(run.provider.transfers->complete(run.theirs))
                    : run.consumer.await(run.consumer.transfers->complete(run.pid))
    );
    run.world.run_for(seconds(10));
    EXPECT_EQ(run.state(run.pid), "COMPLETED");
    EXPECT_EQ(run.at_provider(), "COMPLETED");
    EXPECT_EQ(run.fetch("Bearer " + token), 401);
    for (const auto& done :
         {run.consumer.await(run.consumer.transfers->restart(run.pid)),
          run.consumer.await(run.consumer.transfers->complete(run.pid)),
          run.consumer.await(run.consumer.transfers->suspend(run.pid, {"test.late", {}})),
          run.consumer.await(run.consumer.transfers->terminate(run.pid, {"test.late", {}}))}) {
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().message.code, "transfer.cannot");
    }
  }
}

// --- a known consumerPid -------------------------------------------------------------------------

TEST(Moves, ARequestThatIsRepeatedGetsTheStartAgain) {
  Pair pair;
  pair.agree();
  pair.consumer.cut_power();
  std::vector<Json> starts;
  // A consumer of another make.
  sim::Node node(pair.world, "other");
  pair.network.serve(
      node,
      negotiation::test::Directory::root_of(institute) + "/",
      institute,
      [&starts](HttpRequest request, PartyId) -> awaitable<HttpResponse> {
        if (request.target.ends_with("/start")) starts.push_back(Json::parse(request.body));
        co_return HttpResponse{};
      }
  );
  dsp::TransferRequestMessage message;
  message.id = "urn:test:m1";
  message.consumer_pid = Pid("urn:test:c");
  message.agreement_id = pair.agreement;
  message.format = "HttpData-PULL";
  message.callback_address = negotiation::test::Directory::root_of(institute) + "/dsp/2025-1";
  const auto ask = [&](const std::string& id) {
    message.id = id;
    const auto answer = pair.provider.receive(
        "POST", "/dsp/2025-1/transfers/request", dsp::to_json(message), institute
    );
    pair.world.run_for(seconds(2));
    return answer;
  };
  EXPECT_EQ(ask("urn:test:m1").status, 201);
  ASSERT_EQ(starts.size(), 1U);
  const auto again = ask("urn:test:m2");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(Json::parse(again.body).at("state"), "STARTED");
  ASSERT_EQ(starts.size(), 2U);
  EXPECT_EQ(starts[1], starts[0]);  // its own @id, unchanged
  // Nobody knows the token any more after a restart: another one goes out.
  pair.provider.cut_power();
  pair.provider.start();
  EXPECT_EQ(ask("urn:test:m3").status, 200);
  ASSERT_EQ(starts.size(), 3U);
  EXPECT_NE(starts[2].at("@id"), starts[0].at("@id"));
  EXPECT_TRUE(starts[2].contains("dataAddress"));
  EXPECT_EQ(pair.provider.records("transfer.started").size(), 1U);
  node.power_off();
}

// --- nothing stays open --------------------------------------------------------------------------

TEST(Moves, AnAcknowledgedPullIsCompletedByItsProvider) {
  Running run;
  ASSERT_EQ(run.fetch("Bearer " + run.token()), 200);
  run.world.run_for(seconds(1));
  const auto sent = run.provider.records("transfer.sent");
  ASSERT_EQ(sent.size(), 1U);
  run.world.run_for(seconds(600));
  EXPECT_EQ(run.at_provider(), "STARTED");  // a Tally owes its receipt
  Receipt receipt;
  receipt.agreement = run.agreement;
  receipt.process = run.theirs;
  receipt.content = sent[0].at("content");
  receipt.bytes = sent[0].at("bytes");
  receipt.time = "2026-01-01T00:00:00.000000Z";
  const Json note = {
      {"note",
       sign_receipt(receipt, institute.uri, *negotiation::test::signer_of(institute)).value()}};
  const auto path = "/tally/v1/receipts/" + percent_encode_segment(run.theirs.value);
  ASSERT_EQ(run.provider.receive("POST", path, note, institute).status, 200);
  run.world.run_for(seconds(5));
  EXPECT_EQ(run.at_provider(), "COMPLETED");
  EXPECT_EQ(run.state(run.pid), "COMPLETED");
}

TEST(Moves, APullByAPeerWithoutReceiptsIsCompletedWhenItRests) {
  Running run;
  run.provider.directory.tally = false;
  ASSERT_EQ(run.fetch("Bearer " + run.token()), 200);
  run.world.run_for(seconds(200));
  ASSERT_EQ(run.fetch("Bearer " + run.token()), 200);  // it is not idle yet
  run.world.run_for(seconds(290));
  EXPECT_EQ(run.at_provider(), "STARTED");
  run.world.run_for(seconds(320));
  EXPECT_EQ(run.at_provider(), "COMPLETED");
}

TEST(Moves, WhatNobodyFetchesEndsAfterTheLongestIdleTimeAlone) {
  for (const bool limited : {false, true}) {
    Pair pair;
    if (limited) pair.provider.longest_idle = seconds(3600);
    pair.agree();
    pair.provider.refuse_data = true;
    const auto pid = pair.pull();
    pair.world.run_for(seconds(3500));
    EXPECT_EQ(pair.state(pid), "STARTED");
    pair.world.run_for(seconds(300));
    EXPECT_EQ(pair.state(pid), limited ? "TERMINATED" : "STARTED") << pair.describe(pid).dump(1);
    if (limited) EXPECT_EQ(pair.describe(pid).at("reason").at("code"), "transfer.idle");
  }
}

// --- data addresses ------------------------------------------------------------------------------

TEST(Moves, APeerThatReadsLinkedDataFindsTheAddressUnderFullNames) {
  for (const bool full : {false, true}) {
    Pair pair;
    pair.provider.directory.dialect.full_names = full;
    Json start;
    pair.consumer.heard = [&](const HttpRequest& request) {
      if (request.target.ends_with("/start")) start = Json::parse(request.body);
    };
    pair.agree();
    const auto pid = pair.pull();
    pair.world.run_for(seconds(20));
    EXPECT_EQ(pair.state(pid), "COMPLETED");
    const auto& address = start.at("dataAddress");
    std::map<std::string, std::string> found;
    for (const auto& property : address.at("endpointProperties")) {
      found[property.at("name")] = property.at("value");
    }
    const std::string space = "https://w3id.org/edc/v0.0.1/ns/";
    EXPECT_EQ(found.size(), full ? 6U : 2U);
    EXPECT_FALSE(found.at("authorization").empty());
    EXPECT_EQ(found.at("authType"), "bearer");
    if (!full) continue;
    EXPECT_EQ(found.at(space + "authorization"), found.at("authorization"));
    EXPECT_EQ(found.at(space + "authType"), "bearer");
    EXPECT_EQ(found.at(space + "endpoint"), address.at("endpoint").get<std::string>());
    EXPECT_EQ(found.at(space + "endpointType"), address.at("endpointType").get<std::string>());
  }
}

TEST(Moves, AConsumerSendsTheTokenAsThePeerWantsIt) {
  for (const bool bare : {false, true}) {
    Pair pair;
    pair.consumer.directory.dialect.bare_token = bare;
    std::string sent;
    pair.provider.heard = [&](const HttpRequest& request) {
      if (request.target.starts_with("/data/")) {
        sent = request.headers.get("Authorization").value_or("");
      }
    };
    pair.agree();
    const auto pid = pair.pull();
    pair.world.run_for(seconds(20));
    EXPECT_EQ(pair.state(pid), "COMPLETED");
    EXPECT_EQ(sent.starts_with("Bearer "), !bare) << sent;
  }
}

// A word of its own for a call is no more than that: what goes into custody is not called for.
TEST(Moves, APeerAsksForACallByItsOwnWord) {
  const struct {
    std::string delivery, own_word, asked, format;  // no format: refused
  } cases[] = {
      {"call", "HttpData-PULL", "HttpData-PULL", "HttpData-QUERY"},
      {"call", "HttpData-PULL", "HttpData-QUERY", "HttpData-QUERY"},
      {"call", "", "HttpData-QUERY", "HttpData-QUERY"},
      {"call", "", "HttpData-PULL", ""},
      {"call", "", "", ""},
      {"call", "X-PULL", "HttpData-PULL", ""},
      {"custody", "HttpData-PULL", "HttpData-PULL", "HttpData-PULL"},
      {"custody", "X-PULL", "X-PULL", ""},
  };
  for (const auto& each : cases) {
    const auto what = each.delivery + " " + each.own_word + " " + each.asked;
    Pair pair;
    pair.provider.asset_delivery = each.delivery;
    pair.provider.directory.dialect.call_format = each.own_word;
    pair.provider.offer(institute, 3, "2027-01-01T00:00:00Z");
    pair.agree();
    dsp::TransferRequestMessage message;
    message.id = "urn:test:m1";
    message.consumer_pid = Pid("urn:test:c");
    message.agreement_id = pair.agreement;
    message.format = each.asked;
    message.callback_address = negotiation::test::Directory::root_of(institute) + "/dsp/2025-1";
    const auto post = [&] {
      return pair.provider.receive(
          "POST", "/dsp/2025-1/transfers/request", dsp::to_json(message), institute
      );
    };
    const auto answer = post();
    EXPECT_EQ(answer.status, each.format.empty() ? 400 : 201) << what << answer.body;
    const auto requested = pair.provider.records("transfer.requested");
    ASSERT_EQ(requested.size(), each.format.empty() ? 0U : 1U) << what;
    if (each.format.empty()) continue;
    EXPECT_EQ(requested.front().at("format"), each.format) << what;
    message.id = "urn:test:m2";
    pair.world.run_for(seconds(1));
    EXPECT_EQ(post().status, 200) << what;  // the same transfer
  }
}

// --- giving up -----------------------------------------------------------------------------------

TEST(Moves, AMessageThatNeverArrivesEndsTheTransferWithAReasonAndEveryAttempt) {
  Running run;
  run.consumer.cut_power();
  ASSERT_TRUE(run.provider.await(
      run.provider.transfers->suspend(run.theirs, {"transfer.suspended-by-operator", {}})
  ));
  run.world.run_for(seconds(3600));
  const auto shown = [&] { return run.provider.transfers->describe(run.theirs).value(); };
  const auto attempts = [](const Json& json) {
    for (const auto& entry : json.at("history")) {
      if (entry.at("message") == "TransferSuspensionMessage") return entry.at("attempts");
    }
    return Json();
  };
  const auto before = attempts(shown());
  EXPECT_GT(before.at("count").get<int>(), 50);
  EXPECT_EQ(before.at("first").size(), 4U);
  EXPECT_EQ(before.at("last").size(), 20U);
  EXPECT_FALSE(before.at("first")[0].at("answer").get<std::string>().empty());
  ASSERT_EQ(shown().at("waiting").size(), 1U);
  EXPECT_FALSE(shown().at("waiting")[0].at("nextAttempt").get<std::string>().empty());
  // They outlive a restart.
  run.provider.cut_power();
  run.provider.start();
  run.world.run_for(seconds(10));
  EXPECT_GT(attempts(shown()).at("count"), before.at("count"));
  run.world.run_for(seconds(25L * 3600));
  const auto given_up = shown();
  EXPECT_EQ(given_up.at("reason").at("code"), "transfer.not-delivered") << given_up.dump(1);
  const auto& params = given_up.at("reason").at("params");
  EXPECT_FALSE(params.at("message").get<std::string>().empty());
  EXPECT_GT(std::stoi(params.at("attempts").get<std::string>()), 1000);
  // The peer hears of it when it is back.
  run.consumer.start();
  run.world.run_for(seconds(120));
  EXPECT_EQ(run.state(run.pid), "TERMINATED");
  EXPECT_EQ(run.at_provider(), "TERMINATED");
}

}  // namespace
}  // namespace tally::transfer
