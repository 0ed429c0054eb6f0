#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/usage/enforcer.hpp"

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::policy;
using test::Rig;
using test::terms;

std::string name(std::uint64_t n) {
  return "urn:test:" + std::to_string(n);
}

// A policy that wants each use's time, and how long uses took.
Json asks_for_times() {
  return Json::array(
      {test::atom("urn:tally:profile:1#frequency", "lteq", "12/PT1H"),
       test::atom("meteredTime", "lteq", "PT90H")}
  );
}

// A random history over three agreements, then a clean stop and a start: the same state, whatever
// the order of records and agreements.
TEST(Usage, ReplayLeadsToTheSameState) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rig rig(seed);
    rig.start();
    rig.agree(terms(name(0), policy(Json::array({limit(20)}))));
    rig.agree(terms(name(1), policy(asks_for_times())));
    rig.agree(
        terms(name(2), policy(Json::array({limit(7), test::atom("elapsedTime", "lteq", "PT2H")})))
    );
    auto& chance = rig.world.chance();
    std::vector<Grant> open;
    for (int i = 0; i < 120; ++i) {
      const std::string agreement = name(chance.below(3));
      const auto what = chance.below(100);
      if (what < 55) {
        const std::string key = chance.happens(0.5) ? "k" + std::to_string(chance.below(9)) : "";
        if (auto grant = rig.use(agreement, key)) open.push_back(std::move(*grant));
      } else if (what < 93 && !open.empty()) {
        const auto which = static_cast<std::ptrdiff_t>(chance.below(open.size()));
        const Grant grant = open[static_cast<std::size_t>(which)];
        open.erase(open.begin() + which);
        if (chance.happens(0.4)) {
          (void)rig.await(rig.enforcer->abort(grant));
        } else {
          rig.enforcer->complete(grant, Outcome{});
        }
      } else if (what < 97) {
        auto record = test::draft(rig, "policy.revoked", agreement);
        (void)rig.await(rig.enforcer->close(AgreementId(agreement), Closed::suspended, record));
      } else if (what < 99) {
        auto record = test::draft(rig, "transfer.started", agreement);
        (void)rig.await(rig.enforcer->reopen(AgreementId(agreement), record));
      } else {
        auto record = test::draft(rig, "policy.expired", agreement);
        (void)rig.await(rig.enforcer->close(AgreementId(agreement), Closed::expired, record));
      }
      rig.world.run_for(chance.span(0, seconds(120)));
    }
    std::vector<test::Image> before;
    for (std::uint64_t n = 0; n < 3; ++n) before.push_back(test::image(*rig.enforcer, name(n)));
    rig.stop();
    rig.start();
    for (std::uint64_t n = 0; n < 3; ++n) {
      EXPECT_EQ(test::image(*rig.enforcer, name(n)), before[n]) << name(n) << " seed " << seed;
    }
    // What no end was recorded of has one now.
    const auto interrupted = rig.records("use.interrupted").size();
    rig.stop();
    rig.start();
    EXPECT_EQ(rig.records("use.interrupted").size(), interrupted);
    for (std::uint64_t n = 0; n < 3; ++n) {
      EXPECT_EQ(test::image(*rig.enforcer, name(n)), before[n]) << name(n) << " seed " << seed;
    }
  }
}

// A random history, over open, ended, given back and continued uses, and over closings.
void act_at_random(Rig& rig, int steps) {
  auto& chance = rig.world.chance();
  std::vector<Grant> open;
  for (int i = 0; i < steps; ++i) {
    const std::string agreement = name(chance.below(3));
    const auto what = chance.below(100);
    if (what < 60) {
      const std::string key = chance.happens(0.5) ? "k" + std::to_string(chance.below(9)) : "";
      if (auto grant = rig.use(agreement, key)) open.push_back(std::move(*grant));
    } else if (what < 94 && !open.empty()) {
      const auto which = static_cast<std::ptrdiff_t>(chance.below(open.size()));
      const Grant grant = open[static_cast<std::size_t>(which)];
      open.erase(open.begin() + which);
      if (chance.happens(0.4)) {
        (void)rig.await(rig.enforcer->abort(grant));
      } else {
        rig.enforcer->complete(grant, Outcome{});
      }
    } else if (what < 97) {
      auto record = test::draft(rig, "policy.revoked", agreement);
      (void)rig.await(rig.enforcer->close(AgreementId(agreement), Closed::suspended, record));
    } else {
      auto record = test::draft(rig, "transfer.started", agreement);
      (void)rig.await(rig.enforcer->reopen(AgreementId(agreement), record));
    }
    rig.world.run_for(chance.span(0, seconds(120)));
  }
}

std::vector<std::string> items_of(const audit::LogPart& part) {
  std::vector<std::string> items;
  part.save([&items](const Json& item) { items.push_back(to_jcs(item)); });
  return items;
}

// The property that a snapshot rests on: at every record, what was saved there, restored and led on
// by the records behind is what all records lead to.
TEST(Usage, TheLedgerSavedAtAnyRecordLeadsToTheSameLedger) {
  Limits limits;
  limits.use_keys = 4;  // so that keys are forgotten by number and by time
  limits.stream_resume_window = seconds(3600);
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Rig rig(seed, limits);
    rig.start();
    for (std::uint64_t n = 0; n < 2; ++n) rig.agree(terms(name(n), policy(Json::array())));
    rig.agree(terms(name(2), policy(asks_for_times())));
    act_at_random(rig, 90);
    rig.stop();
    rig.start();  // interrupts what is open
    const auto reader = rig.reader();
    std::vector<std::string> texts;
    const auto keep = [&](const audit::RecordView& record) { texts.emplace_back(record.text); };
    ASSERT_TRUE(audit::for_each_record(*reader, 0, keep));
    const auto replay = [&](Enforcer& into, std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) {
        audit::RecordView view;
        view.seq = i;
        view.text = texts[i];
        view.leaf = audit::leaf_hash(view.text);
        const Json json = Json::parse(texts[i]);
        const std::string type = json["type"];
        const std::string event = json["event"];
        view.type = type;
        view.event = event;
        view.agreement = json.value("agreement", "");
        ASSERT_TRUE(into.replay(view));
      }
    };
    const auto fresh = [&] {
      return std::make_unique<Enforcer>(rig.node->clock(), rig.node->random(), limits);
    };
    const auto whole = fresh();
    replay(*whole, 0, texts.size());
    const auto expected = items_of(*whole);
    const auto prefix = fresh();
    for (std::size_t k = 0; k <= texts.size(); ++k) {
      const auto restored = fresh();
      for (const auto& item : items_of(*prefix)) {
        ASSERT_TRUE(restored->restore(Json::parse(item))) << item;
      }
      ASSERT_EQ(items_of(*restored), items_of(*prefix)) << "seed " << seed << " at " << k;
      replay(*restored, k, texts.size());
      ASSERT_EQ(items_of(*restored), expected) << "seed " << seed << " at " << k;
      if (k < texts.size()) replay(*prefix, k, k + 1);
    }
  }
}

TEST(Usage, WhatIsNoEntryOfTheLedgerIsNotRestored) {
  Rig rig(3);
  rig.start();
  rig.agree(terms(name(0), policy(Json::array())));
  rig.agree(terms(name(1), policy(Json::array())));
  rig.agree(terms(name(2), policy(Json::array())));
  act_at_random(rig, 60);
  rig.enforcer->flush_completions(true);
  rig.settle();
  Enforcer replayed(rig.node->clock(), rig.node->random());
  const auto reader = rig.reader();
  const auto replay = [&](const audit::RecordView& view) { EXPECT_TRUE(replayed.replay(view)); };
  ASSERT_TRUE(audit::for_each_record(*reader, 0, replay));
  std::size_t refused = 0;
  const auto refuses = [&](const Json& item) {
    Enforcer fresh(rig.node->clock(), rig.node->random());
    const auto restored = fresh.restore(item);
    ASSERT_FALSE(restored) << item.dump();
    EXPECT_EQ(restored.error().message.code, "audit.snapshot-malformed");
    ++refused;
  };
  for (const auto& text : items_of(replayed)) {
    // Each member gone, or of another kind.
    const Json flat = Json::parse(text).flatten();
    for (const auto& [pointer, value] : flat.items()) {
      if (value.is_null() || value.is_array()) continue;  // no time yet; an empty list
      const Json::json_pointer at(pointer);
      Json item = Json::parse(text);
      item[at] = value.is_string() ? Json(7) : Json("7");
      refuses(item);
      item = Json::parse(text);
      Json& parent = item[at.parent_pointer()];
      if (parent.is_object()) {
        parent.erase(at.back());
        refuses(item);
      }
    }
    Json item = Json::parse(text);
    item["total"]["count"] = -1;
    refuses(item);
    item = Json::parse(text);
    item["closed"] = "ajar";
    refuses(item);
    // The same agreement twice.
    Enforcer fresh(rig.node->clock(), rig.node->random());
    EXPECT_TRUE(fresh.restore(Json::parse(text)));
    EXPECT_FALSE(fresh.restore(Json::parse(text)));
  }
  EXPECT_GT(refused, 100U);
  refuses(Json());
  refuses(Json::array());
}

TEST(Usage, APermitWithoutAnEndIsInterruptedAndCounts) {
  Rig rig;
  rig.start();
  rig.agree(terms(name(0), policy(Json::array({limit(2)}))));
  const auto done = rig.use(name(0));
  const auto lost = rig.use(name(0));
  rig.enforcer->complete(*done, Outcome{});
  rig.enforcer->flush_completions(true);
  rig.settle();
  rig.kill();
  rig.start();
  const auto interrupted = rig.records("use.interrupted");
  ASSERT_EQ(interrupted.size(), 1U);
  EXPECT_EQ(interrupted[0].body["use"], lost->use.value);
  EXPECT_FALSE(rig.use(name(0)));
}

TEST(Usage, AgreementsMayBeKnownBeforeOrAfterTheRecords) {
  Rig rig;
  rig.start();
  const auto agreed = terms(name(0), policy(Json::array({limit(2)})));
  rig.agree(agreed);
  ASSERT_TRUE(rig.use(name(0)));
  rig.stop();
  rig.agreements.clear();
  rig.start();  // the records only
  EXPECT_FALSE(rig.enforcer->state(AgreementId(name(0))));
  EXPECT_EQ(test::outcome(rig.authorise(act(name(0)))), "usage.unknown-agreement");
  rig.enforcer->activate(agreed);
  EXPECT_EQ(rig.enforcer->state(AgreementId(name(0)))->limits[0].left, 1);

  // The other way round: the terms first.
  Enforcer other(rig.node->clock(), rig.node->random());
  other.activate(agreed);
  auto reader = rig.reader();
  const auto each = [&](const audit::RecordView& record) { EXPECT_TRUE(other.replay(record)); };
  ASSERT_TRUE(audit::for_each_record(*reader, 0, each));
  EXPECT_EQ(test::image(other, name(0)), test::image(*rig.enforcer, name(0)));
}

TEST(Usage, ARecordThatCannotBeReadStopsTheStart) {
  const std::vector<std::string> texts = {
      R"({"agreement":"a","decision":{"at":"yesterday"},"rules":[],"type":"use.permitted"})",
      R"({"agreement":"a","decision":7,"rules":[],"type":"use.permitted"})",
      R"({"agreement":"a","decision":{"at":"2026-01-01T00:00:00Z"},"rules":7,"type":"use.permitted"})",
      R"({"agreement":"a","decision":{"at":"2026-01-01T00:00:00Z"},"rules":[{"id":"r"}],"type":"use.permitted"})",
      R"({"agreement":"a","decision":{"at":"2026-01-01T00:00:00Z"},"rules":[{"id":"r","n":-1}],"type":"use.permitted"})",
      R"({"agreement":"a","type":"use.aborted","use":7})",
      R"({"agreement":"a","type":"use.executed","uses":[7]})",
      R"({"agreement":"a","ledger":"ajar","type":"transfer.started"})",
  };
  Rig rig;
  rig.start();
  for (const auto& text : texts) {
    const Json body = Json::parse(text);
    const std::string type = body["type"];
    audit::RecordView view;
    view.text = text;
    view.type = type;
    view.event = "e";
    view.agreement = "a";
    const auto replayed = rig.enforcer->replay(view);
    ASSERT_FALSE(replayed) << text;
    EXPECT_EQ(replayed.error().message.code, "usage.record-unreadable") << text;
  }
}

}  // namespace
}  // namespace tally::usage
