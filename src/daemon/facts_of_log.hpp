// The facts beside the log and the records that commit to them, kept in step: a fact is durable
// before its record, `private.erased` before the fact goes, and a start ends what lies between.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tally/api/data_routes.hpp"
#include "tally/api/management_routes.hpp"
#include "tally/audit/appender.hpp"
#include "tally/audit/log_part.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/custody/private_facts.hpp"

namespace tally::daemon {

// The commitments that stand in the log and are not erased.
class CommittedFacts final : public audit::LogPart {
 public:
  [[nodiscard]] std::set<Digest> all() const;

  [[nodiscard]] std::string_view part_name() const override { return "facts"; }
  Result<void> replay(const audit::RecordView& record) override;
  void save(const Item& item) const override;
  Result<void> restore(const Json& item) override;

 private:
  std::map<std::uint64_t, Digest> by_record_;
};

class FactsOfLog final : public api::FactKeeper {
 public:
  using OpenLog = std::function<Result<std::unique_ptr<audit::LogStorage>>()>;

  FactsOfLog(
      custody::PrivateFacts& facts,
      audit::LogAppender& log,
      Clock& clock,
      Random& random,
      Worker& worker,
      OpenLog open_log
  );

  // At start, blocking: whatever none of the logs has a record of, and whatever a record calls
  // erased, is destroyed. `former`: what the logs before the current one commit to.
  Result<void> tidy(const CommittedFacts& committed, const std::set<Digest>& former);

  // Any executor from here on.
  awaitable<Result<Digest>> keep_fact(std::string subject, Json fact) override;
  awaitable<void> forget_fact(Digest commitment) override;
  // As api::Connector says.
  awaitable<Result<std::vector<std::uint64_t>>> erase(api::Erasure erasure);
  awaitable<Result<Json>> opening(std::uint64_t seq);

 private:
  struct Found {
    std::uint64_t seq = 0;
    Digest commitment{};
    std::string record;
  };
  Result<std::vector<Found>> records_of(const std::set<Digest>& commitments);
  Result<Found> record_at(std::uint64_t seq);
  template <class Job>
  auto off_loop(Job job) -> awaitable<decltype(job())>;

  custody::PrivateFacts& facts_;
  audit::LogAppender& log_;
  Clock& clock_;
  Random& random_;
  Worker& worker_;
  OpenLog open_log_;
};

}  // namespace tally::daemon
