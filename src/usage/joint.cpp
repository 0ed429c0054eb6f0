#include "tally/usage/joint.hpp"

#include <utility>

namespace tally::usage {

awaitable<Result<JointlyAuthorised>> authorise_all(Enforcer& enforcer, std::vector<Act> acts) {
  JointGrant grants;
  for (Act& act : acts) {
    auto authorised = co_await enforcer.authorise(std::move(act));
    if (authorised) {
      if (auto* grant = std::get_if<Grant>(&*authorised)) {
        grants.push_back(std::move(*grant));
        continue;
      }
    }
    co_await abort_all(enforcer, std::move(grants));
    if (!authorised) co_return fail(std::move(authorised));
    co_return std::get<Refusal>(*std::move(authorised));
  }
  co_return grants;
}

void complete_all(Enforcer& enforcer, const JointGrant& grants, const Outcome& outcome) {
  for (const Grant& grant : grants) enforcer.complete(grant, outcome);
}

// That one cannot be given back (another request continues it, or the log is gone) changes nothing
// for the others: it counts.
awaitable<void> abort_all(Enforcer& enforcer, JointGrant grants) {
  for (Grant& grant : grants) co_await enforcer.abort(std::move(grant));
}

}  // namespace tally::usage
