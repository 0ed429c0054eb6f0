// What `verify --deep` looks for beyond the chain: that each record reads as JSON and back to its
// own bytes, that its members have the form of section 3, and the rules between records that a log
// alone can show (docs/audit-log-format.md, "What verify says"). Keeps every use of the log in
// memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tally/audit/record.hpp"

#include "event_ids.hpp"
#include "json_rewrite.hpp"
#include "record_scan.hpp"

namespace tally::audit {

class DeepCheck {
 public:
  // The next record, whose chain is good. What is not as it must be: a sentence, and the link
  // "canonical", "form" or "rule".
  struct Fault {
    std::string link;
    Message message;
  };
  std::optional<Fault> take(const RecordView& record);
  // Agreements with records that were pruned: what these records said is not known any more, so the
  // rules between records are not asked of theirs.
  void skip_rules_of(std::set<std::string> agreements) { begun_ = std::move(agreements); }

 private:
  // One limit of an agreement, by the id of its rule.
  struct Limit {
    std::optional<std::int64_t> allowed;  // where this side owns it
    std::int64_t counted = 0;
  };
  // What a use adds to which limits. Most uses of an agreement add the same.
  using Adds = std::vector<std::pair<Limit*, std::int64_t>>;
  struct Use {
    const Adds* adds = nullptr;
    bool ended = false;
  };
  struct OfAgreement {
    bool closed = false;
    bool due = false;  // an obligation to destroy
    std::map<std::string, Limit, std::less<>> limits;
    std::map<std::string, Adds, std::less<>> adds;  // by the text of `rules`
    std::unordered_map<EventKey, Use, EventKeyHash> uses;
    std::set<std::string> started;   // transfers
    std::set<std::string> receipts;  // that are held
    // Duties that a rule waits for, and the confirmations of a duty that stand.
    std::map<std::string, std::set<std::string>> awaits, confirmed;
  };

  std::optional<Message> rule_broken(const RecordView& record, const RecordScan& scan);
  std::optional<Message> permit_broken(
      OfAgreement& of, const RecordView& record, const RecordScan& scan
  );
  std::optional<Message> end_broken(
      OfAgreement& of, const RecordView& record, const RecordScan& scan
  );

  std::unordered_map<std::string, OfAgreement> agreements_;
  std::set<std::string> begun_;
  JsonRewriter rewriter_;
};

}  // namespace tally::audit
