#include "duty_book.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/canonical_value.hpp"
#include "tally/odrl/terms.hpp"

#include "use_records.hpp"

namespace tally::usage {
namespace {

struct ChangeWord {
  DutyChange what;
  std::string_view type;
};
constexpr auto record_types = std::to_array<ChangeWord>({
    {DutyChange::confirmed, "duty.confirmed"},
    {DutyChange::withdrawn, "duty.withdrawn"},
    {DutyChange::asked, "consent.asked"},
    {DutyChange::rejected, "consent.rejected"},
    {DutyChange::violated, "obligation.violated"},
    {DutyChange::fulfilled, "obligation.fulfilled"},
});

bool is_confirmed_action(std::string_view action) {
  return action == odrl::local_name(odrl::iri::compensate) ||
         action == odrl::local_name(odrl::iri::obtain_consent);
}

// How long a confirmation is good for; nullopt: until it is withdrawn.
std::optional<XsdDuration> period_of(const odrl::Obligation& duty) {
  for (const auto& one : duty.parameters) {
    if (odrl::local_name(one.operand) != "paidWithin" || one.values.empty()) continue;
    if (const auto* span = std::get_if<XsdDuration>(&one.values.front())) return *span;
  }
  return std::nullopt;
}

// nullopt: none that passes while the agreement is in force.
std::optional<Instant> deadline_of(const odrl::Obligation& duty, Instant owed) {
  switch (duty.deadline) {
    case odrl::DeadlineKind::after_use:
      return add(owed, duty.after);
    case odrl::DeadlineKind::at_once:
      return owed;
    case odrl::DeadlineKind::at_instant:
      return duty.at;
    case odrl::DeadlineKind::when_expired:
      break;
  }
  return std::nullopt;
}

Json save_time(const std::optional<Instant>& at) {
  if (!at) return nullptr;
  return Json::array({at->seconds, at->nanos});
}

std::optional<Instant> read_time(const Json& saved) {
  if (saved.is_null()) return std::nullopt;
  return Instant{saved.at(0).get<std::int64_t>(), saved.at(1).get<std::int32_t>()};
}

}  // namespace

std::string_view to_string(DutyStanding standing) {
  constexpr auto words = std::to_array<std::string_view>(
      {"due", "not-due", "confirmed", "withdrawn", "lapsed", "overdue"}
  );
  return words[static_cast<std::size_t>(standing)];
}

const Confirmation* DutyState::find(std::string_view confirmation) const {
  const auto found = std::ranges::find(confirmations, confirmation, &Confirmation::id);
  return found == confirmations.end() ? nullptr : &*found;
}

audit::RecordDraft draft_of(
    const AgreementId& agreement, const DutyEvent& change, std::string_view action, EventId event
) {
  const auto what = change.what;
  audit::RecordDraft draft(
      what == DutyChange::confirmed   ? "duty.confirmed"
      : what == DutyChange::withdrawn ? "duty.withdrawn"
      : what == DutyChange::asked     ? "consent.asked"
      : what == DutyChange::rejected  ? "consent.rejected"
      : what == DutyChange::violated  ? "obligation.violated"
                                      : "obligation.fulfilled",
      event
  );
  draft.about(agreement).set("rule", change.duty.value).set("action", odrl::local_name(action));
  draft.set("at", format_micros(change.at));
  if (!change.permission.empty()) draft.set("permission", change.permission.value);
  if (!change.confirmation.empty()) draft.set("confirmation", change.confirmation);
  return draft;
}

Result<std::optional<DutyEvent>> read_duty_event(const audit::RecordView& record) {
  const auto type = std::ranges::find(record_types, record.type, &ChangeWord::type);
  if (type == record_types.end()) return std::nullopt;
  // Of the duties that a connector carries out by itself its keeper knows.
  if (!is_confirmed_action(audit::unquote(record.raw("action")))) return std::nullopt;
  DutyEvent change;
  change.what = type->what;
  change.duty = RuleId(audit::unquote(record.raw("rule")));
  if (change.duty.empty()) return unreadable(record, "rule");
  change.permission = RuleId(audit::unquote(record.raw("permission")));
  change.confirmation = audit::unquote(record.raw("confirmation"));
  const bool named = change.what == DutyChange::confirmed || change.what == DutyChange::withdrawn;
  if (named && change.confirmation.empty()) return unreadable(record, "confirmation");
  const auto at = parse_date_time(audit::unquote(record.raw("at")));
  if (!at) return unreadable(record, "at");
  change.at = at->instant;
  return change;
}

void DutyBook::know(const odrl::CompiledPolicy& policy, std::string party, std::string target) {
  duties_.clear();
  for (auto& duty : odrl::confirmed_duties(policy)) {
    const auto same = std::ranges::find(duties_, duty.duty, &odrl::Obligation::duty);
    if (same == duties_.end()) {
      duties_.push_back(std::move(duty));
    } else {
      same->permission = RuleId();  // one duty of several permissions
    }
  }
  party_ = std::move(party);
  target_ = std::move(target);
  refresh();
}

bool DutyBook::owes_after() const {
  return std::ranges::any_of(duties_, [](const odrl::Obligation& duty) {
    return duty.phase == odrl::Phase::after;
  });
}

const DutyBook::Kept* DutyBook::Duty::latest() const {
  const Kept* found = nullptr;
  for (const auto& one : confirmations) {
    if (one.said.withdrawn) continue;
    if (found == nullptr || one.said.at >= found->said.at) found = &one;
  }
  return found;
}

std::optional<Instant> DutyBook::Duty::owed_since(const UsesOf& uses) const {
  return latest() != nullptr ? owed : uses.uses_of(permission).first;
}

DutyBook::Duty& DutyBook::of(const DutyEvent& change) {
  const auto found = std::ranges::find(known_, change.duty, &Duty::id);
  if (found != known_.end()) return *found;
  known_.push_back({});
  known_.back().id = change.duty;
  known_.back().permission = change.permission;
  return known_.back();
}

const DutyBook::Duty* DutyBook::find(const RuleId& id) const {
  const auto found = std::ranges::find(known_, id, &Duty::id);
  return found == known_.end() ? nullptr : &*found;
}

void DutyBook::apply(const DutyEvent& change, const UsesOf& uses) {
  Duty& duty = of(change);
  const auto kept = std::ranges::find_if(duty.confirmations, [&](const Kept& one) {
    return one.said.id == change.confirmation;
  });
  switch (change.what) {
    case DutyChange::confirmed: {
      if (kept != duty.confirmations.end()) return;
      Kept fresh{{change.confirmation, change.at, std::nullopt}, std::nullopt};
      const auto owed = duty.owed_since(uses);
      if (owed && *owed <= change.at) fresh.covers = owed;
      const auto last = uses.uses_of(duty.permission).last;
      duty.confirmations.push_back(std::move(fresh));
      // Of the uses behind it only the last is known: what is owed is said too late rather than
      // wrongly.
      duty.owed = std::nullopt;
      if (const auto at = duty.latest()->said.at; last && *last > at) duty.owed = last;
      duty.violated = duty.asked = duty.rejected = std::nullopt;
      break;
    }
    case DutyChange::withdrawn: {
      ++withdrawals_;
      if (kept == duty.confirmations.end()) {
        // Whatever says later that it was confirmed comes too late.
        duty.confirmations.push_back({{change.confirmation, change.at, change.at}, std::nullopt});
        break;
      }
      if (kept->said.withdrawn) return;
      kept->said.withdrawn = change.at;
      if (kept->covers && (!duty.owed || *kept->covers < *duty.owed)) duty.owed = kept->covers;
      break;
    }
    case DutyChange::asked:
      duty.asked = change.at;
      duty.rejected = std::nullopt;
      break;
    case DutyChange::rejected:
      duty.asked = std::nullopt;
      duty.rejected = change.at;
      break;
    case DutyChange::violated:
      duty.violated = change.at;
      break;
    case DutyChange::fulfilled:
      duty.violated = std::nullopt;
      break;
  }
  refresh();
}

void DutyBook::used(const std::vector<RuleId>& permissions, Instant at) {
  for (auto& duty : known_) {
    if (duty.owed && *duty.owed <= at) continue;
    const auto* latest = duty.latest();
    if (latest == nullptr || at <= latest->said.at) continue;
    const bool owes = duty.permission.empty() ||
                      std::ranges::find(permissions, duty.permission) != permissions.end();
    if (owes) duty.owed = at;
  }
}

void DutyBook::given_back(Instant at, const UsesOf& uses) {
  for (auto& duty : known_) {
    if (duty.owed != at) continue;
    const auto* latest = duty.latest();
    const auto last = uses.uses_of(duty.permission).last;
    duty.owed = std::nullopt;
    if (latest != nullptr && last && *last > latest->said.at) duty.owed = last;
  }
}

void DutyBook::refresh() {
  performed_.clear();
  for (const auto& duty : duties_) {
    const auto* known = find(duty.duty);
    const auto* latest = known == nullptr ? nullptr : known->latest();
    if (latest == nullptr) continue;
    performed_.push_back(odrl::act_of(duty, party_, target_, latest->said.at));
  }
}

DutyState DutyBook::state(const odrl::Obligation& duty, const ClockReading& now, const UsesOf& uses)
    const {
  static const Duty nothing;
  DutyState out;
  out.duty = duty;
  const Duty* known = find(duty.duty);
  const auto* latest = known == nullptr ? nullptr : known->latest();
  const Duty& of = known == nullptr ? nothing : *known;
  for (const auto& one : of.confirmations) out.confirmations.push_back(one.said);
  out.asked = of.asked;
  out.rejected = of.rejected;
  out.recorded = of.violated.has_value();
  if (latest != nullptr) {
    out.standing = DutyStanding::confirmed;
    out.since = latest->said.at;
  }
  if (out.comes_before()) {
    if (latest != nullptr) {
      if (const auto period = period_of(duty)) out.until = add(latest->said.at, *period);
      if (out.until && now.at > *out.until) {
        out.standing = DutyStanding::lapsed;
        out.since = std::exchange(out.until, std::nullopt);
      }
      return out;
    }
    for (const auto& one : of.confirmations) {
      out.standing = DutyStanding::withdrawn;
      if (!out.since || *one.said.withdrawn > *out.since) out.since = one.said.withdrawn;
    }
    return out;
  }
  const auto debt = owed(duty, now, uses);
  if (!debt) {
    if (latest == nullptr) out.standing = DutyStanding::not_due;
    return out;
  }
  out.standing = debt->overdue ? DutyStanding::overdue : DutyStanding::due;
  out.since = debt->since;
  out.until = debt->until;
  return out;
}

std::optional<DutyBook::Debt> DutyBook::owed(
    const odrl::Obligation& duty, const ClockReading& now, const UsesOf& uses
) const {
  const Duty* known = find(duty.duty);
  // With a deadline of its own it is owed whether there was a use or not.
  const bool timed = duty.deadline == odrl::DeadlineKind::at_instant;
  std::optional<Instant> since;
  if (timed) {
    if (known == nullptr || known->latest() == nullptr) since = duty.at;
  } else {
    since = known == nullptr ? uses.uses_of(duty.permission).first : known->owed_since(uses);
  }
  if (!since) return std::nullopt;
  const auto deadline = deadline_of(duty, *since);
  const auto violated = known == nullptr ? std::nullopt : known->violated;
  const bool passed = deadline && now.reliable && now.at > *deadline;
  if (violated || passed) return Debt{deadline ? deadline : violated, std::nullopt, true};
  return Debt{timed ? std::nullopt : since, deadline, false};
}

std::vector<DutyState> DutyBook::states(const ClockReading& now, const UsesOf& uses) const {
  std::vector<DutyState> all;
  all.reserve(duties_.size());
  for (const auto& duty : duties_) all.push_back(state(duty, now, uses));
  return all;
}

std::vector<RuleId> DutyBook::overdue(const ClockReading& now, const UsesOf& uses) const {
  std::vector<RuleId> all;
  for (const auto& duty : duties_) {
    if (duty.phase != odrl::Phase::after) continue;
    const auto debt = owed(duty, now, uses);
    if (debt && debt->overdue) all.push_back(duty.duty);
  }
  return all;
}

Json DutyBook::save() const {
  Json saved = Json::array();
  for (const auto& duty : known_) {
    Json confirmations = Json::array();
    for (const auto& one : duty.confirmations) {
      confirmations.push_back(
          {{"id", one.said.id},
           {"at", save_time(one.said.at)},
           {"withdrawn", save_time(one.said.withdrawn)},
           {"covers", save_time(one.covers)}}
      );
    }
    saved.push_back(
        {{"duty", duty.id.value},
         {"permission", duty.permission.value},
         {"confirmations", std::move(confirmations)},
         {"owed", save_time(duty.owed)},
         {"violated", save_time(duty.violated)},
         {"asked", save_time(duty.asked)},
         {"rejected", save_time(duty.rejected)}}
    );
  }
  return saved;
}

DutyBook DutyBook::restore(const Json& saved) {
  DutyBook book;
  for (const Json& one : saved) {
    Duty duty;
    duty.id = RuleId(one.at("duty").get<std::string>());
    duty.permission = RuleId(one.at("permission").get<std::string>());
    for (const Json& said : one.at("confirmations")) {
      Kept kept;
      kept.said.id = said.at("id").get<std::string>();
      kept.said.at = read_time(said.at("at")).value_or(Instant());
      kept.said.withdrawn = read_time(said.at("withdrawn"));
      kept.covers = read_time(said.at("covers"));
      duty.confirmations.push_back(std::move(kept));
    }
    duty.owed = read_time(one.at("owed"));
    duty.violated = read_time(one.at("violated"));
    duty.asked = read_time(one.at("asked"));
    duty.rejected = read_time(one.at("rejected"));
    book.known_.push_back(std::move(duty));
  }
  return book;
}

}  // namespace tally::usage
