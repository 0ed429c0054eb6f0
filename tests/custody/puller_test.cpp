#include "tally/custody/puller.hpp"

#include <gtest/gtest.h>

#include "tally/dataplane/sealed_payload.hpp"
#include "tally/dataplane/stream.hpp"

#include "custody/machine.hpp"
#include "sim/network.hpp"

namespace tally::custody {
namespace {

using test::Machine;

// A body from memory, in small pieces.
class TextBody : public BodyReader {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    const std::size_t n = std::min({out.size(), text_.size() - at_, std::size_t{3000}});
    std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
    at_ += n;
    co_return n;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

std::string pattern(std::size_t size, char seed = 'a') {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(seed + static_cast<char>(i * 7 % 23));
  return text;
}

// What a provider serves; a test changes it between and within requests.
struct Provider {
  std::string data = pattern(300'000);
  std::string version = "1";
  std::string token = "secret";
  int requests = 0;
  int ranged = 0;
  std::function<std::optional<HttpResponse>(Provider&, const HttpRequest&)> instead;

  HttpResponse answer(const HttpRequest& request) {
    ++requests;
    if (request.headers.get("Range")) ++ranged;
    if (instead) {
      if (auto other = instead(*this, request)) return std::move(*other);
    }
    HttpResponse response;
    if (request.headers.get("Authorization") != "Bearer " + token) {
      response.status = 401;
      response.body = R"({"code":"api.certificate-changed"})";
      return response;
    }
    const dataplane::SourceIdentity identity{version, data.size()};
    const auto selection = dataplane::select(request.headers, identity);
    response.status = selection.status;
    if (selection.status >= 400) return response;
    dataplane::describe(selection, identity, response.headers);
    response.headers.set("Content-Type", "text/csv");
    response.stream =
        std::make_unique<TextBody>(data.substr(selection.range.offset, selection.range.length));
    response.stream_length = selection.range.length;
    return response;
  }
};

class PullerTest : public ::testing::Test {
 protected:
  explicit PullerTest(std::uint64_t seed = 1) : m(seed) {
    m.start();
    serving_ = std::make_unique<sim::Node>(m.rig.world, "provider");
    auto handler = [this](HttpRequest request, PartyId) -> awaitable<HttpResponse> {
      co_return provider.answer(request);
    };
    network.serve(*serving_, "https://provider.example/", usage::test::provider, handler);
    restart_puller();
  }
  ~PullerTest() override {
    m.off();
    serving_->power_off();
  }

  void restart_puller() {
    peer = network.peer(*m.rig.node, usage::test::consumer);
    puller = std::make_unique<Puller>(
        *peer,
        *m.custody,
        *m.holdings,
        m.rig.node->clock(),
        m.rig.node->timers(),
        m.rig.node->notices(),
        limits
    );
  }

  static transfer::PullOrder order() {
    transfer::PullOrder order;
    order.process = Pid("urn:uuid:01234567-89ab-4def-8123-456789abcdef");
    order.agreement = AgreementId("a");
    order.asset = AssetId("urn:test:cohort");
    order.provider = usage::test::provider;
    order.endpoint = "https://provider.example/data/1";
    order.token = "secret";
    return order;
  }
  static ArtefactId id() { return artefact_of(order().process); }

  Result<transfer::Pulled> pull(transfer::PullOrder what = order()) {
    return m.run(puller->pull(std::move(what)));
  }
  std::string pull_code() {
    const auto pulled = pull();
    return pulled ? "pulled" : pulled.error().message.code;
  }
  // What an application would read now.
  std::string read() {
    auto load = [](Custody& custody) -> awaitable<Result<std::string>> {
      auto opened = co_await custody.open(id());
      if (!opened) co_return fail(std::move(opened));
      std::string text;
      std::vector<std::uint8_t> piece(100'000);
      while (true) {
        auto n = co_await opened->body->read(piece);
        if (!n) co_return tl::unexpected(n.error());
        if (*n == 0) co_return text;
        text.append(reinterpret_cast<const char*>(piece.data()), *n);
      }
    };
    const auto text = m.run(load(*m.custody));
    return text ? *text : text.error().message.code;
  }
  void expect_nothing_left() {
    EXPECT_TRUE(m.rig.disk.list("custody/keys").empty());
    EXPECT_TRUE(m.rig.disk.list("custody/blobs").empty());
  }

  Limits limits;
  Machine m;
  sim::SimNetwork network{m.rig.world};
  std::unique_ptr<sim::Node> serving_;
  std::unique_ptr<Peer> peer;
  std::unique_ptr<Puller> puller;
  Provider provider;
};

TEST_F(PullerTest, WhatArrivedIsDigestedAndInvisibleUntilItIsPublished) {
  const auto pulled = pull();
  ASSERT_TRUE(pulled) << pulled.error().message.code;
  EXPECT_EQ(pulled->content, digest_text(sha256(provider.data)));
  EXPECT_EQ(pulled->bytes, provider.data.size());
  EXPECT_EQ(read(), "custody.unknown-artefact");
  EXPECT_EQ(m.holdings->find(id())->state, HoldingState::staged);
  ASSERT_TRUE(m.run(puller->publish(order().process, Json())));
  ASSERT_TRUE(m.run(puller->publish(order().process, Json())));
  EXPECT_EQ(read(), provider.data);
  EXPECT_EQ(m.holdings->find(id())->media_type, "text/csv");
  // A repeat of the order fetches nothing again, and discarding what is held is too late.
  EXPECT_EQ(pull()->content, pulled->content);
  EXPECT_EQ(provider.requests, 1);
  ASSERT_TRUE(m.run(puller->discard(order().process)));
  EXPECT_EQ(read(), provider.data);
}

// What a provider sends sealed: chunks as dataplane makes them.
std::string seal(const std::string& plain, const transfer::DataKey& key, const Pid& transfer) {
  const auto shape = dataplane::shape_of_plain(plain.size());
  dataplane::PayloadCipher cipher(key.bytes, transfer.value);
  std::string all;
  for (std::uint64_t i = 0; i < shape.chunks; ++i) {
    const auto in = as_bytes(plain).subspan(i * dataplane::payload_chunk_bytes, shape.plain_of(i));
    Bytes out(in.size() + aead_tag_bytes);
    cipher.seal(i, i + 1 == shape.chunks, in, out);
    all.append(out.begin(), out.end());
  }
  return all;
}

class SealedPull : public PullerTest {
 protected:
  SealedPull() {
    what.key.bytes.fill(9);
    what.process = order().process;
    what.provider_pid = Pid("urn:uuid:their-pid");
    plain = provider.data;
    what.opens = {digest_text(sha256(plain)), plain.size(), "text/csv"};
    provider.data = seal(plain, what.key, what.provider_pid);
    sealed.sealed = true;
  }
  Result<void> open(transfer::OpenOrder order) { return m.run(puller->open(std::move(order))); }
  std::string open_code(transfer::OpenOrder order) {
    const auto opened = open(std::move(order));
    return opened ? "opened" : opened.error().message.code;
  }

  transfer::OpenOrder what;
  transfer::PullOrder sealed = order();
  std::string plain;
};

TEST_F(SealedPull, IsReadableOnceItIsOpenedAndPublishedAndTheCiphertextGoes) {
  const auto pulled = pull(sealed);
  ASSERT_TRUE(pulled) << pulled.error().message.code;
  EXPECT_EQ(pulled->content, digest_text(sha256(provider.data)));
  EXPECT_EQ(read(), "custody.unknown-artefact");
  ASSERT_TRUE(open(what));
  EXPECT_EQ(read(), "custody.unknown-artefact");
  ASSERT_TRUE(open(what));  // a crash before its record: again
  ASSERT_TRUE(m.run(puller->publish(what.process, Json())));
  ASSERT_TRUE(m.run(puller->publish(what.process, Json())));
  EXPECT_EQ(read(), plain);
  EXPECT_EQ(m.holdings->find(id())->content, what.opens.content);
  EXPECT_EQ(m.holdings->find(id())->media_type, "text/csv");
  EXPECT_EQ(m.holdings->all().size(), 1U);
  EXPECT_EQ(m.rig.disk.list("custody/keys").size(), 1U);
}

TEST_F(SealedPull, ThatDoesNotOpenToWhatWasSaidIsNotKept) {
  ASSERT_TRUE(pull(sealed));
  const auto with = [&](const std::function<void(transfer::OpenOrder&)>& change) {
    auto other = what;
    change(other);
    return open_code(other);
  };
  const std::string no = "custody.payload-not-opened";
  EXPECT_EQ(with([](auto& order) { order.key.bytes[3] ^= 1; }), no);
  EXPECT_EQ(with([](auto& order) { order.provider_pid = Pid("urn:uuid:other"); }), no);
  EXPECT_EQ(with([](auto& order) { order.opens.content = digest_text(sha256("x")); }), no);
  EXPECT_EQ(with([](auto& order) { order.opens.bytes += 1; }), no);
  EXPECT_FALSE(m.holdings->find(id()));
  EXPECT_EQ(m.rig.disk.list("custody/keys").size(), 1U);  // of the ciphertext, still there
  EXPECT_EQ(open_code(what), "opened");
  ASSERT_TRUE(m.run(puller->discard(what.process)));
  expect_nothing_left();
  EXPECT_EQ(open_code(what), "custody.already-destroyed");
}

TEST_F(PullerTest, WhatIsDiscardedLeavesNothing) {
  ASSERT_TRUE(pull());
  ASSERT_TRUE(m.run(puller->discard(order().process)));
  ASSERT_TRUE(m.run(puller->discard(order().process)));
  expect_nothing_left();
  EXPECT_FALSE(m.holdings->find(id()));
  EXPECT_FALSE(m.run(puller->publish(order().process, Json())));
  ASSERT_TRUE(pull());  // a new attempt is free to begin
}

TEST_F(PullerTest, AnEmptyArtefactIsOneToo) {
  provider.data.clear();
  const auto pulled = pull();
  ASSERT_TRUE(pulled);
  EXPECT_EQ(pulled->bytes, 0U);
  EXPECT_EQ(pulled->content, digest_text(sha256("")));
}

TEST_F(PullerTest, ACutStreamGoesOnWhereItWasCut) {
  network.faults.cut_body = 0.7;
  const auto pulled = pull();
  ASSERT_TRUE(pulled) << pulled.error().message.code;
  EXPECT_EQ(pulled->content, digest_text(sha256(provider.data)));
  EXPECT_GT(network.counts().cut_bodies, 0U);
  EXPECT_GT(provider.ranged, 0);
}

TEST_F(PullerTest, ASourceThatChangedMeanwhileIsFetchedAnewWhole) {
  provider.instead = [](Provider& self, const HttpRequest&) -> std::optional<HttpResponse> {
    if (self.requests == 1) {
      HttpResponse cut;
      const dataplane::SourceIdentity identity{self.version, self.data.size()};
      dataplane::describe({200, {0, self.data.size()}}, identity, cut.headers);
      cut.stream = std::make_unique<TextBody>(self.data.substr(0, 100'000));
      cut.stream_length = self.data.size();
      return cut;
    }
    if (self.requests == 2) {
      self.version = "2";
      self.data = pattern(200'000, 'A');
    }
    return std::nullopt;
  };
  const auto pulled = pull();
  ASSERT_TRUE(pulled) << pulled.error().message.code;
  EXPECT_EQ(pulled->content, digest_text(sha256(provider.data)));
  EXPECT_EQ(pulled->bytes, 200'000U);
}

TEST_F(PullerTest, AShortBodyIsNeverTakenForTheWhole) {
  provider.instead = [](Provider& self, const HttpRequest&) -> std::optional<HttpResponse> {
    HttpResponse cut;
    cut.headers.set("ETag", "\"x\"");
    cut.stream = std::make_unique<TextBody>(self.data.substr(0, 1000));
    cut.stream_length = self.data.size();
    if (self.requests > 1) {
      cut.status = 206;
      cut.headers.set("Content-Range", "bytes 1000-299999/300000");
      cut.stream = std::make_unique<TextBody>("");
      cut.stream_length = 299'000;
    }
    return cut;
  };
  EXPECT_EQ(pull_code(), "custody.pull-gave-up");
  EXPECT_EQ(static_cast<std::size_t>(provider.requests), limits.stream_resumes + 1);
  expect_nothing_left();
}

TEST_F(PullerTest, AnswersThatDoNotFitAreRefusedAndLeaveNothing) {
  struct Case {
    const char* what;
    int status;
    const char* content_range;
    const char* etag;
  };
  const Case cases[] = {
      {"another first byte", 206, "bytes 0-299999/300000", "\"x\""},
      {"another length", 206, "bytes 1000-499999/500000", "\"x\""},
      {"not to the end", 206, "bytes 1000-1999/300000", "\"x\""},
      {"no range", 206, "", "\"x\""},
      {"a malformed range", 206, "bytes 1000-/300000", "\"x\""},
      {"another version", 206, "bytes 1000-299999/300000", "\"y\""},
      {"a redirect", 302, "", ""},
      {"no content", 204, "", ""},
  };
  for (const Case& one : cases) {
    provider.requests = 0;
    provider.instead = [one](Provider& self, const HttpRequest&) -> std::optional<HttpResponse> {
      HttpResponse response;
      if (self.requests == 1) {
        response.headers.set("ETag", "\"x\"");
        response.stream = std::make_unique<TextBody>(self.data.substr(0, 1000));
        response.stream_length = self.data.size();
        return response;
      }
      response.status = one.status;
      if (*one.content_range) response.headers.set("Content-Range", one.content_range);
      if (*one.etag) response.headers.set("ETag", one.etag);
      response.stream = std::make_unique<TextBody>(self.data.substr(1000));
      response.stream_length = self.data.size() - 1000;
      return response;
    };
    EXPECT_EQ(pull_code(), "custody.pull-answer") << one.what;
    expect_nothing_left();
  }
}

TEST_F(PullerTest, ARefusalIsFinalAndABusyProviderIsNot) {
  for (const int status : {400, 403, 404, 410}) {
    provider.requests = 0;
    provider.instead = [status](Provider&, const HttpRequest&) {
      HttpResponse response;
      response.status = status;
      return std::optional<HttpResponse>(std::move(response));
    };
    const auto pulled = pull();
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().kind, ErrorKind::forbidden);
    EXPECT_EQ(provider.requests, 1) << status;
    expect_nothing_left();
  }
  for (const int status : {408, 429, 500, 503}) {
    provider.requests = 0;
    provider.instead = [status](Provider& self, const HttpRequest&) -> std::optional<HttpResponse> {
      if (self.requests > 2) return std::nullopt;
      HttpResponse response;
      response.status = status;
      return response;
    };
    ASSERT_TRUE(pull()) << status;
    ASSERT_TRUE(m.run(puller->discard(order().process)));
  }
}

TEST_F(PullerTest, ARenewedCertificateGetsAFreshTokenOnce) {
  provider.token = "fresh";
  auto without = pull();
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().message.code, "custody.pull-refused");
  auto renewing = order();
  renewing.fresh_token_url = "https://provider.example/tokens/1";
  int asked = 0;
  std::string given = "fresh";
  provider.instead = [&](Provider&, const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.target != "/tokens/1") return std::nullopt;
    ++asked;
    EXPECT_EQ(request.method, "POST");
    HttpResponse response;
    response.body = R"({"token":")" + given + R"("})";
    return response;
  };
  ASSERT_TRUE(pull(renewing));
  EXPECT_EQ(asked, 1);
  ASSERT_TRUE(m.run(puller->discard(order().process)));
  given = "useless";
  EXPECT_FALSE(pull(renewing));
  EXPECT_EQ(asked, 2);
}

TEST_F(PullerTest, AFullDiskEndsThePullAndLeavesNothingVisible) {
  m.rig.disk.set_free(150'000);
  const auto pulled = pull();
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().kind, ErrorKind::unavailable);
  m.rig.disk.set_free(std::nullopt);
  EXPECT_EQ(read(), "custody.unknown-artefact");
  ASSERT_TRUE(pull());
}

TEST_F(PullerTest, WhatWasStagedBeforeAPowerCutCanBePublishedAfterIt) {
  const auto pulled = pull();
  ASSERT_TRUE(pulled);
  puller.reset();
  peer.reset();
  m.off();
  m.start();
  ASSERT_TRUE(m.run(m.keeper->start()));
  restart_puller();
  EXPECT_EQ(read(), "custody.unknown-artefact");
  ASSERT_TRUE(m.run(puller->publish(order().process, Json())));
  EXPECT_EQ(read(), provider.data);
}

// Drops, cuts and a power cut somewhere: in the end the same bytes, or nothing.
TEST(PullerPower, OverCutsAndAPowerCutTheSameBytesArriveOrNothing) {
  int cut_while_pulling = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    struct Harness : PullerTest {
      explicit Harness(std::uint64_t seed_) : PullerTest(seed_) {}
      void TestBody() override {}
      using PullerTest::m, PullerTest::network, PullerTest::provider, PullerTest::puller,
          PullerTest::peer, PullerTest::restart_puller, PullerTest::order, PullerTest::read;
    } h(seed);
    h.network.faults.cut_body = 0.3;
    h.network.faults.drop_request = 0.1;
    h.network.faults.drop_answer = 0.1;
    bool ended = false;
    bool published = false;
    auto all = [](Puller& puller, bool& visible) -> awaitable<void> {
      auto what = Harness::order();
      const Pid process = what.process;
      if (!co_await puller.pull(std::move(what))) co_return;
      if (co_await puller.publish(process, Json())) visible = true;
    };
    boost::asio::co_spawn(
        h.m.rig.node->executor(),
        all(*h.puller, published),
        [&](std::exception_ptr) { ended = true; }
    );
    for (std::uint64_t i = 0; i < seed * 8 && !ended; ++i) h.m.rig.world.step();
    if (!ended) ++cut_while_pulling;
    const bool was_published = published;
    h.m.rig.disk.cut_power();
    h.m.rig.node->power_off();
    h.puller.reset();
    h.peer.reset();
    h.m.off();
    h.m.start();
    ASSERT_TRUE(h.m.run(h.m.keeper->start()));
    const std::string text = h.read();
    if (was_published) EXPECT_EQ(text, h.provider.data) << h.m.rig.world.where();
    EXPECT_TRUE(text == "custody.unknown-artefact" || text == h.provider.data)
        << h.m.rig.world.where() << text.substr(0, 40);
    h.restart_puller();
    auto again = h.m.run(h.puller->pull(Harness::order()));
    if (!again) continue;  // gave up over the faults of this seed: nothing is visible
    ASSERT_TRUE(h.m.run(h.puller->publish(Harness::order().process, Json())));
    EXPECT_EQ(h.read(), h.provider.data);
  }
  EXPECT_GT(cut_while_pulling, 10);
}

}  // namespace
}  // namespace tally::custody
