// The digest over everything that decides what a shape makes of its data.
#pragma once

#include "shape_parts.hpp"

namespace tally::dataplane {

// Of `parts` without its digest.
Digest digest_of(const Shape::Parts& parts);

}  // namespace tally::dataplane
