// What the uses under one agreement add up to over a stretch of its records, as the side that
// served them states it to the other, signed. Anybody who has the records adds them up again.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "tally/audit/note.hpp"
#include "tally/audit/record.hpp"

namespace tally::audit {

// Records of one agreement, added up. Only `use.*` records count.
struct UseSums {
  std::uint64_t from = 0;  // aseq of the first and of the last record that the sums are about
  std::uint64_t to = 0;
  std::string since;  // time of the first and of the last record that counted; empty: none did
  std::string until;
  std::int64_t uses = 0;    // permitted less aborted
  std::uint64_t bytes = 0;  // handed out
  // Rows that were handed out, over the uses whose records say how many; nullopt: none does.
  std::optional<std::uint64_t> rows;
  std::map<std::string, std::uint64_t> refusals;  // by code

  // True when the record counts; then `to` is its aseq.
  bool add(const RecordView& record);
  [[nodiscard]] bool any() const { return !since.empty(); }
  // {aseq: {from, to}, bytes, period: {from, until}, refusals, uses}, and rows where they are
  // known: as records and notes have it.
  [[nodiscard]] Json to_json() const;
  bool operator==(const UseSums&) const = default;
};
// Errors: invalid audit.statement-malformed.
Result<UseSums> parse_use_sums(const Json& json);

struct Statement {
  AgreementId agreement;
  std::uint64_t number = 0;  // 1, 2, 3 … of this agreement, by this side
  UseSums sums;
  std::string origin;  // of the log, with its size and root when it was added up
  std::uint64_t size = 0;
  Digest root{};
  bool asserted = false;  // the agreement rests on the other side's word, in part or whole
  bool operator==(const Statement&) const = default;
};

// "tally/statement/v1\n" JCS "\n", as a signed note. Errors: those of sign_note.
Result<std::string> sign_statement(
    const Statement& statement, const VerifierKey& key, const Signer& signer
);
// Errors: those of open_signed_json, invalid audit.statement-malformed.
Result<Statement> verify_statement(std::string_view note, const VerifierKey& key);

}  // namespace tally::audit
