// A log on the disk as the measurements need it: a clock, cheap ids, records as the data path makes
// them, and a writer that takes whole batches.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tally/audit/log_writer.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/posix.hpp"
#include "tally/core/clock.hpp"

namespace tally::bench {

using Steady = std::chrono::steady_clock;

inline double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}
double cpu_seconds();         // of this process
double resident_mebibytes();  // now
double most_resident();       // the most it ever was, in MiB
double median(std::vector<double> values);
[[noreturn]] void give_up(const std::string& what);

// Runs `once` for a tenth of a second of CPU, five times, and gives the median of the microseconds
// of CPU that one takes.
template <class Once>
double microseconds(const Once& once) {
  std::vector<double> found;
  for (int round = 0; round < 5; ++round) {
    std::size_t times = 0;
    const double start = cpu_seconds();
    double took = 0;
    do {
      once();
      ++times;
      took = cpu_seconds() - start;
    } while (took < 0.1);
    found.push_back(took * 1e6 / static_cast<double>(times));
  }
  return median(std::move(found));
}

class WallClock final : public Clock {
 public:
  ClockReading read() override;
};

class CheapRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t state_ = 1;
};

// Signs as a log does; the key is of 32 bytes `seed`.
struct Key {
  audit::VerifierKey key;
  audit::Signer signer;
};
Key make_key(const std::string& name, std::uint8_t seed, std::uint8_t type = audit::ed25519_type);

inline const std::string origin = "bench.example/log/1";

// What the log of a provider holds of one agreement.
AgreementId agreement(std::size_t number);
audit::RecordDraft contract(const AgreementId& agreement, Random& random);
audit::RecordDraft use(const AgreementId& agreement, Random& random);

// A log that was just made in `folder`, which is emptied first, and its writer, driven by hand.
class Log {
 public:
  explicit Log(const std::filesystem::path& folder);
  void append(audit::RecordDraft draft);  // durable after commit()
  void commit();
  void close();
  [[nodiscard]] audit::LogWriter& writer() { return *writer_; }
  [[nodiscard]] audit::LogStorage& storage() { return *storage_; }

  WallClock clock;
  CheapRandom random;

 private:
  std::unique_ptr<audit::LogStorage> storage_;
  std::unique_ptr<audit::LogWriter> writer_;
  std::size_t queued_ = 0;
};

// Uses of `agreements` agreements in turn, until the log has `records` records; closed.
void write_log(const std::filesystem::path& folder, std::uint64_t records, std::size_t agreements);

std::unique_ptr<audit::LogStorage> open_log(const std::filesystem::path& folder);

}  // namespace tally::bench
