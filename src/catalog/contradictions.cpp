#include "contradictions.hpp"

#include <cstddef>

#include "tally/odrl/compare.hpp"

namespace tally::catalog {
namespace {

constexpr std::size_t most_offers = 16;      // of one asset
constexpr std::size_t most_steps = 100'000;  // for each pair

// Only a prohibition can contradict, so what has none on an asset is not compiled again.
bool prohibits(const Offer& offer) {
  return offer.policy.find("\"prohibition\"") != std::string::npos;
}

struct Compiled {
  const Offer* offer = nullptr;
  odrl::PolicyPtr policy;
};

void compare_all(const std::vector<Compiled>& offers, std::vector<Problem>& warnings) {
  odrl::CompareFacts facts;
  facts.most_steps = most_steps;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!prohibits(*offers[i].offer) && !prohibits(*offers[j].offer)) continue;
      const auto found = odrl::conflicts(*offers[i].policy, *offers[j].policy, facts);
      if (found.verdict != odrl::Verdict::conflict) continue;
      warnings.push_back(
          {offers[i].offer->file,
           "/policy",
           {"catalog.offers-contradict",
            {{"offer", offers[i].offer->id.value},
             {"other", offers[j].offer->id.value},
             {"file", offers[j].offer->file},
             {"rule", found.pointer},
             {"otherRule", found.other_pointer},
             {"example", odrl::to_text(found.witness)}}}}
      );
    }
  }
}

}  // namespace

void warn_of_contradictions(
    const std::vector<const Offer*>& offers, const Limits& limits, std::vector<Problem>& warnings
) {
  odrl::LoadOptions options;
  options.limits = limits;
  for (std::size_t first = 0; first < offers.size();) {
    std::size_t end = first;
    bool any = false;
    while (end < offers.size() && offers[end]->asset == offers[first]->asset) {
      any = prohibits(*offers[end]) || any;
      ++end;
    }
    std::vector<Compiled> compiled;
    for (std::size_t i = first; any && i < end && compiled.size() < most_offers; ++i) {
      const auto document = Json::parse(offers[i]->policy, nullptr, false);
      if (auto policy = odrl::load_policy(document, options)) {
        compiled.push_back({offers[i], std::move(*policy)});
      }
    }
    compare_all(compiled, warnings);
    first = end;
  }
}

}  // namespace tally::catalog
