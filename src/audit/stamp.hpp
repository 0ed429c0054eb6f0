// Splices what the writer alone knows into a draft, in key order. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tally/audit/record.hpp"

namespace tally::audit {

struct Stamp {
  std::string_view log;  // as a canonical string, with quotes
  std::uint64_t seq = 0;
  std::string_view time;
  std::string_view prev;   // hex
  std::uint64_t aseq = 0;  // 0: the draft is about no agreement
  std::string_view aprev;  // hex
  std::string_view clock;  // empty: nothing to say about the clock
};

// At most this much is added to RecordDraft::bytes(), beside the log's name.
constexpr std::size_t stamp_most_bytes = 320;

void append_record(std::string& out, const RecordDraft& draft, const Stamp& stamp);
void append_hex(std::string& out, const Digest& digest);
// Whether a text is what append_hex writes.
bool is_hex_of(std::string_view text, const Digest& digest);

}  // namespace tally::audit
