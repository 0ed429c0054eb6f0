// A whole simulated connector: catalogue, negotiation, transfer, custody, applications and the
// routes of `api`, over a disk, a store and a wire that fail by the seed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/api/catalog_routes.hpp"
#include "tally/api/confirmation_routes.hpp"
#include "tally/api/data_routes.hpp"
#include "tally/api/hold_routes.hpp"
#include "tally/api/peer_routes.hpp"
#include "tally/catalog/catalog.hpp"
#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/custody/keeper.hpp"
#include "tally/custody/kept_data_keys.hpp"
#include "tally/custody/puller.hpp"
#include "tally/dataplane/source.hpp"
#include "tally/transfer/agreement_orders.hpp"
#include "tally/transfer/confirmations.hpp"
#include "tally/transfer/deletion_sender.hpp"
#include "tally/transfer/informer.hpp"
#include "tally/transfer/transfer_service.hpp"
#include "tally/usage/app_registry.hpp"
#include "tally/usage/hold_book.hpp"

#include "negotiation/machine.hpp"

namespace tally::transfer::test {

using negotiation::test::hospital;
using negotiation::test::institute;
using negotiation::test::marketing;
using negotiation::test::outsider;
using negotiation::test::research;

// What the asset of these tests holds; long enough for several pieces.
std::string cohort_csv(std::size_t bytes = 10'000);

class Connector final : public negotiation::test::Machine,
                        public negotiation::OfferBook,
                        public FormatBook,
                        public api::CatalogView,
                        public api::ServedAssets,
                        public api::HeldDataReader,
                        public dataplane::SourceReader {
 public:
  using Machine::Machine;
  ~Connector() override { destroy(); }

  // Offers the cohort to `to`; before `start`.
  void offer(const PartyId& to, int count = 3, const std::string& until = "2027-01-01T00:00:00Z");
  bool require_signature = true;           // of that offer; before `start`
  std::string asset_delivery = "custody";  // of its asset; before `offer`
  bool receipt_before_key = false;         // of that offer; before `offer`
  Json duties = Json::array();             // of that offer's permission; before `offer`
  bool informs = false;                    // tells of uses; before `start`
  std::string data = cohort_csv();
  // One byte changes on its way out, after it was measured.
  bool swapped = false;
  // The certificate that the peer's calls arrive with.
  int peer_certificate = 1;
  bool refuse_data = false;                               // the data endpoint answers 503
  bool refuse_keys = false;                               // and the one that gives keys
  Nanos longest_idle = 0;                                 // before `start`
  std::function<void(const HttpRequest& request)> heard;  // every request that arrives
  // What leaves through the data endpoint, and what a provider that lies makes of its answers.
  std::string data_sent;
  std::function<void(const HttpRequest& request, HttpResponse& response)> lie;

  // Asks the provider's catalogue and negotiates with what it shows.
  Result<Pid> negotiate(const PartyId& provider, std::vector<std::string> purposes);
  // A read of what custody holds, through the application listener.
  struct Read {
    int status = 0;
    std::string code;  // of the problem, or empty
    std::string body;
    std::string use;
  };
  Read read(const AgreementId& agreement, const std::string& token, const std::string& key = {});
  // Registers an application; its token.
  std::string add_app(const std::string& id, const std::string& purpose);

  awaitable<HttpResponse> handle(HttpRequest request, PartyId caller) override;
  // All agreements of the store.
  std::vector<negotiation::Agreement> agreements();

  // --- the books ---
  std::optional<negotiation::VisibleOffer> find(
      const OfferId& offer, const AssetId& target, const Viewer& viewer
  ) const override;
  std::optional<negotiation::PinnedAsset> asset(const AssetId& asset) const override;
  std::optional<std::string> action_of(const AssetId& asset, const std::string& format)
      const override;
  catalog::Page page(const catalog::PageRequest& request) const override;
  std::optional<std::string> dataset(const AssetId& asset, const Viewer& viewer, Instant now)
      const override;
  Result<std::shared_ptr<const api::ServedAsset>> of(const AgreementId& agreement) override;
  Result<api::HeldData> held(const AgreementId& agreement) override;
  Result<api::HeldData> artefact(const ArtefactId& id) override;
  std::vector<AgreementId> bound_by(const ArtefactId& id) override;
  awaitable<Result<std::unique_ptr<BodyReader>>> open(ArtefactId artefact, std::uint64_t offset)
      override;
  std::shared_ptr<const dataplane::RuleShapes> shapes_of(const AgreementId& agreement);
  Result<std::unique_ptr<dataplane::Source>> source(const Json& spec) override;

  std::shared_ptr<const catalog::Catalog> offered;

  std::unique_ptr<usage::AppRegistry> apps;
  std::unique_ptr<custody::KeySource> keys;
  std::unique_ptr<custody::BlobStore> payload_key_files;
  std::unique_ptr<custody::KeptDataKeys> payload_keys;
  std::unique_ptr<custody::BlobStore> blobs;
  std::unique_ptr<custody::Custody> custody;
  std::unique_ptr<custody::Holdings> holdings;
  std::unique_ptr<custody::Quota> quota;
  std::unique_ptr<custody::Puller> puller;
  custody::CustodyRecords custody_records;  // of no log
  std::unique_ptr<custody::Keeper> keeper;
  std::unique_ptr<TokenRegistry> tokens;
  std::unique_ptr<TransferService> transfers;
  std::unique_ptr<DeletionSender> deletions;
  std::unique_ptr<usage::HoldBook> holds;
  std::unique_ptr<AgreementOrders> orders;
  std::unique_ptr<Confirmations> confirmations;
  std::unique_ptr<InformedParties> informed;  // nobody
  std::unique_ptr<Informer> informer;         // where it informs
  std::unique_ptr<api::Router> peer_router;
  std::unique_ptr<api::Router> app_router;

 private:
  void build() override;
  awaitable<Result<void>> begin() override;
  Result<void> resume_all() override;
  void destroy_more() override;
  awaitable<Result<void>> tell_provider(custody::DeletionRecord record);
  awaitable<Result<void>> set_expired(AgreementId agreement);
  awaitable<Result<void>> after_end(AgreementId agreement, Message why);
};

}  // namespace tally::transfer::test
