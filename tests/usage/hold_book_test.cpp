// Holds over restarts, and regulators' orders whatever their order.
#include "tally/usage/hold_book.hpp"

#include <gtest/gtest.h>

#include "tally/audit/journal.hpp"

#include "sim/memory_store.hpp"
#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

constexpr const char* id = "urn:test:a";
const std::string self = "urn:test:institute";

struct Book {
  Book() {
    rig.start();
    rig.agree(terms(id, policy(Json::array())));
    open();
  }
  void open() {
    store = std::make_unique<sim::MemoryStore>(*rig.node, image);
    journal = std::make_unique<audit::Journal>(*store, *rig.log);
    book = std::make_unique<HoldBook>(
        HoldBookParts{*store, *journal, rig.node->clock(), rig.node->random(), *rig.enforcer},
        PartyId{"health.example", self},
        std::vector<audit::Regulator>{{"bureau", key}}
    );
    const auto loaded = book->load();
    ASSERT_TRUE(loaded) << loaded.error().message.code;
  }
  void restart() {
    book.reset();
    journal.reset();
    store.reset();
    rig.kill();
    rig.start();
    open();
  }
  std::string use() { return outcome(rig.authorise(act(id))); }
  std::string place(Hold hold) {
    auto done = rig.await(book->place(std::move(hold)));
    return done ? done->id : done.error().message.code;
  }
  std::string lift(const std::string& hold, HoldBy by = HoldBy::operator_) {
    auto done = rig.await(book->lift(hold, by, ""));
    return done ? (*done ? "lifted" : "not there") : done.error().message.code;
  }
  audit::HoldOrder order(bool lifts, std::int64_t second) {
    audit::HoldOrder out;
    out.to = self;
    out.lifts = lifts;
    out.hold = "case";
    out.time = rig.node->clock().read().at;
    out.time.nanos = 0;
    out.time.seconds += second - 1000;
    return out;
  }
  std::string signed_order(const audit::HoldOrder& order) {
    return audit::sign_hold_order(order, key, signer).value();
  }
  std::string take(const std::string& note, std::optional<PartyId> from = std::nullopt) {
    auto done = rig.await(book->take(note, std::move(from)));
    return done ? (done->lifted ? "lifted" : "placed") : done.error().message.code;
  }

  const Bytes seed = Bytes(32, 9);
  const audit::VerifierKey key =
      audit::make_verifier_key("bureau.example", audit::ed25519_public_key(seed).value());
  const audit::Signer signer = [this](std::span<const std::uint8_t> bytes) {
    return audit::ed25519_sign(seed, bytes);
  };
  Rig rig;
  sim::StoreImage image;
  std::unique_ptr<sim::MemoryStore> store;
  std::unique_ptr<audit::Journal> journal;
  std::unique_ptr<HoldBook> book;
};

Hold everything(const std::string& name) {
  Hold hold;
  hold.id = name;
  return hold;
}

TEST(HoldBook, OneStandsOverRestartsUntilItIsLifted) {
  Book book;
  EXPECT_EQ(book.place(everything("stop")), "stop");
  for (int restart = 0; restart < 2; ++restart) {
    EXPECT_EQ(book.use(), "usage.held-by-operator");
    book.restart();
  }
  EXPECT_EQ(book.place(everything("stop")), "stop");  // it stands: no second record
  EXPECT_EQ(book.lift("stop"), "lifted");
  EXPECT_EQ(book.lift("stop"), "not there");
  book.restart();
  EXPECT_EQ(book.use(), "permitted");
  const auto placed = book.rig.records("hold.placed");
  ASSERT_EQ(placed.size(), 1U);
  EXPECT_EQ(placed[0].body["scope"], "everything");
  EXPECT_EQ(book.rig.records("hold.lifted").size(), 1U);
}

TEST(HoldBook, NoPermitStandsBehindTheRecordOfAHold) {
  Book book;
  ASSERT_EQ(book.use(), "permitted");
  ASSERT_EQ(book.place(everything("stop")), "stop");
  EXPECT_EQ(book.use(), "usage.held-by-operator");
  bool held = false;
  for (const auto& record : book.rig.records()) {
    if (record.type == "hold.placed") held = true;
    if (held) EXPECT_NE(record.type, "use.permitted");
  }
  EXPECT_TRUE(held);
}

TEST(HoldBook, OnlyWhoPlacedItLiftsIt) {
  Book book;
  Hold of_peer = everything(peer_suspension(AgreementId(id)));
  of_peer.by = HoldBy::peer;
  of_peer.on = {HoldScope::agreement, id};
  ASSERT_EQ(book.place(of_peer), of_peer.id);
  EXPECT_EQ(book.lift(of_peer.id), "usage.hold-of-another");
  EXPECT_EQ(book.use(), "usage.held-by-peer");
  EXPECT_EQ(book.lift(of_peer.id, HoldBy::peer), "lifted");
  EXPECT_EQ(book.use(), "permitted");
  Hold unknown = everything("x");
  unknown.on = {HoldScope::agreement, "urn:test:none"};
  EXPECT_EQ(book.place(unknown), "usage.unknown-agreement");
  ASSERT_EQ(book.place(everything("stop")), "stop");
  Hold other = everything("stop");
  other.reference = "why";
  EXPECT_EQ(book.place(other), "usage.hold-exists");
}

// Two orders, one after the other, each perhaps again: the later one holds.
TEST(HoldBook, OldOrdersNeitherLiftNorPlace) {
  struct Step {
    bool lifts;
    std::int64_t second;
    const char* answer;
  };
  const std::vector<std::pair<std::vector<Step>, bool>> rows = {
      {{{false, 1, "placed"}, {true, 2, "lifted"}}, false},
      {{{false, 1, "placed"}, {false, 1, "placed"}, {true, 2, "lifted"}, {true, 2, "lifted"}},
       false},
      // The place comes again after the lift.
      {{{false, 1, "placed"}, {true, 2, "lifted"}, {false, 1, "usage.order-older"}}, false},
      // They come the wrong way round.
      {{{true, 2, "lifted"}, {false, 1, "usage.order-older"}}, false},
      // An old lift after a newer place.
      {{{false, 1, "placed"},
        {true, 2, "lifted"},
        {false, 3, "placed"},
        {true, 2, "usage.order-older"}},
       true},
      // Two of one time: the first stands.
      {{{false, 1, "placed"}, {true, 1, "usage.order-older"}}, true},
  };
  for (const auto& [steps, held] : rows) {
    for (const bool restarts : {false, true}) {
      Book book;
      std::size_t refused = 0;
      for (const auto& step : steps) {
        EXPECT_EQ(book.take(book.signed_order(book.order(step.lifts, step.second))), step.answer);
        if (std::string_view(step.answer).starts_with("usage.")) ++refused;
        if (restarts) book.restart();
      }
      EXPECT_EQ(book.use(), held ? "usage.held-by-regulator" : "permitted");
      EXPECT_EQ(book.rig.records("hold.refused").size(), refused);
    }
  }
}

TEST(HoldBook, WhatIsRefusedIsInTheLogWithWhy) {
  Book book;
  const auto good = book.signed_order(book.order(false, 1));
  auto elsewhere = book.order(false, 1);
  elsewhere.to = "urn:test:hospital";
  auto ahead = book.order(false, 1);
  ahead.time.seconds += 5000;
  auto unknown = book.order(false, 1);
  unknown.on = {HoldScope::agreement, "urn:test:none"};
  std::string forged = good;
  forged[forged.size() - 6] ^= 1;
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"no note", "audit.note-malformed"},
      {good.substr(0, good.find("\n\n") + 2), "audit.note-malformed"},
      {forged, "audit.note-forged"},
      {book.signed_order(elsewhere), "usage.order-for-another"},
      {book.signed_order(ahead), "usage.order-too-early"},
      {book.signed_order(unknown), "usage.unknown-agreement"},
  };
  const PartyId from{"health.example", "urn:test:hospital"};
  for (const auto& [note, code] : rows) {
    const auto before = book.rig.records("hold.refused").size();
    EXPECT_EQ(book.take(note, from), code);
    const auto refused = book.rig.records("hold.refused");
    ASSERT_EQ(refused.size(), before + 1) << code;
    EXPECT_EQ(refused.back().body["reason"]["code"], code);
    EXPECT_EQ(refused.back().body["counterparty"]["uri"], from.uri);
    EXPECT_EQ(refused.back().body["content"], digest_text(sha256(note)));
  }
  EXPECT_EQ(book.use(), "permitted");
  // A flood does not fill the log, and does not keep out what is signed.
  for (int i = 0; i < 150; ++i) book.take("no note", from);
  EXPECT_EQ(book.rig.records("hold.refused").size(), 100U);
  EXPECT_EQ(book.take(good, from), "placed");
  EXPECT_EQ(book.use(), "usage.held-by-regulator");
  EXPECT_EQ(book.lift(regulator_hold("bureau", "case")), "usage.hold-of-another");
}

// Where the log does not take the record, uses stay refused.
TEST(HoldBook, AHoldThatCannotBeRecordedStandsAllTheSame) {
  Book book;
  book.rig.disk.fail_write(1, true);
  EXPECT_NE(book.place(everything("stop")), "stop");
  EXPECT_TRUE(book.rig.enforcer->held(AgreementId(id)));
}

}  // namespace
}  // namespace tally::usage
