#include "tally/api/catalog_routes.hpp"

#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/peer_routes.hpp"
#include "tally/core/gzip.hpp"
#include "tally/core/link.hpp"
#include "tally/dsp/binding.hpp"
#include "tally/dsp/error_body.hpp"

namespace tally::api {

namespace {

using Parts = std::shared_ptr<const CatalogApiParts>;

constexpr std::string_view token_parameter = "continuationToken";
// Below it a packed body is hardly smaller.
constexpr std::size_t least_packed_bytes = 1024;

HttpResponse refusal(int status, const Message& message) {
  return json_response(status, dsp::error_body(dsp::Family::catalog, status, message));
}

HttpResponse refusal(const Error& error) {
  return json_response(400, dsp::error_body(dsp::Family::catalog, error));
}

// DSP 2025-1, catalog HTTPS binding: a service may pack its answers where the request allows it.
HttpResponse answer(const Call& call, std::string body) {
  HttpResponse response;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Vary", "Accept-Encoding");
  if (body.size() >= least_packed_bytes && accepts_gzip(call.request.headers)) {
    response.headers.set("Content-Encoding", "gzip");
    body = gzip(body);
  }
  response.body = std::move(body);
  return response;
}

HttpResponse page_of(
    const CatalogApiParts& parts,
    const Call& call,
    catalog::Filter filter,
    std::optional<catalog::Cursor> from
) {
  catalog::PageRequest request;
  request.viewer = call.caller.peer->viewer();
  request.now = call.now;
  request.filter = std::move(filter);
  request.from = std::move(from);
  request.most = parts.page_size;
  auto page = parts.catalog.page(request);
  std::string links;
  const auto add = [&](const std::optional<catalog::Cursor>& cursor, std::string_view relation) {
    if (!cursor) return;
    const std::string target = parts.base_url(request.viewer.party) +
                               std::string(dsp::catalog_request_path) + "?" +
                               std::string(token_parameter) + "=" + catalog::to_token(*cursor);
    links += (links.empty() ? "" : ", ") + link_value(target, relation);
  };
  add(page.next, "next");
  add(page.previous, "previous");
  auto response = answer(call, std::move(page.body));
  if (!links.empty()) response.headers.set("Link", std::move(links));
  return response;
}

// The first page, or with a token the one that a link leads to.
awaitable<HttpResponse> request_catalog(Parts parts, Call& call) {
  if (!dsp::is_json_media_type(call.request.headers.get("Content-Type").value_or(""))) {
    co_return refusal(415, {"api.media-type", {}});
  }
  const auto body = call.json(parts->limits);
  if (!body) co_return refusal(body.error());
  const auto message = dsp::from_json<dsp::CatalogRequestMessage>(*body);
  if (!message) co_return refusal(message.error());
  auto filter = catalog::read_filter(message->filter);
  if (!filter) co_return refusal(filter.error());
  const std::string token = call.query(token_parameter);
  if (token.empty()) co_return page_of(*parts, call, std::move(*filter), std::nullopt);
  auto cursor = catalog::read_token(token);
  if (!cursor) co_return refusal(cursor.error());
  // The link carries the filter. A body may repeat it, as a client does that sends the same request
  // to each page; another one would make pages that belong to no whole.
  const bool says_one = !filter->conditions.empty();
  if (says_one && filter->conditions != cursor->filter.conditions) {
    co_return refusal(400, {"api.other-filter", {}});
  }
  auto carried = cursor->filter;
  co_return page_of(*parts, call, std::move(carried), std::move(*cursor));
}

awaitable<HttpResponse> read_page(Parts parts, Call& call) {
  auto cursor = catalog::read_token(call.query(token_parameter));
  if (!cursor) co_return refusal(cursor.error());
  auto filter = cursor->filter;
  co_return page_of(*parts, call, std::move(filter), std::move(*cursor));
}

awaitable<HttpResponse> request_dataset(Parts parts, Call& call) {
  const AssetId asset(call.parameters.front());
  auto dataset = parts->catalog.dataset(asset, call.caller.peer->viewer(), call.now);
  if (!dataset) co_return refusal(404, {"api.unknown-dataset", {{"asset", asset.value}}});
  co_return answer(call, std::move(*dataset));
}

RouteHandler with(Parts parts, awaitable<HttpResponse> (*function)(Parts, Call&)) {
  return [parts, function](Call& call) { return function(parts, call); };
}

}  // namespace

std::vector<Route> catalog_routes(CatalogApiParts given) {
  const auto parts = std::make_shared<const CatalogApiParts>(std::move(given));
  const std::string base(dsp_base_path);
  const std::string request = base + std::string(dsp::catalog_request_path);
  const auto peer = Role::peer;
  const auto here = Where::connection;
  return {
      {"POST", request, peer, here, with(parts, &request_catalog)},
      {"GET", request, peer, here, with(parts, &read_page)},
      {"GET", base + "/catalog/datasets/:id", peer, here, with(parts, &request_dataset)},
  };
}

}  // namespace tally::api
