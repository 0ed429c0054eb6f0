// A copy of a log as it was at a moment, made beside the writer that goes on with it.
#pragma once

#include <optional>

#include "tally/audit/log_storage.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// Copies the files of `from` into the empty `to`, durable on return but for the folder's own name.
// With `at`, the log ends there: that many records, all of which are durable already. Head file and
// cosigned checkpoint know no more than that, as if the machine had stopped at that moment.
// Without, nobody writes to the log and it is copied as it is. Errors: unavailable
// (audit.copy-short: the records are not all there; audit.file-failed, also when a pruning took a
// segment away meanwhile).
Result<void> copy_log(LogStorage& from, LogStorage& to, const std::optional<LogMark>& at);

}  // namespace tally::audit
