// How many records a second become durable, beside a bare loop that writes and syncs the same bytes
// in the same batches. Rounds of both alternate, since the disk of a shared machine changes its
// mind.
//
// audit_bench [folder] [rounds] [records]: the folder is made and emptied; default ./audit-bench.
// audit_bench sustained FOLDER SECONDS: 256 outstanding for so long; old segments are removed on
// the way, so that the disk need not hold it all.
#include <algorithm>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <unistd.h>

#include "audit/log_format.hpp"
#include "bench_log.hpp"

namespace {

using namespace tally;
using namespace tally::audit;
namespace asio = boost::asio;
using namespace tally::bench;

const AgreementId of = agreement(1);

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
    RecordDraft draft = use(of, random);
    const auto start = Steady::now();
    auto appended = co_await append(writer, std::move(draft));
    if (!appended) give_up("an append failed");
    waits.push_back(seconds_since(start) * 1e6);
  }
}

Round run_log(const std::filesystem::path& folder, std::size_t outstanding, std::size_t records) {
  Log log(folder);
  Round round;
  {
    LogThread thread(log.writer());
    asio::io_context context{1};
    std::size_t left = records;
    std::vector<double> waits;
    waits.reserve(records);
    const auto start = Steady::now();
    for (std::size_t i = 0; i < outstanding; ++i) {
      asio::co_spawn(context, produce(log.writer(), log.random, left, waits), asio::detached);
    }
    context.run();
    round.rate = static_cast<double>(records) / seconds_since(start);
    round.p50_us = median(waits);
  }
  // The frames as they were written, for the bare loop to repeat.
  auto names = log.storage().list();
  for (const std::string& name : *names) {
    if (!segment_first_seq(name)) continue;
    auto file = log.storage().open(name, false);
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

awaitable<void> keep_appending(LogWriter& writer, Random& random, bool& on, std::size_t& done) {
  while (on) {
    RecordDraft draft = use(of, random);
    auto appended = co_await append(writer, std::move(draft));
    if (!appended) give_up("an append failed");
    ++done;
  }
}

// All but the last few.
void remove_old(LogStorage& storage) {
  auto names = storage.list();
  if (!names) give_up("the folder cannot be read");
  std::erase_if(*names, [](const std::string& name) { return !segment_first_seq(name); });
  std::sort(names->begin(), names->end());
  for (std::size_t i = 0; i + 4 < names->size(); ++i) {
    if (!storage.remove((*names)[i])) give_up("a segment cannot be removed");
  }
}

int run_sustained(const std::filesystem::path& folder, double seconds) {
  constexpr double slice = 10;
  Log log(folder);
  LogThread thread(log.writer());
  asio::io_context context{1};
  bool on = true;
  std::size_t done = 0;
  for (int i = 0; i < 256; ++i) {
    asio::co_spawn(context, keep_appending(log.writer(), log.random, on, done), asio::detached);
  }
  std::vector<double> rates;
  const auto start = Steady::now();
  while (seconds_since(start) < seconds) {
    const std::size_t before = done;
    const auto began = Steady::now();
    while (seconds_since(began) < slice) context.run_for(std::chrono::milliseconds(500));
    rates.push_back(static_cast<double>(done - before) / seconds_since(began));
    remove_old(log.storage());
  }
  const double all = static_cast<double>(done) / seconds_since(start);
  on = false;
  context.run();
  std::printf(
      "sustained %.0f s: %.0f records/s; of %.0f s each: least %.0f, median %.0f; %.0f MiB\n",
      seconds,
      all,
      slice,
      *std::min_element(rates.begin(), rates.end()),
      median(rates),
      most_resident()
  );
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "sustained") {
    return run_sustained(argv[2], std::atof(argv[3]));
  }
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
  std::filesystem::remove_all(folder);
  return 0;
}
