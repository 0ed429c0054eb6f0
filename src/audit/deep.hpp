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

#include "tally/audit/record.hpp"

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

 private:
  // One use: what it adds to which limit, and what came of it.
  struct Use {
    std::map<std::string, std::int64_t> adds;
    bool ended = false;
  };
  struct OfAgreement {
    bool closed = false;
    bool due = false;                             // an obligation to destroy
    std::map<std::string, std::int64_t> allowed;  // of the limits that this side owns
    std::map<std::string, std::int64_t> counted;
    std::unordered_map<std::string, Use> uses;
    std::set<std::string> started;   // transfers
    std::set<std::string> receipts;  // that are held
  };

  std::optional<Message> rule_broken(const RecordView& record, const Json& json);
  std::optional<Message> permit_broken(OfAgreement& of, const RecordView& record, const Json& json);
  std::optional<Message> end_broken(OfAgreement& of, const RecordView& record, const Json& json);

  std::unordered_map<std::string, OfAgreement> agreements_;
};

}  // namespace tally::audit
