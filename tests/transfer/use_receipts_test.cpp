#include "tally/transfer/use_receipts.hpp"

#include <map>
#include <optional>
#include <set>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

#include "support/test_pki.hpp"

namespace tally::transfer {
namespace {

namespace asio = boost::asio;

const std::string our_name = "did:web:clinic.example";

std::string note_of(const std::string& receipt) {
  return receipt.substr(receipt.find("\n\n"));
}

struct UseReceiptsTest : ::testing::Test {
  // As a coroutine of its own, which ends with its receipt.
  void ask(asio::io_context& context, int number, asio::cancellation_slot slot = {}) {
    auto asking = [](UseReceiptsTest* self, int of) -> awaitable<void> {
      usage::Grant grant;
      grant.use = UseId("u-" + std::to_string(of));
      grant.agreement = AgreementId("urn:uuid:a");
      grant.action = "read";
      grant.seq = static_cast<std::uint64_t>(of);
      auto receipt = co_await self->receipts->receipt(grant);
      EXPECT_TRUE(receipt);
      if (receipt) self->got[of] = *receipt;
    };
    asio::co_spawn(
        context, asking(this, number), asio::bind_cancellation_slot(slot, asio::detached)
    );
  }

  // Every receipt holds and names its own use. How many signatures they have.
  std::size_t signatures() const {
    std::set<std::string> notes;
    for (const auto& [number, text] : got) {
      const auto read = audit::verify_use_receipt(text, receipts->key());
      EXPECT_TRUE(read) << number;
      if (read) EXPECT_EQ(read->use, UseId("u-" + std::to_string(number)));
      notes.insert(note_of(text));
    }
    return notes.size();
  }

  std::optional<UseReceipts> receipts{
      std::in_place,
      "clinic.example/log",
      our_name,
      testing::load_signer(testing::TestPki().health.contract(our_name))};
  std::map<int, std::string> got;
};

TEST_F(UseReceiptsTest, OneAloneIsSignedAtOnce) {
  asio::io_context context;
  ask(context, 1);
  context.run();
  EXPECT_EQ(got.size(), 1U);
  EXPECT_EQ(signatures(), 1U);
  audit::UseReceipt same;
  same.action = "read";
  same.agreement = AgreementId("urn:uuid:a");
  same.origin = "clinic.example/log";
  same.seq = 1;
  same.time = audit::verify_use_receipt(got[1], receipts->key())->time;
  same.use = UseId("u-1");
  EXPECT_EQ(*receipts->sign(same), got[1]);
}

TEST_F(UseReceiptsTest, ThoseThatAskTogetherShareOneSignature) {
  asio::io_context context;
  for (int i = 0; i < 50; ++i) ask(context, i);
  context.run();
  EXPECT_EQ(got.size(), 50U);
  EXPECT_EQ(signatures(), 1U);
  context.restart();
  ask(context, 50);
  context.run();
  EXPECT_EQ(signatures(), 2U);
}

TEST_F(UseReceiptsTest, ABatchIsBounded) {
  asio::io_context context;
  for (int i = 0; i < 150; ++i) ask(context, i);
  context.run();
  EXPECT_EQ(got.size(), 150U);
  EXPECT_EQ(signatures(), 3U);
}

TEST_F(UseReceiptsTest, EachExecutorHasItsOwn) {
  asio::io_context one;
  asio::io_context other;
  for (int i = 0; i < 10; ++i) ask(i % 2 == 0 ? one : other, i);
  one.run();
  EXPECT_EQ(got.size(), 5U);
  other.run();
  EXPECT_EQ(got.size(), 10U);
  EXPECT_EQ(signatures(), 2U);
}

TEST_F(UseReceiptsTest, ACancellationWaitsAndHurtsNoOther) {
  asio::io_context context;
  asio::cancellation_signal cancel;
  for (int i = 0; i < 5; ++i) ask(context, i, i == 2 ? cancel.slot() : asio::cancellation_slot());
  // Behind the five that ask and before the signing, which the first of them posts.
  asio::post(context, [&cancel] { cancel.emit(asio::cancellation_type::terminal); });
  context.run();
  EXPECT_EQ(got.size(), 5U);
  EXPECT_EQ(signatures(), 1U);
}

TEST_F(UseReceiptsTest, AnExecutorThatEndsTakesItsWaitersAlong) {
  {
    asio::io_context context;
    for (int i = 0; i < 5; ++i) ask(context, i);
    for (int i = 0; i < 5; ++i) context.poll_one();
  }
  EXPECT_TRUE(got.empty());
  asio::io_context context;
  ask(context, 7);
  context.run();
  EXPECT_EQ(signatures(), 1U);
  // Also where the receipts end first.
  asio::io_context last;
  ask(last, 8);
  last.poll_one();
  receipts.reset();
}

}  // namespace
}  // namespace tally::transfer
