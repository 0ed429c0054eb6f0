#include "tally/aggregates/aggregates.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/terms.hpp"

#include "bound_query.hpp"
#include "compute.hpp"
#include "memory_rows.hpp"

namespace tally::aggregates {

namespace {

constexpr const char* answer_kind = "aggregate_answer";
constexpr const char* budget_kind = "aggregate_budget";
constexpr std::size_t source_bytes = 64 << 20;
constexpr Nanos longest_turn = seconds(20);

tl::unexpected<Error> unreadable(const std::string& kind) {
  return fail(ErrorKind::internal, {"aggregates.memory-unreadable", {{"kind", kind}}});
}

// The whole of a version, as it was identified.
awaitable<Result<std::string>> read_whole(
    dataplane::Source& source, std::uint64_t length, std::size_t piece
) {
  auto body = co_await source.open(0, length);
  if (!body) co_return fail(std::move(body));
  std::string out;
  out.reserve(length);
  std::vector<std::uint8_t> buffer(piece);
  while (out.size() < length) {
    const auto n = co_await (*body)->read(buffer);
    if (!n) co_return tl::unexpected(n.error());
    if (*n == 0) {
      Message message{
          "dataplane.short-source",
          {{"bytes", std::to_string(out.size())}, {"expected", std::to_string(length)}}};
      co_return fail(ErrorKind::unavailable, std::move(message));
    }
    out.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*n));
  }
  co_return out;
}

Json to_json(const std::vector<odrl::Consume>& adds) {
  Json out = Json::array();
  for (const auto& one : adds) {
    if (one.n > 0) out.push_back({{"id", one.rule.value}, {"n", one.n}, {"unit", one.unit}});
  }
  return out;
}

Json to_json(const Message& message) {
  return {{"code", message.code}, {"params", message.params}};
}

// What was kept of a use that is given again.
struct Kept {
  usage::Act::Repeats repeats;
  RuleId rule;
  std::string body;
  std::optional<Message> withheld;
};

// A row of our own; what does not read is refused whole.
std::optional<Kept> read_kept(const std::string& text) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    Kept out;
    out.repeats.use = UseId(json.at("use").get<std::string>());
    const auto at = parse_date_time(json.at("at").get<std::string>());
    if (!at) return std::nullopt;
    out.repeats.at = at->instant;
    for (const auto& one : json.at("adds")) {
      odrl::Consume add;
      add.rule = RuleId(one.at("id").get<std::string>());
      add.n = one.at("n").get<std::int64_t>();
      add.unit = one.at("unit").get<std::string>();
      out.repeats.adds.push_back(std::move(add));
    }
    out.rule = RuleId(json.at("rule").get<std::string>());
    if (json.contains("withheld")) {
      const auto& withheld = json.at("withheld");
      out.withheld = Message{
          withheld.at("code").get<std::string>(),
          withheld.at("params").get<std::map<std::string, std::string>>()};
    } else {
      out.body = json.at("body").get<std::string>();
    }
    return out;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

// The act counts, though nothing was told.
void complete_empty(usage::Enforcer& enforcer, const usage::Grant& grant) {
  usage::Outcome outcome;
  outcome.bytes = 0;
  enforcer.complete(grant, std::move(outcome));
}

}  // namespace

// What is known before the use is asked for.
struct Aggregates::Work {
  usage::AgreementTerms agreement;
  dataplane::SourceIdentity version;
  std::string answer_id;  // of the query over this version under this agreement
  RuleId rule;
  GroupTerms terms;
  dataplane::ShapePtr shape;
  BoundQuery query;
  MemoryRows memory;
  Row budget;
  std::int64_t cells = 0;  // told under the agreement so far
};

Aggregates::Aggregates(AggregatesParts parts) : parts_(parts) {}
Aggregates::~Aggregates() = default;

awaitable<Result<Runs::Run>> Aggregates::turn(std::string scope) {
  const Nanos step = milliseconds(10);
  for (Nanos waited = 0; waited < longest_turn; waited += step) {
    if (auto run = runs_.begin(scope)) co_return std::move(*run);
    co_await parts_.timers.sleep_for(step);
  }
  co_return fail(ErrorKind::unavailable, {"aggregates.busy", {}});
}

awaitable<Result<Answered>> Aggregates::answer(Ask ask) {
  const auto known = parts_.enforcer.state(ask.act.agreement);
  if (!known || known->terms.consumer != ask.act.party) {
    co_return fail(
        ErrorKind::not_found, {"usage.unknown-agreement", {{"agreement", ask.act.agreement.value}}}
    );
  }
  auto work = std::make_unique<Work>();
  work->agreement = known->terms;
  auto version = co_await ask.source->identify();
  if (!version) co_return fail(std::move(version));
  work->version = std::move(*version);
  const Json question{
      {"agreement", ask.act.agreement.value},
      {"query", aggregates::to_json(ask.query)},
      {"source", work->version.text}};
  work->answer_id = to_hex(sha256(to_jcs(question)));

  // From here to the commit nobody else may be told anything that this answer is not held against.
  auto mine =
      co_await turn(to_string(work->agreement.consumer) + " " + work->agreement.asset.value);
  if (!mine) co_return fail(std::move(mine));
  auto earlier = parts_.store.row(answer_kind, work->answer_id);
  if (!earlier) co_return fail(std::move(earlier));
  if (*earlier) co_return co_await repeat(std::move(ask), std::move(**earlier));

  // What would fail anyway costs no use: everything is looked at before.
  const auto looked = parts_.enforcer.dry_run(ask.act);
  if (!looked) co_return tl::unexpected(looked.error());
  if (looked->refusal) co_return co_await refuse(std::move(ask.act), std::nullopt);
  work->rule = looked->decision.decisive_rule;
  const auto& policy = *work->agreement.policy;
  auto terms = group_terms(policy, work->rule);
  if (!terms || !ask.schema) {
    Message none{"aggregates.no-groups", {{"agreement", ask.act.agreement.value}}};
    co_return co_await refuse(std::move(ask.act), std::move(none));
  }
  work->terms = std::move(*terms);
  auto shape = dataplane::compile_shape(
      row_obligations(policy, work->rule),
      *ask.schema,
      ask.keys.get(),
      dataplane::PrivateColumns::decided
  );
  if (!shape) {
    Message cannot{"usage.form-unavailable", {{"agreement", ask.act.agreement.value}}};
    co_return co_await refuse(std::move(ask.act), std::move(cannot));
  }
  work->shape = std::move(*shape);
  auto query = bind(ask.query, work->shape->output(), work->terms);
  if (!query) co_return fail(std::move(query));
  work->query = std::move(*query);
  if (work->version.length > source_bytes) {
    const Message large{"aggregates.source-too-large", {{"most", std::to_string(source_bytes)}}};
    co_return fail(ErrorKind::forbidden, large);
  }
  co_return co_await compute(std::move(ask), std::move(work));
}

// The same question about the same data: told once, it tells nothing new.
awaitable<Result<Answered>> Aggregates::repeat(Ask ask, Row known) {
  auto kept = read_kept(known.body);
  if (!kept) co_return unreadable(answer_kind);
  ask.act.repeats = std::move(kept->repeats);
  auto authorised = co_await parts_.enforcer.authorise(std::move(ask.act));
  if (!authorised) co_return fail(std::move(authorised));
  if (auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return Answered(std::move(*refusal));
  }
  auto grant = std::get<usage::Grant>(std::move(*authorised));
  if (grant.decision.decisive_rule != kept->rule) {
    co_await parts_.enforcer.abort(std::move(grant));
    co_return fail(ErrorKind::conflict, {"aggregates.terms-changed", {}});
  }
  if (kept->withheld) {
    complete_empty(parts_.enforcer, grant);
    co_return Answered(Withheld{std::move(*kept->withheld), grant.use});
  }
  co_return Answered(Answer{std::move(grant), std::move(kept->body), true});
}

// By the policy, or for `reason`; in the log. No use.
awaitable<Result<Answered>> Aggregates::refuse(usage::Act act, std::optional<Message> reason) {
  if (reason) act.cannot = std::move(reason);  // else what the act came with stands
  auto refused = co_await parts_.enforcer.authorise(std::move(act));
  if (!refused) co_return fail(std::move(refused));
  if (auto* refusal = std::get_if<usage::Refusal>(&*refused)) {
    co_return Answered(std::move(*refusal));
  }
  co_await parts_.enforcer.abort(std::get<usage::Grant>(std::move(*refused)));
  co_return fail(ErrorKind::conflict, {"aggregates.terms-changed", {}});
}

awaitable<Result<Answered>> Aggregates::compute(Ask ask, std::unique_ptr<Work> work) {
  auto memory = MemoryRows::load(parts_.store, work->agreement.consumer, work->agreement.asset);
  if (!memory) co_return fail(std::move(memory));
  work->memory = std::move(*memory);
  auto budget = parts_.store.row(budget_kind, ask.act.agreement.value);
  if (!budget) co_return fail(std::move(budget));
  work->budget = *budget ? std::move(**budget)
                         : Row{budget_kind,
                               ask.act.agreement.value,
                               0,
                               "",
                               ask.act.agreement.value,
                               R"({"cells":0})"};
  const auto told = Json::parse(work->budget.body, nullptr, false);
  if (!told.is_object() || !told.contains("cells") || !told["cells"].is_number_integer()) {
    co_return unreadable(budget_kind);
  }
  work->cells = told["cells"].get<std::int64_t>();
  const auto most = work->terms.cell_budget;
  if (most && work->cells >= *most) {
    Message spent{
        "aggregates.cells-spent",
        {{"used", std::to_string(work->cells)}, {"limit", std::to_string(*most)}}};
    co_return co_await refuse(std::move(ask.act), std::move(spent));
  }
  auto authorised = co_await parts_.enforcer.authorise(ask.act);
  if (!authorised) co_return fail(std::move(authorised));
  if (auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return Answered(std::move(*refusal));
  }
  auto grant = std::get<usage::Grant>(std::move(*authorised));
  if (grant.decision.decisive_rule != work->rule) {
    co_await parts_.enforcer.abort(std::move(grant));
    co_return fail(ErrorKind::conflict, {"aggregates.terms-changed", {}});
  }
  co_return co_await settle(std::move(ask), std::move(work), std::move(grant));
}

awaitable<Result<Answered>> Aggregates::settle(
    Ask ask, std::unique_ptr<Work> work, usage::Grant grant
) {
  const auto bytes =
      co_await read_whole(*ask.source, work->version.length, parts_.limits.stream_piece);
  if (!bytes) {
    co_await parts_.enforcer.abort(std::move(grant));
    co_return tl::unexpected(bytes.error());
  }
  ComputeLimits limits;
  limits.record_bytes = parts_.limits.record_bytes;
  Result<Computation> computed;
  auto job = [&work, &bytes, &limits, &computed] {
    auto memory = work->memory.decode();
    if (!memory) {
      computed = fail(std::move(memory));
      return;
    }
    computed = aggregates::compute(
        as_bytes(*bytes), work->shape, work->query, work->terms.min_group_size, *memory, limits
    );
  };
  co_await parts_.worker.run(job);
  if (!computed) {
    co_await parts_.enforcer.abort(std::move(grant));
    co_return tl::unexpected(computed.error());
  }

  auto& found = computed->computed;
  auto refused = std::move(computed->refused);
  const auto most = work->terms.cell_budget;
  const auto cells = static_cast<std::int64_t>(found.cells);
  if (!refused && most && cells > *most - work->cells) {
    refused = Message{
        "aggregates.cells-spent",
        {{"used", std::to_string(work->cells)}, {"limit", std::to_string(*most)}}};
  }

  const auto query = digest_of(ask.query);
  const auto now = parts_.clock.read().at;
  Json kept{
      {"adds", to_json(grant.decision.consume)},
      {"at", format_micros(grant.decided_at)},
      {"query", digest_text(query)},
      {"rule", grant.decision.decisive_rule.value},
      {"use", grant.use.value}};
  Transaction transaction;
  audit::RecordDraft draft(
      refused ? "aggregate.refused" : "aggregate.answered", new_event(parts_.random, now)
  );
  draft.about(ask.act.agreement).set("query", query).set("use", grant.use.value);
  std::string body;
  if (refused) {
    kept["withheld"] = to_json(*refused);
    draft.set("reason", *refused);
  } else {
    Json answer = std::move(found.answer);
    Json names = Json::array();
    for (const auto& one : ask.query.values) names.push_back(to_string(one));
    answer["agreement"] = ask.act.agreement.value;
    answer["groupBy"] = ask.query.group_by;
    answer["values"] = std::move(names);
    answer["minGroupSize"] = work->terms.min_group_size;
    answer["query"] = digest_text(query);
    answer["source"] = digest_text(sha256(work->version.text));
    body = answer.dump(-1, ' ', false, Json::error_handler_t::replace);
    kept["body"] = body;
    draft.set("cells", cells).set("content", sha256(body));
    work->memory.add(found, ask.act.agreement, work->terms.min_group_size, transaction.puts);
    work->budget.body = Json{{"cells", work->cells + cells}}.dump();
    transaction.puts.push_back(std::move(work->budget));
  }
  transaction.puts.push_back(
      {answer_kind,
       work->answer_id,
       0,
       refused ? "withheld" : "answered",
       ask.act.agreement.value,
       kept.dump(-1, ' ', false, Json::error_handler_t::replace)}
  );
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(draft));
  // Where this fails, nothing was told, and the use counts.
  auto done = co_await parts_.journal.commit(std::move(transaction), std::move(drafts));
  if (!done) {
    complete_empty(parts_.enforcer, grant);
    co_return fail(std::move(done));
  }
  if (refused) {
    complete_empty(parts_.enforcer, grant);
    co_return Answered(Withheld{std::move(*refused), grant.use});
  }
  co_return Answered(Answer{std::move(grant), std::move(body), false});
}

}  // namespace tally::aggregates
