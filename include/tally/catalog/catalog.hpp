// What this connector offers: assets, and the offers on them, as one immutable snapshot.
//
// Built from documents (JSON text from files or the API); a bad one is reported and left out, the
// rest stays. To a party that an offer is not addressed to, asset and offer are exactly as if they
// did not exist. No I/O: who reads the folders and swaps snapshots is the daemon's business. A
// built Catalog may be shared between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/catalog/documents.hpp"
#include "tally/catalog/page.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/message.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/result.hpp"

namespace tally::catalog {

// Who publishes: what every dataset says about this connector.
struct Publisher {
  std::string participant_id;  // the URI of our own party
  OurUrl base_url;             // of the DSP endpoints
  // What a reader calls the format of `call` assets; empty, or none: as we do.
  std::function<std::string(const PartyId& reader)> call_format = {};
};

// The catalogue of somebody else that ours points to (DSP 2025-1, nested catalogs).
struct NestedCatalog {
  std::string id;
  std::string title;  // may be empty
  std::string url;    // the base of its DSP endpoints
};

struct BuildOptions {
  Publisher publisher;
  std::vector<NestedCatalog> nested;  // shown to everybody
  Limits limits;
  // Names of the configured trust domains: a visibleTo with another one is refused, since nobody
  // could ever match it. Empty: not checked.
  std::vector<std::string> domains;
  // Checks the form of an asset's `source`; null: not checked. Pointer relative to the source.
  std::function<Result<void>(const Json& source)> check_source;
  // The agreement whose policy an offer of this source has to stay within, since the data are
  // somebody else's; null: none, or not asked.
  std::function<odrl::PolicyPtr(const Json& source)> bound_by;
  // What speaks against handing out data of this schema (null: the asset has none) under the policy
  // (dataplane::check_shape); null: not checked. Pointers relative to the policy.
  std::function<std::vector<odrl::Problem>(const odrl::CompiledPolicy&, const Schema*)> check_shape;
  // There is a wrapping key to keep keys under: offers may say receiptBeforeKey.
  bool keeps_keys = false;
  // Whether a party that is neither side of an agreement can be told of uses; null: none can.
  std::function<bool(const std::string& party)> informs;
  // Names of the configured hooks: an offer that leaves decisions to another one is refused.
  std::vector<std::string> hooks;
};

struct Problem {
  std::string file;     // Document::name
  std::string pointer;  // into the document
  Message message;
};

// Where something can be changed: in its file, or through the API.
struct HomeOf {
  Home home = Home::file;
  std::string name;  // Document::name
};

class Catalog;
struct BuildResult {
  std::shared_ptr<const Catalog> catalog;
  std::vector<Problem> problems;  // in the order of the documents
  // What the authors of offers should know and what refuses nothing: words that are out of use, an
  // offer that can never permit anything, two offers on one asset whose rules contradict.
  std::vector<Problem> warnings;
};

// Two documents with one id: the first one stands, the second is a problem. So files go before what
// the API stored.
BuildResult build(
    const std::vector<Document>& assets,
    const std::vector<Document>& policies,
    const BuildOptions& options
);

// One document alone, checked as `build` would check it beside `catalog`: for a PUT of the API.
// Errors: invalid (the first problem), conflict (the id lives in a file: catalog.home-is-file).
Result<Asset> check_asset(
    const Document& document, const Catalog& catalog, const BuildOptions& options
);
Result<Offer> check_policy(
    const Document& document, const Catalog& catalog, const BuildOptions& options
);

class Catalog {
 public:
  // With nothing of our own in it.
  explicit Catalog(Publisher publisher, const std::vector<NestedCatalog>& nested = {});

  // For the operator and for agreements already made: no question of who may see it. Null if
  // unknown.
  [[nodiscard]] const Asset* asset(const AssetId& id) const;
  [[nodiscard]] const Offer* offer(const OfferId& id) const;
  [[nodiscard]] const std::map<AssetId, Asset>& assets() const { return assets_; }
  [[nodiscard]] const std::map<OfferId, Offer>& offers() const { return offers_; }
  [[nodiscard]] std::optional<HomeOf> home_of(const AssetId& id) const;
  [[nodiscard]] std::optional<HomeOf> home_of(const OfferId& id) const;

  // Null: does not exist, is not for the viewer, or is over by `now`: its policy permits nothing
  // any more. Without a time nothing is over.
  [[nodiscard]] const Offer* visible_offer(
      const OfferId& id, const Viewer& viewer, Instant now = {}
  ) const;
  // Offers on one asset, by id.
  [[nodiscard]] std::vector<const Offer*> visible_offers(
      const AssetId& id, const Viewer& viewer, Instant now = {}
  ) const;

  // The two answers of the protocol, joined from text that was made when the snapshot was built.
  // A page costs what is on it, however large the catalogue; with a filter, what is looked through
  // until it is full.
  [[nodiscard]] Page page(const PageRequest& request) const;
  [[nodiscard]] std::optional<std::string> dataset_body(
      const AssetId& id, const Viewer& viewer, Instant now
  ) const;

  // The ODRL action that data in `format` of this asset is handed out for: archive for a pull into
  // custody, read for calls. nullopt: unknown asset, or not offered in that format.
  [[nodiscard]] std::optional<std::string> action_of(const AssetId& id, std::string_view format)
      const;

 private:
  friend BuildResult
  build(const std::vector<Document>&, const std::vector<Document>&, const BuildOptions&);
  friend class Walk;

  // Offers for the same viewers.
  struct Group {
    std::vector<Audience> audience;
    std::vector<std::uint32_t> places;  // in by_asset_, ascending
  };

  Publisher publisher_;
  std::string nested_;  // the member `catalog` with a comma before it, or empty
  std::map<AssetId, Asset> assets_;
  std::map<OfferId, Offer> offers_;
  std::vector<const Offer*> by_asset_;  // all offers, by asset and id
  std::vector<Group> groups_;
};

}  // namespace tally::catalog
