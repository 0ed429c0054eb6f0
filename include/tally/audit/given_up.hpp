// A log that must not be extended any more: the proofs of what it has lost, kept beside it from the
// moment that somebody showed them, and what is said of it in the first record of the next one.
//
// Free functions; they block for the disk.
#pragma once

#include <string>
#include <vector>

#include "tally/audit/key_rotation.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/recovery.hpp"

namespace tally::audit {

// Somebody's copy of a checkpoint that our log signed and that its records do not lead to.
struct ProofOfLoss {
  std::string note;
  // Its key may be one that a record names which was lost too: the notes of all rotations that were
  // shown with it. Empty: none are needed.
  std::vector<std::string> rotations;
};

// Writes it into the folder of the log, named by size and root; durable on return. One that is
// there already stays. Errors: invalid (it is no checkpoint), and those of LogStorage.
Result<void> keep_proof(LogStorage& storage, const ProofOfLoss& proof);

struct GivenUp {
  Genesis genesis;
  Follows follows;
};
// What can be said of the log in this folder, from its files alone: how far its records are good,
// and the proofs beside it that still hold: signed by this log, and of more records than it has or
// of others. Reads only. Errors: not_found audit.log-missing; invalid audit.log-unnumbered (an
// origin without a number has no next one); unavailable.
Result<GivenUp> give_up(LogStorage& storage);

}  // namespace tally::audit
