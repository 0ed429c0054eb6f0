#include "tally/catalog/catalog.hpp"

#include <algorithm>
#include <utility>

#include "tally/dsp/messages.hpp"

#include "contradictions.hpp"
#include "publish.hpp"
#include "read.hpp"
#include "walk.hpp"

namespace tally::catalog {

namespace {

template <class Map, class Id>
auto* find_in(const Map& map, const Id& id) {
  const auto found = map.find(id);
  return found == map.end() ? nullptr : &found->second;
}

template <class Item, class Id>
std::optional<HomeOf> home_in(const std::map<Id, Item>& map, const Id& id) {
  const Item* item = find_in(map, id);
  if (!item) return std::nullopt;
  return HomeOf{item->home, item->file};
}

}  // namespace

// --- building ----------------------------------------------------------------------------------

Catalog::Catalog(Publisher publisher, const std::vector<NestedCatalog>& nested)
    : publisher_(std::move(publisher)), nested_(publish_nested(nested)) {}

BuildResult build(
    const std::vector<Document>& assets,
    const std::vector<Document>& policies,
    const BuildOptions& options
) {
  BuildResult result;
  auto catalog = std::make_shared<Catalog>(options.publisher, options.nested);
  const auto report = [&](std::vector<Problem> problems) {
    for (Problem& problem : problems) result.problems.push_back(std::move(problem));
  };
  for (const Document& document : assets) {
    auto asset = read_asset(document, options);
    if (!asset) {
      report(std::move(asset.error()));
    } else if (const Asset* first = catalog->asset(asset->id)) {
      const Message message{
          "catalog.duplicate-asset", {{"id", asset->id.value}, {"file", first->file}}};
      report({{document.name, "/id", message}});
    } else {
      AssetId id = asset->id;
      catalog->assets_.emplace(std::move(id), std::move(*asset));
    }
  }
  for (const Document& document : policies) {
    auto offer = read_policy(document, catalog->assets(), options);
    if (!offer) {
      report(std::move(offer.error()));
    } else if (const Offer* first = catalog->offer(offer->id)) {
      const Message message{
          "catalog.duplicate-offer", {{"id", offer->id.value}, {"file", first->file}}};
      report({{document.name, "/policy/@id", message}});
    } else {
      for (odrl::Problem& warning : offer->warnings) {
        result.warnings.push_back(
            {document.name, std::move(warning.pointer), std::move(warning.message)}
        );
      }
      offer->warnings = {};
      OfferId id = offer->id;
      catalog->offers_.emplace(std::move(id), std::move(*offer));
    }
  }
  for (const auto& [id, offer] : catalog->offers_) catalog->by_asset_.push_back(&offer);
  std::stable_sort(
      catalog->by_asset_.begin(),
      catalog->by_asset_.end(),
      [](const Offer* a, const Offer* b) { return a->asset < b->asset; }
  );
  std::map<std::vector<Audience>, std::size_t> groups;
  for (std::size_t place = 0; place < catalog->by_asset_.size(); ++place) {
    const auto& audience = catalog->by_asset_[place]->visible_to;
    const auto [group, is_new] = groups.emplace(audience, catalog->groups_.size());
    if (is_new) catalog->groups_.push_back({audience, {}});
    catalog->groups_[group->second].places.push_back(static_cast<std::uint32_t>(place));
  }
  warn_of_contradictions(catalog->by_asset_, options.limits, result.warnings);
  result.catalog = std::move(catalog);
  return result;
}

namespace {

template <class X>
Result<X> first_fault_or(Read<X> read) {
  if (read) return std::move(*read);
  Problem& problem = read.error().front();
  return fail(ErrorKind::invalid, std::move(problem.message), std::move(problem.pointer));
}

template <class Id>
Result<void> check_home(const Catalog& catalog, const Id& id, Home wanted) {
  const auto home = catalog.home_of(id);
  if (!home || home->home == wanted) return {};
  const bool in_file = home->home == Home::file;
  return fail(
      ErrorKind::conflict,
      {in_file ? "catalog.home-is-file" : "catalog.home-is-api",
       {{"id", id.value}, {"file", home->name}}}
  );
}

}  // namespace

Result<Asset> check_asset(
    const Document& document, const Catalog& catalog, const BuildOptions& options
) {
  auto asset = first_fault_or(read_asset(document, options));
  if (!asset) return asset;
  if (auto home = check_home(catalog, asset->id, document.home); !home) {
    return fail(std::move(home));
  }
  return asset;
}

Result<Offer> check_policy(
    const Document& document, const Catalog& catalog, const BuildOptions& options
) {
  auto offer = first_fault_or(read_policy(document, catalog.assets(), options));
  if (!offer) return offer;
  if (auto home = check_home(catalog, offer->id, document.home); !home) {
    return fail(std::move(home));
  }
  return offer;
}

// --- asking ------------------------------------------------------------------------------------

const Asset* Catalog::asset(const AssetId& id) const {
  return find_in(assets_, id);
}
const Offer* Catalog::offer(const OfferId& id) const {
  return find_in(offers_, id);
}

std::optional<HomeOf> Catalog::home_of(const AssetId& id) const {
  return home_in(assets_, id);
}
std::optional<HomeOf> Catalog::home_of(const OfferId& id) const {
  return home_in(offers_, id);
}

const Offer* Catalog::visible_offer(const OfferId& id, const Viewer& viewer, Instant now) const {
  const Offer* found = offer(id);
  return found && found->visible_to_viewer(viewer) && !found->is_over(now) ? found : nullptr;
}

std::vector<const Offer*> Catalog::visible_offers(
    const AssetId& id, const Viewer& viewer, Instant now
) const {
  std::vector<const Offer*> visible;
  const auto first = std::lower_bound(
      by_asset_.begin(),
      by_asset_.end(),
      id,
      [](const Offer* offer, const AssetId& asset) { return offer->asset < asset; }
  );
  for (auto at = first; at != by_asset_.end() && (*at)->asset == id; ++at) {
    if ((*at)->visible_to_viewer(viewer) && !(*at)->is_over(now)) visible.push_back(*at);
  }
  return visible;
}

std::optional<std::string> Catalog::action_of(const AssetId& id, std::string_view format) const {
  const Asset* found = asset(id);
  if (!found || format != format_of(found->delivery)) return std::nullopt;
  return std::string(catalog::action_of(found->delivery));
}

// --- as the protocol shows it ------------------------------------------------------------------

void append_dataset(
    std::string& out,
    const Asset& asset,
    const std::vector<const Offer*>& offers,
    const Distributions& distributions
) {
  out += asset.dataset;
  out += "\"distribution\":";
  out += distributions.of(asset.delivery);
  out += ",\"hasPolicy\":[";
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (i > 0) out += ',';
    out += offers[i]->policy;
  }
  out += "]}";
}

std::optional<std::string> Catalog::dataset_body(
    const AssetId& id, const Viewer& viewer, Instant now
) const {
  const auto offers = visible_offers(id, viewer, now);
  if (offers.empty()) return std::nullopt;
  std::string members;
  append_dataset(members, assets_.at(id), offers, Distributions(publisher_, viewer.party));
  return "{\"@context\":[\"" + std::string(dsp::context_url) + "\"]," + members.substr(1);
}

}  // namespace tally::catalog
