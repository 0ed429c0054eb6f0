// Keeps the catalogue in step with the folders assets/ and policies/ and with what the API stored,
// and answers every module that asks it: the catalogue's routes, negotiation, transfer, the data
// route, the operator.
//
// A change is published in one commit: the offers as they are now, the assets as they stood (an
// agreement is served from the version it was made for, whatever became of the file), and a record
// for each offer published, updated, withdrawn, and each document refused. A bad document changes
// nothing but its own record; the rest goes on. Changes on the home executor; lookups from any
// thread.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tally/api/catalog_routes.hpp"
#include "tally/api/data_routes.hpp"
#include "tally/api/management_routes.hpp"
#include "tally/audit/journal.hpp"
#include "tally/catalog/catalog.hpp"
#include "tally/core/store.hpp"
#include "tally/negotiation/negotiation_service.hpp"
#include "tally/transfer/transfer_service.hpp"

namespace tally::daemon {

// Which rows, columns and masks each permission of an agreement means, over data of this schema
// (null: it has none). Null: no such agreement. Any thread.
using ShapesOf = std::function<std::shared_ptr<const dataplane::RuleShapes>(
    const AgreementId& agreement, const catalog::Schema* schema
)>;

struct CatalogParts {
  Store& store;
  audit::Journal& journal;
  Clock& clock;
  Random& random;
  Timers& timers;
  Worker& worker;
  Notices& notices;
  ShapesOf shapes;
};

class CatalogKeeper final : public api::CatalogView,
                            public api::CatalogAdmin,
                            public api::ServedAssets,
                            public negotiation::OfferBook,
                            public transfer::FormatBook {
 public:
  CatalogKeeper(CatalogParts parts, std::filesystem::path folder, catalog::BuildOptions options);
  ~CatalogKeeper() override;

  // Reads the folders now, and tells what changed. Errors: unavailable (store, log); what was in
  // force stays.
  awaitable<Result<std::vector<Message>>> reload();
  // Looks at the folders every second until cancelled.
  awaitable<void> watch();
  [[nodiscard]] std::size_t offers() const;
  // What is offered, and how many of `parties` see any of it.
  struct Reach {
    std::size_t offers = 0;
    std::size_t assets = 0;
    std::size_t parties = 0;
  };
  [[nodiscard]] Reach reach(const std::vector<PartyId>& parties) const;
  // Of the DSP endpoints, as the catalogue publishes it.
  [[nodiscard]] const OurUrl& base_url() const { return options_.publisher.base_url; }

  // --- api::CatalogView ---
  [[nodiscard]] catalog::Page page(const catalog::PageRequest& request) const override;
  [[nodiscard]] std::optional<std::string> dataset(
      const AssetId& asset, const Viewer& viewer, Instant now
  ) const override;
  // --- api::CatalogAdmin ---
  [[nodiscard]] std::vector<Json> assets() const override;
  [[nodiscard]] std::vector<Json> policies() const override;
  [[nodiscard]] std::vector<Json> problems(Lang lang) const override;
  [[nodiscard]] std::vector<Json> warnings(Lang lang) const override;
  awaitable<Result<void>> put_asset(AssetId id, Json document) override;
  awaitable<Result<void>> put_policy(std::string id, Json document) override;
  awaitable<Result<void>> remove_asset(AssetId id) override;
  awaitable<Result<void>> remove_policy(std::string id) override;
  // --- api::ServedAssets ---
  Result<std::shared_ptr<const api::ServedAsset>> of(const AgreementId& agreement) override;
  // --- negotiation::OfferBook ---
  [[nodiscard]] std::optional<negotiation::VisibleOffer> find(
      const OfferId& offer, const AssetId& target, const Viewer& viewer
  ) const override;
  [[nodiscard]] std::optional<negotiation::PinnedAsset> asset(const AssetId& asset) const override;
  // --- transfer::FormatBook ---
  [[nodiscard]] std::optional<std::string> action_of(
      const AssetId& asset, const std::string& format
  ) const override;

 private:
  struct Documents {
    std::vector<catalog::Document> assets;
    std::vector<catalog::Document> policies;
  };
  [[nodiscard]] std::shared_ptr<const catalog::Catalog> current() const;
  Result<Documents> stored() const;
  awaitable<Result<std::vector<Message>>> publish(Documents documents);
  awaitable<Result<void>> put(std::string kind, std::string id, std::string text);
  awaitable<Result<void>> remove(std::string kind, std::string id, std::string unknown);

  CatalogParts parts_;
  const std::filesystem::path folder_;
  const catalog::BuildOptions options_;
  Digest seen_{};  // of names, sizes and times of the files as last read
  bool publishing_ = false;
  mutable std::mutex mutex_;  // guards the four below
  std::shared_ptr<const catalog::Catalog> current_;
  using Since = std::map<OfferId, std::string>;
  std::shared_ptr<const Since> since_;  // when each offer of current_ came in force as it is
  std::vector<catalog::Problem> problems_;
  std::vector<catalog::Problem> warnings_;
  // What agreements' data paths need, looked up once each; by agreement.
  std::map<std::string, std::shared_ptr<const api::ServedAsset>> pinned_;
};

}  // namespace tally::daemon
