// The records of the enforcement point: how they are written and how they are read back
// (docs/audit-log-format.md). What the agreement fixes is not repeated in them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/record.hpp"
#include "tally/usage/enforcer.hpp"

#include "ledger.hpp"

namespace tally::usage {

// internal (usage.record-unreadable): a record of the log has no such member, or one of another
// form.
tl::unexpected<Error> unreadable(const audit::RecordView& record, std::string_view member);

// The words of ODRL without their namespace, everything else in full.
std::string short_action(std::string_view action);

// What a requester's key is known by: short, and of no use for guessing the key's content. Another
// requester, action or purpose makes another key.
std::string key_digest(const Act& act, std::string_view name);

// Everything of use.permitted that is known before the decision.
audit::RecordDraft permit_draft(
    const Act& act, const EventId& event, Instant at, const std::string& key
);
// The rest of it.
void set_rules(audit::RecordDraft& draft, const std::vector<odrl::Consume>& adds);

audit::RecordDraft denied_draft(
    const Act& act,
    const EventId& event,
    Instant at,
    const odrl::Decision& decision,
    const Message& code
);
audit::RecordDraft executed_draft(
    const AgreementId& agreement, const EventId& event, const std::vector<Completion>& uses
);
audit::RecordDraft aborted_draft(
    const AgreementId& agreement, const EventId& event, const std::string& use
);
audit::RecordDraft interrupted_draft(
    const AgreementId& agreement,
    const EventId& event,
    const std::string& use,
    const Session& session
);

// As to_string prints it.
std::optional<Closed> parse_closed(std::string_view text);

// use.permitted as it was written; no ticket: it is durable.
Result<UsePtr> read_permit(const audit::RecordView& record);
struct EndedUse {
  std::string use;
  Session session;
};
// use.aborted, use.interrupted: which use. use.executed: which uses.
Result<std::vector<EndedUse>> read_uses(const audit::RecordView& record);
// What a record of any type does to the ledger entry of its agreement; nullopt: nothing.
Result<std::optional<Closed>> read_ledger(const audit::RecordView& record);

}  // namespace tally::usage
