// How many uses a second one process authorises: policy asked, counted, durable in the log. Beside
// it the same with a log that acknowledges at once, which is what the decision alone costs.
//
// usage_bench [folder] [seconds] [agreements]: the folder is made and emptied; default
// ./usage-bench. Client coroutines on two contexts, each under an agreement of its own.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <nlohmann/json.hpp>

#include "tally/audit/log_writer.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/posix.hpp"
#include "tally/odrl/terms.hpp"
#include "tally/usage/enforcer.hpp"

namespace {

using namespace tally;
using namespace tally::usage;
namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "usage_bench: %s\n", what);
  std::exit(1);
}

class WallClock final : public Clock {
 public:
  ClockReading read() override {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return {{now.tv_sec, static_cast<std::int32_t>(now.tv_nsec)}, true};
  }
};

class CheapRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    thread_local std::uint64_t state = std::hash<std::thread::id>{}(std::this_thread::get_id());
    for (std::uint8_t& byte : out) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::uint8_t>(state >> 56);
    }
  }
};

// Says yes and writes nothing.
class NoLog final : public audit::LogAppender {
 public:
  audit::Ticket enqueue(audit::RecordDraft, audit::Priority) override {
    return std::make_shared<audit::PendingAppend>();
  }
  awaitable<Result<audit::Appended>> wait(audit::Ticket) override {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    co_return audit::Appended{};
  }
  [[nodiscard]] bool failed() const override { return false; }
  [[nodiscard]] LogMark mark() const override { return {}; }
};

const PartyId provider{"health.example", "urn:bench:hospital"};
const PartyId consumer{"health.example", "urn:bench:institute"};
const std::string research = "urn:bench:purpose:research";

odrl::PolicyPtr make_policy() {
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:bench:policy"},
      {"assigner", provider.uri},
      {"assignee", consumer.uri},
      {"target", "urn:bench:cohort"},
      {"permission",
       {{{"uid", "urn:bench:rule"},
         {"action", "use"},
         {"constraint",
          {{{"leftOperand", "count"}, {"operator", "lteq"}, {"rightOperand", 1'000'000'000}},
           {{"leftOperand", "dateTime"},
            {"operator", "lt"},
            {"rightOperand", "2099-01-01T00:00:00Z"}},
           {{"leftOperand", "purpose"},
            {"operator", "eq"},
            {"rightOperand", {{"@id", research}}}}}}}}},
  };
  auto loaded = odrl::load_policy(document);
  if (!loaded) give_up("the policy does not load");
  return *loaded;
}

std::string name(std::size_t n) {
  return "urn:uuid:6c1f1c3e-4a4c-4d5e-9a51-" + std::to_string(100'000'000'000 + n);
}

struct Figure {
  double rate = 0;
};

Figure measure(Enforcer& enforcer, std::size_t agreements, double seconds, const char* what) {
  const auto policy = make_policy();
  for (std::size_t n = 0; n < agreements; ++n) {
    AgreementTerms terms;
    terms.id = AgreementId(name(n));
    terms.our_side = odrl::Side::consumer;
    terms.provider = provider;
    terms.consumer = consumer;
    terms.asset = AssetId("urn:bench:cohort");
    terms.policy = policy;
    enforcer.activate(std::move(terms));
  }
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> uses = 0;
  const auto client = [&](std::size_t n) -> awaitable<void> {
    const std::string agreement = name(n);
    while (!stop) {
      Act act;
      act.agreement = AgreementId(agreement);
      act.action = odrl::iri::read;
      act.party = consumer;
      act.app = AppId("notebook");
      act.purposes = {research};
      act.purpose_source = odrl::Source::registration;
      auto answer = co_await enforcer.authorise(std::move(act));
      if (!answer || !std::holds_alternative<Grant>(*answer)) give_up("a use was refused");
      Outcome outcome;
      outcome.bytes = 1024;
      outcome.content = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
      enforcer.complete(std::get<Grant>(*answer), std::move(outcome));
      uses.fetch_add(1, std::memory_order_relaxed);
    }
  };
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  for (int i = 0; i < 2; ++i) contexts.push_back(std::make_unique<asio::io_context>(1));
  for (std::size_t n = 0; n < agreements; ++n) {
    asio::co_spawn(*contexts[n % contexts.size()], client(n), asio::detached);
  }
  const auto start = Steady::now();
  std::vector<std::thread> threads;
  for (auto& context : contexts) threads.emplace_back([&context] { context->run(); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (auto& thread : threads) thread.join();
  const double took = std::chrono::duration<double>(Steady::now() - start).count();
  Figure figure;
  figure.rate = static_cast<double>(uses) / took;
  std::printf("%-28s %10.0f uses/s over %zu agreements\n", what, figure.rate, agreements);
  return figure;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "usage-bench";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 3.0;
  const auto agreements = static_cast<std::size_t>(argc > 3 ? std::atoi(argv[3]) : 256);
  WallClock clock;
  CheapRandom random;

  NoLog nothing;
  Enforcer deciding(nothing, clock, random);
  const Figure decide = measure(deciding, agreements, seconds, "decide and count");

  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  auto storage = audit::open_log_folder(folder, audit::FolderAccess::writable);
  if (!storage) give_up("the folder cannot be opened");
  audit::Genesis genesis;
  genesis.origin = "bench.example/log/1";
  genesis.actor = consumer;
  const Bytes key(32, 7);
  genesis.vkey = audit::make_verifier_key(genesis.origin, key).text();
  if (!audit::create_log(**storage, genesis, clock, random)) give_up("the log cannot be made");
  auto recovered = audit::recover(**storage, LogMark{});
  if (!recovered) give_up("the log cannot be opened");
  audit::LogWriter log(**storage, std::move(*recovered), clock, random, Limits{});
  Enforcer enforcer(log, clock, random);
  Figure durable;
  {
    const audit::LogThread writer(log);
    durable = measure(enforcer, agreements, seconds, "decide, count, make durable");
  }
  enforcer.flush_completions(true);
  if (!log.close()) give_up("the log failed");
  std::printf("%-28s %10.2f\n", "durable / decided", durable.rate / decide.rate);
  std::filesystem::remove_all(folder);
}
