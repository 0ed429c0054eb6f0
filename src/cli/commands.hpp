// The operator's commands: each is one or two calls of the management API, shown as a person reads
// it or, with --json, as it came.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tally/core/ids.hpp"

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

int status(const Console& console, Management& api);
int reload(const Console& console, Management& api);
struct CatalogOptions {
  PartyId peer;
  std::vector<std::string> keywords;  // all of them
  bool follow = false;                // nested catalogues too
};
int catalog(const Console& console, Management& api, const CatalogOptions& options);

struct NegotiateOptions {
  PartyId peer;
  std::string asset;  // of the peer; empty: it is offered `offer` of ours
  std::string offer;  // empty: the asset's first
  std::vector<std::string> purposes;
  int wait_seconds = 30;
};
// Waits until the negotiation has ended; exit 1 with the reason when it was refused.
int negotiate(const Console& console, Management& api, const NegotiateOptions& options);

// An agreement that was made elsewhere, from a file; `role` is ours: consumer or provider.
int import_agreement(
    const Console& console,
    Management& api,
    const PartyId& peer,
    const std::string& role,
    const std::string& file
);

// Waits until the data is in custody; exit 1 with the reason when it is not.
int transfer(
    const Console& console, Management& api, const std::string& agreement, int wait_seconds
);

// One order to a transfer that runs. `move`: suspension, resumption, completion or termination, as
// the API spells it.
struct MoveOptions {
  std::string id;
  std::string move;
  std::string reason;  // told to the peer; empty: none
};
int move_transfer(const Console& console, Management& api, const MoveOptions& options);

struct ReadOptions {
  std::string agreement;
  std::string purpose;
  std::string key;   // Idempotency-Key
  std::string file;  // where the data goes; empty: standard output
};
int read(const Console& console, Management& apps, const ReadOptions& options);

// One kind of thing: all of them as a table, or one by its id.
int list(const Console& console, Management& api, const std::string& kind, const std::string& id);
// A new key for the log of a running connector.
int rotate_log_key(const Console& console, Management& api, std::int64_t overlap_seconds);
// Drops what is past its term from the log of a running connector.
int prune_log(const Console& console, Management& api);
int agreement_history(const Console& console, Management& api, const std::string& id);
int terminate(
    const Console& console, Management& api, const std::string& agreement, const std::string& reason
);

struct AppOptions {
  std::string id;
  std::vector<std::string> purposes;
  std::vector<std::string> roles;
  std::vector<std::string> agreements;
};
int add_app(const Console& console, Management& api, const AppOptions& options);
int remove_app(const Console& console, Management& api, const std::string& id);

struct DecideOptions {
  std::string agreement;
  std::string app;
  std::string purpose;
};
int decide(const Console& console, Management& api, const DecideOptions& options);

int advance_clock(const Console& console, Management& api, std::int64_t seconds);

}  // namespace tally::cli
