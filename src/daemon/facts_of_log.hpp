// The facts beside the log and the records that commit to them, kept in step: a fact is durable
// before its record, `private.erased` before the fact goes, and a start ends what lies between.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tally/api/data_routes.hpp"
#include "tally/api/management_routes.hpp"
#include "tally/audit/appender.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/custody/private_facts.hpp"

namespace tally::daemon {

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

  // At start, blocking, in this order: `begin`, `see` for every record, `see_former` for each log
  // before the current one, `tidy`. Then whatever has no record, and whatever a record calls
  // erased, is destroyed.
  Result<void> begin();
  void see(const audit::RecordView& record);
  Result<void> see_former(audit::LogStorage& log);
  Result<void> tidy();

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
  std::map<Digest, std::set<std::uint64_t>> there_;  // until `tidy`: facts and their records
  std::set<std::uint64_t> erased_;                   // until `tidy`
};

}  // namespace tally::daemon
