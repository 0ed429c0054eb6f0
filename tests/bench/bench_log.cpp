#include "bench_log.hpp"

#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

#include "tally/audit/recovery.hpp"

namespace tally::bench {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double resident_mebibytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

double most_resident() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void give_up(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

ClockReading WallClock::read() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return {{now.tv_sec, static_cast<std::int32_t>(now.tv_nsec)}, true};
}

void CheapRandom::fill(std::span<std::uint8_t> out) {
  for (std::uint8_t& byte : out) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<std::uint8_t>(state_ >> 56);
  }
}

Key make_key(const std::string& name, std::uint8_t seed, std::uint8_t type) {
  const Bytes secret(32, seed);
  return {
      audit::make_verifier_key(name, *audit::ed25519_public_key(secret), type),
      [secret](std::span<const std::uint8_t> bytes) { return audit::ed25519_sign(secret, bytes); }};
}

AgreementId agreement(std::size_t number) {
  char text[64];
  std::snprintf(text, sizeof text, "urn:uuid:6c1f1c3e-4a4c-4d5e-9a51-%012zx", number);
  return AgreementId(text);
}

audit::RecordDraft contract(const AgreementId& agreement, Random& random) {
  const Digest none = sha256(agreement.value);
  audit::RecordDraft draft("contract.finalized", new_event(random, WallClock().read().at));
  draft.about(agreement)
      .set("actor", PartyId{"bench", "did:web:bench.example"})
      .set("asset", "urn:asset:1")
      .set("assurance", "enforced")
      .set("counterparty", PartyId{"bench", "did:web:other.example"})
      .set_canonical(
          "limits", R"([{"allowed":1000000000,"owner":"provider","rule":"p1","unit":"use"}])"
      )
      .set("pid", "urn:uuid:pid")
      .set("policy", none)
      .set("role", "provider")
      .set_canonical("signatures", R"({"consumer":"asserted","provider":"asserted"})")
      .set_canonical("statements", R"({"consumer":"asserted","provider":"asserted"})");
  return draft;
}

audit::RecordDraft use(const AgreementId& agreement, Random& random) {
  audit::RecordDraft draft("use.permitted", new_event(random, WallClock().read().at));
  draft.about(agreement)
      .set("action", "http://www.w3.org/ns/odrl/2/read")
      .set("app", "notebook")
      .set_canonical("decision", R"({"at":"2026-03-01T08:00:00.000000Z"})")
      .set("purpose", "https://example.org/purpose/research")
      .set_canonical("rules", R"([{"id":"p1","n":1,"unit":"use"}])");
  return draft;
}

Log::Log(const std::filesystem::path& folder) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  auto storage = audit::open_log_folder(folder, audit::FolderAccess::writable);
  if (!storage) give_up("the folder cannot be opened");
  storage_ = *std::move(storage);
  const Key key = make_key(origin, 1);
  const audit::Genesis genesis{origin, {"bench", "did:web:bench.example"}, key.key.text(), false};
  if (!audit::create_log(*storage_, genesis, clock, random)) give_up("the log cannot be made");
  auto recovered = audit::recover(*storage_, {});
  if (!recovered) give_up("the log cannot be opened");
  writer_ =
      std::make_unique<audit::LogWriter>(*storage_, *std::move(recovered), clock, random, Limits{});
  writer_->tree().sign_with(key.key, key.signer);
  // As in a daemon that has been up for a moment: the first piece is filled.
  while (writer_->fill_ahead()) {
  }
}

void Log::append(audit::RecordDraft draft) {
  (void)writer_->enqueue(std::move(draft));
  if (++queued_ == 1024) commit();
}

void Log::commit() {
  queued_ = 0;
  while (writer_->commit_batch()) {
  }
  if (writer_->failed()) give_up("an append failed");
}

void Log::close() {
  if (!writer_->close()) give_up("the log cannot be closed");
}

void write_log(const std::filesystem::path& folder, std::uint64_t records, std::size_t agreements) {
  Log log(folder);
  std::uint64_t written = 1;  // the first record
  for (std::size_t i = 0; i < agreements && written < records; ++i, ++written) {
    log.append(contract(agreement(i), log.random));
  }
  for (; written < records; ++written) {
    log.append(use(agreement(written % agreements), log.random));
  }
  log.commit();
  log.close();
}

std::unique_ptr<audit::LogStorage> open_log(const std::filesystem::path& folder) {
  auto storage = audit::open_log_folder(folder, audit::FolderAccess::read_only);
  if (!storage) give_up("the folder cannot be opened");
  return *std::move(storage);
}

}  // namespace tally::bench
