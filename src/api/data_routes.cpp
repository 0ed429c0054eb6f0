#include "tally/api/data_routes.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

#include <nlohmann/json.hpp>

#include "tally/api/form_of_act.hpp"
#include "tally/dataplane/sealed_payload.hpp"
#include "tally/dataplane/shaped_source.hpp"
#include "tally/dataplane/stream.hpp"
#include "tally/odrl/terms.hpp"

#include "acts.hpp"
#include "call_parameters.hpp"
#include "sending.hpp"

namespace tally::api {

namespace {

constexpr std::string_view bearer = "Bearer ";

// --- the provider's side ---

using Parts = std::shared_ptr<const PeerDataParts>;

// What is needed at the end of a payload that goes out encrypted, to say what its key opens.
struct OutgoingSeal {
  transfer::DataKey key;
  std::uint64_t chunks = 0;
  std::uint64_t plain_bytes = 0;
  std::shared_ptr<const dataplane::SealedSource::Plain> plain;
  std::string media_type;

  void describe(transfer::Sent& sent) const {
    transfer::OpenedContent opens{plain->content, plain_bytes, media_type};
    sent.sealed = transfer::SealedContent{chunks, transfer::key_commitment(key, opens)};
    sent.opens = std::move(opens);
  }
};

// Puts the seal of this transfer on `source`; its key is durable on return. Errors: those of the
// source and of the keys.
awaitable<Result<std::shared_ptr<const OutgoingSeal>>> seal_source(
    const PeerDataParts& parts,
    Pid process,
    std::unique_ptr<dataplane::Source>& source,
    std::string media_type
) {
  auto identity = co_await source->identify();
  if (!identity) co_return fail(std::move(identity));
  auto key = co_await parts.keys->key_for(process, identity->text);
  if (!key) co_return fail(std::move(key));
  auto sealed = std::make_unique<dataplane::SealedSource>(
      std::move(source), *identity, key->bytes, process.value
  );
  auto seal = std::make_shared<OutgoingSeal>();
  seal->key = *key;
  seal->chunks = sealed->shape().chunks;
  seal->plain_bytes = identity->length;
  seal->plain = sealed->plain();
  seal->media_type = std::move(media_type);
  source = std::move(sealed);
  co_return std::shared_ptr<const OutgoingSeal>(std::move(seal));
}

// What the consumer is told of the columns that it gets, and of what was done to them.
Json form_to_tell(const ServedAsset& asset, const dataplane::RuleShapes::Form* form) {
  if (!asset.schema || form == nullptr) return {};
  Json duties = Json::array();
  for (const auto& duty : form->duties) duties.push_back(duty.value);
  return {
      {"mediaType", asset.media_type},
      {"schema", catalog::to_json(form->shape ? form->shape->output() : *asset.schema)},
      {"duties", std::move(duties)}};
}

awaitable<HttpResponse> serve(Parts parts, Call& call) {
  const auto found = parts->tokens.find(data_token(call.caller), *call.caller.peer);
  if (const auto* refused = std::get_if<transfer::TokenRefusal>(&found)) {
    const bool renewed = *refused == transfer::TokenRefusal::certificate_changed;
    co_return problem(
        401, {renewed ? "api.certificate-changed" : "api.unknown-data-token", {}}, call.lang
    );
  }
  const auto& grant = *std::get<transfer::TokenGrantPtr>(found);
  // A token opens its own transfer and nothing else.
  if (grant.transfer.value != call.parameters.front()) {
    co_return problem(401, {"api.unknown-data-token", {}}, call.lang);
  }
  const auto asset = parts->assets.of(grant.agreement);
  if (!asset) co_return problem(asset.error(), call.lang);
  auto source = parts->sources.source((*asset)->source);
  if (!source) co_return problem(500, {"api.internal", {}}, call.lang);

  const bool pull = grant.action == odrl::iri::archive;
  PeerAct from_peer;
  from_peer.agreement = grant.agreement;
  from_peer.action = grant.action;
  from_peer.consumer = grant.consumer;
  from_peer.purposes = (*asset)->purposes;
  from_peer.by_credential = call.caller.peer->certificate_sha256 == identity::by_credential;
  from_peer.source = call.caller.source;
  from_peer.sealed =
      pull && parts->keys != nullptr && parts->enforcer.receipt_before_key(grant.agreement);
  auto act = act_of_peer(std::move(from_peer));
  act.process = grant.transfer;
  // A pull is one act, however often it is resumed; a call is one act for each key.
  act.idempotency_key = pull
                            ? "pull " + grant.transfer.value
                            : std::string(call.request.headers.get("Idempotency-Key").value_or(""));
  if (act.idempotency_key.size() > 256) co_return problem(400, {"api.key-too-long", {}}, call.lang);
  const auto& declared = (*asset)->parameters;
  act.cannot = undeclared_parameter(call.target, declared);
  if (act.cannot) co_return co_await refuse(parts->enforcer, std::move(act), call.lang);
  const auto asked = read_parameters(call.target, declared);
  if (!asked) co_return problem(asked.error(), call.lang);
  act.idempotency_key = bound_key(std::move(act.idempotency_key), parts->call_secret, *asked);
  const auto& shapes = *(*asset)->shapes;
  const auto* form = form_of_act(parts->enforcer, shapes, act, &parts->notices);
  if (act.cannot) co_return co_await refuse(parts->enforcer, std::move(act), call.lang);
  auto shape = form == nullptr ? nullptr : form->shape;
  if (form != nullptr && !asked->empty()) {
    auto made = shape_of_call(shape, *(*asset)->schema, *asked);
    if (!made) co_return problem(made.error(), call.lang);
    shape = *std::move(made);
  }
  if (shape) {
    *source = std::make_unique<dataplane::ShapedSource>(
        std::move(*source), shape, parts->limits.record_bytes
    );
  }

  // What would fail anyway must not cost a use: look at the data first.
  std::shared_ptr<const OutgoingSeal> seal;
  if (act.receipt_before_key) {
    auto sealed = co_await seal_source(*parts, grant.transfer, *source, (*asset)->media_type);
    if (!sealed) co_return problem(sealed.error(), call.lang);
    seal = std::move(*sealed);
  }
  auto small = (*source)->small();
  dataplane::SourceIdentity identity;
  if (small) {
    identity = small->identity;
  } else {
    auto identified = co_await (*source)->identify();
    if (!identified && is_of_policy(identified.error())) {
      act.cannot = identified.error().message;
      co_return co_await refuse(parts->enforcer, std::move(act), call.lang);
    }
    if (!identified) co_return problem(identified.error(), call.lang);
    identity = std::move(*identified);
  }
  const auto selection = dataplane::select(call.request.headers, identity);
  if (selection.status == 412) co_return problem(412, {"api.source-changed", {}}, call.lang);
  if (selection.status == 416) co_return problem(416, {"api.range", {}}, call.lang);

  auto authorised = co_await parts->enforcer.authorise(std::move(act));
  if (!authorised) co_return problem(authorised.error(), call.lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return refusal_response(*refusal, call.lang);
  }

  auto sending = std::make_shared<Sending>();
  sending->grants.push_back(std::get<usage::Grant>(std::move(*authorised)));
  sending->access = grant.access;
  // Of a part nobody knows how many rows it has.
  if (selection.range.length == identity.length && !seal) sending->rows = identity.rows;
  if (!(*asset)->held_under.empty()) {
    // What is held for others goes on only where their agreement says so, each time.
    usage::Act onward;
    onward.agreement = (*asset)->held_under;
    onward.action = std::string(odrl::iri::distribute);
    onward.party = parts->self;
    onward.purposes = (*asset)->onward_purposes;
    onward.purpose_source = odrl::Source::registration;
    onward.process = grant.transfer;
    // What is continued is passed on once.
    onward.idempotency_key = "onward " + sending->grants.front().use.value;
    auto passed = co_await parts->enforcer.authorise(std::move(onward));
    if (!passed || !std::holds_alternative<usage::Grant>(*passed)) {
      co_await give_back(parts->enforcer, sending);
      const bool unheard = !passed && passed.error().kind == ErrorKind::unavailable;
      if (unheard) co_return problem(passed.error(), call.lang);
      // Whose data they are is not the asker's to know; the refusal is in our log.
      co_return problem(403, {"api.not-passed-on", {}}, call.lang);
    }
    sending->onward.push_back(std::get<usage::Grant>(*std::move(passed)));
  }
  if (!is_of_form(sending->grants.front(), shapes, form)) {
    co_await give_back(parts->enforcer, sending);
    co_return problem(503, {"api.form-changed", {}}, call.lang);
  }
  if (!grant.access->open()) {  // suspended or over, while the use was being recorded
    co_await give_back(parts->enforcer, sending);
    co_return problem(401, {"api.unknown-data-token", {}}, call.lang);
  }
  HttpResponse response;
  response.status = selection.status;
  response.headers.set(
      "Content-Type", seal ? std::string("application/octet-stream") : (*asset)->media_type
  );
  if (auto said = co_await describe_use(response, sending->grants, parts->receipts); !said) {
    co_await give_back(parts->enforcer, sending);
    co_return problem(said.error(), call.lang);
  }
  dataplane::describe(selection, identity, response.headers, small ? small->etag : std::string());
  // The receipt of a pull: on the home executor, after the last byte.
  std::function<void(const std::string&, std::uint64_t)> whole;
  if (pull) {
    // The consumer is asked for it with each use.
    const auto entry = parts->enforcer.state(grant.agreement);
    if (entry && !entry->terms.asset_class.empty()) {
      response.headers.set("Tally-Asset-Class", percent_encode_segment(entry->terms.asset_class));
    }
    const std::uint64_t length = identity.length;
    whole = [parts, process = grant.transfer, length, seal, said = form_to_tell(**asset, form)](
                const std::string& content, std::uint64_t
            ) {
      transfer::Sent sent{process, content, length, std::nullopt, std::nullopt, said};
      if (seal) seal->describe(sent);
      boost::asio::post(parts->home, [parts, sent] {
        auto record = [](Parts p, transfer::Sent sent) -> awaitable<void> {
          auto recorded = co_await p->transfers.sent(std::move(sent));
          if (!recorded) p->notices.note(Severity::error, recorded.error().message);
        };
        parts->tasks.spawn("sent", record(parts, sent));
      });
    };
  }
  if (small) {
    sending->content = small->content;
    sending->read_whole = true;
    response.body = small->bytes.substr(selection.range.offset, selection.range.length);
    response.on_sent = completion(parts->enforcer, sending, std::move(whole));
    co_return response;
  }

  Sha256 sha;
  if (selection.range.offset > 0) {
    auto before =
        co_await digest_prefix(**source, selection.range.offset, sha, parts->limits.stream_piece);
    if (!before) {
      co_await give_back(parts->enforcer, sending);
      co_return problem(before.error(), call.lang);
    }
  }
  auto body = co_await (*source)->open(selection.range.offset, selection.range.length);
  if (!body) {
    co_await give_back(parts->enforcer, sending);
    co_return problem(body.error(), call.lang);
  }
  response.stream = sent_reader(std::move(*body), selection.range.length, std::move(sha), sending);
  response.stream_length = selection.range.length;
  // A transfer that is suspended or over takes what is under way with it, and so does the end of
  // what the policy permits, of the agreement, and a hold.
  response.may_go_on = [parts, access = grant.access, sending] {
    return access->open() && may_go_on(parts->enforcer, *sending);
  };
  response.on_sent = completion(parts->enforcer, sending, std::move(whole));
  co_return response;
}

}  // namespace

std::string_view bearer_token(const identity::Caller& caller) {
  const std::string_view shown = caller.authorization;
  return shown.starts_with(bearer) ? shown.substr(bearer.size()) : std::string_view();
}

HttpResponse refusal_response(const usage::Refusal& refusal, Lang lang) {
  auto response = problem(403, refusal.code, lang);
  Json body = Json::parse(response.body);
  add_refusal(body, refusal, lang);
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

Admit admit_apps(usage::AppRegistry& apps) {
  return [&apps](const HttpRequest&, const identity::Caller& caller) -> Result<Admission> {
    const auto token = bearer_token(caller);
    if (token.empty()) return fail(ErrorKind::unauthenticated, {"api.no-token", {}});
    const auto app = apps.find_by_token(token);
    if (!app) return fail(ErrorKind::unauthenticated, {"api.unknown-token", {}});
    return Admission{Role::app, app->id.value};
  };
}

std::string_view data_token(const identity::Caller& caller) {
  std::string_view token = caller.authorization;
  if (token.starts_with(bearer)) token.remove_prefix(bearer.size());
  return token;
}

std::vector<Route> peer_data_routes(PeerDataParts given) {
  auto parts = std::make_shared<const PeerDataParts>(std::move(given));
  const RouteHandler data = [parts](Call& call) { return serve(parts, call); };
  return {{"GET", "/data/:pid", Role::peer, Where::connection, data}};
}

}  // namespace tally::api
