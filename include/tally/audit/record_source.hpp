// Where the records that somebody asks about come from: a log's folder, or the records of one
// agreement that a bundle holds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tally/audit/log_storage.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/recovery.hpp"

namespace tally::audit {

// Hands out the records from this sequence number on, in order. Errors: of the storage.
using RecordSource = std::function<Result<void>(std::uint64_t from, const EachRecord& each)>;

// As for_each_record. The storage outlives the source.
RecordSource records_of(LogStorage& storage);
// Of these texts, in order; each is a record that view_record takes.
RecordSource records_of(std::vector<std::string> texts);

// A record that stands alone, seen as the log shows it: canonical, with the members that every
// record has. Its place in the chain is not looked at. The view points into `text`. Errors: invalid
// audit.record-malformed {byte, member}.
Result<RecordView> view_record(std::string_view text);

}  // namespace tally::audit
