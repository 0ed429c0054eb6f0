// Answers queries about groups (docs/aggregates.md): who asks was found out and the query was read;
// here the use is authorised, the numbers are computed, held against what the participant was told
// before, remembered, and only then given back.
//
// In this order, and never in another: the permit is durable in the log; the sets of rows of which
// something is told are durable in the store and the record of it in the log; the numbers leave. A
// crash in between counts a use, or remembers what nobody was told, never the reverse.
//
// Home executor only. One query at a time for a participant and asset; others wait.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "tally/aggregates/group_terms.hpp"
#include "tally/aggregates/query.hpp"
#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/runs.hpp"
#include "tally/core/store.hpp"
#include "tally/dataplane/shape.hpp"
#include "tally/dataplane/source.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::aggregates {

struct AggregatesParts {
  Store& store;
  audit::Journal& journal;
  usage::Enforcer& enforcer;
  Clock& clock;
  Timers& timers;
  Worker& worker;
  Random& random;
  const Limits& limits;
};

// One query under an agreement.
struct Ask {
  usage::Act act;  // of the action `aggregate`, with everything but `repeats`
  Query query;
  std::unique_ptr<dataplane::Source> source;
  std::optional<catalog::Schema> schema;  // of the source; nullopt: nobody can look into it
  std::shared_ptr<const dataplane::PseudonymKeys> keys;
};

// The numbers. Whoever holds it calls Enforcer::complete with the grant.
struct Answer {
  usage::Grant grant;
  std::string body;       // JSON
  bool repeated = false;  // was given before, and is free
};
// The protection of groups, or a budget, says no to what the data would have been. Recorded; the
// use counts and is complete, since the refusal tells something too.
struct Withheld {
  Message reason;
  UseId use;
};
using Answered = std::variant<Answer, Withheld, usage::Refusal>;

class Aggregates {
 public:
  explicit Aggregates(AggregatesParts parts);
  ~Aggregates();

  // An answer's rows and record are durable on return. Errors, of which only the last costs a use:
  //   not_found    usage.unknown-agreement
  //   invalid, forbidden    what bind() has against the query; too many rows, groups or cells;
  //                aggregates.too-much
  //   conflict     aggregates.terms-changed: ask again
  //   unavailable  those of source and data; aggregates.busy
  //   unavailable  those of Journal::commit: nothing was told, though it may be remembered
  awaitable<Result<Answered>> answer(Ask ask);

 private:
  struct Work;
  awaitable<Result<Runs::Run>> turn(std::string scope);
  awaitable<Result<Answered>> repeat(Ask ask, Row known);
  awaitable<Result<Answered>> refuse(usage::Act act, std::optional<Message> reason);
  awaitable<Result<Answered>> compute(Ask ask, std::unique_ptr<Work> work);
  awaitable<Result<Answered>> settle(Ask ask, std::unique_ptr<Work> work, usage::Grant grant);

  AggregatesParts parts_;
  Runs runs_;
};

}  // namespace tally::aggregates
