// VERIFY.txt: how a person checks a bundle without this program.
#pragma once

#include <string>

#include "tally/evidence/bundle.hpp"

namespace tally::evidence {

std::string guide_text(const Bundle& bundle);

}  // namespace tally::evidence
