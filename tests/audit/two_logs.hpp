// Two small logs, one of each side of some agreements, and how a test writes records into them.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "log_fixture.hpp"

namespace tally::audit {

struct OneLog {
  sim::World world{7};
  sim::SimDisk disk{world};
  std::unique_ptr<LogLife> life;
};

class TwoLogs : public ::testing::Test {
 protected:
  ManualClock clock;
  CountingRandom random;
  OneLog provider;
  OneLog consumer;

  void begin(OneLog& side, const std::string& origin, const std::string& uri) {
    Genesis genesis = test_genesis(true);
    genesis.origin = origin;
    genesis.actor.uri = uri;
    {
      const auto storage = open_log(side.disk);  // its lock goes with it
      ASSERT_TRUE(create_log(*storage, genesis, clock, random));
    }
    side.life = std::make_unique<LogLife>(side.disk, clock, small_limits());
    ASSERT_TRUE(side.life->writer);
  }
  void begin_both() {
    begin(provider, "clinic.example/log/1", "did:web:clinic.example");
    begin(consumer, "lab.example/log/1", "did:web:lab.example");
  }
  // A second passes, then the record is in the log. `members` is a JSON object.
  Appended say(OneLog& side, const std::string& type, const std::string& members) {
    RecordDraft draft(type, new_event(random, clock.at));
    const Json json = Json::parse(members);
    for (const auto& [key, value] : json.items()) {
      if (key == "agreement") {
        draft.about(AgreementId(value.get<std::string>()));
      } else {
        draft.set_json(key, value);
      }
    }
    clock.at = clock.at + seconds(1);
    Ticket ticket = side.life->writer->enqueue(std::move(draft));
    side.life->writer->commit_batch();
    const auto done = side.life->wait(std::move(ticket));
    EXPECT_TRUE(done) << type << render(done.error().message, Lang::en);
    return done ? *done : Appended{};
  }
  // `more`: members in front, each with a comma behind.
  Appended finalized(
      OneLog& side,
      const std::string& agreement,
      const std::string& role,
      const std::string& counterparty,
      const std::string& more = {}
  ) {
    return say(
        side,
        "contract.finalized",
        "{\"asset\":\"any\"," + more + R"("agreement":")" + agreement + R"(","role":")" + role +
            R"(","assurance":"asserted","signatures":{},"statements":{},"actor":{"domain":"north","uri":"x"},"pid":"n-)" +
            agreement + R"(","policy":"sha256:aa","counterparty":{"domain":"south","uri":")" +
            counterparty + R"("}})"
    );
  }
};

}  // namespace tally::audit
