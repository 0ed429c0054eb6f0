#include "tally/catalog/catalog.hpp"

#include <algorithm>
#include <utility>

#include "contradictions.hpp"
#include "publish.hpp"
#include "read.hpp"

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

Catalog::Catalog(Publisher publisher) : publisher_(std::move(publisher)) {}

BuildResult build(
    const std::vector<Document>& assets,
    const std::vector<Document>& policies,
    const BuildOptions& options
) {
  BuildResult result;
  auto catalog = std::make_shared<Catalog>(options.publisher);
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

const Offer* Catalog::visible_offer(const OfferId& id, const PartyId& party, Instant now) const {
  const Offer* found = offer(id);
  return found && found->visible_to_party(party) && !found->is_over(now) ? found : nullptr;
}

std::vector<const Offer*> Catalog::visible_offers(
    const AssetId& id, const PartyId& party, Instant now
) const {
  std::vector<const Offer*> visible;
  const auto first = std::lower_bound(
      by_asset_.begin(),
      by_asset_.end(),
      id,
      [](const Offer* offer, const AssetId& asset) { return offer->asset < asset; }
  );
  for (auto at = first; at != by_asset_.end() && (*at)->asset == id; ++at) {
    if ((*at)->visible_to_party(party) && !(*at)->is_over(now)) visible.push_back(*at);
  }
  return visible;
}

const Asset* Catalog::visible_asset(const AssetId& id, const PartyId& party, Instant now) const {
  return visible_offers(id, party, now).empty() ? nullptr : asset(id);
}

std::optional<std::string> Catalog::action_of(const AssetId& id, std::string_view format) const {
  const Asset* found = asset(id);
  if (!found || format != format_of(found->delivery)) return std::nullopt;
  return std::string(catalog::action_of(found->delivery));
}

// --- as the protocol shows it ------------------------------------------------------------------

namespace {

// How the two deliveries are distributed to one reader, as text.
class Distributions {
 public:
  explicit Distributions(const std::string& base_url) {
    const auto service = service_of(base_url);
    custody_ = distribution_of(Delivery::custody, service);
    call_ = distribution_of(Delivery::call, service);
  }
  [[nodiscard]] const std::string& of(Delivery delivery) const {
    return delivery == Delivery::call ? call_ : custody_;
  }

 private:
  std::string custody_;
  std::string call_;
};

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

std::string dataset_text(
    const Asset& asset, const std::vector<const Offer*>& offers, const Distributions& distributions
) {
  std::string members;
  append_dataset(members, asset, offers, distributions);
  return "{\"@context\":[\"" + std::string(dsp::context_url) + "\"]," + members.substr(1);
}

dsp::Dataset to_struct(
    const Asset& asset, const std::vector<const Offer*>& offers, const Distributions& distributions
) {
  auto dataset =
      dsp::from_json<dsp::Dataset>(Json::parse(dataset_text(asset, offers, distributions)));
  return dataset ? std::move(*dataset) : dsp::Dataset{};
}

dsp::Catalog empty_catalog(const Publisher& publisher, const std::string& base_url) {
  dsp::Catalog out;
  out.id = base_url + "/catalog";
  out.participant_id = publisher.participant_id;
  out.service.push_back(service_of(base_url));
  return out;
}

}  // namespace

dsp::Catalog Catalog::to_catalog(const PartyId& party, Instant now) const {
  const auto base_url = publisher_.base_url(party);
  const Distributions distributions(base_url);
  dsp::Catalog out = empty_catalog(publisher_, base_url);
  for (const auto& [id, asset] : assets_) {
    const auto offers = visible_offers(id, party, now);
    if (!offers.empty()) out.dataset.push_back(to_struct(asset, offers, distributions));
  }
  return out;
}

std::optional<dsp::Dataset> Catalog::to_dataset(
    const AssetId& id, const PartyId& party, Instant now
) const {
  const auto offers = visible_offers(id, party, now);
  if (offers.empty()) return std::nullopt;
  return to_struct(assets_.at(id), offers, Distributions(publisher_.base_url(party)));
}

std::string Catalog::catalog_body(const PartyId& party, Instant now) const {
  const auto base_url = publisher_.base_url(party);
  const Distributions distributions(base_url);
  const std::string empty = to_jcs(dsp::to_json(empty_catalog(publisher_, base_url)));
  std::string out;
  for (const auto& [id, asset] : assets_) {
    const auto offers = visible_offers(id, party, now);
    if (offers.empty()) continue;
    if (out.empty()) {
      out = empty.substr(0, empty.size() - 1) + ",\"dataset\":[";
    } else {
      out += ',';
    }
    append_dataset(out, asset, offers, distributions);
  }
  // The schema refuses an empty list.
  return out.empty() ? empty : out + "]}";
}

std::optional<std::string> Catalog::dataset_body(
    const AssetId& id, const PartyId& party, Instant now
) const {
  const auto offers = visible_offers(id, party, now);
  if (offers.empty()) return std::nullopt;
  return dataset_text(assets_.at(id), offers, Distributions(publisher_.base_url(party)));
}

}  // namespace tally::catalog
