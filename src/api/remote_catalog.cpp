#include "remote_catalog.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/gzip.hpp"
#include "tally/core/link.hpp"
#include "tally/dsp/binding.hpp"
#include "tally/negotiation/exchange.hpp"

#include "request_span.hpp"

namespace tally::api {

namespace {

constexpr const char* lists[] = {"dataset", "catalog", "service", "distribution"};

Result<std::string> base_of(const negotiation::PeerDirectory& peers, const PartyId& party) {
  auto base = peers.base_url(party);
  if (!base) {
    return fail(
        ErrorKind::invalid, {"api.peer-unknown", {{"uri", party.uri}, {"domain", party.domain}}}
    );
  }
  return *base;
}

tl::unexpected<Error> unavailable(const char* code, const PartyId& party) {
  return fail(ErrorKind::unavailable, {code, {{"uri", party.uri}}});
}

struct Fetched {
  int status = 0;
  Headers headers;
  std::string body;  // unpacked; empty unless the status is 200
};

// One answer of at most `most` bytes, unpacked as well.
awaitable<Result<Fetched>> fetch(const RemotePeers& wire, PeerRequest request, std::size_t most) {
  const PartyId party = request.to;
  request.http.headers.set("Accept-Encoding", "gzip");
  request.answer_bytes = most;
  carry_trace(wire.trace, request);
  auto answer = co_await wire.peer.send(std::move(request));
  if (!answer && answer.error().message.code == "net.peer-answer-too-large") {
    co_return unavailable("api.catalog-too-large", party);
  }
  if (!answer) co_return fail(std::move(answer));
  Fetched out;
  out.status = answer->status;
  out.headers = std::move(answer->headers);
  if (out.status != 200) co_return out;
  out.body = std::move(answer->body);
  const auto coding = out.headers.get("Content-Encoding").value_or("identity");
  if (coding == "gzip") {
    auto unpacked = gunzip(out.body, most);
    if (!unpacked) co_return fail(std::move(unpacked));
    out.body = std::move(*unpacked);
  } else if (coding != "identity") {
    co_return unavailable("api.unknown-coding", party);
  }
  co_return out;
}

// Takes pages and makes one catalogue of them.
class Merged {
 public:
  explicit Merged(const PartyId& party) : party_(party) {}

  Result<void> add(const Json& page) {
    auto catalog = dsp::from_json<dsp::Catalog>(page);
    if (!catalog) return fail(std::move(catalog));
    if (whole_.is_null()) {
      whole_ = page;
      for (const char* key : lists) whole_.erase(key);
    } else if (page.at("participantId") != whole_.at("participantId")) {
      return unavailable("api.catalog-mixed", party_);
    }
    for (const char* key : lists) {
      for (Json& item : as_list(page, key)) {
        // Each page repeats what is about the whole.
        const auto id = item.find("@id");
        const std::string name = id == item.end() ? item.dump() : id->dump();
        if (seen_.insert(key + name).second) whole_[key].push_back(std::move(item));
      }
    }
    return {};
  }
  Json take() { return std::move(whole_); }

 private:
  const PartyId& party_;
  Json whole_;
  std::set<std::string> seen_;
};

tl::unexpected<Error> refused(const Fetched& answer, const PartyId& party, bool filtered) {
  if (answer.status == 400 && filtered) {
    return fail(ErrorKind::invalid, {"api.filter-refused", {{"uri", party.uri}}});
  }
  return fail(
      ErrorKind::unavailable,
      {"api.peer-answered", {{"uri", party.uri}, {"status", std::to_string(answer.status)}}}
  );
}

}  // namespace

Json as_list(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return Json::array();
  return found->is_array() ? *found : Json::array({*found});
}

CatalogBudget budget_of(const RemotePeers& wire) {
  const auto& limits = wire.limits;
  return {limits.catalog_pages, limits.catalog_bytes, wire.clock.read().at + limits.catalog_order};
}

awaitable<Result<Json>> fetch_catalog(
    RemotePeers wire, PartyId party, Json filter, CatalogBudget& budget
) {
  const auto base = base_of(wire.directory, party);
  if (!base) co_return tl::unexpected(base.error());
  dsp::CatalogRequestMessage message;
  message.filter = filter.get<std::vector<Json>>();
  const std::string body = dsp::to_json(message).dump();
  std::string url = dsp::join_url(*base, dsp::catalog_request_path);
  const std::string first = url;
  std::set<std::string> visited;
  bool by_get = false;
  Merged merged(party);
  while (!url.empty()) {
    if (wire.clock.read().at >= budget.until) co_return unavailable("api.catalog-too-slow", party);
    if (budget.pages == 0) co_return unavailable("api.catalog-too-long", party);
    if (!visited.insert(url).second) co_return unavailable("api.link-again", party);
    Fetched answer;
    for (;;) {
      PeerRequest request;
      request.to = party;
      request.url = url;
      request.http.method = by_get ? "GET" : "POST";
      if (!by_get) {
        request.http.headers.set("Content-Type", "application/json");
        request.http.body = body;
      }
      const std::size_t most = std::min(wire.limits.catalog_page_bytes, budget.bytes);
      auto fetching = fetch(wire, std::move(request), most);
      auto fetched = co_await std::move(fetching);
      if (!fetched) co_return fail(std::move(fetched));
      answer = std::move(*fetched);
      // DSP does not say how a link is followed.
      if (answer.status != 405 || by_get || url == first) break;
      by_get = true;
    }
    if (answer.status != 200) co_return refused(answer, party, !filter.empty());
    --budget.pages;
    budget.bytes -= answer.body.size();
    auto page = parse_json(answer.body, {wire.limits.catalog_page_bytes, wire.limits.json_depth});
    if (!page) co_return page;
    if (auto added = merged.add(*page); !added) co_return fail(std::move(added));
    const auto link = find_link(answer.headers, "next");
    if (!link) break;
    auto next = same_origin_url(url, *link);
    if (!next) co_return unavailable("api.link-elsewhere", party);
    url = std::move(*next);
  }
  co_return merged.take();
}

awaitable<Result<Json>> fetch_dataset(RemotePeers wire, PartyId party, AssetId asset) {
  const auto base = base_of(wire.directory, party);
  if (!base) co_return tl::unexpected(base.error());
  PeerRequest request;
  request.to = party;
  request.url = dsp::join_url(*base, dsp::dataset_path(asset.value));
  request.http.method = "GET";
  auto fetching = fetch(wire, std::move(request), wire.limits.catalog_page_bytes);
  auto answer = co_await std::move(fetching);
  if (!answer) co_return fail(std::move(answer));
  const Error not_offered{
      ErrorKind::not_found,
      {"api.asset-not-offered", {{"asset", asset.value}, {"uri", party.uri}}},
      {}};
  if (answer->status == 404) co_return tl::unexpected(not_offered);
  if (answer->status == 405 || answer->status == 501) {
    auto budget = budget_of(wire);
    auto everything = fetch_catalog(wire, party, Json::array(), budget);
    auto catalog = co_await std::move(everything);
    if (!catalog) co_return catalog;
    for (Json& dataset : as_list(*catalog, "dataset")) {
      if (negotiation::text_of(dataset, "@id") != asset.value) continue;
      // By itself it is a document of its own.
      dataset["@context"] = catalog->at("@context");
      co_return std::move(dataset);
    }
    co_return tl::unexpected(not_offered);
  }
  if (answer->status != 200) co_return refused(*answer, party, false);
  auto body = parse_json(answer->body, {wire.limits.catalog_page_bytes, wire.limits.json_depth});
  if (!body) co_return body;
  auto dataset = dsp::from_json<dsp::Dataset>(*body);
  if (!dataset) co_return fail(std::move(dataset));
  co_return body;
}

}  // namespace tally::api
