// Receipt before key: what goes out encrypted, who gets its key and when, and what each side is
// left with whatever is lost between two steps. Two whole connectors.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/verify.hpp"

#include "transfer/connector.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::hospital;
using test::institute;
using test::outsider;
using test::research;

struct Pair {
  explicit Pair(std::uint64_t seed = 5, std::size_t bytes = 150'000) : world(seed) {
    provider.receipt_before_key = true;
    provider.data = test::cohort_csv(bytes);
    provider.offer(institute);
  }

  bool agree() {
    provider.start();
    consumer.start();
    const auto begun = consumer.negotiate(hospital, {research});
    if (!begun) throw std::runtime_error(begun.error().message.code);
    negotiation = *begun;
    world.run_for(seconds(10));
    if (consumer.state_of("negotiation", negotiation) != "FINALIZED") return false;
    agreement = consumer.agreements().front().id;
    return true;
  }
  void pull() {
    const auto begun = consumer.await(consumer.transfers->request({agreement, "HttpData-PULL"}));
    if (!begun) throw std::runtime_error(begun.error().message.code);
    pid = *begun;
  }
  Json mine() { return consumer.transfers->describe(pid).value(); }
  Pid peer_pid() { return Pid(mine().at("peerPid")); }
  std::string state() { return mine().at("state"); }
  bool until(const std::function<bool()>& condition) {
    return world.run_until(condition, seconds(2L * 3600));
  }
  // Up to a consumer that has signed for what it cannot read, and gets no answer.
  void wait_for_key() {
    provider.refuse_keys = true;
    ASSERT_TRUE(agree());
    pull();
    ASSERT_TRUE(until([&] { return !mine().value("receivedReceipt", "").empty(); }));
    world.run_for(seconds(5));
  }
  // Asks for the key as `caller` would over mutual TLS.
  HttpAnswer ask(const std::string& note, const PartyId& caller = institute) {
    HttpRequest request;
    request.method = "POST";
    request.target = "/tally/v1/keys/" + percent_encode_segment(peer_pid().value);
    request.headers.set("Content-Type", "application/json");
    request.body = Json{{"note", note}}.dump();
    const bool refusing = std::exchange(provider.refuse_keys, false);
    const auto response = provider.await(provider.handle(std::move(request), caller));
    provider.refuse_keys = refusing;
    return {response.status, response.body};
  }
  std::string receipt() { return mine().at("receivedReceipt"); }
  std::string sign(const Receipt& receipt, const PartyId& by = institute) {
    return sign_receipt(receipt, by.uri, *negotiation::test::signer_of(by)).value();
  }
  Receipt read_receipt() {
    const auto key = negotiation::test::signer_of(institute)->public_key();
    return verify_receipt(receipt(), institute.uri, key).value();
  }
  sim::World world;
  sim::SimNetwork network{world};
  Connector provider{world, network, hospital};
  Connector consumer{world, network, institute};
  Pid negotiation;
  AgreementId agreement;
  Pid pid;
};

TEST(KeyRelease, TheReceiptIsInBothLogsBeforeTheKeyAndTheDataOpens) {
  Pair pair;
  ASSERT_TRUE(pair.agree());
  pair.pull();
  ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }))
      << pair.mine().dump(1) << pair.consumer.node->notices().print();
  pair.world.run_for(seconds(5));

  const auto plain = digest_text(sha256(pair.provider.data));
  const auto sent = pair.provider.records("transfer.sent").at(0);
  const auto released = pair.provider.records("key.released").at(0);
  const auto held = pair.provider.records("receipt.held").at(0);
  EXPECT_EQ(sent.at("content"), digest_text(sha256(pair.provider.data_sent)));
  EXPECT_EQ(sent.at("plain").at("content"), plain);
  EXPECT_NE(sent.at("content"), plain);
  EXPECT_EQ(sent.at("bytes"), pair.provider.data.size() + 3 * 16);
  EXPECT_EQ(released.at("content"), sent.at("content"));
  EXPECT_EQ(released.at("receipt"), held.at("receipt"));
  EXPECT_LT(held.at("seq"), released.at("seq"));

  const auto received = pair.consumer.records("transfer.received").at(0);
  const auto issued = pair.consumer.records("receipt.issued").at(0);
  const auto opened = pair.consumer.records("key.received").at(0);
  EXPECT_EQ(received.at("content"), sent.at("content"));
  EXPECT_LT(received.at("seq"), issued.at("seq"));
  EXPECT_LT(issued.at("seq"), opened.at("seq"));
  EXPECT_EQ(opened.at("plain").at("content"), plain);
  EXPECT_EQ(pair.provider.records("use.permitted").size(), 1U);

  // Nothing readable went over the wire, and nothing is left of key and ciphertext.
  EXPECT_EQ(pair.provider.data_sent.find("west"), std::string::npos);
  EXPECT_FALSE(pair.provider.payload_keys->holds(pair.peer_pid()));
  EXPECT_TRUE(pair.provider.payload_key_files->list("keys").value().empty());
  EXPECT_EQ(pair.consumer.await(pair.consumer.custody->list()).value().size(), 1U);
  EXPECT_EQ(pair.consumer.holdings->all().size(), 1U);
  const auto token = pair.consumer.add_app("reader", research);
  EXPECT_EQ(pair.consumer.read(pair.agreement, token).body, pair.provider.data);
  EXPECT_EQ(pair.consumer.read(pair.agreement, token, "k").status, 200);

  // Both logs agree on every line, and each keeps to its rules.
  for (Connector* side : {&pair.provider, &pair.consumer}) {
    sim::SimLogStorage reader(side->disk);
    const auto report = audit::verify_log(reader, audit::Depth::deep);
    EXPECT_NE(report.verdict, audit::Verdict::changed)
        << (report.finding ? render(report.finding->message, Lang::en) : "");
  }
}

TEST(KeyRelease, WithoutAReceiptThereIsNoKeyAndItIsMissed) {
  Pair pair;
  pair.wait_for_key();
  for (const std::string& note :
       {std::string(), std::string("x"), pair.mine().at("sentReceipt").get<std::string>()}) {
    const auto answer = pair.ask(note);
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_EQ(answer.body.find("\"key\""), std::string::npos);
  }
  EXPECT_TRUE(pair.provider.records("receipt.held").empty());
  pair.world.run_for(seconds(3700));
  EXPECT_EQ(pair.provider.records("receipt.missing").size(), 1U);
  EXPECT_TRUE(pair.provider.records("key.released").empty());
  EXPECT_EQ(pair.state(), "STARTED");
  EXPECT_EQ(pair.consumer.held(pair.agreement).error().message.code, "api.nothing-held");
  // One that comes late is held, and gets its key.
  pair.provider.refuse_keys = false;
  ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }));
  EXPECT_EQ(pair.provider.transfers->receipts_missing(), 0U);
}

TEST(KeyRelease, OnlyTheReceiptOfThisTransferOfThisPartyOfThisContentWillDo) {
  Pair pair;
  pair.wait_for_key();
  const Receipt good = pair.read_receipt();
  const auto changed = [&](const std::function<void(Receipt&)>& change) {
    Receipt other = good;
    change(other);
    return pair.ask(pair.sign(other));
  };
  EXPECT_EQ(changed([](Receipt& r) { r.process = Pid("urn:uuid:other"); }).status, 400);
  EXPECT_EQ(changed([](Receipt& r) { r.agreement = AgreementId("other"); }).status, 400);
  EXPECT_EQ(changed([](Receipt& r) { r.content = digest_text(sha256("x")); }).status, 400);
  EXPECT_EQ(changed([](Receipt& r) { r.bytes += 1; }).status, 400);
  EXPECT_EQ(changed([](Receipt& r) { r.sealed->chunks += 1; }).status, 400);
  EXPECT_EQ(changed([](Receipt& r) { r.sealed->key = digest_text(sha256("x")); }).status, 400);
  EXPECT_EQ(changed([](Receipt& r) { r.sealed.reset(); }).status, 400);
  // Signed by somebody else, and brought by somebody else.
  EXPECT_EQ(pair.ask(pair.sign(good, outsider)).status, 400);
  EXPECT_EQ(pair.ask(pair.receipt(), outsider).status, 404);
  EXPECT_TRUE(pair.provider.records("receipt.held").empty());
  EXPECT_TRUE(pair.provider.records("key.released").empty());

  // A repeat gets the same key and makes no new record.
  const auto first = pair.ask(pair.receipt());
  ASSERT_EQ(first.status, 200) << first.body;
  const auto again = pair.ask(pair.receipt());
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(pair.provider.records("receipt.held").size(), 1U);
  EXPECT_EQ(pair.provider.records("key.released").size(), 1U);
  pair.provider.refuse_keys = false;
  ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }));
  EXPECT_EQ(pair.provider.records("key.released").size(), 1U);
  const auto late = pair.ask(pair.receipt());
  EXPECT_EQ(late.status, 400) << late.body;
}

TEST(KeyRelease, TheKeyIsNowhereInTheStoreOrTheLog) {
  Pair pair;
  pair.wait_for_key();
  const auto answer = pair.ask(pair.receipt());
  ASSERT_EQ(answer.status, 200);
  const std::string text = parse_json(answer.body)->at("key");
  const auto bytes = from_base64(text).value();
  const std::string raw(bytes.begin(), bytes.end());
  pair.provider.refuse_keys = false;
  ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }));
  for (Connector* side : {&pair.provider, &pair.consumer}) {
    std::string all = side->log_text();
    for (const auto& [id, row] : side->image.rows) all += row.body;
    for (const char* folder : {"payload-keys/keys", "custody/keys", "custody/blobs"}) {
      for (const auto& name : side->disk.list(folder)) {
        const auto held = side->disk.contents(std::string(folder) + "/" + name);
        if (held) all.append(held->begin(), held->end());
      }
    }
    for (const auto& form : {text, raw, to_hex(bytes)}) {
      EXPECT_EQ(all.find(form), std::string::npos) << side->self.uri;
    }
  }
}

TEST(KeyRelease, TheProviderIsKilledBetweenReceiptAndKey) {
  Pair pair;
  pair.wait_for_key();
  // The receipt alone, by its own path: then the power goes.
  HttpRequest request;
  request.method = "POST";
  request.target = "/tally/v1/receipts/" + percent_encode_segment(pair.peer_pid().value);
  request.headers.set("Content-Type", "application/json");
  request.body = Json{{"note", pair.receipt()}}.dump();
  EXPECT_EQ(pair.provider.await(pair.provider.handle(request, institute)).status, 200);
  pair.provider.cut_power();
  pair.world.run_for(seconds(3));
  pair.provider.refuse_keys = false;
  pair.provider.start();
  ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }));
  EXPECT_EQ(pair.provider.records("receipt.held").size(), 1U);
  EXPECT_EQ(pair.provider.records("key.released").size(), 1U);
}

TEST(KeyRelease, NoKeyLeavesOnceTheAgreementOrTheTransferHasEnded) {
  Pair pair;
  pair.wait_for_key();
  pair.provider.enforcer->shut(pair.agreement, usage::Closed::suspended);
  EXPECT_EQ(pair.ask(pair.receipt()).status, 403);
  pair.provider.enforcer->open_again(pair.agreement);
  // The agreement ends at a time: with the time in doubt it may be over.
  pair.provider.node->clock().set_reliable(false);
  EXPECT_EQ(pair.ask(pair.receipt()).status, 503);
  pair.provider.node->clock().set_reliable(true);
  ASSERT_TRUE(pair.provider.await(
      pair.provider.transfers->terminate(pair.peer_pid(), {"transfer.busy", {}})
  ));
  EXPECT_EQ(pair.ask(pair.receipt()).status, 400);
  pair.world.run_for(seconds(60));
  EXPECT_TRUE(pair.provider.records("key.released").empty());
  EXPECT_FALSE(pair.provider.payload_keys->holds(pair.peer_pid()));
  EXPECT_EQ(pair.state(), "TERMINATED");
  EXPECT_TRUE(pair.consumer.holdings->all().empty());
  EXPECT_TRUE(pair.consumer.disk.list("custody/keys").empty());
}

TEST(KeyRelease, AKeyThatWasNotPromisedOrDoesNotOpenLeavesNothing) {
  const auto lied = [](const std::function<void(Json&)>& how) {
    Pair pair;
    pair.provider.lie = [how](const HttpRequest& request, HttpResponse& response) {
      if (!request.target.starts_with("/tally/v1/keys/") || response.status != 200) return;
      Json body = Json::parse(response.body);
      how(body);
      response.body = body.dump();
    };
    EXPECT_TRUE(pair.agree());
    pair.pull();
    EXPECT_TRUE(pair.until([&] { return pair.state() == "TERMINATED"; })) << pair.mine().dump(1);
    pair.world.run_for(seconds(10));
    EXPECT_TRUE(pair.consumer.records("key.received").empty());
    EXPECT_TRUE(pair.consumer.holdings->all().empty());
    EXPECT_EQ(pair.consumer.held(pair.agreement).error().message.code, "api.nothing-held");
    return pair.mine().at("reason").at("code").get<std::string>();
  };
  EXPECT_EQ(
      lied([](Json& body) { body["key"] = to_base64(Bytes(16, 1)); }), "transfer.key-not-owed"
  );
  EXPECT_EQ(lied([](Json& body) { body["bytes"] = 1; }), "transfer.key-not-owed");
  EXPECT_EQ(
      lied([](Json& body) { body["key"] = to_base64(Bytes(15, 1)); }), "transfer.key-refused"
  );
  EXPECT_EQ(
      lied([](Json& body) { body["mediaType"] = "a\r\nSet-Cookie: b"; }), "transfer.key-refused"
  );
}

TEST(KeyRelease, AProviderThatPromisesAKeyToOtherDataIsFoundOut) {
  Pair pair;
  DataKey key;
  key.bytes.fill(3);
  const OpenedContent other{digest_text(sha256("other")), 5, "text/csv"};
  // The key that it gives is the one that it promised, and opens nothing of what it sent.
  pair.provider.lie = [&](const HttpRequest& request, HttpResponse& response) {
    const auto signer = negotiation::test::signer_of(hospital);
    if (request.target.starts_with("/tally/v1/keys/")) {
      response.status = 200;
      response.body =
          Json{
              {"key", to_base64(key.bytes)},
              {"content", other.content},
              {"bytes", other.bytes},
              {"mediaType", other.media_type}}
              .dump();
    } else if (request.method == "GET" && request.target.starts_with("/tally/v1/receipts/") && response.status == 200) {
      const std::string note = Json::parse(response.body).at("note");
      auto receipt = verify_receipt(note, hospital.uri, signer->public_key()).value();
      receipt.sealed->key = key_commitment(key, other);
      response.body = Json{{"note", sign_receipt(receipt, hospital.uri, *signer).value()}}.dump();
    }
  };
  ASSERT_TRUE(pair.agree());
  pair.pull();
  ASSERT_TRUE(pair.until([&] { return pair.state() == "TERMINATED"; })) << pair.mine().dump(1);
  EXPECT_EQ(pair.mine().at("reason").at("code"), "custody.payload-not-opened");
  EXPECT_TRUE(pair.consumer.holdings->all().empty());
}

TEST(KeyRelease, AReceiptThatPromisesNoKeyIsNoneForACiphertext) {
  Pair pair;
  pair.provider.lie = [](const HttpRequest& request, HttpResponse& response) {
    const bool receipt = request.method == "GET" &&
                         request.target.starts_with("/tally/v1/receipts/") &&
                         response.status == 200;
    if (!receipt) return;
    const auto signer = negotiation::test::signer_of(hospital);
    const std::string note = Json::parse(response.body).at("note");
    auto said = verify_receipt(note, hospital.uri, signer->public_key()).value();
    said.sealed.reset();
    response.body = Json{{"note", sign_receipt(said, hospital.uri, *signer).value()}}.dump();
  };
  ASSERT_TRUE(pair.agree());
  pair.pull();
  ASSERT_TRUE(pair.until([&] { return pair.state() == "TERMINATED"; })) << pair.mine().dump(1);
  EXPECT_EQ(pair.mine().at("reason").at("code"), "transfer.key-not-promised");
  EXPECT_TRUE(pair.consumer.records("receipt.issued").empty());
  EXPECT_TRUE(pair.consumer.holdings->all().empty());
}

TEST(KeyRelease, ASourceThatChangedIsSentUnderAnotherKey) {
  Pair pair;
  pair.wait_for_key();
  const auto first = pair.provider.await(pair.provider.payload_keys->find(pair.peer_pid())).value();
  pair.provider.data += "1,east,E11.0,5\n";
  HttpRequest request;
  request.method = "GET";
  request.target = "/data/" + percent_encode_segment(pair.peer_pid().value);
  const auto row = pair.consumer.store->row("transfer", pair.pid.value).value().value();
  request.headers.set(
      "Authorization", "Bearer " + Json::parse(row.body).at("token").get<std::string>()
  );
  auto response = pair.provider.await(pair.provider.handle(request, institute));
  ASSERT_EQ(response.status, 200) << response.body;
  const auto second =
      pair.provider.await(pair.provider.payload_keys->find(pair.peer_pid())).value();
  EXPECT_NE(first.bytes, second.bytes);
  response.on_sent(0, false);
  response.stream.reset();
  // The receipt of what was sent before is held; its key is not there any more.
  const auto answer = pair.ask(pair.receipt());
  EXPECT_EQ(answer.status, 404) << answer.body;
  EXPECT_TRUE(pair.provider.records("key.released").empty());
}

TEST(KeyRelease, WithAPeerThatServesNoTallyThereIsNoContract) {
  Pair pair;
  pair.provider.directory.tally = false;
  EXPECT_FALSE(pair.agree());
  const auto ended = pair.consumer.negotiations->describe(pair.negotiation).value();
  EXPECT_EQ(ended.at("state"), "TERMINATED");
  EXPECT_NE(ended.dump().find("negotiation.no-key-exchange"), std::string::npos) << ended.dump(1);

  Pair other;
  other.consumer.directory.tally = false;
  EXPECT_FALSE(other.agree());
  const auto mine = other.consumer.negotiations->describe(other.negotiation).value();
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.no-key-exchange") << mine.dump(1);
}

TEST(KeyRelease, AProviderThatKeepsNoKeysMakesNoSuchContract) {
  Pair pair;
  pair.provider.keeps_keys = false;
  EXPECT_FALSE(pair.agree());
  const auto ended = pair.consumer.negotiations->describe(pair.negotiation).value();
  EXPECT_NE(ended.dump().find("negotiation.keeps-no-keys"), std::string::npos) << ended.dump(1);
}

TEST(KeyRelease, ADownloadThatIsCutGoesOnAndCountsOnce) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Pair pair(seed, 400'000);
    ASSERT_TRUE(pair.agree());
    pair.network.faults.cut_body = 0.6;
    pair.pull();
    ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }))
        << seed << pair.mine().dump(1);
    EXPECT_EQ(pair.provider.records("use.permitted").size(), 1U) << seed;
    EXPECT_EQ(pair.provider.records("key.released").size(), 1U) << seed;
    EXPECT_EQ(pair.consumer.records("transfer.received").size(), 1U) << seed;
  }
}

// What has to hold in the two logs, whenever anything went.
void check_logs(Pair& pair, const std::string& where) {
  std::set<std::string> held;
  for (const auto& record : pair.provider.records()) {
    if (record.at("type") == "receipt.held") held.insert(record.at("receipt"));
    if (record.at("type") == "key.released") {
      EXPECT_TRUE(held.contains(record.at("receipt"))) << where;
    }
  }
  EXPECT_LE(pair.provider.records("key.released").size(), held.size()) << where;
  EXPECT_EQ(pair.provider.records("use.permitted").size(), 1U) << where;
  EXPECT_EQ(pair.consumer.records("key.received").size(), 1U) << where;
  EXPECT_GE(pair.provider.records("key.released").size(), 1U) << where;
  EXPECT_TRUE(pair.provider.payload_key_files->list("keys").value().empty()) << where;
  EXPECT_EQ(pair.consumer.holdings->all().size(), 1U) << where;
  const auto token = pair.consumer.add_app("reader", research);
  EXPECT_EQ(pair.consumer.read(pair.agreement, token).body, pair.provider.data) << where;
}

// From the request to the end in steps of the world; the power of one side goes at each of some.
TEST(KeyRelease, ThePowerGoesAtAnyStepOnEitherSide) {
  std::uint64_t whole = 0;
  {
    Pair pair(9, 70'000);
    ASSERT_TRUE(pair.agree());
    pair.pull();
    const auto before = pair.world.steps();
    ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }));
    whole = pair.world.steps() - before;
  }
  constexpr std::uint64_t runs = 24;
  for (const bool cut_provider : {true, false}) {
    for (std::uint64_t run = 0; run < runs; ++run) {
      const std::string where = (cut_provider ? "provider " : "consumer ") + std::to_string(run);
      Pair pair(9, 70'000);
      ASSERT_TRUE(pair.agree());
      pair.pull();
      const std::uint64_t steps = whole * run / runs;
      for (std::uint64_t step = 0; step < steps; ++step) pair.world.step();
      Connector& victim = cut_provider ? pair.provider : pair.consumer;
      victim.cut_power();
      pair.world.run_for(seconds(2));
      victim.start();
      ASSERT_TRUE(pair.until([&] { return pair.state() == "COMPLETED"; }))
          << where << pair.mine().dump(1) << pair.consumer.node->notices().print();
      pair.world.run_for(seconds(30));
      check_logs(pair, where);
    }
  }
}

}  // namespace
}  // namespace tally::transfer
