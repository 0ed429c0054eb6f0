// How many records a second become durable, beside a bare loop that writes and syncs the same bytes
// in the same batches. Rounds of both alternate, since the disk of a shared machine changes its
// mind.
//
// audit_bench [folder] [rounds] [records]: the folder is made and emptied; default ./audit-bench.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <unistd.h>

#include "tally/audit/log_writer.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/posix.hpp"
#include "tally/audit/verify.hpp"

#include "audit/log_format.hpp"

namespace {

using namespace tally;
using namespace tally::audit;
namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "audit_bench: %s\n", what);
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
    for (std::uint8_t& byte : out) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::uint8_t>(state_ >> 56);
    }
  }

 private:
  std::uint64_t state_ = 1;
};

// A use as the data path records it.
RecordDraft use(Random& random) {
  RecordDraft draft("use.permitted", new_event(random, {1'772'352'000, 0}));
  draft.about(AgreementId("urn:uuid:6c1f1c3e-4a4c-4d5e-9a51-0f2a3d8f7e11"))
      .set("action", "http://www.w3.org/ns/odrl/2/read")
      .set("app", "notebook")
      .set_canonical(
          "decision", R"({"at":"2026-03-01T08:00:00.000000Z","id":"p1","outcome":"permit"})"
      )
      .set("purpose", "https://example.org/purpose/research")
      .set_canonical("rules", R"([{"id":"p1","n":1,"unit":"use"}])");
  return draft;
}

struct Round {
  double rate = 0;    // records a second
  double p50_us = 0;  // of one append, from enqueue to the answer
  std::vector<std::size_t> frames;
};

awaitable<void> produce(
    LogWriter& writer, Random& random, std::size_t& left, std::vector<double>& waits
) {
  while (left > 0) {
    --left;
    RecordDraft draft = use(random);
    const auto start = Steady::now();
    auto appended = co_await append(writer, std::move(draft));
    if (!appended) give_up("an append failed");
    waits.push_back(seconds_since(start) * 1e6);
  }
}

Round run_log(const std::filesystem::path& folder, std::size_t outstanding, std::size_t records) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  WallClock clock;
  CheapRandom random;
  auto storage = open_log_folder(folder, FolderAccess::writable);
  if (!storage) give_up("the folder cannot be opened");
  Bytes key(32);
  const std::string origin = "bench.example/log/1";
  const Genesis genesis{
      origin, {"bench", "did:web:bench.example"}, make_verifier_key(origin, key).text(), false};
  if (!create_log(**storage, genesis, clock, random)) give_up("the log cannot be made");
  auto recovered = recover(**storage, {});
  if (!recovered) give_up("the log cannot be opened");
  Round round;
  {
    LogWriter writer(**storage, *std::move(recovered), clock, random, Limits{});
    // As in a daemon that has been up for a moment: the first piece is filled.
    while (writer.fill_ahead()) {
    }
    LogThread thread(writer);
    asio::io_context context{1};
    std::size_t left = records;
    std::vector<double> waits;
    waits.reserve(records);
    const auto start = Steady::now();
    for (std::size_t i = 0; i < outstanding; ++i) {
      asio::co_spawn(context, produce(writer, random, left, waits), asio::detached);
    }
    context.run();
    round.rate = static_cast<double>(records) / seconds_since(start);
    round.p50_us = median(waits);
  }
  // The frames as they were written, for the bare loop to repeat.
  auto names = (*storage)->list();
  for (const std::string& name : *names) {
    if (!segment_first_seq(name)) continue;
    auto file = (*storage)->open(name, false);
    Bytes bytes(*(*file)->size());
    (void)(*file)->read_at(0, bytes);
    for (std::size_t at = 0; at < bytes.size();) {
      const Frame frame = parse_frame(std::span(bytes).subspan(at), at);
      if (frame.state != FrameState::valid) break;
      if (frame.first_seq != 0) round.frames.push_back(frame.length);
      at += frame.length;
    }
  }
  return round;
}

Round run_bare(
    const std::filesystem::path& folder,
    const std::vector<std::size_t>& frames,
    std::size_t records,
    bool zero_filled
) {
  const std::string path = folder / "bare";
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) give_up("the bare file cannot be made");
  std::size_t total = 0;
  std::size_t largest = 0;
  for (const std::size_t bytes : frames) {
    total += bytes;
    largest = std::max(largest, bytes);
  }
  if (zero_filled) {
    const Bytes zeros(1 << 20);
    for (std::size_t at = 0; at < total; at += zeros.size()) {
      if (::pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) give_up("write");
    }
    ::fdatasync(fd);
  }
  const Bytes bytes(largest, 0x55);
  std::vector<double> waits;
  Round round;
  const auto start = Steady::now();
  off_t at = 0;
  for (const std::size_t frame : frames) {
    const auto before = Steady::now();
    if (::pwrite(fd, bytes.data(), frame, at) != static_cast<ssize_t>(frame)) give_up("write");
    if (::fdatasync(fd) != 0) give_up("sync");
    at += static_cast<off_t>(frame);
    waits.push_back(seconds_since(before) * 1e6);
  }
  round.rate = static_cast<double>(records) / seconds_since(start);
  round.p50_us = median(waits);
  ::close(fd);
  ::unlink(path.c_str());
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "audit-bench";
  const int rounds = std::max(1, argc > 2 ? std::atoi(argv[2]) : 5);
  const std::size_t scale = argc > 3 ? static_cast<std::size_t>(std::atol(argv[3])) : 200'000;
  std::printf(
      "outstanding  records/s     bare  ratio   bare, zero-filled  ratio   p50 us  bare p50  "
      "batch\n"
  );
  for (const std::size_t outstanding : {std::size_t{1}, std::size_t{33}, std::size_t{256}}) {
    const std::size_t records = outstanding == 1 ? std::max<std::size_t>(scale / 50, 1000) : scale;
    std::vector<double> rate;
    std::vector<double> bare_rate;
    std::vector<double> filled_rate;
    std::vector<double> ratio;
    std::vector<double> filled_ratio;
    std::vector<double> p50;
    std::vector<double> bare_p50;
    double batch = 0;
    for (int i = 0; i < rounds; ++i) {
      const Round log = run_log(folder, outstanding, records);
      const Round bare = run_bare(folder, log.frames, records, false);
      const Round filled = run_bare(folder, log.frames, records, true);
      rate.push_back(log.rate);
      bare_rate.push_back(bare.rate);
      filled_rate.push_back(filled.rate);
      ratio.push_back(log.rate / bare.rate);
      filled_ratio.push_back(log.rate / filled.rate);
      p50.push_back(log.p50_us);
      bare_p50.push_back(bare.p50_us);
      batch = static_cast<double>(records) / static_cast<double>(log.frames.size());
    }
    std::printf(
        "%11zu  %9.0f  %7.0f   %.2f   %17.0f   %.2f  %7.0f  %8.0f  %5.1f\n",
        outstanding,
        median(rate),
        median(bare_rate),
        median(ratio),
        median(filled_rate),
        median(filled_ratio),
        median(p50),
        median(bare_p50),
        batch
    );
  }
  {
    auto storage = open_log_folder(folder, FolderAccess::read_only);
    if (!storage) give_up("the folder cannot be opened");
    const auto start = Steady::now();
    const VerifyReport report = verify_log(**storage);
    const double took = seconds_since(start);
    std::printf(
        "verify: %.0f records/s, %.0f bytes a record, verdict %d\n",
        static_cast<double>(report.records) / took,
        static_cast<double>(report.bytes) / static_cast<double>(report.records),
        static_cast<int>(report.verdict)
    );
  }
  std::filesystem::remove_all(folder);
  return 0;
}
