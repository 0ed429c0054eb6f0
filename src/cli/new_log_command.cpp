#include "new_log_command.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

#include "tally/audit/checkpoint_sender.hpp"
#include "tally/audit/new_log.hpp"
#include "tally/audit/snapshot.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/negotiation/end_all.hpp"
#include "tally/store/sqlite_store.hpp"
#include "tally/transfer/end_all.hpp"
#include "tally/transfer/informer.hpp"
#include "tally/transfer/statement_sender.hpp"

#include "connector_folder.hpp"
#include "system_random.hpp"
#include "wall_clock.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

class ToConsole final : public Notices {
 public:
  explicit ToConsole(const Console& console) : console_(console) {}
  void note(Severity, const Message& message) override { (void)console_.fail(message, refused); }

 private:
  const Console& console_;
};

struct Counts {
  std::size_t agreements = 0;
  std::size_t negotiations = 0;
  std::size_t transfers = 0;
};

// What the store knows of the log before ends or is forgotten, in one transaction that also binds
// the store to the new one.
Result<Counts> follow(store::SqliteStore& store, const audit::NewLog& log, Clock& clock) {
  SystemRandom random;
  negotiation::EndAll how{clock, random, log.genesis.actor, {}, log.mark.size};
  how.reason = {"negotiation.log-given-up", {{"log", log.genesis.follows->origin}}};
  Transaction change;
  const auto ended = negotiation::end_all(store, how, change);
  if (!ended) return tl::unexpected(ended.error());
  const auto transfers = transfer::end_all(store, how, change);
  if (!transfers) return tl::unexpected(transfers.error());
  for (const auto begin_again :
       {audit::begin_snapshots_again,
        custody::Holdings::begin_again,
        audit::CheckpointSender::begin_again,
        transfer::StatementSender::begin_again,
        transfer::Informer::begin_again}) {
    if (auto done = begin_again(store, change); !done) return tl::unexpected(done.error());
  }
  if (auto done = store.begin_log(log.mark, change); !done) return tl::unexpected(done.error());
  return Counts{ended->agreements, ended->processes, *transfers};
}

void report(const Console& console, const audit::NewLog& log, const std::optional<Counts>& counts) {
  const audit::Follows& before = *log.genesis.follows;
  if (console.json) {
    Json out = {
        {"origin", log.genesis.origin},
        {"vkey", log.genesis.vkey},
        {"follows", audit::to_json(before)}};
    if (counts) {
      out["ended"] = {
          {"agreements", counts->agreements},
          {"negotiations", counts->negotiations},
          {"transfers", counts->transfers}};
    }
    console.print(out.dump(2));
    return;
  }
  console.say(
      {"cli.new-log-begun",
       {{"origin", log.genesis.origin},
        {"before", before.origin},
        {"size", std::to_string(before.size)},
        {"proofs", std::to_string(before.proofs.size())},
        {"folder", "log-" + std::to_string(*audit::log_number(before.origin))}}}
  );
  if (!counts) return;
  console.say(
      {"cli.new-log-ended",
       {{"agreements", std::to_string(counts->agreements)},
        {"negotiations", std::to_string(counts->negotiations)},
        {"transfers", std::to_string(counts->transfers)}}}
  );
}

}  // namespace

int audit_new_log(const Console& console, const NewLogOptions& options) {
  const auto key = log_public_key(options.folder);
  if (!key) return console.fail(key.error(), usage);
  ToConsole notices(console);
  store::SqliteStore::Options of_store;
  of_store.folder = options.folder;
  // Its lock is the daemon's: none runs, and none begins before this has ended.
  const auto store = store::SqliteStore::open(std::move(of_store), notices);
  if (!store) return console.fail(store.error());

  WallClock clock;
  SystemRandom random;
  const auto log =
      audit::begin_new_log({options.folder, *key, options.without_proof}, clock, random);
  if (!log) return console.fail(log.error());
  const auto mark = (*store)->mark();
  if (!mark) return console.fail(mark.error());
  std::optional<Counts> counts;
  if (*mark != log->mark) {
    const auto followed = follow(**store, *log, clock);
    if (!followed) return console.fail(followed.error());
    counts = *followed;
  }
  if (auto finished = audit::finish_new_log(options.folder); !finished) {
    return console.fail(finished.error());
  }
  report(console, *log, counts);
  return done;
}

}  // namespace tally::cli
