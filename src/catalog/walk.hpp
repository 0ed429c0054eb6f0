// Goes from dataset to dataset of those that one viewer may see, in the order of their ids, in
// either direction, and looks at no offer that is for others only: offers with the same `visibleTo`
// are kept together (Catalog::groups_), so who may see them is asked once for all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "tally/catalog/catalog.hpp"

#include "publish.hpp"

namespace tally::catalog {

// A dataset with those of its offers that the viewer is shown, by id.
struct Shown {
  const Asset* asset = nullptr;
  std::vector<const Offer*> offers;
};

// What is looked for. Everything outlives the walk.
struct Seen {
  const Catalog& catalog;
  const Viewer& viewer;
  Instant now;
  const Filter& filter;
};

void append_dataset(
    std::string& out,
    const Asset& asset,
    const std::vector<const Offer*>& offers,
    const Distributions& distributions
);

class Walk {
 public:
  enum class Way { forth, back };
  // Begins behind the dataset `id` (forth) or before it (back); forth from "" begins at the first.
  Walk(const Seen& seen, Way way, const std::string& id);
  std::optional<Shown> next();

 private:
  // The next places of one group. In the order of the walk: going back, all is negative.
  struct Head {
    std::int64_t place;
    const std::vector<std::uint32_t>* group;
    std::size_t index;
    bool operator>(const Head& other) const { return place > other.place; }
  };

  std::optional<const Offer*> next_offer();
  void push(const std::vector<std::uint32_t>& group, std::size_t index);

  const Seen& seen_;
  const Way way_;
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads_;
  std::optional<const Offer*> ahead_;  // the first offer of the next dataset
};

}  // namespace tally::catalog
