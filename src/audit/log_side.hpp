// What one log says of the agreements that it shares with another: one half of a reconciliation.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tally/audit/record_source.hpp"
#include "tally/core/result.hpp"

#include "contract_facts.hpp"

namespace tally::audit {

// A record of a transfer, a receipt or a key that was given for one.
struct Event {
  std::string type;
  std::uint64_t seq = 0;
  std::string time;
  std::string pid;
  std::string peer_pid;
  std::string content;
  std::string bytes;
  std::string receipt;
  bool of_deletion = false;
};

// A record of the other log as a record of this one names it.
struct Seen {
  std::uint64_t seq = 0;
  std::string leaf;
  std::string agreement;
  std::string pid;
};

// A statement of uses as one log has it.
struct StatementEvent {
  bool held = false;  // else issued
  std::uint64_t number = 0;
  std::string content;
  std::string sums;  // canonical JSON
};

// What one log says of all its agreements.
struct LogSide {
  std::string origin;
  std::string uri;
  std::map<std::string, ContractFacts> contracts;
  std::map<std::string, std::vector<Event>> events;               // by agreement
  std::map<std::string, std::vector<StatementEvent>> statements;  // by agreement
  std::map<std::string, std::uint64_t> aseq;                      // the last one
  std::map<std::string, std::vector<std::string>> gaps;           // "3 5": 5 follows 3
  std::map<std::string, std::vector<Seen>> seen;                  // by origin
};

// Reads the log once. Memory grows with its transfers and agreements, not with its uses.
Result<LogSide> read_side(const RecordSource& log);

// What the records of each of the log's own statements add up to, in canonical JSON, by agreement
// and number: to be compared with what was stated.
Result<std::map<std::string, std::map<std::uint64_t, std::string>>> sums_of_statements(
    const RecordSource& log, const LogSide& side
);

// The leaf (hex) of each of these records; empty where the log ends before it.
Result<std::map<std::uint64_t, std::string>> leaves_at(
    const RecordSource& log, const std::vector<Seen>& seen
);

}  // namespace tally::audit
