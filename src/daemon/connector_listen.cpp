// The listeners with their routes, and who is let in.
#include <utility>

#include "tally/api/aggregate_routes.hpp"
#include "tally/api/catalog_routes.hpp"
#include "tally/api/confirmation_routes.hpp"
#include "tally/api/data_routes.hpp"
#include "tally/api/hold_routes.hpp"
#include "tally/api/log_routes.hpp"
#include "tally/api/openapi_routes.hpp"
#include "tally/api/peer_routes.hpp"
#include "tally/api/statement_routes.hpp"
#include "tally/api/unknown_peer.hpp"
#include "tally/api/use_receipt_routes.hpp"
#include "tally/api/witness_routes.hpp"

#include "connector.hpp"
#include "serving.hpp"

namespace tally::daemon {

namespace {

api::Role role_of(const std::string& role) {
  if (role == "admin") return api::Role::admin;
  return role == "operator" ? api::Role::operator_ : api::Role::auditor;
}

net::ListenerConfig plain_listener(const Listener& listener, const std::filesystem::path& folder) {
  net::ListenerConfig out;
  out.transport = net::Transport::plain;
  out.address = listener.address;
  out.port = listener.port;
  if (!listener.socket.empty()) out.unix_socket = (folder / listener.socket).string();
  return out;
}

// "192.0.2.1:5000" without its port.
std::string host_of(const std::string& source) {
  return source.substr(0, source.rfind(':'));
}

// Whoever has rested may catch up on two seconds.
Rate steady(std::uint64_t per_second) {
  return {per_second, per_second * 2};
}

}  // namespace

Connector::Serving::Serving(const CallRates& rates, api::LimitedCalls& refusals)
    : failed_tokens({rates.failed_tokens, rates.failed_tokens_at_once}),
      peer_limits(
          "peers", {steady(rates.peer_calls), steady(rates.peer_messages)}, failed_tokens, refusals
      ),
      app_limits("apps", {steady(rates.app_calls), {}}, failed_tokens, refusals),
      management_limits(
          "management", {steady(rates.management_calls), {}}, failed_tokens, refusals
      ) {}

Result<void> Connector::listen() {
  serving_ = std::make_unique<Serving>(config_.rates, *limited_);
  const auto& limits = config_.limits;
  const auto home = home_.get_executor();
  std::vector<boost::asio::io_context*> contexts;
  contexts.reserve(contexts_.size());
  for (auto& context : contexts_) contexts.push_back(context.get());

  auto peer_routes =
      api::peer_routes({*negotiations_, *transfers_, [this] { return closed(); }, limits});
  auto catalog_routes =
      api::catalog_routes({*catalog_, catalog_->base_url(), config_.catalog.page_size, limits});
  peer_routes.insert(peer_routes.end(), catalog_routes.begin(), catalog_routes.end());
  auto data_routes = api::peer_data_routes(
      {*enforcer_,
       *tokens_,
       *transfers_,
       *data_sources_,
       *catalog_,
       *tasks_,
       home,
       notices_,
       limits,
       use_receipts_.get(),
       payload_keys_.get(),
       pseudonyms_.call_secret(random_),
       config_.participant}
  );
  peer_routes.insert(peer_routes.end(), data_routes.begin(), data_routes.end());
  auto aggregate_routes = api::peer_aggregate_routes(
      {*aggregates_,
       *enforcer_,
       *tokens_,
       *data_sources_,
       *catalog_,
       [this](const AgreementId& agreement) -> std::shared_ptr<const dataplane::PseudonymKeys> {
         return pseudonyms_.keys_of(agreement);
       },
       [this] { return closed(); },
       limits,
       use_receipts_.get()}
  );
  peer_routes.insert(peer_routes.end(), aggregate_routes.begin(), aggregate_routes.end());
  if (witness_) {
    auto witness_routes = api::witness_routes({*witness_, [this] { return closed(); }});
    peer_routes.insert(peer_routes.end(), witness_routes.begin(), witness_routes.end());
  }
  const api::LogApiParts log_parts{log_->tree(), *worker_};
  auto is_partner = [this](const PartyId& party) -> Result<bool> {
    const auto agreements = store_->rows({"agreement", {}, to_string(party), {}, 1});
    if (!agreements) return tl::unexpected(agreements.error());
    return !agreements->empty();
  };
  auto peer_log = api::peer_log_routes(log_parts, std::move(is_partner));
  peer_routes.insert(peer_routes.end(), peer_log.begin(), peer_log.end());
  const api::UseReceiptParts receipt_parts{log_->tree(), *worker_, *store_, *use_receipts_};
  auto peer_receipts = api::peer_use_receipt_routes(receipt_parts);
  peer_routes.insert(peer_routes.end(), peer_receipts.begin(), peer_receipts.end());
  for (auto& more :
       {api::peer_hold_routes({*agreement_orders_, *holds_, limits}),
        api::peer_confirmation_routes(*confirmations_),
        api::peer_statement_routes(*statements_)}) {
    peer_routes.insert(peer_routes.end(), more.begin(), more.end());
  }
  serving_->peer_router = std::make_unique<api::Router>(
      std::move(peer_routes),
      &api::admit_peer,
      home,
      limits,
      clock_,
      notices_,
      &serving_->peer_limits
  );
  std::function<void()> after_use;
  if (keeper_) after_use = [this] { used_.store(true, std::memory_order_relaxed); };
  const api::ProviderCallParts provider_calls{
      *transfers_, *heard_peer_, timers_, [this] { return closed(); }};
  serving_->provider_calls.emplace(provider_calls);
  auto app_routes = api::app_routes(
      {*enforcer_,
       *apps_,
       *held_,
       facts_of_log_.get(),
       derived_.get(),
       config_.participant,
       std::move(after_use),
       notices_,
       limits,
       use_receipts_.get(),
       &*serving_->provider_calls,
       home,
       pseudonyms_.call_secret(random_),
       confirmations_.get()}
  );
  auto app_aggregates =
      api::app_aggregate_routes({*enforcer_, *apps_, provider_calls, config_.participant, limits});
  app_routes.insert(app_routes.end(), app_aggregates.begin(), app_aggregates.end());
  auto app_receipts = api::app_use_receipt_routes(receipt_parts);
  app_routes.insert(app_routes.end(), app_receipts.begin(), app_receipts.end());
  auto app_description = api::app_openapi_routes();
  app_routes.insert(app_routes.end(), app_description.begin(), app_description.end());
  serving_->app_router = std::make_unique<api::Router>(
      std::move(app_routes),
      api::admit_apps(*apps_),
      home,
      limits,
      clock_,
      notices_,
      &serving_->app_limits
  );
  std::vector<api::ApiToken> tokens;
  tokens.reserve(config_.management.tokens.size());
  for (const auto& token : config_.management.tokens) {
    tokens.push_back({token.name, role_of(token.role), token.sha256});
  }
  auto management_routes = api::management_routes(
      {*this,
       *catalog_,
       *rules_,
       *store_,
       *heard_peer_,
       *peers_,
       *negotiations_,
       *transfers_,
       *enforcer_,
       *apps_,
       custody_desk_.get(),
       custody::shown,
       *held_,
       *catalog_,
       *holds_,
       *agreement_orders_,
       *confirmations_,
       *inquiry_,
       {*sender_,
        from_log_->witnessing,
        [this] { return witness_ ? watched_logs_->all() : std::vector<audit::WatchedName>{}; },
        {*store_, *journal_, clock_, random_}},
       *event_feed_,
       *webhooks_,
       *informer_,
       config_.participant,
       [this] { return closed(); },
       [this] { return journal_->settled(); },
       limits,
       clock_}
  );
  auto log_routes = api::log_routes(log_parts);
  management_routes.insert(management_routes.end(), log_routes.begin(), log_routes.end());
  auto description = api::management_openapi_routes();
  management_routes.insert(management_routes.end(), description.begin(), description.end());
  serving_->management_router = std::make_unique<api::Router>(
      std::move(management_routes),
      api::admit_tokens(std::move(tokens)),
      home,
      limits,
      clock_,
      notices_,
      &serving_->management_limits
  );

  if (spans_) {
    for (auto* router :
         {&serving_->peer_router, &serving_->app_router, &serving_->management_router}) {
      (*router)->trace_to(*spans_, random_);
    }
  }

  const auto make = [&](net::ListenerConfig listener, net::Handler handler) {
    return std::make_unique<net::Server>(
        contexts,
        std::move(listener),
        limits,
        *trust_,
        clock_,
        std::move(handler),
        *refusals_,
        notices_
    );
  };
  const auto routed = [](const api::Router& router) -> net::Handler {
    return [&router](HttpRequest request, const identity::Caller& caller) {
      return router.handle(std::move(request), caller);
    };
  };
  serving_->management = make(
      plain_listener(config_.management, config_.folder), routed(*serving_->management_router)
  );
  serving_->apps =
      make(plain_listener(config_.apps, config_.folder), routed(*serving_->app_router));
  if (config_.peers) {
    net::ListenerConfig listener = plain_listener(*config_.peers, config_.folder);
    listener.transport = net::Transport::mutual_tls;
    listener.certificate_pem = credentials_.tls_certificate_pem;
    listener.key_pem = credentials_.tls_key_pem;
    serving_->peers =
        make(std::move(listener), [this](HttpRequest request, const identity::Caller& caller) {
          return serve_certified(std::move(request), caller);
        });
  }
  if (config_.credential_peers) {
    net::ListenerConfig listener = plain_listener(*config_.credential_peers, config_.folder);
    if (!config_.credential_peers->plain) {
      auto pair = load_credential_pair(config_, credentials_);
      if (!pair) return fail(std::move(pair));
      listener.transport = net::Transport::tls;
      listener.certificate_pem = std::move(pair->certificate);
      listener.key_pem = std::move(pair->key);
    }
    serving_->credential_peers =
        make(std::move(listener), [this](HttpRequest request, const identity::Caller& caller) {
          return serve_by_credential(std::move(request), caller);
        });
  }
  // A port that the system chose is known only now; the line at start has to name it.
  // Management comes last: who hears there that the connector is ready finds the others open.
  const std::pair<net::Server*, Listener*> listeners[] = {
      {serving_->peers.get(), config_.peers ? &*config_.peers : nullptr},
      {serving_->credential_peers.get(),
       config_.credential_peers ? &*config_.credential_peers : nullptr},
      {serving_->apps.get(), &config_.apps},
      {serving_->management.get(), &config_.management},
  };
  for (const auto& [server, listener] : listeners) {
    if (server == nullptr) continue;
    auto bound = server->listen();
    if (!bound) return fail(std::move(bound));
    listener->port = *bound;
  }
  credentials_.tls_key_pem = {};
  return {};
}

// A party that is known by a credential is known by that alone, also where it has a certificate.
awaitable<HttpResponse> Connector::serve_certified(
    HttpRequest request, const identity::Caller& caller
) {
  if (caller.peer && peer_credentials_->has(caller.peer->party)) {
    const Message reason{"identity.known-by-credential", {{"peer", to_string(caller.peer->party)}}};
    if (auto refused = api::refuse_unknown_peer(request, reason)) {
      refusals_->refused(reason, host_of(caller.source));
      co_return std::move(*refused);
    }
  }
  if (caller.peer) {
    contacts_->heard(caller.peer->party);
    const auto recorded = co_await enrolments_->met(*caller.peer);
    if (!recorded) co_return api::problem(recorded.error(), Lang::en);
  }
  co_return co_await serving_->peer_router->handle(std::move(request), caller);
}

std::shared_ptr<const identity::PeerIdentity> Connector::known_by_credential(
    const HttpRequest& request, const identity::Caller& caller
) const {
  // Of two credentials it would be a guess which one is meant.
  if (request.headers.count("Authorization") != 1) return nullptr;
  auto party = peer_credentials_->owner(caller.authorization);
  // Where data is fetched, the token that the party was given stands for its credential.
  if (!party && request.target.starts_with("/data/")) {
    party = tokens_->holder(api::data_token(caller));
    if (party && !peer_credentials_->has(*party)) party.reset();
  }
  return party ? identity_by_credential(*std::move(party)) : nullptr;
}

awaitable<HttpResponse> Connector::serve_by_credential(
    HttpRequest request, const identity::Caller& caller
) {
  identity::Caller known = caller;
  known.peer = known_by_credential(request, caller);
  if (!known.peer) {
    const Message reason{"identity.credential-unknown", {}};
    if (auto refused = api::refuse_unknown_peer(request, reason)) {
      const Lang lang = parse_lang(request.headers.get("Accept-Language").value_or(""));
      auto too_soon = serving_->peer_limits.refuse_unknown(caller, clock_.read().at, lang);
      if (too_soon) co_return *std::move(too_soon);
      refusals_->refused(reason, host_of(caller.source));
      co_return std::move(*refused);
    }
  }
  if (known.peer) contacts_->heard(known.peer->party);
  co_return co_await serving_->peer_router->handle(std::move(request), known);
}

}  // namespace tally::daemon
