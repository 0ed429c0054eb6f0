// Puts a masked copy in the place of what is held, when a policy wants that after a use.
//
// The order: `obligation.due` and the row of the copy (staged) → the copy, encrypted under a key of
// its own and durable → one commit: the copy held, the original being destroyed, and
// `process.executed`, which names both. From there on the original goes as everything that is
// destroyed (keeper.hpp): its key shredded, its files unlinked, `data.destroyed`. A crash before
// that commit leaves the original, and the next look begins again; after it, the copy alone can be
// read. Home executor.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/dataplane/shape.hpp"

namespace tally::custody {

// In what form a copy is to be: `form` is Holding::form of it.
struct FormAtRest {
  dataplane::ShapePtr shape;
  Json form;
};

// What the masks of an agreement are, as who knows its policy and the secret for pseudonyms says.
class MasksAtRest {
 public:
  virtual ~MasksAtRest() = default;
  // Those that are still to be done to it; none for what was derived.
  virtual std::vector<RuleId> masks_of(const Holding& holding) = 0;
  // Errors: why it cannot be made (dataplane.shape-*).
  virtual Result<FormAtRest> form_of(const Holding& holding, const std::vector<RuleId>& duties) = 0;
};

class Masker {
 public:
  // The copy that stands in the place of an original.
  struct Masked {
    ArtefactId copy;
    // It is written and committed, and why nobody can read it before the next start.
    std::optional<Error> unreadable;
  };

  // `record_bytes`: Limits::record_bytes.
  Masker(
      Custody& custody,
      Holdings& holdings,
      Clock& clock,
      Random& random,
      MasksAtRest& masks,
      std::size_t record_bytes
  );

  std::vector<RuleId> masks_of(const Holding& holding) { return masks_.masks_of(holding); }
  // Makes the copy and puts it in the place of `original`, which is being destroyed on return.
  // Errors: those of MasksAtRest::form_of; of the data, which may not fit their schema; conflict:
  // the original is not as it was; unavailable. Nothing changed then. Durable on return.
  awaitable<Result<Masked>> rewrite(Holding original, std::vector<RuleId> duties);

  // After Custody::recover and Holdings::load: removes copies that a stop left unfinished.
  awaitable<Result<void>> tidy();

 private:
  awaitable<Result<Holding>> write(Holding copy, Holding original, FormAtRest form);
  awaitable<void> drop(ArtefactId copy);

  Custody& custody_;
  Holdings& holdings_;
  Clock& clock_;
  Random& random_;
  MasksAtRest& masks_;
  const std::size_t record_bytes_;
};

}  // namespace tally::custody
