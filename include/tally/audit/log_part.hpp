// A part of the connector's state that is the sum of the records of its log and of nothing else.
// Each start makes it again: from the snapshot, as far as one goes, and from the records behind it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "tally/audit/record.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

// Before anything is served, from one thread.
class LogPart {
 public:
  using Item = std::function<void(Json item)>;

  virtual ~LogPart() = default;

  // Its name in snapshots; never changes.
  [[nodiscard]] virtual std::string_view part_name() const = 0;
  // Each record of the log, in order. Errors: internal; do not start.
  virtual Result<void> replay(const RecordView& record) = 0;
  // What was replayed, as JSON values, in an order that depends on nothing else: the same records
  // make the same items. Only for a part that did nothing but replay: what a running connector has
  // queued is no record yet.
  virtual void save(const Item& item) const = 0;
  // Takes one of the items that `save` gave, in their order, before any record. Errors: invalid
  // audit.snapshot-malformed; the part is of no use then.
  virtual Result<void> restore(const Json& item) = 0;
};

// All parts of one connector, as before the first record.
class LogParts {
 public:
  virtual ~LogParts() = default;
  [[nodiscard]] virtual std::vector<LogPart*> all() = 0;
};
using MakeLogParts = std::function<std::unique_ptr<LogParts>()>;

// What `restore` answers to an item that is none.
tl::unexpected<Error> malformed_item(std::string_view part);

}  // namespace tally::audit
