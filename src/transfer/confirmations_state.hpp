// What the source files of Confirmations share.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/transfer/confirmations.hpp"

namespace tally::transfer {

// A confirmation: at the provider {duty, permission, action, at, confirmation, reference, salt}, at
// the consumer without the last two. State: confirmed, withdrawn.
constexpr std::string_view confirmation_kind = "duty_confirmation";
// A request: {duty, permission, action, since, said, app}. State: at the provider waiting, at the
// consumer asked; then approved, rejected or refused.
constexpr std::string_view request_kind = "consent_request";
// Of an agreement: {number, content} of the last note, sent or taken.
constexpr std::string_view number_kind = "duty_note_number";
// What messages about an agreement's duties are for.
constexpr std::string_view message_kind = "duty";

// No duty of it is confirmed or asked for any more.
inline bool is_over(const negotiation::Agreement& agreement) {
  return agreement.status == negotiation::AgreementStatus::expired ||
         agreement.status == negotiation::AgreementStatus::terminated;
}

// As precise as a record says it.
inline Instant in_micros(Instant at) {
  return {at.seconds, at.nanos - at.nanos % 1000};
}

inline std::optional<Instant> time_of(const Json& json, std::string_view member) {
  const auto time = parse_date_time(negotiation::text_of(json, member));
  return time ? std::optional(time->instant) : std::nullopt;
}

// What one decision changes, made durable as a whole by Confirmations::commit.
struct Confirmations::Change {
  AgreementId agreement;
  Transaction transaction;
  std::vector<audit::RecordDraft> drafts;
  std::vector<usage::DutyEvent> events;  // for the ledger, once it is durable
  audit::Priority priority = audit::Priority::ordinary;
};

// An agreement while something about its duties is being committed: its rows and the number of its
// notes are changed by one at a time.
class Confirmations::Busy {
 public:
  // Shares the ids: what waits is destroyed after the service where a process ends.
  Busy(std::shared_ptr<std::set<std::string>> ids, std::string id)
      : ids_(std::move(ids)), id_(std::move(id)) {
    mine_ = ids_->insert(id_).second;
  }
  ~Busy() {
    if (mine_) ids_->erase(id_);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  [[nodiscard]] bool mine() const { return mine_; }
  [[nodiscard]] static tl::unexpected<Error> elsewhere() {
    return fail(ErrorKind::unavailable, {"transfer.duty-busy", {}});
  }

 private:
  std::shared_ptr<std::set<std::string>> ids_;
  std::string id_;
  bool mine_ = false;
};

}  // namespace tally::transfer
