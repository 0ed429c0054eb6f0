#include "contract_facts.hpp"

#include <nlohmann/json.hpp>

#include "tally/audit/recovery.hpp"

namespace tally::audit {
namespace {

std::string text_in(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

PartyId party_of(const Json& value) {
  if (!value.is_object()) return {};
  return {text_in(value, "domain"), text_in(value, "uri")};
}

ContractFacts contract_facts(const Json& finalized, std::uint64_t seq) {
  ContractFacts facts;
  facts.seq = seq;
  facts.role = text_in(finalized, "role");
  facts.counterparty = party_of(finalized.value("counterparty", Json()));
  facts.pid = text_in(finalized, "pid");
  facts.asset = text_in(finalized, "asset");
  facts.offer = text_in(finalized, "offer");
  facts.policy = text_in(finalized, "policy");
  const auto level = finalized.find("level");
  if (level != finalized.end() && level->is_number_integer()) {
    facts.level = level->get<int>();
    // Who knows the level knows the class too: none was given.
    facts.class_ = std::string();
  }
  if (auto given = text_in(finalized, "class"); !given.empty()) facts.class_ = std::move(given);
  facts.jurisdiction = text_in(finalized, "jurisdiction");
  return facts;
}

Result<std::map<std::string, ContractFacts>> read_contracts(LogStorage& log, std::uint64_t end) {
  std::map<std::string, ContractFacts> contracts;
  const auto each = [&](const RecordView& record) {
    if (record.type != "contract.finalized" || record.seq >= end) return;
    contracts.try_emplace(record.agreement, contract_facts(record.json(), record.seq));
  };
  auto read = for_each_record(log, 0, each);
  if (!read) return fail(std::move(read));
  return contracts;
}

}  // namespace tally::audit
