// What the log says of the custody: which artefacts were destroyed, and under which wrapping key
// everything lies. The log is the authority: a database or a key ring that says otherwise is an
// older copy.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tally/audit/log_part.hpp"
#include "tally/custody/holdings.hpp"

namespace tally::custody {

class CustodyRecords final : public audit::LogPart {
 public:
  // Whether a `data.destroyed` of the log is of this holding.
  [[nodiscard]] bool destroyed(const Holding& holding) const;
  // The name of the wrapping key that the last rotation made current; empty: there was none.
  [[nodiscard]] const std::string& current_key() const { return current_key_; }
  // Whether a rotation of the log took the place of the wrapping key of this name.
  [[nodiscard]] bool replaced(const std::string& key) const { return replaced_.contains(key); }

  // --- audit::LogPart ---
  [[nodiscard]] std::string_view part_name() const override { return "custody"; }
  Result<void> replay(const audit::RecordView& record) override;
  void save(const Item& item) const override;
  Result<void> restore(const Json& item) override;

 private:
  using AgreementContent = std::pair<std::string, std::string>;
  std::set<std::string> artefacts_;
  // Of records from before they named artefacts: what was received until then is meant.
  std::map<AgreementContent, Instant> contents_;
  std::string current_key_;
  std::set<std::string> replaced_;
};

}  // namespace tally::custody
