// Appends uses of one agreement to the log of a connector that is not running, and ends as a crash
// does: for measuring what a start on a long log takes (start.py).
//
// grow_log folder records agreement: the folder holds the segments.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <time.h>

#include "tally/audit/log_writer.hpp"
#include "tally/audit/posix.hpp"

namespace {

using namespace tally;
using namespace tally::audit;

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "grow_log: %s\n", render(error.message, Lang::en).c_str());
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
  explicit CheapRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::uint8_t>(state_ >> 56);
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "grow_log folder records agreement\n");
    return 3;
  }
  const auto wanted = std::strtoull(argv[2], nullptr, 10);
  const AgreementId agreement(argv[3]);
  auto storage = open_log_folder(argv[1], FolderAccess::writable);
  if (!storage) give_up(storage.error());
  auto recovered = recover(**storage, {});
  if (!recovered) give_up(recovered.error());
  WallClock clock;
  CheapRandom random(recovered->size);
  const Limits limits;
  LogWriter writer(**storage, *std::move(recovered), clock, random, limits);
  std::vector<std::string> open;
  for (std::uint64_t done = 0; done < wanted;) {
    for (std::size_t i = 0; i < limits.log_batch_records / 2 && done < wanted; ++i, ++done) {
      const Instant now = clock.read().at;
      const EventId event = new_event(random, now);
      if (open.size() == limits.uses_per_record) {
        std::string uses = "[";
        for (const std::string& use : open) {
          if (uses.size() > 1) uses += ',';
          uses += R"({"bytes":8192,"use":")" + use + "\"}";
        }
        RecordDraft draft("use.executed", event);
        draft.about(agreement).set_canonical("uses", uses + "]");
        writer.enqueue(std::move(draft));
        open.clear();
        continue;
      }
      RecordDraft draft("use.permitted", event);
      draft.about(agreement)
          .set("action", "read")
          .set("app", "notebook")
          .set_canonical("decision", "{\"at\":\"" + format_micros(now) + "\"}")
          .set("purpose", "https://health.example/purpose/research")
          .set_canonical("rules", R"([{"id":"urn:bench:rule","n":1,"unit":"use"}])")
          .set_canonical("sources", R"({"purpose":"registration"})");
      open.push_back(event.value);
      writer.enqueue(std::move(draft));
    }
    while (writer.commit_batch()) {
    }
    if (const auto failure = writer.failure()) give_up(*failure);
  }
  return 0;
}
