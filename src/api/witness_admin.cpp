#include "witness_admin.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"

#include "code.hpp"

namespace tally::api {

namespace {

Json party_json(const PartyId& party) {
  if (party.empty()) return nullptr;
  return {{"domain", party.domain}, {"uri", party.uri}};
}

Json time_json(const std::optional<Instant>& at) {
  return at ? Json(format_seconds(*at)) : Json();
}

Json contradiction_json(const audit::Contradiction& one) {
  Json out = {
      {"evidence", digest_text(one.evidence())},
      {"proven", one.proven},
      {"event", one.event},
      {"lifted", nullptr}};
  const auto note = audit::parse_note(one.second);
  const auto second = note ? audit::parse_checkpoint(note->text) : tl::unexpected(note.error());
  if (second) {
    out["size"] = second->size;
    out["root"] = digest_text(second->root);
  }
  if (one.first.size() + one.second.size() <= audit::most_shown_notes) {
    out["notes"] = {one.first, one.second};
  }
  if (one.lifted) {
    out["lifted"] = {{"at", format_seconds(one.lifted->at)}, {"reason", one.lifted->reason}};
  }
  return out;
}

Result<Json> contradictions_json(Store& store, const std::string& origin) {
  const auto all = audit::contradictions_of(store, origin);
  if (!all) return tl::unexpected(all.error());
  Json out = Json::array();
  for (const auto& one : *all) out.push_back(contradiction_json(one));
  return out;
}

// Every log that is or was watched here, in order of origin.
Result<Json> witnessed_json(const ManagementApiParts& parts) {
  std::map<std::string, Json> logs;
  const auto add = [&](const std::string& origin, const PartyId& party) -> Json& {
    Json& log = logs[origin];
    if (log.is_null()) {
      log = {
          {"origin", origin},
          {"party", party_json(party)},
          {"size", 0},
          {"cosignedAt", nullptr},
          {"watched", false}};
    }
    return log;
  };
  for (const auto& watched : parts.witness.watched()) {
    add(watched.origin, watched.owner)["watched"] = true;
  }
  const auto cosigned = audit::witnessed_logs(parts.store);
  if (!cosigned) return tl::unexpected(cosigned.error());
  for (const auto& one : *cosigned) {
    Json& log = add(one.origin, one.owner);
    log["size"] = one.size;
    log["root"] = digest_text(one.root);
    log["cosignedAt"] = format_seconds(one.at);
  }
  Json out = Json::array();
  for (auto& [origin, log] : logs) {
    auto against = contradictions_json(parts.store, origin);
    if (!against) return fail(std::move(against));
    log["contradicted"] = std::any_of(against->begin(), against->end(), [](const Json& one) {
      return one.at("lifted").is_null();
    });
    log["contradictions"] = std::move(*against);
    out.push_back(std::move(log));
  }
  return out;
}

bool waits_for(const audit::Unwitnessed& waiting, const audit::WitnessTarget& target) {
  if (!waiting.party.empty()) return waiting.party == target.to;
  return std::any_of(target.keys.begin(), target.keys.end(), [&](const audit::VerifierKey& key) {
    return std::find(waiting.keys.begin(), waiting.keys.end(), key) != waiting.keys.end();
  });
}

Result<Json> witnesses_json(
    const ManagementApiParts& parts, const std::vector<usage::Enforcer::Waiting>& waiting, Lang lang
) {
  const auto all = parts.witness.sender.witnesses();
  if (!all) return tl::unexpected(all.error());
  Json out = Json::array();
  for (const auto& one : *all) {
    Json agreements = Json::array();
    for (const auto& each : waiting) {
      if (waits_for(each.witnesses, one.target)) agreements.push_back(each.agreement.value);
    }
    Json witness = {
        {"party", party_json(one.target.to)},
        {"url", one.target.url},
        {"size", one.cosigned.size},
        {"cosignedAt", time_json(one.at)},
        {"clockApart", one.apart},
        {"failingSince", time_json(one.cosigned.failing_since)},
        {"why", one.why ? shown_message(*one.why, lang) : Json()},
        {"missing", one.cosigned.missing},
        {"unaskedSince", time_json(one.unasked)},
        {"waiting", std::move(agreements)}};
    if (!one.target.name.empty()) witness["name"] = one.target.name;
    out.push_back(std::move(witness));
  }
  return out;
}

// The digests that an order to lift names: what the operator has seen.
Result<std::vector<Digest>> evidence_member(const Json& body) {
  const auto member = body.find("evidence");
  const auto malformed = [](std::string pointer) {
    return fail(ErrorKind::invalid, {"api.evidence-malformed", {}}, std::move(pointer));
  };
  if (member == body.end() || !member->is_array() || member->empty() ||
      member->size() > 2 * audit::most_contradictions) {
    return malformed("/evidence");
  }
  std::vector<Digest> out;
  for (std::size_t i = 0; i < member->size(); ++i) {
    const Json& text = (*member)[i];
    const auto digest =
        text.is_string() ? parse_digest_text(text.get<std::string>()) : std::nullopt;
    if (!digest) return malformed(child("/evidence", i));
    out.push_back(*digest);
  }
  return out;
}

}  // namespace

awaitable<HttpResponse> get_witness(ManagementParts parts, Call& call) {
  const auto waiting = parts->enforcer.waiting();
  auto witnessed = witnessed_json(*parts);
  if (!witnessed) co_return problem(witnessed.error(), call.lang);
  auto witnesses = witnesses_json(*parts, waiting, call.lang);
  if (!witnesses) co_return problem(witnesses.error(), call.lang);
  Json agreements = Json::array();
  for (const auto& each : waiting) {
    agreements.push_back(
        {{"agreement", each.agreement.value},
         {"since", format_seconds(each.witnesses.since)},
         {"witnesses", each.witnesses.witnesses}}
    );
  }
  Json quorum;
  if (const auto state = parts->witness.witnessing.quorum()) {
    quorum = {{"name", state->name}, {"size", state->size}, {"reached", state->reached}};
  }
  co_return json_response(
      200,
      {{"log", parts->connector.status().at("log")},
       {"witnessed", std::move(*witnessed)},
       {"witnesses", std::move(*witnesses)},
       {"quorum", std::move(quorum)},
       {"waiting", std::move(agreements)}}
  );
}

awaitable<HttpResponse> post_lift(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  audit::Lift lift;
  lift.origin = call.parameters.front();
  const auto reason = string_member(*body, "reason", "");
  if (!reason) co_return problem(reason.error(), call.lang);
  if (!is_code(*reason)) {
    co_return problem(400, {"api.lift-reason-malformed", {}}, call.lang, "/reason");
  }
  lift.reason = *reason;
  auto evidence = evidence_member(*body);
  if (!evidence) co_return problem(evidence.error(), call.lang);
  lift.evidence = std::move(*evidence);
  auto lifted = co_await audit::lift_contradictions(parts->witness.lift, std::move(lift));
  if (!lifted) co_return problem(lifted.error(), call.lang);
  Json items = Json::array();
  for (const auto& one : *lifted) items.push_back(contradiction_json(one));
  co_return json_response(200, {{"lifted", std::move(items)}});
}

}  // namespace tally::api
