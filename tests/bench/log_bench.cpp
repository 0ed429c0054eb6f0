// What a large log costs: to check, to prove from, in bytes and in memory; each beside the bare work
// of the same run that bounds it.
//
// log_bench write FOLDER RECORDS [AGREEMENTS]   makes a log
// log_bench verify FOLDER [ROUNDS] [deep]       checks it; beside the bare hashing of its records
#include <cstring>

#include "tally/audit/recovery.hpp"
#include "tally/audit/verify.hpp"

#include "audit/segment_reader.hpp"
#include "bench_log.hpp"

namespace {

using namespace tally;
using namespace tally::audit;
using namespace tally::bench;

// The least that any check has to do: read every frame, hash every record, and grow the tree. Gives
// the CPU seconds a record.
double bare_hashing(LogStorage& storage) {
  const double start = cpu_seconds();
  Frontier tree;
  const auto segments = list_segments(storage);
  if (!segments) give_up("the log cannot be listed");
  Bytes segment;
  for (const SegmentName& name : *segments) {
    auto file = storage.open(name.name, false);
    const auto size = (*file)->size();
    segment.resize(*size);
    if (!(*file)->read_at(0, segment)) give_up("the log cannot be read");
    for (std::size_t at = 0; at < segment.size();) {
      const std::uint32_t length = frame_length(std::span(segment).subspan(at));
      if (length == 0) break;
      std::size_t record = at + frame_header_bytes;
      while (record + 4 < at + length) {
        std::uint32_t bytes = 0;
        for (std::size_t i = 0; i < 4; ++i) bytes = bytes << 8 | segment[record + i];
        if (bytes == 0) break;
        const auto* const text = reinterpret_cast<const char*>(segment.data()) + record + 4;
        tree.append(leaf_hash({text, bytes}));
        record += 4 + bytes;
      }
      at += length;
    }
  }
  return (cpu_seconds() - start) / static_cast<double>(tree.size());
}

int verify(const std::filesystem::path& folder, int rounds, Depth depth) {
  const auto storage = open_log(folder);
  std::vector<double> rate;
  std::vector<double> cpu;
  std::vector<double> ratio;
  VerifyReport report;
  for (int round = 0; round < rounds; ++round) {
    const double bare = bare_hashing(*storage);
    const double before = cpu_seconds();
    const auto start = Steady::now();
    report = verify_log(*storage, depth);
    if (report.verdict != Verdict::whole) give_up("the log is not whole");
    const auto records = static_cast<double>(report.records);
    rate.push_back(records / seconds_since(start));
    cpu.push_back((cpu_seconds() - before) / records);
    ratio.push_back(cpu.back() / bare);
  }
  std::printf(
      "verify%s: %.0f records/s; a record %.3f us of CPU, %.2f of bare hashing, %.0f bytes; "
      "at most %.0f MiB\n",
      depth == Depth::deep ? " --deep" : "",
      median(rate),
      median(cpu) * 1e6,
      median(ratio),
      static_cast<double>(report.bytes) / static_cast<double>(report.records),
      most_resident()
  );
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int at, const char* otherwise) {
    return argc > at ? std::string(argv[at]) : std::string(otherwise);
  };
  const std::string command = argument(1, "");
  const std::filesystem::path folder = argument(2, "log-bench");
  if (command == "write") {
    const auto records = std::stoull(argument(3, "1000000"));
    const auto start = Steady::now();
    write_log(folder, records, std::stoul(argument(4, "16")));
    const double took = seconds_since(start);
    std::printf("written: %.0f records/s\n", static_cast<double>(records) / took);
    return 0;
  }
  if (command == "verify") {
    const bool deep = argument(4, "") == "deep";
    return verify(folder, std::stoi(argument(3, "5")), deep ? Depth::deep : Depth::plain);
  }
  give_up("log_bench write|verify FOLDER …");
}
