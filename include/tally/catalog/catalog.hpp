// What this connector offers: assets, and the offers on them, as one immutable snapshot.
//
// Built from documents (JSON text from files or the API); a bad one is reported and left out, the
// rest stays. To a party that an offer is not addressed to, asset and offer are exactly as if they
// did not exist. No I/O: who reads the folders and swaps snapshots is the daemon's business. A
// built Catalog may be shared between threads.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/catalog/documents.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/message.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/result.hpp"
#include "tally/dsp/messages.hpp"

namespace tally::catalog {

// Who publishes: what every dataset says about this connector.
struct Publisher {
  std::string participant_id;  // the URI of our own party
  OurUrl base_url;             // of the DSP endpoints
};

struct BuildOptions {
  Publisher publisher;
  Limits limits;
  // Names of the configured trust domains: a visibleTo with another one is refused, since nobody
  // could ever match it. Empty: not checked.
  std::vector<std::string> domains;
  // Checks the form of an asset's `source`; null: not checked. Pointer relative to the source.
  std::function<Result<void>(const Json& source)> check_source;
  // There is a wrapping key to keep keys under: offers may say receiptBeforeKey.
  bool keeps_keys = false;
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
  explicit Catalog(Publisher publisher);  // with nothing in it

  // For the operator and for agreements already made: no question of who may see it. Null if
  // unknown.
  [[nodiscard]] const Asset* asset(const AssetId& id) const;
  [[nodiscard]] const Offer* offer(const OfferId& id) const;
  [[nodiscard]] const std::map<AssetId, Asset>& assets() const { return assets_; }
  [[nodiscard]] const std::map<OfferId, Offer>& offers() const { return offers_; }
  [[nodiscard]] std::optional<HomeOf> home_of(const AssetId& id) const;
  [[nodiscard]] std::optional<HomeOf> home_of(const OfferId& id) const;

  // As `party` sees it at `now`. Null: does not exist, is not for `party`, or is over: its policy
  // permits nothing any more. Without a time nothing is over.
  [[nodiscard]] const Offer* visible_offer(
      const OfferId& id, const PartyId& party, Instant now = {}
  ) const;
  [[nodiscard]] const Asset* visible_asset(
      const AssetId& id, const PartyId& party, Instant now = {}
  ) const;
  // Offers on one asset, by id.
  [[nodiscard]] std::vector<const Offer*> visible_offers(
      const AssetId& id, const PartyId& party, Instant now = {}
  ) const;

  [[nodiscard]] dsp::Catalog to_catalog(const PartyId& party, Instant now = {}) const;
  [[nodiscard]] std::optional<dsp::Dataset> to_dataset(
      const AssetId& id, const PartyId& party, Instant now = {}
  ) const;
  // The bodies of the two answers, from text that was made when the snapshot was built: the same
  // JSON as to_json of the two above, without a tree of it in memory.
  [[nodiscard]] std::string catalog_body(const PartyId& party, Instant now = {}) const;
  [[nodiscard]] std::optional<std::string> dataset_body(
      const AssetId& id, const PartyId& party, Instant now = {}
  ) const;

  // The ODRL action that data in `format` of this asset is handed out for: archive for a pull into
  // custody, read for calls. nullopt: unknown asset, or not offered in that format.
  [[nodiscard]] std::optional<std::string> action_of(const AssetId& id, std::string_view format)
      const;

 private:
  friend BuildResult
  build(const std::vector<Document>&, const std::vector<Document>&, const BuildOptions&);

  Publisher publisher_;
  std::map<AssetId, Asset> assets_;
  std::map<OfferId, Offer> offers_;
  std::vector<const Offer*> by_asset_;  // all offers, by asset and id
};

}  // namespace tally::catalog
