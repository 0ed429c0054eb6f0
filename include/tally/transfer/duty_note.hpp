// What a provider tells its consumer of a duty, as a note that it signs with its contract key
// (docs/peer-api.md, "Duties that are confirmed"). Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/usage/duties.hpp"

namespace tally::transfer {

constexpr std::size_t most_duty_said_bytes = 400;

struct DutyNote {
  AgreementId agreement;
  std::string to;            // URI of the consumer
  std::uint64_t number = 0;  // each note under an agreement has a higher one than those before
  usage::DutyChange what = usage::DutyChange::confirmed;  // or withdrawn, or rejected
  RuleId duty;
  Instant time;              // of the note
  Instant at;                // when it was done; of the others when that was decided
  std::string confirmation;  // "sha256:…"; of a rejection empty
  std::string request;       // the consumer's request that this answers, or empty
  std::string said;          // to a rejection, for people; at most most_duty_said_bytes
  bool operator==(const DutyNote&) const = default;
};

// "tally/duty/v1\n" JCS "\n", as a signed note; `name` is the provider's SAN URI.
Result<std::string> sign_duty_note(
    const DutyNote& note, std::string_view name, const identity::ContractSigner& signer
);
// Errors: invalid: audit.note-*, transfer.note-malformed.
Result<DutyNote> verify_duty_note(
    std::string_view note, std::string_view name, std::span<const std::uint8_t> public_key
);

}  // namespace tally::transfer
