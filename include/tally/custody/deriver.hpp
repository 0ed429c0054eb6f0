// Takes what an application made of held data into custody, bound by the terms of every agreement
// whose data it was made from: it is read, exported and destroyed by the strictest of them.
//
// The order: its row (staged) → the bytes, encrypted and durable → one `process.executed` for each
// agreement and the row (held), in one commit → it may be read. A crash anywhere before that commit
// leaves nothing. Home executor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"

namespace tally::custody {

struct Derivation {
  // What the grant of an act `derive` under one agreement says: at least one.
  struct Input {
    AgreementId agreement;
    AssetId asset;
    PartyId provider;
    std::string content;  // of what is held under it
    UseId use;            // of the act
  };
  std::vector<Input> inputs;
  AppId app;
  std::string media_type;
  std::string bytes;
};

class Deriver {
 public:
  Deriver(Custody& custody, Holdings& holdings, Clock& clock, Random& random);

  struct Kept {
    Holding row;
    // Why it cannot be read yet, though it is held and recorded: the same again, or the next start,
    // makes it readable.
    std::optional<Error> unreadable;
  };
  // Durable, held and recorded on return. The same first use again answers what came of it. Errors,
  // after which nothing is held or recorded: conflict (custody.derived-other: that use gave other
  // bytes; custody.already-destroyed: one of the agreements ended meanwhile), unavailable.
  awaitable<Result<Kept>> keep(Derivation derivation);

  // After Holdings::load and Keeper::start: removes what a stop left unfinished.
  awaitable<Result<void>> tidy();

 private:
  awaitable<Kept> make_readable(Holding row);

  Custody& custody_;
  Holdings& holdings_;
  Clock& clock_;
  Random& random_;
};

}  // namespace tally::custody
