// What is told of the enforcement point in numbers.
#include <algorithm>
#include <tuple>
#include <utility>

#include "tally/odrl/terms.hpp"

#include "enforcer_state.hpp"
#include "use_records.hpp"

namespace tally::usage {

namespace {

// What anybody may send is told apart only where the vocabulary has a word for it.
constexpr std::string_view other = "other";

std::string counted_name(std::string_view action) {
  const auto known = odrl::known_actions();
  const bool is_known = std::ranges::find(known, action, &odrl::ActionTerm::iri) != known.end();
  return is_known ? short_action(action) : std::string(other);
}

bool is_over(Closed state) {
  return state == Closed::expired || state == Closed::terminated;
}

// An entry of which nothing is told but its records, or that is over, owes nothing any more.
void count_duties(const Entry& entry, const ClockReading& now, UseFigures& out) {
  if (!entry.terms || is_over(entry.closed)) return;
  out.duties_overdue += entry.overdue.size();
  if (!entry.duties.asks()) return;
  for (const auto& duty : entry.duties.states(now, entry)) {
    if (duty.standing == DutyStanding::due) ++out.duties_due;
    if (duty.standing == DutyStanding::overdue) ++out.duties_overdue;
  }
}

}  // namespace

UseFigures::OfAction& Enforcer::State::Shard::acts_of(std::string_view action) {
  // Nearly always an act of a kind that was seen before.
  const auto name =
      action.starts_with(odrl::iri::odrl) ? action.substr(odrl::iri::odrl.size()) : action;
  const auto found = acts.find(name);
  return found != acts.end() ? found->second : acts[counted_name(action)];
}

UseFigures Enforcer::figures(std::size_t most_left) const {
  UseFigures out;
  const ClockReading now = state_->read_clock();
  const auto fewer = [](const UseFigures::Left& a, const UseFigures::Left& b) {
    return std::tie(a.uses, a.agreement, a.rule) < std::tie(b.uses, b.agreement, b.rule);
  };
  for (const auto& shard : state_->shards) {
    {
      const std::lock_guard lock(shard.mutex);
      for (const auto& [action, acts] : shard.acts) {
        auto& sum = out.actions[action];
        sum.permitted += acts.permitted;
        sum.continued += acts.continued;
        sum.refused += acts.refused;
      }
      for (const auto& [code, count] : shard.refusals) out.refusals[code] += count;
      for (const auto& [id, entry] : shard.entries) {
        if (!entry.terms) continue;
        ++out.agreements[static_cast<std::size_t>(entry.closed)];
        count_duties(entry, now, out);
        if (entry.closed != Closed::open) continue;
        for (const auto& rule : entry.terms->policy->rules()) {
          const auto left = State::left(entry, rule.id, now.at);
          if (left) out.left.push_back({AgreementId(id), rule.id, *left});
        }
      }
    }
    // Never more in memory than is asked for and one shard has.
    if (out.left.size() <= most_left) continue;
    std::ranges::nth_element(
        out.left, out.left.begin() + static_cast<std::ptrdiff_t>(most_left), fewer
    );
    out.left.resize(most_left);
  }
  std::ranges::sort(out.left, fewer);
  out.unrecorded = state_->unrecorded.load(std::memory_order_relaxed);
  out.taken = state_->taken.read();
  return out;
}

}  // namespace tally::usage
