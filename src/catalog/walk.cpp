#include "walk.hpp"

#include <algorithm>

namespace tally::catalog {

Walk::Walk(const Seen& seen, Way way, const std::string& id) : seen_(seen), way_(way) {
  const auto& offers = seen.catalog.by_asset_;
  const AssetId asset(id);
  // The offers on `id` lie between these two places.
  const auto first =
      std::lower_bound(offers.begin(), offers.end(), asset, [](const Offer* a, const AssetId& b) {
        return a->asset < b;
      });
  auto last = first;
  while (last != offers.end() && (*last)->asset == asset) ++last;
  const auto border =
      static_cast<std::uint32_t>((way == Way::forth ? last : first) - offers.begin());
  for (const auto& group : seen.catalog.groups_) {
    const bool visible =
        std::any_of(group.audience.begin(), group.audience.end(), [&](const Audience& audience) {
          return audience.holds(seen.viewer);
        });
    if (!visible) continue;
    const auto at = static_cast<std::size_t>(
        std::lower_bound(group.places.begin(), group.places.end(), border) - group.places.begin()
    );
    push(group.places, at);
  }
  ahead_ = next_offer();
}

void Walk::push(const std::vector<std::uint32_t>& group, std::size_t index) {
  if (way_ == Way::forth && index < group.size()) {
    heads_.push({group[index], &group, index + 1});
  } else if (way_ == Way::back && index > 0) {
    heads_.push({-static_cast<std::int64_t>(group[index - 1]), &group, index - 1});
  }
}

std::optional<const Offer*> Walk::next_offer() {
  if (heads_.empty()) return std::nullopt;
  const Head head = heads_.top();
  heads_.pop();
  push(*head.group, head.index);
  const auto place = static_cast<std::size_t>(way_ == Way::forth ? head.place : -head.place);
  return seen_.catalog.by_asset_[place];
}

std::optional<Shown> Walk::next() {
  while (ahead_) {
    const AssetId& id = (*ahead_)->asset;
    Shown dataset{seen_.catalog.asset(id), {}};
    while (ahead_ && (*ahead_)->asset == id) {
      if (!(*ahead_)->is_over(seen_.now)) dataset.offers.push_back(*ahead_);
      ahead_ = next_offer();
    }
    if (dataset.offers.empty() || !seen_.filter.holds(dataset.asset->dataset)) continue;
    if (way_ == Way::back) std::reverse(dataset.offers.begin(), dataset.offers.end());
    return dataset;
  }
  return std::nullopt;
}

}  // namespace tally::catalog
