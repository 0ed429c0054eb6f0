// Every type of record that a log may hold, with the members it must carry. One table: the writer
// refuses a draft that does not keep to it, `verify` checks it again. Pure.
#pragma once

#include <string_view>
#include <vector>

namespace tally::audit {

struct RecordType {
  std::string_view name;
  // Members beyond v, log, seq, time, prev, type, event, which every record has. "agreement" here
  // means that the record continues an agreement's own sequence.
  std::vector<std::string_view> required;
  // What the writer demands beyond that. Logs of earlier versions lack these, so `verify` does not
  // ask for them.
  std::vector<std::string_view> also = {};
};

// Sorted by name.
const std::vector<RecordType>& record_types();
// Null when there is no such type.
const RecordType* find_record_type(std::string_view name);

// Whether a record of this type leaves a new `log.heads` due: nothing but that record itself and
// what witnessing others leaves may follow it, or two logs that witness each other never rest.
bool heads_due_after(std::string_view type, bool due_before);

// The members that only the writer stamps.
bool is_stamped(std::string_view key);

}  // namespace tally::audit
