#include "negotiation_routes.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/exchange.hpp"
#include "tally/negotiation/own_offer.hpp"

#include "members.hpp"
#include "remote_catalog.hpp"

namespace tally::api {

namespace {

struct ShownOffer {
  Json policy;
  dsp::Contexts contexts;  // that it stands under
};

// The offer that the peer's catalogue shows for the asset: `wanted`, or the first.
awaitable<Result<ShownOffer>> offer_of_peer(
    ManagementParts parts, PartyId peer, AssetId asset, std::string wanted
) {
  const RemotePeers wire{parts->peer, parts->peers, parts->limits, parts->clock};
  auto dataset = co_await fetch_dataset(wire, peer, asset);
  if (!dataset) co_return fail(std::move(dataset));
  for (auto& candidate : dataset->at("hasPolicy")) {
    if (!wanted.empty() && negotiation::text_of(candidate, "@id") != wanted) continue;
    ShownOffer shown{std::move(candidate), {}};
    for (const auto& context : as_list(*dataset, "@context")) {
      if (context.is_string()) shown.contexts.push_back(context.get<std::string>());
    }
    co_return shown;
  }
  co_return fail(
      ErrorKind::not_found, {"api.offer-not-shown", {{"offer", wanted}, {"asset", asset.value}}}
  );
}

// The policy that an order brings itself: an object, or "use" for one that permits every use.
Result<std::optional<Json>> policy_member(const Json& body) {
  const auto policy = body.find("policy");
  if (policy == body.end()) return std::nullopt;
  if (policy->is_object()) return *policy;
  if (*policy == "use") return negotiation::policy_of_use();
  return fail(
      ErrorKind::invalid,
      {"core.member-value", {{"member", "policy"}, {"expected", "{…}, \"use\""}}},
      "/policy"
  );
}

awaitable<HttpResponse> begin_as_provider(
    ManagementParts parts, Call& call, Json body, PartyId peer
) {
  negotiation::OfferOrder order;
  order.peer = std::move(peer);
  const auto offer = string_member(body, "offer", "");
  if (!offer) co_return problem(offer.error(), call.lang);
  const auto asset = string_member_or(body, "asset", "", "");
  if (!asset) co_return problem(asset.error(), call.lang);
  auto policy = policy_member(body);
  if (!policy) co_return problem(policy.error(), call.lang);
  order.offer = OfferId(*offer);
  order.asset = AssetId(*asset);
  order.policy = std::move(*policy);
  auto begun = co_await parts->negotiations.make_offer(std::move(order));
  if (!begun) co_return problem(begun.error(), call.lang);
  co_return json_response(202, {{"id", begun->value}});
}

awaitable<HttpResponse> begin_as_consumer(
    ManagementParts parts, Call& call, Json body, PartyId peer
) {
  const auto asset = string_member(body, "asset", "");
  if (!asset) co_return problem(asset.error(), call.lang);
  auto policy = policy_member(body);
  if (!policy) co_return problem(policy.error(), call.lang);
  // Nobody is asked which offer is meant where the order brings its own words.
  const auto wanted =
      *policy ? string_member(body, "offer", "") : string_member_or(body, "offer", "", "");
  if (!wanted) co_return problem(wanted.error(), call.lang);
  auto purposes = texts_member(body, "purposes");
  if (!purposes) co_return problem(purposes.error(), call.lang);
  const auto counter_offers = string_member_or(body, "counterOffers", "", "");
  if (!counter_offers) co_return problem(counter_offers.error(), call.lang);
  if (!counter_offers->empty() && *counter_offers != "end" && *counter_offers != "approve") {
    const Message wrong{
        "core.member-value", {{"member", "counterOffers"}, {"expected", "\"end\", \"approve\""}}};
    co_return problem(400, wrong, call.lang, "/counterOffers");
  }

  negotiation::NegotiateOrder order;
  if (!counter_offers->empty()) {
    order.counter_offers = *counter_offers == "approve" ? negotiation::Decide::by_person
                                                        : negotiation::Decide::by_itself;
  }
  order.peer = peer;
  order.asset = AssetId(*asset);
  order.purposes = std::move(*purposes);
  if (*policy) {
    order.offer = OfferId(*wanted);
    order.policy = std::move(**policy);
  } else {
    auto offer = co_await offer_of_peer(parts, std::move(peer), order.asset, *wanted);
    if (!offer) co_return problem(offer.error(), call.lang);
    order.offer = OfferId(offer->policy.value("@id", ""));
    order.policy = std::move(offer->policy);
    order.contexts = std::move(offer->contexts);
  }
  auto begun = co_await parts->negotiations.negotiate(std::move(order));
  if (!begun) co_return problem(begun.error(), call.lang);
  co_return json_response(202, {{"id", begun->value}});
}

}  // namespace

awaitable<HttpResponse> post_negotiation(ManagementParts parts, Call& call) {
  auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto party = peer_member(*body);
  if (!party) co_return problem(party.error(), call.lang);
  const auto role = string_member_or(*body, "role", "consumer", "");
  if (!role) co_return problem(role.error(), call.lang);
  auto order = std::move(*body);
  auto peer = std::move(*party);
  if (*role == "provider") {
    co_return co_await begin_as_provider(parts, call, std::move(order), std::move(peer));
  }
  if (*role == "consumer") {
    co_return co_await begin_as_consumer(parts, call, std::move(order), std::move(peer));
  }
  const Message wrong{
      "core.member-value", {{"member", "role"}, {"expected", "\"consumer\", \"provider\""}}};
  co_return problem(400, wrong, call.lang, "/role");
}

awaitable<HttpResponse> terminate_negotiation(ManagementParts parts, Call& call) {
  auto said = said_reason(call, parts->limits);
  if (!said) co_return problem(said.error(), call.lang);
  Message reason{"negotiation.ended-by-operator", {}};
  if (!said->empty()) {
    reason = {"negotiation.ended-by-operator-saying", {{"reason", std::move(*said)}}};
  }
  Pid pid(call.parameters.front());
  auto ended = co_await parts->negotiations.terminate(std::move(pid), std::move(reason));
  if (!ended) co_return problem(ended.error(), call.lang);
  co_return json_response(200, {{"state", "TERMINATED"}});
}

awaitable<HttpResponse> post_agreement(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto party = peer_member(*body);
  if (!party) co_return problem(party.error(), call.lang);
  const auto role = string_member(*body, "role", "");
  if (!role) co_return problem(role.error(), call.lang);
  if (*role != "provider" && *role != "consumer") {
    const Message wrong{
        "core.member-value", {{"member", "role"}, {"expected", "\"consumer\", \"provider\""}}};
    co_return problem(400, wrong, call.lang, "/role");
  }
  const auto document = body->find("agreement");
  if (document == body->end()) {
    const Message missing{"core.member-missing", {{"member", "agreement"}}};
    co_return problem(400, missing, call.lang, "/agreement");
  }
  negotiation::ImportOrder order;
  order.peer = std::move(*party);
  order.our_side = *role == "provider" ? odrl::Side::provider : odrl::Side::consumer;
  order.document = *document;
  auto imported = co_await parts->negotiations.import(std::move(order));
  if (!imported) co_return problem(imported.error(), call.lang);
  co_return json_response(imported->is_new ? 201 : 200, {{"id", imported->id.value}});
}

}  // namespace tally::api
