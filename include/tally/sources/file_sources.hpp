// Files under one data root: {"type": "file", "path": "cohort/2026.csv"}.
//
// A path is relative to the root and never leaves it, through `..` or a symbolic link; only regular
// files are read. Large files are read in pieces by the Worker, and each piece is checked against
// the version that the request began with: a file that changes or vanishes cuts its streams. Files
// of at most 64 KiB are kept in memory (at most 16 MiB of them) and looked at again at most every
// 100 ms, so that a change may be served that much late, but always whole and under its own
// identity.
//
// Thread-safe: one cache behind a mutex that is held for microseconds.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

#include "tally/core/clock.hpp"
#include "tally/core/instant.hpp"
#include "tally/dataplane/source.hpp"

namespace tally::sources {

class FileSources final : public dataplane::SourceReader {
 public:
  struct Options {
    std::filesystem::path root;
    std::size_t small_file = 64 << 10;
    std::size_t cache_bytes = 16 << 20;
    Nanos recheck = milliseconds(100);
  };
  // Errors: invalid (sources.root-missing).
  static Result<std::unique_ptr<FileSources>> open(Options options, Worker& worker);
  ~FileSources() override;
  FileSources(const FileSources&) = delete;
  FileSources& operator=(const FileSources&) = delete;

  Result<std::unique_ptr<dataplane::Source>> source(const Json& spec) override;

  struct State;

 private:
  explicit FileSources(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace tally::sources
