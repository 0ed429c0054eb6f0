// Offers on one asset whose rules contradict: one permits what the other prohibits. Each stands by
// itself, since an agreement is made of one of them; but its author should know.
#pragma once

#include <vector>

#include "tally/catalog/catalog.hpp"

namespace tally::catalog {

// `offers`: by asset. Of an asset with very many offers the first are compared.
void warn_of_contradictions(
    const std::vector<const Offer*>& offers, const Limits& limits, std::vector<Problem>& warnings
);

}  // namespace tally::catalog
