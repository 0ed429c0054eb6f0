// What a local application does with what custody holds: reads it, takes it out of the connector's
// control, and puts what it made of it back.
#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <nlohmann/json.hpp>

#include "tally/api/data_routes.hpp"
#include "tally/api/form_of_act.hpp"
#include "tally/dataplane/shaped_source.hpp"
#include "tally/dataplane/stream.hpp"
#include "tally/odrl/terms.hpp"

#include "acts.hpp"
#include "confirmation_admin.hpp"
#include "lists.hpp"
#include "my_agreements.hpp"
#include "passed_on.hpp"
#include "sending.hpp"

namespace tally::api {

namespace {

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

constexpr std::size_t most_inputs = 16;
constexpr std::size_t longest_key = 256;

// Who asks. The answer where nobody is known, or a header is longer than it may be.
tl::expected<std::shared_ptr<const usage::App>, HttpResponse> app_of(
    const AppApiParts& parts, const Call& call
) {
  auto app = parts.apps.find_by_token(bearer_token(call.caller));
  if (!app) return tl::unexpected(problem(401, {"api.unknown-token", {}}, call.lang));
  for (const char* name : {"Idempotency-Key", "Tally-Use"}) {
    if (call.request.headers.get(name).value_or("").size() > longest_key) {
      return tl::unexpected(problem(400, {"api.key-too-long", {}}, call.lang));
    }
  }
  return app;
}

// The data that an application wants, and for what.
struct Wanted {
  std::vector<AgreementId> agreements;  // whose terms all hold; one, but for derived data
  Result<HeldData> held;
  std::string action;
};

HttpResponse not_for_app(const usage::App& app, const AgreementId& agreement, Lang lang) {
  return problem(
      403,
      {"api.app-not-for-agreement", {{"app", app.id.value}, {"agreement", agreement.value}}},
      lang
  );
}

// The acts that hand out what is wanted, one under each agreement; or the answer that none can.
tl::expected<std::vector<usage::Act>, HttpResponse> acts_of(
    const AppApiParts& parts, const usage::App& app, const Wanted& wanted, const Call& call
) {
  const std::string key(call.request.headers.get("Idempotency-Key").value_or(""));
  const std::string use(call.request.headers.get("Tally-Use").value_or(""));
  std::vector<usage::Act> acts;
  for (const auto& agreement : wanted.agreements) {
    if (!usage::may_use(app, agreement)) {
      return tl::unexpected(not_for_app(app, agreement, call.lang));
    }
    auto act = act_of_app(
        app,
        parts.self,
        agreement,
        wanted.action,
        claims_of(call.target),
        wanted.held ? &*wanted.held : nullptr
    );
    act.idempotency_key = key;
    // A use is named by its id where there is one alone.
    if (key.empty() && wanted.agreements.size() == 1) act.continued_use = UseId(use);
    act.continuable = true;
    acts.push_back(std::move(act));
  }
  return acts;
}

// For whom the application acts, if it says so: beside the log, before the record that commits to
// it.
awaitable<Result<std::optional<Digest>>> keep_subject(const AppApiParts& parts, const Call& call) {
  const std::string subject(call.request.headers.get("Tally-Subject").value_or(""));
  if (subject.empty()) co_return std::optional<Digest>();
  if (parts.facts == nullptr) co_return fail(ErrorKind::conflict, {"api.no-private-store", {}});
  Json fact{{"subject", subject}};
  auto kept = co_await parts.facts->keep_fact(subject, std::move(fact));
  if (!kept) co_return fail(std::move(kept));
  co_return std::optional<Digest>(*kept);
}

awaitable<HttpResponse> hand_out(AppParts parts, Call& call, const usage::App& app, Wanted wanted) {
  const auto& held = wanted.held;
  const AgreementId& agreement = wanted.agreements.front();
  const bool destroyed = !held && is_gone(held.error());
  // What cannot be read must not cost a use.
  if (!held && !destroyed) co_return problem(held.error(), call.lang);
  auto made = acts_of(*parts, app, wanted, call);
  if (!made) co_return std::move(made.error());
  auto& acts = *made;

  const dataplane::RuleShapes::Form* form = nullptr;
  std::unique_ptr<dataplane::Source> source;
  dataplane::SourceIdentity identity;
  dataplane::Selection selection;
  if (held) {
    source = std::make_unique<HeldSource>(parts, *held);
    if (held->shapes) {
      form = form_of_act(parts->enforcer, *held->shapes, acts.front(), &parts->notices);
      if (acts.front().cannot) {
        co_return co_await refuse(parts->enforcer, std::move(acts.front()), call.lang);
      }
    }
    if (form != nullptr && form->shape) {
      source = std::make_unique<dataplane::ShapedSource>(
          std::move(source), form->shape, parts->limits.record_bytes
      );
    }
    auto identified = co_await source->identify();
    if (!identified && is_of_policy(identified.error())) {
      acts.front().cannot = identified.error().message;
      co_return co_await refuse(parts->enforcer, std::move(acts.front()), call.lang);
    }
    if (!identified) co_return held_problem(*parts, agreement, identified.error(), call.lang);
    identity = std::move(*identified);
    // What differs from what was read before must not pass for the rest of it.
    selection = dataplane::select(call.request.headers, identity);
    if (selection.status == 412) co_return problem(412, {"api.source-changed", {}}, call.lang);
    if (selection.status == 416) co_return problem(416, {"api.range", {}}, call.lang);
  }
  const auto fact = co_await keep_subject(*parts, call);
  if (!fact) co_return problem(fact.error(), call.lang);
  for (auto& act : acts) act.fact = *fact;
  auto authorised = co_await usage::authorise_all(parts->enforcer, std::move(acts));
  if (!authorised) co_return problem(authorised.error(), call.lang);
  const auto is_repeated = [](const usage::Grant& grant) { return grant.repeated; };
  if (const auto* grants = std::get_if<usage::JointGrant>(&*authorised);
      grants && *fact && std::ranges::all_of(*grants, is_repeated)) {
    co_await parts->facts->forget_fact(**fact);  // no new record commits to it
  }
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    // Reading what was destroyed says so; the refusal is recorded all the same.
    if (destroyed) co_return held_problem(held.error(), call.lang);
    co_return refusal_response(*refusal, call.lang);
  }
  auto sending = std::make_shared<Sending>();
  sending->grants = std::get<usage::JointGrant>(std::move(*authorised));
  if (selection.range.length == identity.length) sending->rows = identity.rows;
  if (!held) {
    co_await usage::abort_all(parts->enforcer, sending->grants);
    co_return held_problem(held.error(), call.lang);
  }
  if (held->shapes && !is_of_form(sending->grants.front(), *held->shapes, form)) {
    co_await usage::abort_all(parts->enforcer, sending->grants);
    co_return problem(503, {"api.form-changed", {}}, call.lang);
  }
  Sha256 sha;
  if (selection.range.offset > 0) {
    auto before =
        co_await digest_prefix(*source, selection.range.offset, sha, parts->limits.stream_piece);
    if (!before) {
      co_await usage::abort_all(parts->enforcer, sending->grants);
      co_return held_problem(*parts, agreement, before.error(), call.lang);
    }
  }
  auto body = co_await source->open(selection.range.offset, selection.range.length);
  if (!body) {
    co_await usage::abort_all(parts->enforcer, sending->grants);
    co_return held_problem(*parts, agreement, body.error(), call.lang);
  }
  HttpResponse response;
  response.status = selection.status;
  response.headers.set("Content-Type", held->media_type);
  if (auto said = co_await describe_use(response, sending->grants, parts->receipts); !said) {
    co_await usage::abort_all(parts->enforcer, sending->grants);
    co_return problem(said.error(), call.lang);
  }
  dataplane::describe(selection, identity, response.headers);
  if (sending->grants.front().repeated) response.headers.set("Tally-Use-Repeated", "true");
  response.stream = sent_reader(std::move(*body), selection.range.length, std::move(sha), sending);
  response.stream_length = selection.range.length;
  response.may_go_on = [parts, sending] { return may_go_on(parts->enforcer, *sending); };
  auto ended = [parts](const std::string&, std::uint64_t) {
    if (parts->after_use) parts->after_use();
  };
  response.on_sent = completion(parts->enforcer, sending, std::move(ended));
  co_return response;
}

// What was received under an agreement.
awaitable<HttpResponse> hand_out_received(AppParts parts, Call& call, std::string action) {
  auto known_app = app_of(*parts, call);
  if (!known_app) co_return std::move(known_app.error());
  const auto& app = *known_app;
  AgreementId agreement(call.parameters.front());
  if (!usage::may_use(*app, agreement)) co_return not_for_app(*app, agreement, call.lang);
  // An agreement that was never ours is an unknown one.
  if (!parts->enforcer.state(agreement)) {
    co_return problem(404, {"api.unknown-agreement", {{"agreement", agreement.value}}}, call.lang);
  }
  auto held = parts->held.held(agreement);
  const bool asks = parts->calls != nullptr && action == odrl::iri::read && !held &&
                    held.error().message.code == "api.nothing-held";
  if (asks) {
    auto answered = co_await boost::asio::co_spawn(
        parts->home, pass_on_read(parts, call, *app, agreement), boost::asio::use_awaitable
    );
    if (answered) co_return *std::move(answered);
  }
  Wanted wanted{{std::move(agreement)}, std::move(held), std::move(action)};
  co_return co_await hand_out(parts, call, *app, std::move(wanted));
}

// One artefact by its id: what was derived has no other name.
awaitable<HttpResponse> hand_out_artefact(AppParts parts, Call& call, std::string action) {
  auto known_app = app_of(*parts, call);
  if (!known_app) co_return std::move(known_app.error());
  const auto& app = *known_app;
  const ArtefactId id(call.parameters.front());
  auto agreements = parts->held.bound_by(id);
  // To one that is not for the application of all of them, there is none.
  const bool visible = std::ranges::all_of(agreements, [&](const AgreementId& one) {
    return usage::may_use(*app, one);
  });
  if (agreements.empty() || !visible) {
    co_return problem(404, {"custody.unknown-artefact", {{"artefact", id.value}}}, call.lang);
  }
  Wanted wanted{std::move(agreements), parts->held.artefact(id), std::move(action)};
  co_return co_await hand_out(parts, call, *app, std::move(wanted));
}

// POST /api/v1/derivations?input=<agreement>…: the body is what was made of them.
awaitable<HttpResponse> derive(AppParts parts, Call& call) {
  auto known_app = app_of(*parts, call);
  if (!known_app) co_return std::move(known_app.error());
  const auto& app = *known_app;
  if (parts->derived == nullptr) co_return problem(409, {"api.no-custody", {}}, call.lang);
  Wanted wanted{{}, HeldData(), std::string(odrl::iri::derive)};
  for (const auto& [name, value] : call.target.query) {
    if (name != "input") continue;
    const AgreementId id(value);
    if (std::ranges::find(wanted.agreements, id) == wanted.agreements.end()) {
      wanted.agreements.push_back(id);
    }
  }
  if (wanted.agreements.empty() || wanted.agreements.size() > most_inputs) {
    co_return problem(
        400, {"api.derivation-inputs", {{"most", std::to_string(most_inputs)}}}, call.lang
    );
  }
  Derived order;
  for (const auto& agreement : wanted.agreements) {
    const auto known = parts->enforcer.state(agreement);
    if (!known || !usage::may_use(*app, agreement)) {
      co_return problem(
          404, {"api.unknown-agreement", {{"agreement", agreement.value}}}, call.lang
      );
    }
    const auto held = parts->held.held(agreement);
    if (!held) co_return held_problem(held.error(), call.lang);
    order.inputs.push_back(
        {agreement, known->terms.asset, known->terms.provider, held->content, UseId()}
    );
    wanted.held->asset_class = held->asset_class;
  }
  auto acts = acts_of(*parts, *app, wanted, call);
  if (!acts) co_return std::move(acts.error());
  auto authorised = co_await usage::authorise_all(parts->enforcer, *std::move(acts));
  if (!authorised) co_return problem(authorised.error(), call.lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return refusal_response(*refusal, call.lang);
  }
  const auto grants = std::get<usage::JointGrant>(std::move(*authorised));
  for (std::size_t i = 0; i < order.inputs.size(); ++i) order.inputs[i].use = grants[i].use;
  order.app = app->id;
  order.media_type = call.request.headers.get("Content-Type").value_or("application/octet-stream");
  order.bytes = std::move(call.request.body);
  const std::uint64_t bytes = order.bytes.size();
  auto kept = co_await parts->derived->keep(std::move(order));
  if (!kept) {
    co_await usage::abort_all(parts->enforcer, grants);
    co_return problem(kept.error(), call.lang);
  }
  usage::complete_all(parts->enforcer, grants, {bytes, kept->content, true});
  if (parts->after_use) parts->after_use();
  if (kept->unreadable) co_return problem(*kept->unreadable, call.lang);
  Json bound = Json::array();
  for (const auto& agreement : wanted.agreements) bound.push_back(agreement.value);
  auto response = json_response(
      201,
      {{"artefact", kept->artefact.value},
       {"content", kept->content},
       {"bytes", bytes},
       {"boundBy", std::move(bound)}}
  );
  if (auto said = co_await describe_use(response, grants, parts->receipts); !said) {
    co_return problem(said.error(), call.lang);
  }
  co_return response;
}

}  // namespace

std::vector<Route> app_routes(AppApiParts given) {
  auto parts = std::make_shared<const AppApiParts>(std::move(given));
  const auto of_agreement = [parts](std::string_view action) -> RouteHandler {
    return
        [parts, action](Call& call) { return hand_out_received(parts, call, std::string(action)); };
  };
  const auto of_artefact = [parts](std::string_view action) -> RouteHandler {
    return
        [parts, action](Call& call) { return hand_out_artefact(parts, call, std::string(action)); };
  };
  const RouteHandler mine = [parts](Call& call) { return get_my_agreements(parts, call); };
  const RouteHandler made = [parts](Call& call) { return derive(parts, call); };
  const RouteHandler asked = [parts](Call& call) {
    return post_consent_request_of_app(parts, call);
  };
  const auto here = Where::connection;
  return {
      {"GET", "/api/v1/data/:agreement", Role::app, here, of_agreement(odrl::iri::read)},
      {"GET", "/api/v1/exports/:agreement", Role::app, here, of_agreement(odrl::iri::export_)},
      {"GET", "/api/v1/artefacts/:id/data", Role::app, here, of_artefact(odrl::iri::read)},
      {"GET", "/api/v1/artefacts/:id/export", Role::app, here, of_artefact(odrl::iri::export_)},
      {"POST", "/api/v1/derivations", Role::app, Where::home, made},
      {"GET", "/api/v1/my-agreements", Role::app, here, conditional(mine)},
      {"POST", "/api/v1/my-agreements/:id/consent-requests", Role::app, Where::home, asked}};
}

}  // namespace tally::api
