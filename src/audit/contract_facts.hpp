// What an agreement fixes, as its `contract.finalized` record says it once for all records under it
// (docs/audit-log-format.md). Readers of a log join on `agreement`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tally/audit/log_storage.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

struct ContractFacts {
  std::uint64_t seq = 0;  // of the record that says it
  std::string role;       // of the log's owner
  PartyId counterparty;
  std::string pid;
  std::string asset;
  std::string offer;
  std::string policy;        // "sha256:<hex>"
  std::optional<int> level;  // nothing: the record does not say; as with the two below
  std::optional<std::string> class_;
  std::string jurisdiction;  // of the counterparty
};

// {domain, uri}; empty where `value` is anything else.
PartyId party_of(const Json& value);

ContractFacts contract_facts(const Json& finalized, std::uint64_t seq);

// By agreement; the first record of an agreement counts. Reads up to record `end`, which stays out.
Result<std::map<std::string, ContractFacts>> read_contracts(LogStorage& log, std::uint64_t end);

}  // namespace tally::audit
