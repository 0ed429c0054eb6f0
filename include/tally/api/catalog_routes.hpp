// The catalogue on the peer port (DSP 2025-1, catalog protocol): requests with filters, pages by
// links, single datasets; packed with gzip for those who ask for it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tally/api/router.hpp"
#include "tally/catalog/page.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/peer.hpp"

namespace tally::api {

// The catalogue as one viewer may see it. Any thread.
class CatalogView {
 public:
  virtual ~CatalogView() = default;
  [[nodiscard]] virtual catalog::Page page(const catalog::PageRequest& request) const = 0;
  // JSON text; nullopt for an asset that does not exist or is not offered to the viewer now.
  [[nodiscard]] virtual std::optional<std::string> dataset(
      const AssetId& asset, const Viewer& viewer, Instant now
  ) const = 0;
};

struct CatalogApiParts {
  const CatalogView& catalog;
  OurUrl base_url;        // of our DSP endpoints: links are made with it
  std::size_t page_size;  // datasets on a page
  const Limits& limits;
};

std::vector<Route> catalog_routes(CatalogApiParts parts);

}  // namespace tally::api
