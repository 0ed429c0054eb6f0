#include "tally/catalog/catalog.hpp"

#include <algorithm>
#include <utility>

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

// Members that say what an asset is, for people and for catalogues.
Json describe(const Asset& asset) {
  Json extra = asset.metadata;
  extra["dct:title"] = asset.title;
  if (!asset.description.empty()) extra["dct:description"] = asset.description;
  extra["dcat:mediaType"] = asset.media_type;
  extra["dcat:version"] = asset.version;
  // Strings, since a JSON-LD reader makes doubles of numbers.
  extra["urn:tally:profile:1#level"] = std::to_string(asset.level);
  if (!asset.class_.empty()) extra["urn:tally:profile:1#class"] = asset.class_;
  return extra;
}

dsp::DataService service_of(const Publisher& publisher) {
  dsp::DataService service;
  service.id = publisher.base_url;
  service.endpoint_url = publisher.base_url;
  return service;
}

// `object` without its closing brace, ready for one more member.
std::string open_end(const Json& object) {
  std::string text = to_jcs(object);
  text.pop_back();
  return text + ",";
}

}  // namespace

// --- building ----------------------------------------------------------------------------------

Catalog::Catalog(Publisher publisher) : publisher_(std::move(publisher)) {}

void Catalog::add(Asset asset) {
  Json members = dsp::to_nested_json(dataset(asset, {}));
  members.erase("hasPolicy");
  dataset_text_.emplace(asset.id, open_end(members));
  AssetId id = asset.id;
  assets_.emplace(std::move(id), std::move(asset));
}

void Catalog::add(Offer offer) {
  OfferId id = offer.id;
  const auto [added, ignored] = offers_.emplace(std::move(id), std::move(offer));
  offers_on_[added->second.asset].push_back(&added->second);
}

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
      catalog->add(std::move(*asset));
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
      catalog->add(std::move(*offer));
    }
  }
  // By id, so that what a party reads does not depend on the order of a folder.
  for (auto& [asset, offers] : catalog->offers_on_) {
    std::sort(offers.begin(), offers.end(), [](const Offer* a, const Offer* b) {
      return a->id < b->id;
    });
  }
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

const Offer* Catalog::visible_offer(const OfferId& id, const PartyId& party) const {
  const Offer* found = offer(id);
  return found && found->visible_to_party(party) ? found : nullptr;
}

std::vector<const Offer*> Catalog::visible_offers(const AssetId& id, const PartyId& party) const {
  std::vector<const Offer*> visible;
  const auto* offers = find_in(offers_on_, id);
  if (!offers) return visible;
  for (const Offer* offer : *offers) {
    if (offer->visible_to_party(party)) visible.push_back(offer);
  }
  return visible;
}

const Asset* Catalog::visible_asset(const AssetId& id, const PartyId& party) const {
  return visible_offers(id, party).empty() ? nullptr : asset(id);
}

std::optional<std::string> Catalog::action_of(const AssetId& id, std::string_view format) const {
  const Asset* found = asset(id);
  if (!found || format != format_of(found->delivery)) return std::nullopt;
  return std::string(catalog::action_of(found->delivery));
}

// --- as the protocol shows it ------------------------------------------------------------------

dsp::Dataset Catalog::dataset(const Asset& asset, const std::vector<const Offer*>& offers) const {
  dsp::Dataset dataset;
  dataset.id = asset.id.value;
  for (const Offer* offer : offers) dataset.has_policy.push_back(Json::parse(offer->policy));
  dsp::Distribution distribution;
  distribution.format = std::string(format_of(asset.delivery));
  // Inline, so that a dataset that is asked for alone needs no list beside it.
  distribution.access_service = service_of(publisher_);
  dataset.distribution.push_back(std::move(distribution));
  dataset.extra = describe(asset);
  return dataset;
}

dsp::Catalog Catalog::to_catalog(const PartyId& party) const {
  dsp::Catalog out;
  out.id = publisher_.base_url + "/catalog";
  out.participant_id = publisher_.participant_id;
  out.service.push_back(service_of(publisher_));
  for (const auto& [id, asset] : assets_) {
    const auto offers = visible_offers(id, party);
    if (!offers.empty()) out.dataset.push_back(dataset(asset, offers));
  }
  return out;
}

std::optional<dsp::Dataset> Catalog::to_dataset(const AssetId& id, const PartyId& party) const {
  const auto offers = visible_offers(id, party);
  if (offers.empty()) return std::nullopt;
  return dataset(assets_.at(id), offers);
}

void Catalog::append_dataset(
    std::string& out, const Asset& asset, const std::vector<const Offer*>& offers
) const {
  out += dataset_text_.at(asset.id);
  out += "\"hasPolicy\":[";
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (i > 0) out += ',';
    out += offers[i]->policy;
  }
  out += "]}";
}

std::string Catalog::catalog_body(const PartyId& party) const {
  dsp::Catalog empty;
  empty.id = publisher_.base_url + "/catalog";
  empty.participant_id = publisher_.participant_id;
  empty.service.push_back(service_of(publisher_));
  std::string out = open_end(dsp::to_json(empty));
  out += "\"dataset\":[";
  bool first = true;
  for (const auto& [id, asset] : assets_) {
    const auto offers = visible_offers(id, party);
    if (offers.empty()) continue;
    if (!first) out += ',';
    first = false;
    append_dataset(out, asset, offers);
  }
  // The schema refuses an empty list.
  if (first) return to_jcs(dsp::to_json(empty));
  return out + "]}";
}

std::optional<std::string> Catalog::dataset_body(const AssetId& id, const PartyId& party) const {
  const auto offers = visible_offers(id, party);
  if (offers.empty()) return std::nullopt;
  std::string out = "{\"@context\":[\"" + std::string(dsp::context_url) + "\"],";
  std::string members;
  append_dataset(members, assets_.at(id), offers);
  return out + members.substr(1);
}

}  // namespace tally::catalog
