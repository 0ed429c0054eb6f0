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

#include "call_parameters.hpp"

namespace tally::api {

namespace {

constexpr std::string_view bearer = "Bearer ";

std::string bearer_token(const identity::Caller& caller) {
  if (!caller.authorization.starts_with(bearer)) return {};
  return caller.authorization.substr(bearer.size());
}

// Shared by a stream's digest, which knows the content, and the transport's end, which knows
// whether all of it went out.
struct Sending {
  usage::Grant grant;
  std::shared_ptr<transfer::DataAccess> access;  // null: of what custody holds
  std::string content;                           // "sha256:…" once all of it was read
  bool read_whole = false;
  std::optional<std::uint64_t> rows;  // of all of it, where that is known
};

// Closes the use when the transport is done with the body; `whole` runs when all of the data has
// gone out, with its digest.
std::function<void(std::uint64_t, bool)> completion(
    usage::Enforcer& enforcer,
    std::shared_ptr<Sending> sending,
    std::function<void(const std::string& content, std::uint64_t bytes)> whole
) {
  return [&enforcer,
          sending = std::move(sending),
          whole = std::move(whole)](std::uint64_t bytes, bool complete) {
    const bool done = complete && sending->read_whole;
    usage::Outcome outcome;
    outcome.bytes = bytes;
    outcome.complete = done;
    if (done) outcome.content = sending->content;
    if (done) outcome.rows = sending->rows;
    enforcer.complete(sending->grant, outcome);
    if (done && whole) whole(outcome.content, bytes);
  };
}

// No byte was handed over. That the use cannot be given back (another request continues it, or the
// log is gone) changes nothing for this one: it counts.
awaitable<void> give_back(usage::Enforcer& enforcer, usage::Grant grant) {
  co_await enforcer.abort(std::move(grant));
}

// Whether it is the policy that a body was refused by, not the data.
bool is_of_policy(const Error& error) {
  return error.message.code == "dataplane.too-many-rows";
}

// Of an act that cannot be carried out here: refused in the log, then to whoever asked.
awaitable<HttpResponse> refuse(usage::Enforcer& enforcer, usage::Act act, Lang lang) {
  auto refused = co_await enforcer.authorise(std::move(act));
  if (!refused) co_return problem(refused.error(), lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*refused)) {
    co_return refusal_response(*refusal, lang);
  }
  co_await give_back(enforcer, std::get<usage::Grant>(*std::move(refused)));
  co_return problem(500, {"api.internal", {}}, lang);
}

// What the answer to a use says of it. The permit is durable, so the receipt is there before the
// first byte. Errors: those of the signature.
awaitable<Result<void>> describe_use(
    HttpResponse& response, const usage::Grant& grant, transfer::UseReceipts* receipts
) {
  response.headers.set("Tally-Use", grant.use.value);
  if (receipts == nullptr) co_return Result<void>{};
  const auto receipt = co_await receipts->receipt(grant);
  if (!receipt) co_return tl::unexpected(receipt.error());
  response.headers.set("Tally-Use-Receipt", audit::to_header(*receipt));
  co_return Result<void>{};
}

// --- the provider's side ---

using Parts = std::shared_ptr<const PeerDataParts>;

// Reads and digests what lies before a resumed range, so that the digest is of the whole.
awaitable<Result<void>> digest_prefix(
    dataplane::Source& source, std::uint64_t length, Sha256& sha, std::size_t piece
) {
  auto reader = co_await source.open(0, length);
  if (!reader) co_return fail(std::move(reader));
  std::vector<std::uint8_t> buffer(piece);
  for (std::uint64_t left = length; left > 0;) {
    auto got = co_await (*reader)->read(std::span(buffer));
    if (!got) co_return fail(std::move(got));
    if (*got == 0) co_return fail(ErrorKind::unavailable, {"api.source-short", {}});
    sha.update(std::span(buffer).first(*got));
    left -= *got;
  }
  co_return Result<void>{};
}

// Digests what it passes on. What lay before a resumed range is in `sha` already, so that the
// digest is of the whole. A transport that was told the length does not ask for the end: the last
// byte is it.
class SentReader final : public BodyReader {
 public:
  SentReader(
      std::unique_ptr<BodyReader> inner,
      std::uint64_t length,
      Sha256 sha,
      std::shared_ptr<Sending> sending
  )
      : inner_(std::move(inner)),
        left_(length),
        sha_(std::move(sha)),
        sending_(std::move(sending)) {
    if (left_ == 0) end();
  }

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    auto got = co_await inner_->read(out);
    if (!got || *got == 0) co_return got;
    sha_.update(out.first(*got));
    if (sending_->access) sending_->access->moved();
    left_ -= std::min<std::uint64_t>(left_, *got);
    if (left_ == 0) end();
    co_return got;
  }

 private:
  void end() {
    if (std::exchange(sending_->read_whole, true)) return;
    sending_->content = digest_text(sha_.finish());
  }

  std::unique_ptr<BodyReader> inner_;
  std::uint64_t left_;
  Sha256 sha_;
  std::shared_ptr<Sending> sending_;
};

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
  const auto& grant = std::get<transfer::TokenGrant>(found);
  // A token opens its own transfer and nothing else.
  if (grant.transfer.value != call.parameters.front()) {
    co_return problem(401, {"api.unknown-data-token", {}}, call.lang);
  }
  const auto asset = parts->assets.of(grant.agreement);
  if (!asset) co_return problem(asset.error(), call.lang);
  auto source = parts->sources.source((*asset)->source);
  if (!source) co_return problem(500, {"api.internal", {}}, call.lang);
  auto purposes = parts->assets.purposes_of(grant.agreement);
  if (!purposes) co_return problem(purposes.error(), call.lang);

  const bool pull = grant.action == odrl::iri::archive;
  usage::Act act;
  act.agreement = grant.agreement;
  act.action = grant.action;
  act.party = grant.consumer;
  act.purposes = std::move(*purposes);
  act.purpose_source = odrl::Source::asserted;
  act.by_credential = call.caller.peer->certificate_sha256 == identity::by_credential;
  act.process = grant.transfer;
  act.receipt_before_key =
      pull && parts->keys != nullptr && parts->enforcer.receipt_before_key(grant.agreement);
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
  sending->grant = std::get<usage::Grant>(std::move(*authorised));
  sending->access = grant.access;
  if (!is_of_form(sending->grant, shapes, form)) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return problem(503, {"api.form-changed", {}}, call.lang);
  }
  if (!grant.access->open()) {  // suspended or over, while the use was being recorded
    co_await give_back(parts->enforcer, sending->grant);
    co_return problem(401, {"api.unknown-data-token", {}}, call.lang);
  }
  HttpResponse response;
  response.status = selection.status;
  response.headers.set(
      "Content-Type", seal ? std::string("application/octet-stream") : (*asset)->media_type
  );
  if (auto said = co_await describe_use(response, sending->grant, parts->receipts); !said) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return problem(said.error(), call.lang);
  }
  dataplane::describe(selection, identity, response.headers, small ? small->etag : std::string());
  // The receipt of a pull: on the home executor, after the last byte.
  std::function<void(const std::string&, std::uint64_t)> whole;
  // Of a part nobody knows how many rows it has.
  if (selection.range.length == identity.length && !seal) sending->rows = identity.rows;
  if (pull) {
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
      co_await give_back(parts->enforcer, sending->grant);
      co_return problem(before.error(), call.lang);
    }
  }
  auto body = co_await (*source)->open(selection.range.offset, selection.range.length);
  if (!body) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return problem(body.error(), call.lang);
  }
  response.stream = std::make_unique<SentReader>(
      std::move(*body), selection.range.length, std::move(sha), sending
  );
  response.stream_length = selection.range.length;
  // A transfer that is suspended or over takes what is under way with it.
  // Likewise the end of the agreement, and a hold.
  response.may_go_on = [parts, access = grant.access, sending] {
    return access->open() && parts->enforcer.may_go_on(sending->grant);
  };
  response.on_sent = completion(parts->enforcer, sending, std::move(whole));
  co_return response;
}

// --- the consumer's side ---

using AppParts = std::shared_ptr<const AppApiParts>;

// What was held once is gone, which is more than not being there.
bool is_gone(const Error& error) {
  return error.message.code == "api.destroyed" || error.message.code == "api.being-destroyed";
}

HttpResponse held_problem(const Error& error, Lang lang) {
  if (is_gone(error)) return problem(410, error.message, lang, error.pointer);
  return problem(error, lang);
}

// Of a read that failed: perhaps since what was held is held no more.
HttpResponse held_problem(
    const AppApiParts& parts, const AgreementId& agreement, const Error& error, Lang lang
) {
  const auto now = parts.held.held(agreement);
  return held_problem(now ? error : now.error(), lang);
}

// One artefact, as what a shape is made from. One request; the parts outlive it.
class HeldSource final : public dataplane::Source {
 public:
  HeldSource(AppParts parts, HeldData held) : parts_(std::move(parts)), held_(std::move(held)) {}

  awaitable<Result<dataplane::SourceIdentity>> identify() override {
    co_return dataplane::SourceIdentity{held_.content, held_.length};
  }
  awaitable<Result<std::unique_ptr<BodyReader>>>
  open(std::uint64_t offset, std::optional<std::uint64_t>) override {
    return parts_->held.open(held_.artefact, offset);
  }

 private:
  AppParts parts_;
  HeldData held_;
};

awaitable<HttpResponse> read_held(AppParts parts, Call& call) {
  const auto app = parts->apps.find_by_token(bearer_token(call.caller));
  if (!app) co_return problem(401, {"api.unknown-token", {}}, call.lang);
  AgreementId agreement(call.parameters.front());
  if (!usage::may_use(*app, agreement)) {
    co_return problem(
        403,
        {"api.app-not-for-agreement", {{"app", app->id.value}, {"agreement", agreement.value}}},
        call.lang
    );
  }
  // A request may narrow what the operator registered, never widen it.
  std::vector<std::string> asked;
  for (const auto& [key, value] : call.target.query) {
    if (key == "purpose") asked.push_back(value);
  }
  auto narrowed = usage::narrow(*app, asked);
  usage::Act act;
  act.agreement = agreement;
  act.action = std::string(odrl::iri::read);
  act.party = parts->self;
  act.app = app->id;
  act.purposes = std::move(narrowed.purposes);
  act.purposes_not_registered = std::move(narrowed.not_registered);
  act.purpose_source = odrl::Source::registration;
  act.idempotency_key = std::string(call.request.headers.get("Idempotency-Key").value_or(""));
  if (act.idempotency_key.size() > 256) co_return problem(400, {"api.key-too-long", {}}, call.lang);

  // What cannot be read must not cost a use. An agreement that was never ours is an unknown one.
  if (!parts->enforcer.state(agreement)) {
    co_return problem(404, {"api.unknown-agreement", {{"agreement", agreement.value}}}, call.lang);
  }
  const auto held = parts->held.held(agreement);
  const bool destroyed = !held && is_gone(held.error());
  if (!held && !destroyed) co_return problem(held.error(), call.lang);
  const dataplane::RuleShapes::Form* form = nullptr;
  std::optional<dataplane::ShapedSource> shaped;
  std::uint64_t length = held ? held->length : 0;
  std::optional<std::uint64_t> rows;
  if (held) {
    form = form_of_act(parts->enforcer, *held->shapes, act, &parts->notices);
    if (act.cannot) co_return co_await refuse(parts->enforcer, std::move(act), call.lang);
  }
  if (form != nullptr && form->shape) {
    shaped.emplace(
        std::make_unique<HeldSource>(parts, *held), form->shape, parts->limits.record_bytes
    );
    const auto identity = co_await shaped->identify();
    if (!identity && is_of_policy(identity.error())) {
      act.cannot = identity.error().message;
      co_return co_await refuse(parts->enforcer, std::move(act), call.lang);
    }
    if (!identity) co_return held_problem(*parts, agreement, identity.error(), call.lang);
    length = identity->length;
    rows = identity->rows;
  }
  // For whom the application reads, if it says so: beside the log, before the record that commits
  // to it.
  const std::string subject(call.request.headers.get("Tally-Subject").value_or(""));
  std::optional<Digest> fact;
  if (!subject.empty()) {
    if (parts->facts == nullptr) co_return problem(409, {"api.no-private-store", {}}, call.lang);
    auto kept = co_await parts->facts->keep_fact(subject, Json{{"subject", subject}});
    if (!kept) co_return problem(kept.error(), call.lang);
    act.fact = fact = *kept;
  }
  auto authorised = co_await parts->enforcer.authorise(std::move(act));
  if (!authorised) co_return problem(authorised.error(), call.lang);
  if (const auto* grant = std::get_if<usage::Grant>(&*authorised);
      grant && grant->repeated && fact) {
    co_await parts->facts->forget_fact(*fact);  // the use has its record already
  }
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    // Reading what was destroyed says so; the refusal is recorded all the same.
    if (destroyed) co_return held_problem(held.error(), call.lang);
    co_return refusal_response(*refusal, call.lang);
  }
  auto sending = std::make_shared<Sending>();
  sending->grant = std::get<usage::Grant>(std::move(*authorised));
  if (!held) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return held_problem(held.error(), call.lang);
  }
  if (!is_of_form(sending->grant, *held->shapes, form)) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return problem(503, {"api.form-changed", {}}, call.lang);
  }
  auto body =
      shaped ? co_await shaped->open(0, length) : co_await parts->held.open(held->artefact, 0);
  if (!body) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return held_problem(*parts, agreement, body.error(), call.lang);
  }
  HttpResponse response;
  response.headers.set("Content-Type", held->media_type);
  if (auto said = co_await describe_use(response, sending->grant, parts->receipts); !said) {
    co_await give_back(parts->enforcer, sending->grant);
    co_return problem(said.error(), call.lang);
  }
  if (sending->grant.repeated) response.headers.set("Tally-Use-Repeated", "true");
  response.stream = std::make_unique<SentReader>(std::move(*body), length, Sha256(), sending);
  response.stream_length = length;
  sending->rows = rows;
  response.may_go_on = [parts, sending] { return parts->enforcer.may_go_on(sending->grant); };
  auto ended = [parts](const std::string&, std::uint64_t) {
    if (parts->after_use) parts->after_use();
  };
  response.on_sent = completion(parts->enforcer, sending, std::move(ended));
  co_return response;
}

}  // namespace

HttpResponse refusal_response(const usage::Refusal& refusal, Lang lang) {
  auto response = problem(403, refusal.code, lang);
  Json body = Json::parse(response.body);
  Json reasons = Json::array();
  for (const auto& reason : refusal.reasons) {
    reasons.push_back(
        {{"code", reason.code}, {"params", reason.params}, {"text", render(reason, lang)}}
    );
  }
  body["reasons"] = std::move(reasons);
  body["decision"] = "deny";
  body["reason"] = odrl::to_string(refusal.decision.reason);
  body["rule"] = refusal.decision.decisive_rule.value;
  body["agreement"] = refusal.agreement.value;
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

std::vector<Route> app_routes(AppApiParts given) {
  auto parts = std::make_shared<const AppApiParts>(std::move(given));
  const RouteHandler data = [parts](Call& call) { return read_held(parts, call); };
  return {{"GET", "/api/v1/data/:agreement", Role::app, Where::connection, data}};
}

}  // namespace tally::api
