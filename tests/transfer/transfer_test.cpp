// What can go otherwise between an agreement and its end: changed bytes, lost receipts, suspension,
// renewed certificates, a provider that is off, the policy's end. Two whole connectors.
#include <gtest/gtest.h>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/exchange.hpp"

#include "transfer/pair.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::hospital;
using test::institute;
using test::outsider;
using test::Pair;
using test::research;

TEST(Transfer, AReceiptThatDoesNotComeInTimeIsMissedOnce) {
  Pair pair;
  pair.agree();
  pair.consumer.directory.tally = false;  // takes no receipt and sends none
  pair.pull();
  pair.world.run_for(seconds(600));
  ASSERT_EQ(pair.provider.records("transfer.sent").size(), 1U);
  EXPECT_TRUE(pair.provider.records("receipt.missing").empty());
  EXPECT_EQ(pair.provider.transfers->receipts_missing(), 0U);
  pair.provider.cut_power();
  pair.provider.start();
  pair.world.run_for(seconds(3600));
  EXPECT_EQ(pair.provider.records("receipt.missing").size(), 1U);
  EXPECT_EQ(pair.provider.transfers->receipts_missing(), 1U);
  pair.provider.cut_power();
  pair.provider.start();
  pair.world.run_for(seconds(3600));
  EXPECT_EQ(pair.provider.records("receipt.missing").size(), 1U);
  EXPECT_EQ(pair.provider.transfers->receipts_missing(), 1U);
}

TEST(Transfer, BothSidesRecordDigestAndSizeAndHoldTheOthersReceipt) {
  Pair pair;
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(20));
  ASSERT_EQ(pair.state(pid), "COMPLETED") << pair.describe(pid).dump(1);
  const auto sent = pair.provider.records("transfer.sent");
  const auto received = pair.consumer.records("transfer.received");
  ASSERT_EQ(sent.size(), 1U);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(sent[0].at("content"), digest_text(sha256(pair.provider.data)));
  EXPECT_EQ(sent[0].at("content"), received[0].at("content"));
  EXPECT_EQ(sent[0].at("bytes"), pair.provider.data.size());
  EXPECT_EQ(sent[0].at("bytes"), received[0].at("bytes"));
  // Each holds what the other issued.
  EXPECT_EQ(
      pair.provider.records("receipt.issued")[0].at("receipt"),
      pair.consumer.records("receipt.held")[0].at("receipt")
  );
  EXPECT_EQ(
      pair.consumer.records("receipt.issued")[0].at("receipt"),
      pair.provider.records("receipt.held")[0].at("receipt")
  );
  // The receipts name the records in the two logs.
  EXPECT_EQ(pair.consumer.records("receipt.held")[0].at("peer").at("seq"), sent[0].at("seq"));
  EXPECT_EQ(pair.provider.records("receipt.held")[0].at("peer").at("seq"), received[0].at("seq"));
  // The pull itself is no use where custody counts.
  const auto permitted = pair.provider.records("use.permitted");
  ASSERT_EQ(permitted.size(), 1U);
  for (const auto& rule : permitted[0].at("rules")) EXPECT_EQ(rule.at("n"), 0);
}

TEST(Transfer, AChangedByteLeavesNoArtefactAndIsARecord) {
  Pair pair;
  pair.provider.swapped = true;
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(60));
  const auto mine = pair.describe(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED") << mine.dump(1);
  EXPECT_EQ(mine.at("reason").at("code"), "transfer.digest-mismatch");
  EXPECT_EQ(pair.providers(pid).at("state"), "TERMINATED");
  EXPECT_EQ(pair.providers(pid).at("reason").at("code"), "transfer.digest-mismatch");
  const auto rejected = pair.consumer.records("transfer.rejected");
  ASSERT_EQ(rejected.size(), 1U);
  EXPECT_EQ(rejected[0].at("sent"), digest_text(sha256(pair.provider.data)));
  EXPECT_NE(rejected[0].at("content"), rejected[0].at("sent"));
  EXPECT_TRUE(pair.consumer.records("transfer.received").empty());
  EXPECT_TRUE(pair.consumer.await(pair.consumer.custody->list()).value().empty());
  EXPECT_EQ(pair.consumer.held(pair.agreement).error().message.code, "api.nothing-held");
}

TEST(Transfer, WithoutAReceiptNothingIsTakenFromAPeerThatSigns) {
  Pair pair;
  pair.agree();
  pair.consumer.directory.tally = false;
  const auto pid = pair.pull();
  pair.world.run_for(seconds(120));
  EXPECT_EQ(pair.state(pid), "TERMINATED");
  EXPECT_EQ(pair.describe(pid).at("reason").at("code"), "transfer.no-receipt");
  EXPECT_EQ(pair.consumer.records("receipt.missing").size(), 1U);
  EXPECT_TRUE(pair.consumer.await(pair.consumer.custody->list()).value().empty());
}

TEST(Transfer, FromAPeerThatSignsNothingItIsTakenAndSaysAsserted) {
  Pair pair;
  pair.provider.has_signer = false;
  pair.provider.require_signature = false;
  pair.consumer.directory.unsigned_ok = true;
  pair.consumer.directory.tally = false;
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(120));
  EXPECT_EQ(pair.state(pid), "COMPLETED") << pair.describe(pid).dump(1);
  EXPECT_EQ(pair.consumer.records("receipt.missing").size(), 1U);
  EXPECT_EQ(pair.consumer.records("transfer.received")[0].at("assurance"), "asserted");
}

TEST(Transfer, RequestsThatNoAgreementCoversAreRefusedAlike) {
  Pair pair;
  pair.agree();
  const auto ask = [&](const PartyId& who,
                       const std::string& agreement,
                       const std::string& format,
                       const std::string& callback = {}) {
    dsp::TransferRequestMessage message;
    message.id = "urn:test:m" + agreement + format + to_string(who);
    message.consumer_pid = Pid("urn:test:c" + agreement + format);
    message.agreement_id = AgreementId(agreement);
    message.format = format;
    message.callback_address =
        callback.empty() ? negotiation::test::Directory::root_of(who) + "/dsp/2025-1" : callback;
    return pair.provider.receive(
        "POST", "/dsp/2025-1/transfers/request", dsp::to_json(message), who
    );
  };
  const auto id = pair.agreement.value;
  const auto strange = ask(outsider, id, "HttpData-PULL");
  const auto unknown = ask(institute, "urn:test:none", "HttpData-PULL");
  EXPECT_EQ(strange.status, 400);
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(strange.body.find("transfer.unknown-agreement"), std::string::npos);
  EXPECT_NE(unknown.body.find("transfer.unknown-agreement"), std::string::npos);
  EXPECT_EQ(ask(institute, id, "HttpData-PUSH").status, 400);
  EXPECT_EQ(ask(institute, id, "HttpData-PULL", "https://evil.example/").status, 400);
  EXPECT_TRUE(pair.provider.records("transfer.requested").empty());
  EXPECT_EQ(ask(institute, id, "HttpData-PULL").status, 201);
}

TEST(Transfer, ARequestWithAKnownConsumerPidIsTheSameTransfer) {
  Pair pair;
  pair.agree();
  dsp::TransferRequestMessage message;
  message.id = "urn:test:m1";
  message.consumer_pid = Pid("urn:test:c");
  message.agreement_id = pair.agreement;
  message.format = "HttpData-PULL";
  message.callback_address = negotiation::test::Directory::root_of(institute) + "/dsp/2025-1";
  const auto post = [&] {
    return pair.provider.receive(
        "POST", "/dsp/2025-1/transfers/request", dsp::to_json(message), institute
    );
  };
  const auto first = post();
  EXPECT_EQ(first.status, 201);
  const auto repeat = post();
  EXPECT_EQ(repeat.status, 201);
  EXPECT_EQ(repeat.body, first.body);
  message.id = "urn:test:m2";
  pair.world.run_for(seconds(1));
  const auto again = post();
  EXPECT_EQ(again.status, 200) << again.body;
  message.id = "urn:test:m3";
  message.format = "HttpData-QUERY";
  EXPECT_EQ(post().status, 400);
  EXPECT_EQ(pair.provider.records("transfer.requested").size(), 1U);
}

TEST(Transfer, TerminationByEitherSideEndsItOnBothWhateverCrossesIt) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Pair pair;
    pair.agree();
    const auto pid = pair.pull();
    sim::Chance chance(seed);
    pair.world.run_for(chance.span(0, milliseconds(500)));
    const auto first = pair.describe(pid);
    const bool known = !first.at("peerPid").get<std::string>().empty();
    Result<void> ended;
    if (known && chance.happens(0.5)) {
      ended = pair.provider.await(
          pair.provider.transfers->terminate(Pid(first.at("peerPid")), {"test.enough", {}})
      );
    } else {
      ended = pair.consumer.await(pair.consumer.transfers->terminate(pid, {"test.enough", {}}));
    }
    pair.world.run_for(seconds(300));
    const auto mine = pair.describe(pid);
    if (ended) {
      EXPECT_EQ(mine.at("state"), "TERMINATED") << "seed " << seed;
    }
    if (mine.at("peerPid").get<std::string>().empty()) continue;
    EXPECT_EQ(mine.at("state"), pair.providers(pid).at("state"))
        << "seed " << seed << mine.dump(1) << pair.providers(pid).dump(1);
    // What is visible was received, and what was received is visible.
    const bool visible = pair.consumer.held(pair.agreement).has_value();
    EXPECT_EQ(visible, mine.at("received").get<bool>()) << "seed " << seed;
  }
}

TEST(Transfer, ARenewedCertificateGetsAFreshTokenWithoutAnotherUse) {
  Pair pair;
  pair.agree();
  pair.provider.refuse_data = true;
  const auto pid = pair.pull();
  pair.world.run_for(seconds(3));
  pair.provider.peer_certificate = 2;  // from now on the consumer comes with another
  pair.provider.refuse_data = false;
  pair.world.run_for(seconds(200));
  EXPECT_EQ(pair.state(pid), "COMPLETED")
      << pair.describe(pid).dump(1) << pair.consumer.node->notices().print();
  EXPECT_EQ(pair.provider.records("transfer.started").size(), 1U);
  EXPECT_EQ(pair.provider.records("use.permitted").size(), 1U);
}

TEST(Transfer, TheConsumerRefusesWithTheProviderSwitchedOff) {
  Pair pair;
  pair.agree();
  pair.pull();
  pair.world.run_for(seconds(20));
  const auto token = pair.consumer.add_app("reader", research);
  pair.provider.cut_power();
  for (int use = 0; use < 3; ++use)
    EXPECT_EQ(pair.consumer.read(pair.agreement, token).status, 200);
  EXPECT_EQ(pair.consumer.read(pair.agreement, token).status, 403);
  pair.consumer.cut_power();
  pair.consumer.start();
  const auto fourth = pair.consumer.read(pair.agreement, token);
  EXPECT_EQ(fourth.status, 403) << fourth.body;
}

TEST(Transfer, OfAHundredReadsAtOnceExactlyTenSucceed) {
  Pair pair(10);
  pair.agree();
  pair.pull();
  pair.world.run_for(seconds(20));
  const auto token = pair.consumer.add_app("reader", research);
  int permitted = 0;
  int refused = 0;
  for (int n = 0; n < 100; ++n) {
    auto ask = [](Connector* side, AgreementId agreement, std::string bearer, int* yes, int* no
               ) -> awaitable<void> {
      HttpRequest request;
      request.method = "GET";
      request.target = "/api/v1/data/" + percent_encode_segment(agreement.value);
      identity::Caller caller;
      caller.authorization = Secret("Bearer " + bearer);
      auto response = co_await side->app_router->handle(std::move(request), caller);
      ++(response.status == 200 ? *yes : *no);
      if (response.on_sent) response.on_sent(0, false);
    };
    pair.consumer.tasks->spawn(
        "read", ask(&pair.consumer, pair.agreement, token, &permitted, &refused)
    );
  }
  pair.world.run_for(seconds(10));
  EXPECT_EQ(permitted, 10);
  EXPECT_EQ(refused, 90);
}

TEST(Transfer, ThePolicysEndDestroysAndTheProviderGetsTheNoteWhenItComesBack) {
  Pair pair(3, "2026-01-03T00:00:00Z");
  pair.agree();
  pair.pull();
  pair.world.run_for(seconds(20));
  ASSERT_TRUE(pair.consumer.held(pair.agreement));
  pair.provider.cut_power();
  pair.world.run_for(seconds(3L * 24 * 3600));
  EXPECT_EQ(pair.consumer.held(pair.agreement).error().message.code, "api.destroyed");
  EXPECT_TRUE(pair.consumer.await(pair.consumer.custody->list()).value().empty());
  ASSERT_EQ(pair.consumer.records("data.destroyed").size(), 1U);
  EXPECT_EQ(pair.consumer.agreements().front().status, negotiation::AgreementStatus::expired);
  EXPECT_EQ(pair.consumer.image.messages.size(), 1U);
  pair.provider.start();
  pair.world.run_for(seconds(120));
  EXPECT_TRUE(pair.consumer.image.messages.empty());
  const auto held = pair.provider.records("receipt.held");
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[1].at("of"), "deletion");
  EXPECT_EQ(held[1].at("content"), digest_text(sha256(pair.provider.data)));
  EXPECT_EQ(held[1].at("peer").at("seq"), pair.consumer.records("data.destroyed")[0].at("seq"));
  const auto rows = pair.provider.store->rows({"deletion_record", "", "", "", 10}).value();
  EXPECT_EQ(rows.size(), 1U);
}

TEST(Transfer, ADeletionNoteMustBeTheConsumersAndAboutItsAgreement) {
  Pair pair;
  pair.agree();
  DeletionNote note;
  note.agreement = pair.agreement;
  note.content = "sha256:00";
  note.bytes = 1;
  note.method = "key-shredded";
  note.time = "2026-01-01T00:00:00.000000Z";
  note.log = {"origin", 1, "00"};
  const auto post = [&](const std::string& agreement, const std::string& text, const PartyId& who) {
    const Json body = {{"agreement", agreement}, {"note", text}};
    return pair.provider.receive("POST", "/tally/v1/deletion-records", body, who).status;
  };
  const auto good =
      sign_deletion(note, institute.uri, *negotiation::test::signer_of(institute)).value();
  const auto by_another =
      sign_deletion(note, institute.uri, *negotiation::test::signer_of(outsider)).value();
  note.agreement = AgreementId("urn:test:other");
  const auto of_another =
      sign_deletion(note, institute.uri, *negotiation::test::signer_of(institute)).value();
  const auto id = pair.agreement.value;
  EXPECT_EQ(post(id, by_another, institute), 400);
  EXPECT_EQ(post(id, of_another, institute), 400);
  EXPECT_EQ(post(id, "no note", institute), 400);
  EXPECT_EQ(post(id, good, outsider), 404);
  EXPECT_EQ(post("urn:test:other", of_another, institute), 404);
  EXPECT_TRUE(pair.provider.records("receipt.held").empty());
  EXPECT_EQ(post(id, good, institute), 200);
  EXPECT_EQ(post(id, good, institute), 200);
  EXPECT_EQ(pair.provider.records("receipt.held").size(), 1U);
}

}  // namespace
}  // namespace tally::transfer
