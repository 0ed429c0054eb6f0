// Writing a bundle: from the log and the store of a connector's folder, beside a running connector
// too. Reads only.
#pragma once

#include <cstdint>

#include "tally/audit/log_storage.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/store.hpp"
#include "tally/evidence/bundle.hpp"

namespace tally::evidence {

struct Collected {
  Bundle bundle;
  std::uint64_t records = 0;  // of the agreement that are in it
  std::uint64_t behind = 0;   // of the agreement that no checkpoint covers yet: not in it
  bool heads = false;         // that these are all up to a size is in it
};

// The same log and store give the same bytes. Everything rests on one checkpoint: the newest that a
// witness cosigned if it covers all of the agreement with its heads, else the one released last. Of
// cosignatures only those of the other party and of witnesses that the operator named are taken: a
// third party's would name it. Reads the log twice; memory grows with the agreement's records and
// the number of the log's agreements. Errors: those of read_checkpoint, prove_record and the store;
// not_found evidence.agreement-unknown, conflict evidence.agreement-unlogged (no checkpoint covers
// any of its records).
Result<Collected> collect(audit::LogStorage& log, Store& store, const AgreementId& agreement);

}  // namespace tally::evidence
