#include "tally/audit/query.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/audit/recovery.hpp"

#include "contract_facts.hpp"
#include "reasons.hpp"
#include "record_scan.hpp"

namespace tally::audit {
namespace {

enum class Answer { no, yes, unknown };

Json member_of(const RecordView& record, std::string_view key) {
  const auto raw = record.raw(key);
  return raw.empty() ? Json() : Json::parse(raw, nullptr, false);
}

// What the record says itself, else what its contract says.
QueryRow row_of(const RecordView& record, const ContractFacts* contract) {
  QueryRow row;
  row.seq = record.seq;
  row.leaf = record.leaf;
  row.time = record.time;
  row.type = record.type;
  row.agreement = record.agreement;
  row.counterparty = party_of(member_of(record, "counterparty"));
  row.asset = unquote(record.raw("asset"));
  row.jurisdiction = unquote(record.raw("jurisdiction"));
  const Json level = member_of(record, "level");
  if (level.is_number_integer()) row.level = level.get<int>();
  const Json asset_class = member_of(record, "class");
  if (asset_class.is_string()) row.class_ = asset_class.get<std::string>();
  if (contract == nullptr) return row;
  if (row.counterparty.uri.empty()) row.counterparty = contract->counterparty;
  if (row.asset.empty()) row.asset = contract->asset;
  if (row.jurisdiction.empty()) row.jurisdiction = contract->jurisdiction;
  if (!row.level) row.level = contract->level;
  if (!row.class_) row.class_ = contract->class_;
  return row;
}

// Of level, class and jurisdiction: a record outside of every agreement is about no asset of one,
// so nothing is missing from it.
Answer rated(const Query& query, const QueryRow& row) {
  const Answer missing = row.agreement.empty() ? Answer::no : Answer::unknown;
  Answer answer = Answer::yes;
  const auto also = [&answer](Answer other) {
    if (answer == Answer::no || other == Answer::no) {
      answer = Answer::no;
    } else if (other == Answer::unknown) {
      answer = Answer::unknown;
    }
  };
  if (query.level_min) {
    also(!row.level ? missing : *row.level >= *query.level_min ? Answer::yes : Answer::no);
  }
  if (query.personal) {
    also(!row.class_ ? missing : is_personal(*row.class_) ? Answer::yes : Answer::no);
  }
  if (!query.home.empty()) {
    also(
        row.jurisdiction.empty()         ? missing
        : row.jurisdiction != query.home ? Answer::yes
                                         : Answer::no
    );
  }
  return answer;
}

}  // namespace

bool is_personal(std::string_view asset_class) {
  constexpr std::string_view word = "personal";
  if (!asset_class.starts_with(word)) return false;
  if (asset_class.size() == word.size()) return true;
  return std::string_view("/:.-").find(asset_class[word.size()]) != std::string_view::npos;
}

Result<QueryCount> query_log(
    LogStorage& log,
    std::uint64_t records,
    const Query& query,
    const std::function<void(const QueryRow&)>& each
) {
  // A pass of its own: the negotiation's records of an agreement stand before its contract.
  const auto contracts = read_contracts(log, records);
  if (!contracts) return tl::unexpected(contracts.error());
  // Records carry time in one form, so that its order is that of the texts.
  const std::string from = query.from ? format_micros(*query.from) : std::string();
  const std::string before = query.before ? format_micros(*query.before) : std::string();
  QueryCount count;
  const auto look = [&](const RecordView& record) {
    if (record.seq >= records) return;
    ++count.read;
    if (!query.types.empty() &&
        std::find(query.types.begin(), query.types.end(), record.type) == query.types.end()) {
      return;
    }
    if (!query.agreement.empty() && record.agreement != query.agreement) return;
    if (!from.empty() && record.time < from) return;
    if (!before.empty() && record.time >= before) return;
    const auto contract = contracts->find(record.agreement);
    QueryRow row = row_of(record, contract == contracts->end() ? nullptr : &contract->second);
    if (!query.party.empty() && row.counterparty.uri != query.party) return;
    const Json said = {{"reason", member_of(record, "reason")}};
    row.reasons = reasons_of(said);
    // The record does not repeat its agreement among the parameters; the sentence names it.
    for (Message& reason : row.reasons) {
      if (!row.agreement.empty()) reason.params.try_emplace("agreement", row.agreement);
    }
    if (!query.reason.empty() &&
        std::none_of(row.reasons.begin(), row.reasons.end(), [&](const Message& reason) {
          return reason.code == query.reason;
        })) {
      return;
    }
    switch (rated(query, row)) {
      case Answer::no:
        return;
      case Answer::unknown:
        ++count.undecided;
        return;
      case Answer::yes:
        break;
    }
    ++count.matched;
    each(row);
  };
  auto read = for_each_record(log, 0, look);
  if (!read) return fail(std::move(read));
  return count;
}

}  // namespace tally::audit
