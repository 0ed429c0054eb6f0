// The sentence that answers a refused act: which of the policy's conditions failed, as far as one
// is enough to say why. Pure.
#pragma once

#include "tally/usage/enforcer.hpp"

namespace tally::usage {

// `decision` is a refusal made with Explain::decisive or full.
// `unwitnessed`: whose cosignature is missing, where the policy asks. `duties`: those that are
// confirmed, as they stand.
Refusal refuse(
    const AgreementTerms& terms,
    const Act& act,
    odrl::Decision decision,
    const std::optional<audit::Unwitnessed>& unwitnessed,
    const std::vector<DutyState>& duties
);
Message not_witnessed(const AgreementTerms& terms, const audit::Unwitnessed& unwitnessed);
Refusal refuse_closed(const AgreementTerms& terms, Closed state, const Act& act);
Refusal refuse_held(const AgreementTerms& terms, const Hold& hold, const Act& act);
Refusal refuse_unable(const AgreementTerms& terms, const Act& act);  // Act::cannot
Refusal refuse_unregistered(const AgreementTerms& terms, const Act& act);

}  // namespace tally::usage
