// The records of a log that an auditor asks for. What an agreement fixes stands once in its
// `contract.finalized` and counts for every record under it, unless the record itself says
// otherwise. Reads only, without a lock, also beside a running writer; what it says is as good as
// the log, so callers verify that first.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/log_storage.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

// Every condition that is set must hold.
struct Query {
  std::vector<std::string> types;  // any of them; empty: every type
  std::string agreement;
  std::string party;              // URI of the counterparty
  std::string reason;             // a code, as the record gives it
  std::optional<int> level_min;   // security level of the asset
  bool personal = false;          // class of the asset: see is_personal
  std::string home;               // jurisdiction; asks for counterparties of another one
  std::optional<Instant> from;    // at or after
  std::optional<Instant> before;  // and before
};

// "personal", alone or with a division of it behind ("personal/health", "personal:staff").
bool is_personal(std::string_view asset_class);

struct QueryRow {
  std::uint64_t seq = 0;
  Digest leaf{};
  std::string time;
  std::string type;
  std::string agreement;
  PartyId counterparty;
  std::vector<Message> reasons;
  std::string asset;
  std::optional<int> level;
  std::optional<std::string> class_;
  std::string jurisdiction;  // of the counterparty
};

struct QueryCount {
  std::uint64_t read = 0;     // records of the log
  std::uint64_t matched = 0;  // rows handed out
  // Records of an agreement that meet every other condition, of which the log does not say the
  // level, class or jurisdiction asked for. They are not among the rows, and might belong there.
  std::uint64_t undecided = 0;
};

// Hands out what matches, in the order of the log. Memory grows with the number of agreements, not
// of records. `records`: how many of the log to look at, from the first on. Errors: of the storage.
Result<QueryCount> query_log(
    LogStorage& log,
    std::uint64_t records,
    const Query& query,
    const std::function<void(const QueryRow&)>& each
);

}  // namespace tally::audit
