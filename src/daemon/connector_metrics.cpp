// What the connector tells of itself in numbers (docs/operations.md, "Metrics"). Everything is
// gathered when it is asked for, on the home executor; what happens often was counted where it
// happened (core/counting.hpp). No label is anybody's but an operator's or a partner's: no subject,
// no text that a stranger wrote.
#include <algorithm>
#include <utility>

#include "tally/core/version.hpp"

#include "connector.hpp"
#include "metric_families.hpp"
#include "process_figures.hpp"
#include "serving.hpp"

namespace tally::daemon {

namespace {

// Series that grow with what is agreed and with whom: more of them are left out, or added up.
constexpr std::size_t most_left = 100;
constexpr std::size_t most_peers = 100;

double number(std::uint64_t count) {
  return static_cast<double>(count);
}

double unix_seconds(Instant at) {
  return static_cast<double>(at.seconds) + static_cast<double>(at.nanos) * seconds_of_nano;
}

// --- what was asked ---

struct ServedAt {
  std::string listener;
  const api::Router* router = nullptr;  // null: that of another listener
  const net::Server* server = nullptr;  // null: nothing listens there
};

void tell_requests(MetricFamilies& out, const std::vector<ServedAt>& all) {
  auto requests = out.counter("tally_http_requests_total");
  for (const auto& at : all) {
    if (at.router == nullptr) continue;
    for (const auto& one : at.router->figures().answered) {
      const bool is_known = !one.path.empty();
      requests.add(
          number(one.count),
          {{"listener", at.listener},
           {"method", is_known ? std::string(one.method) : "other"},
           {"route", is_known ? one.path : "none"},
           {"status", std::to_string(one.hundreds) + "xx"}}
      );
    }
  }
  auto taken = out.histogram("tally_http_request_duration_seconds");
  for (const auto& at : all) {
    if (at.router == nullptr) continue;
    taken.add(at.router->figures().taken, seconds_of_nano, {{"listener", at.listener}});
  }
}

void tell_connections(MetricFamilies& out, const std::vector<ServedAt>& all) {
  auto connections = out.gauge("tally_connections");
  auto in_progress = out.gauge("tally_http_requests_in_progress");
  for (const auto& at : all) {
    if (at.server == nullptr) continue;
    connections.add(number(at.server->connections()), {{"listener", at.listener}});
    in_progress.add(number(at.server->requests_in_flight()), {{"listener", at.listener}});
  }
}

void tell_peers(MetricFamilies& out, const std::map<PartyId, std::size_t>& connections) {
  std::vector<std::pair<PartyId, std::size_t>> most(connections.begin(), connections.end());
  std::ranges::stable_sort(most, std::greater{}, &std::pair<PartyId, std::size_t>::second);
  auto peers = out.gauge("tally_peer_connections");
  std::uint64_t others = 0;
  for (std::size_t i = 0; i < most.size(); ++i) {
    if (i < most_peers) {
      const PartyId& peer = most[i].first;
      peers.add(number(most[i].second), {{"peer", peer.domain + ":" + peer.uri}});
    } else {
      others += most[i].second;
    }
  }
  peers.add(number(others), {{"peer", "other"}});
}

// --- what was used ---

void tell_uses(MetricFamilies& out, const usage::UseFigures& uses) {
  auto acts = out.counter("tally_uses_total");
  for (const auto& [action, of] : uses.actions) {
    acts.add(number(of.permitted), {{"action", action}, {"outcome", "permitted"}});
    acts.add(number(of.continued), {{"action", action}, {"outcome", "continued"}});
    acts.add(number(of.refused), {{"action", action}, {"outcome", "refused"}});
  }
  auto refusals = out.counter("tally_refusals_total");
  for (const auto& [code, count] : uses.refusals) refusals.add(number(count), {{"reason", code}});
  out.counter("tally_uses_unrecorded_total").add(number(uses.unrecorded));
  out.histogram("tally_use_decision_duration_seconds").add(uses.taken, seconds_of_nano);
}

void tell_agreements(MetricFamilies& out, const usage::UseFigures& uses) {
  auto agreements = out.gauge("tally_agreements");
  for (std::size_t i = 0; i < uses.agreements.size(); ++i) {
    const auto state = usage::to_string(static_cast<usage::Closed>(i));
    agreements.add(number(uses.agreements[i]), {{"state", std::string(state)}});
  }
  auto left = out.gauge("tally_uses_left");
  for (const auto& one : uses.left) {
    left.add(
        static_cast<double>(one.uses),
        {{"agreement", one.agreement.value}, {"rule", one.rule.value}}
    );
  }
  auto duties = out.gauge("tally_duties");
  duties.add(number(uses.duties_due), {{"state", "due"}});
  duties.add(number(uses.duties_overdue), {{"state", "overdue"}});
}

// --- what survives ---

void tell_log(MetricFamilies& out, const audit::LogWriter& log, audit::LogStorage& storage) {
  const auto figures = log.figures();
  out.counter("tally_log_records_total").add(number(log.mark().size));
  out.histogram("tally_log_flush_duration_seconds").add(figures.flushes, seconds_of_nano);
  out.histogram("tally_log_flush_records").add(figures.batches, 1);
  auto room = out.gauge("tally_log_free_bytes");
  if (const auto bytes = storage.free_bytes()) room.add(number(*bytes));
}

void tell_store(MetricFamilies& out, const store::StoreFigures& figures) {
  auto commits = out.counter("tally_store_commits_total");
  commits.add(number(figures.committed), {{"outcome", "committed"}});
  commits.add(number(figures.conflicts), {{"outcome", "conflict"}});
  commits.add(number(figures.failed), {{"outcome", "failed"}});
}

void tell_outbox(MetricFamilies& out, const negotiation::Delivery& delivery, Instant now) {
  const auto queued = delivery.queued();
  auto messages = out.gauge("tally_outbox_messages");
  for (const auto& [kind, count] : queued.by_kind) messages.add(number(count), {{"kind", kind}});
  const Nanos age = queued.oldest ? std::max<Nanos>(0, now - *queued.oldest) : 0;
  out.gauge("tally_outbox_oldest_seconds").add(static_cast<double>(age) * seconds_of_nano);
}

struct Held {
  std::uint64_t artefacts = 0;
  std::uint64_t bytes = 0;
};

void tell_custody(MetricFamilies& out, const custody::Holdings* holdings) {
  auto artefacts = out.gauge("tally_custody_artefacts");
  auto bytes = out.gauge("tally_custody_bytes");
  if (holdings == nullptr) return;
  Held staged, held, destroying;
  holdings->each([&](const custody::Holding& one) {
    if (one.state == custody::HoldingState::destroyed) return;  // a row without data
    Held& sum = one.state == custody::HoldingState::staged ? staged
                : one.state == custody::HoldingState::held ? held
                                                           : destroying;
    ++sum.artefacts;
    sum.bytes += one.bytes;
  });
  for (const auto& [state, sum] :
       {std::pair{"staged", staged},
        std::pair{"held", held},
        std::pair{"destroying", destroying}}) {
    artefacts.add(number(sum.artefacts), {{"state", state}});
    bytes.add(number(sum.bytes), {{"state", state}});
  }
}

// --- what stands ---

void tell_certificates(
    MetricFamilies& out, const Credentials& credentials, const identity::TrustStore& trust
) {
  auto own = out.gauge("tally_certificate_expiry_timestamp_seconds");
  own.add(unix_seconds(credentials.tls.not_after), {{"certificate", "tls"}});
  own.add(unix_seconds(credentials.contract.not_after), {{"certificate", "contract"}});
  auto anchors = out.gauge("tally_anchor_expiry_timestamp_seconds");
  auto lists = out.gauge("tally_revocation_list_expiry_timestamp_seconds");
  for (const auto& one : trust.ends()) {
    anchors.add(unix_seconds(one.anchors), {{"domain", one.domain}});
    if (one.lists) lists.add(unix_seconds(*one.lists), {{"domain", one.domain}});
  }
}

void tell_checks(MetricFamilies& out, const std::vector<api::Check>& checks) {
  auto ready = out.gauge("tally_ready");
  for (const auto& check : checks) ready.add(check.good ? 1 : 0, {{"check", check.name}});
}

void tell_spans(MetricFamilies& out, const SpanExporter* exporter) {
  const auto figures = exporter != nullptr ? exporter->figures() : SpanFigures{};
  auto spans = out.counter("tally_spans_total");
  spans.add(number(figures.exported), {{"outcome", "exported"}});
  spans.add(number(figures.dropped), {{"outcome", "dropped"}});
}

// By the names that Prometheus' own clients use.
void tell_process(MetricFamilies& out) {
  const auto process = process_figures();
  out.gauge("process_resident_memory_bytes").add(number(process.resident_bytes));
  out.gauge("process_virtual_memory_bytes").add(number(process.virtual_bytes));
  out.counter("process_cpu_seconds_total").add(process.cpu_seconds);
  out.gauge("process_start_time_seconds").add(process.started);
  out.gauge("process_open_fds").add(number(process.descriptors));
  out.gauge("process_max_fds").add(number(process.most_descriptors));
}

}  // namespace

std::string Connector::metrics(Lang lang) const {
  MetricFamilies out(lang);
  const Instant now = clock_.read().at;
  out.gauge("tally_build_info").add(1, {{"version", std::string(version())}});
  tell_checks(out, checks());

  const auto& serving = *serving_;
  // Peers of both kinds are answered by one router.
  const std::vector<ServedAt> served = {
      {"peers", serving.peer_router.get(), serving.peers.get()},
      {"credential-peers", nullptr, serving.credential_peers.get()},
      {"apps", serving.app_router.get(), serving.apps.get()},
      {"management", serving.management_router.get(), serving.management.get()}};
  tell_requests(out, served);
  tell_connections(out, served);
  tell_peers(
      out, serving.peers ? serving.peers->connections_by_peer() : std::map<PartyId, std::size_t>()
  );
  auto refused = out.counter("tally_connections_refused_total");
  for (const auto& [code, count] : refusals_->totals()) {
    refused.add(number(count), {{"reason", code}});
  }
  auto limited = out.counter("tally_calls_limited_total");
  for (const auto& [what, count] : limited_->totals()) {
    limited.add(number(count), {{"listener", what.first}, {"reason", what.second}});
  }

  const auto uses = enforcer_->figures(most_left);
  tell_uses(out, uses);
  tell_agreements(out, uses);
  tell_log(out, *log_, *log_storage_);
  tell_store(out, store_->figures());
  tell_outbox(out, *delivery_, now);
  tell_custody(out, holdings_.get());
  tell_certificates(out, credentials_, *trust_->current().store);
  tell_spans(out, spans_.get());
  tell_process(out);
  return out.text();
}

}  // namespace tally::daemon
