// The life of one agreement as its records tell it, from one log or from both sides' logs in order
// of time. Reads only; what it says is as good as the logs, so callers verify them first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tally/audit/log_storage.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

struct StoryRow {
  std::string time;     // as recorded
  std::size_t log = 0;  // index into Story::logs
  std::uint64_t seq = 0;
  std::string type;
  Message summary;               // one sentence per type: audit.story-<type>
  std::vector<Message> reasons;  // why, where the record says so: of a refusal, an end, a failure
};

struct StoryLog {
  std::string origin;
  PartyId actor;
  std::string role;  // "provider" or "consumer" of this agreement; empty when the log does not say
  bool test = false;
};

struct Story {
  std::vector<StoryLog> logs;
  std::vector<StoryRow> rows;  // by time, then log, then seq
};

// Offer, contract, transfers, receipts, uses, refusals, expiry, destruction: the records of the
// agreement, of the negotiation that led to it (same pid), and the offer's own. Errors: not_found
// audit.agreement-unknown when no log names it.
Result<Story> tell_story(const std::vector<LogStorage*>& logs, const AgreementId& agreement);

// "sha256:<64>" shortened for a line that people read, anything else as it is: digests differ in
// their first digits or not at all. The record has it whole.
std::string short_digest(const std::string& text);

}  // namespace tally::audit
