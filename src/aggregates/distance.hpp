// Whether what was told of sets of rows, taken together, tells something of fewer than `least`
// rows.
//
// Whoever has the sums over some sets can compute the sum over every combination of them: A less B,
// the whole less its parts, and so on, with any factors. Of such a combination each row has a
// factor; those rows with another factor than 0 are its support, and of them something is learnt.
// So the sets keep their distance when no combination has a support of 1 to least − 1 rows,
// whatever the factors and however many sets there are.
//
// The rows are vectors (which sets they are in), and a combination vanishes on a row when it is
// orthogonal to it. One that vanishes on all but a few rows shows as a loss of rank when these few
// are taken away. Where the rows can be dealt out into `least` hands, each of full rank, no least −
// 1 rows are in all of them, so no loss is possible: that is the proof that is looked for,
// greedily. What cannot be proven so is taken for a disclosure. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "grouping.hpp"

namespace tally::aggregates {

enum class Distance {
  kept,
  broken,    // or not proven to be kept
  too_much,  // it would take more than `steps` to find out
};

inline constexpr std::uint64_t distance_steps = 600'000'000;

// `sets`: of rows below `rows`; each once is best, repeats change nothing.
Distance distance_of(
    std::span<const RowSet> sets,
    std::size_t rows,
    std::size_t least,
    std::uint64_t steps = distance_steps
);

}  // namespace tally::aggregates
