// Keeps the rules of the folder rules/ in force: read at start and within a second of a change. A
// document with a fault is reported and left out. What is in force is recorded before it decides
// anything. Changes on the home executor; lookups from any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tally/api/management_routes.hpp"
#include "tally/negotiation/rule_book.hpp"

namespace tally::daemon {

struct RuleKeeperParts {
  Clock& clock;
  Timers& timers;
  Worker& worker;
  Notices& notices;
  // Makes the change a record, by `digest()` of what is coming; an Error keeps the old rules in
  // force.
  std::function<awaitable<Result<void>>(std::string digest)> record;
  // New rules are in force: what stands where an old one left it is looked at again.
  std::function<void()> changed;
};

class RuleKeeper final : public negotiation::Reactions, public api::RuleAdmin {
 public:
  RuleKeeper(
      RuleKeeperParts parts,
      std::filesystem::path folder,
      const Limits& limits,
      std::vector<std::string> domains
  );

  // At start: reads the folder, without a record of its own.
  awaitable<void> load();
  // Looks at the folder every second until cancelled.
  awaitable<void> watch();
  // Reads the folder now. Errors: unavailable, the log; what was in force stays.
  awaitable<Result<void>> reload();

  // SHA-256 over the documents in force, as records carry it; empty: there are none.
  [[nodiscard]] const std::string& digest() const { return digest_; }

  [[nodiscard]] bool empty() const override { return current()->empty(); }
  [[nodiscard]] std::optional<negotiation::Reaction> find(const negotiation::Situation& situation
  ) const override;
  // --- api::RuleAdmin ---
  [[nodiscard]] std::vector<Json> rules() const override;
  [[nodiscard]] std::vector<Json> problems(Lang lang) const override;

 private:
  struct Fresh {
    negotiation::RulesRead read;
    std::string digest;
  };
  awaitable<Fresh> read();
  void put_in_force(Fresh fresh);
  [[nodiscard]] std::shared_ptr<const negotiation::RuleBook> current() const;

  RuleKeeperParts parts_;
  const std::filesystem::path folder_;
  const Limits& limits_;
  const std::vector<std::string> domains_;
  Digest seen_{};  // of names, sizes and times of the files as last read
  std::string digest_;
  mutable std::mutex mutex_;  // guards the two below
  std::shared_ptr<const negotiation::RuleBook> current_;
  std::vector<catalog::Problem> problems_;
};

}  // namespace tally::daemon
