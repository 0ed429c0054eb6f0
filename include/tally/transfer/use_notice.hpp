// A signed note that tells a party of uses under an agreement (docs/peer-api.md, "Notices of
// uses"): what the duty `inform` asks for. Pure; values and free functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/note.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::transfer {

// So that a note stays below what one may hold.
inline constexpr std::size_t uses_per_notice = 32;

// A use that is over, by the record of its permit.
struct ToldUse {
  UseId use;
  std::string action;
  std::string time;       // of the permit
  std::uint64_t seq = 0;  // of its record
  std::string leaf;       // hex
  bool operator==(const ToldUse&) const = default;
};

struct UseNotice {
  AgreementId agreement;
  RuleId duty;
  std::string origin;  // of the log that has the records
  std::string time;    // when it was signed
  std::vector<ToldUse> uses;
  bool operator==(const UseNotice&) const = default;
};

Json to_json(const ToldUse& use);

// "tally/use-notice/v1\n" JCS "\n", as a signed note. Errors: those of sign_note.
Result<std::string> sign_use_notice(
    const UseNotice& notice, const audit::VerifierKey& key, const audit::Signer& signer
);
// Between one use and uses_per_notice. Errors: those of open_signed_json, invalid
// transfer.note-malformed.
Result<UseNotice> verify_use_notice(std::string_view note, const audit::VerifierKey& key);

}  // namespace tally::transfer
