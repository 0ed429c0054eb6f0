#include "tally/api/peer_routes.hpp"

#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/error_body.hpp"

namespace tally::api {

namespace {

using negotiation::HttpAnswer;
using negotiation::NegotiationService;
using negotiation::Received;
using transfer::TransferService;

// What every route of this file shares; kept alive by the handlers.
using Parts = std::shared_ptr<const PeerApiParts>;

HttpResponse to_response(HttpAnswer answer) {
  HttpResponse response;
  response.status = answer.status;
  response.body = std::move(answer.body);
  if (!response.body.empty()) response.headers.set("Content-Type", "application/json");
  return response;
}

HttpResponse protocol_error(
    dsp::Family family, int status, const Message& message, const dsp::KnownPids& pids = {}
) {
  return json_response(status, dsp::error_body(family, status, message, pids));
}

Received received(const Call& call) {
  Received out;
  out.caller = *call.caller.peer;
  out.request = call.request;
  if (!call.parameters.empty()) out.own_pid = call.parameters.front();
  return out;
}

// A message has to say that it is JSON before anyone parses it.
bool is_json(const Call& call) {
  return dsp::is_json_media_type(call.request.headers.get("Content-Type").value_or(""));
}

RouteHandler version_document() {
  return [](Call&) -> awaitable<HttpResponse> {
    const auto versions = dsp::our_versions(std::string(dsp_base_path));
    co_return json_response(200, dsp::to_json(versions));
  };
}

using NegotiationStep = awaitable<HttpAnswer> (NegotiationService::*)(Received);
using TransferStep = awaitable<HttpAnswer> (TransferService::*)(Received);

// What a message may do when the connector takes no new work (disk nearly full, log failed).
enum class Takes {
  always,     // reads, and what ends something or is evidence: the journal refuses what it cannot
              // record
  when_open,  // what begins something or goes on with it
};

// Checks that belong to the binding, then the service's one function.
template <class Service, class Step>
RouteHandler step(Parts parts, Service& service, Step function, dsp::Family family, Takes takes) {
  return [parts, &service, function, family, takes](Call& call) -> awaitable<HttpResponse> {
    if (call.request.method == "POST" && !is_json(call)) {
      co_return protocol_error(family, 415, {"api.media-type", {}});
    }
    if (takes == Takes::when_open) {
      if (const auto closed = parts->closed()) {
        co_return json_response(503, dsp::error_body(family, 503, closed->message));
      }
    }
    auto message = received(call);
    auto answer = co_await (service.*function)(std::move(message));
    co_return to_response(std::move(answer));
  };
}

}  // namespace

Result<Admission> admit_peer(const HttpRequest&, const identity::Caller& caller) {
  if (!caller.peer) return fail(ErrorKind::unauthenticated, {"api.no-certificate", {}});
  return Admission{Role::peer, to_string(caller.peer->party)};
}

std::vector<Route> peer_routes(PeerApiParts given) {
  auto parts = std::make_shared<const PeerApiParts>(std::move(given));
  auto& negotiations = parts->negotiations;
  auto& transfers = parts->transfers;

  const std::map<std::string, NegotiationStep, std::less<>> negotiation_steps = {
      {"POST /negotiations/request", &NegotiationService::receive_request},
      {"POST /negotiations/offers", &NegotiationService::receive_initial_offer},
      {"GET /negotiations/:pid", &NegotiationService::read},
      {"POST /negotiations/:pid/request", &NegotiationService::receive_counter_request},
      {"POST /negotiations/:pid/offers", &NegotiationService::receive_offer},
      {"POST /negotiations/:pid/agreement", &NegotiationService::receive_agreement},
      {"POST /negotiations/:pid/agreement/verification", &NegotiationService::receive_verification},
      {"POST /negotiations/:pid/events", &NegotiationService::receive_event},
      {"POST /negotiations/:pid/termination", &NegotiationService::receive_termination},
  };
  const std::map<std::string, TransferStep, std::less<>> transfer_steps = {
      {"POST /transfers/request", &TransferService::receive_request},
      {"GET /transfers/:pid", &TransferService::read},
      {"POST /transfers/:pid/start", &TransferService::receive_start},
      {"POST /transfers/:pid/suspension", &TransferService::receive_suspension},
      {"POST /transfers/:pid/completion", &TransferService::receive_completion},
      {"POST /transfers/:pid/termination", &TransferService::receive_termination},
  };

  std::vector<Route> routes;
  routes.push_back(
      // DSP 2025-1, 4.1: without authentication; on the peer port TLS has asked for a certificate.
      {"GET", std::string(dsp::version_path), Role::anyone, Where::connection, version_document()}
  );
  const auto path_of = [](const std::string& key) {
    return std::string(dsp_base_path) + key.substr(key.find(' ') + 1);
  };
  const auto takes = [](const std::string& key) {
    const bool ends = key.ends_with("/termination") || key.ends_with("/completion") ||
                      key.ends_with("/suspension");
    return key.starts_with("GET") || ends ? Takes::always : Takes::when_open;
  };
  for (const auto& [key, function] : negotiation_steps) {
    routes.push_back(
        {key.starts_with("POST") ? "POST" : "GET",
         path_of(key),
         Role::peer,
         Where::home,
         step(parts, negotiations, function, dsp::Family::negotiation, takes(key))}
    );
  }
  for (const auto& [key, function] : transfer_steps) {
    routes.push_back(
        {key.starts_with("POST") ? "POST" : "GET",
         path_of(key),
         Role::peer,
         Where::home,
         step(parts, transfers, function, dsp::Family::transfer, takes(key))}
    );
  }

  const struct {
    const char* method;
    const char* path;
    TransferStep function;
  } tally_steps[] = {
      {"GET", "/receipts/:pid", &TransferService::get_receipt},
      {"POST", "/receipts/:pid", &TransferService::receive_receipt},
      {"POST", "/keys/:pid", &TransferService::release_key},
      {"POST", "/tokens/:pid", &TransferService::fresh_token},
      {"POST", "/deletion-records", &TransferService::receive_deletion},
      {"POST", "/statements", &TransferService::receive_statement},
      {"POST", "/use-notices", &TransferService::receive_use_notice},
  };
  for (const auto& [method, path, function] : tally_steps) {
    routes.push_back(
        {method,
         std::string(tally_base_path) + path,
         Role::peer,
         Where::home,
         step(parts, transfers, function, dsp::Family::transfer, Takes::always)}
    );
  }
  return routes;
}

}  // namespace tally::api
