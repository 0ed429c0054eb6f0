// The records that a log has of one agreement, one line each, as its owner shows them to the other
// side, signed: what was done under the agreement in its own sequence, so that a gap shows. What
// the records say of persons, applications and purposes stays where they are.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/note.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/statement.hpp"

namespace tally::audit {

// The most of one page; a list of more goes on in the next.
constexpr std::size_t most_use_lines = 200;
constexpr std::size_t most_use_list_bytes = 256 << 10;

struct UseLine {
  std::uint64_t aseq = 0;
  std::uint64_t seq = 0;
  std::string leaf;  // hex
  std::string type;
  std::string time;
  // Of use.*: what was asked for; of use.denied the code of its reason; of use.executed over its
  // uses.
  std::string action;
  std::string code;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> rows;
  bool operator==(const UseLine&) const = default;
};
UseLine use_line(const RecordView& record);

struct UseList {
  AgreementId agreement;
  std::uint64_t from = 1;  // asked for: the first line has this aseq or a later one
  std::uint64_t last = 0;  // of the agreement in the log; 0: it has none
  std::vector<UseLine> lines;
  std::string origin;  // of the log, with its size and root when it was read
  std::uint64_t size = 0;
  Digest root{};

  [[nodiscard]] bool is_whole() const { return lines.empty() || lines.back().aseq >= last; }
  bool operator==(const UseList&) const = default;
};

// "tally/use-list/v1\n" JCS "\n", as a signed note. Errors: those of sign_note.
Result<std::string> sign_use_list(
    const UseList& list, const VerifierKey& key, const Signer& signer
);
// Lines ascend. Errors: those of open_signed_json, invalid audit.use-list-malformed.
Result<UseList> verify_use_list(std::string_view note, const VerifierKey& key);

// What the lines from..to add up to, as UseSums::add does over their records.
UseSums add_up(const std::vector<UseLine>& lines, std::uint64_t from, std::uint64_t to);

}  // namespace tally::audit
