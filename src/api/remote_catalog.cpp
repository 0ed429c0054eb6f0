#include "remote_catalog.hpp"

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

namespace tally::api {

namespace {

Result<std::string> base_of(const negotiation::PeerDirectory& peers, const PartyId& party) {
  auto base = peers.base_url(party);
  if (!base) {
    return fail(
        ErrorKind::invalid, {"api.peer-unknown", {{"uri", party.uri}, {"domain", party.domain}}}
    );
  }
  return *base;
}

Result<Json> read_answer(const PeerAnswer& answer, const PartyId& party, const Limits& limits) {
  if (answer.status != 200) {
    return fail(
        ErrorKind::unavailable,
        {"api.peer-answered", {{"uri", party.uri}, {"status", std::to_string(answer.status)}}}
    );
  }
  return parse_json(answer.body, {limits.control_body_bytes, limits.json_depth});
}

}  // namespace

awaitable<Result<Json>> fetch_catalog(
    Peer& peer, const negotiation::PeerDirectory& peers, PartyId party, const Limits& limits
) {
  auto base = base_of(peers, party);
  if (!base) co_return fail(std::move(base));
  PeerRequest request;
  request.to = party;
  request.url = dsp::join_url(*base, dsp::catalog_request_path);
  request.http.method = "POST";
  request.http.headers.set("Content-Type", "application/json");
  request.http.body = dsp::to_json(dsp::CatalogRequestMessage{}).dump();
  auto answer = co_await peer.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  auto body = read_answer(*answer, party, limits);
  if (!body) co_return body;
  auto catalog = dsp::from_json<dsp::Catalog>(*body);
  if (!catalog) co_return fail(std::move(catalog));
  co_return body;
}

awaitable<Result<Json>> fetch_dataset(
    Peer& peer,
    const negotiation::PeerDirectory& peers,
    PartyId party,
    AssetId asset,
    const Limits& limits
) {
  auto base = base_of(peers, party);
  if (!base) co_return fail(std::move(base));
  PeerRequest request;
  request.to = party;
  request.url = dsp::join_url(*base, dsp::dataset_path(asset.value));
  request.http.method = "GET";
  auto answer = co_await peer.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  if (answer->status == 404) {
    co_return fail(
        ErrorKind::not_found,
        {"api.asset-not-offered", {{"asset", asset.value}, {"uri", party.uri}}}
    );
  }
  auto body = read_answer(*answer, party, limits);
  if (!body) co_return body;
  auto dataset = dsp::from_json<dsp::Dataset>(*body);
  if (!dataset) co_return fail(std::move(dataset));
  co_return body;
}

}  // namespace tally::api
