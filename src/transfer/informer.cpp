#include "tally/transfer/informer.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/log_tail.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/odrl/informing.hpp"
#include "tally/transfer/use_notice.hpp"

#include "note_delivery.hpp"
#include "transfer_process.hpp"

namespace tally::transfer {

namespace {

constexpr std::string_view place_kind = "use-notice-place";  // one row
constexpr std::string_view place_id = "log";
constexpr std::string_view sending = "sending";
constexpr std::string_view refused = "refused";
constexpr std::string_view delivered = "delivered";
constexpr Nanos look_again = milliseconds(500);
// A receiver that said no may be repaired.
constexpr Nanos refused_again = seconds(3600);
constexpr Nanos address_again = seconds(60);
constexpr std::size_t most_records = 256;
// How far behind the place in the store may be of what was read and held nothing.
constexpr std::uint64_t most_unsaved = 4096;
constexpr std::size_t most_known_agreements = 4096;
constexpr std::size_t most_shown = 1000;

// What a record says of a use, as far as it matters here.
struct UseRecord {
  std::string type;
  AgreementId agreement;
  ToldUse permitted;               // of use.permitted
  std::vector<std::string> rules;  // likewise
  std::vector<std::string> uses;   // of the others: what ended
  std::string time;
};

std::string text_in(const audit::RecordView& record, std::string_view key) {
  const Json json = Json::parse(record.raw(key), nullptr, false);
  return json.is_string() ? json.get<std::string>() : std::string();
}

UseRecord read_record(const audit::RecordView& record) {
  UseRecord out;
  out.type = std::string(record.type);
  out.agreement = AgreementId(record.agreement);
  out.time = std::string(record.time);
  if (record.type == "use.permitted") {
    out.permitted = {
        UseId(std::string(record.event)),
        text_in(record, "action"),
        out.time,
        record.seq,
        to_hex(record.leaf)};
    const Json rules = Json::parse(record.raw("rules"), nullptr, false);
    for (const Json& rule : rules.is_array() ? rules : Json::array()) {
      if (rule.is_object()) out.rules.push_back(rule.value("id", std::string()));
    }
  } else if (record.type == "use.executed") {
    const Json uses = Json::parse(record.raw("uses"), nullptr, false);
    for (const Json& use : uses.is_array() ? uses : Json::array()) {
      if (use.is_object()) out.uses.push_back(use.value("use", std::string()));
    }
  } else {
    out.uses.push_back(text_in(record, "use"));
  }
  return out;
}

// Whom one duty wants told of uses here.
struct Target {
  odrl::Informing duty;
  std::string party;
  bool is_peer = false;  // the other side of the agreement; else somebody whom a program tells
};

// A use that is not over yet, and the duties under which it is told.
struct Pending {
  AgreementId agreement;
  ToldUse use;
  std::vector<std::string> duties;
};

Json to_json(const Pending& pending) {
  Json json = to_json(pending.use);
  json["agreement"] = pending.agreement.value;
  json["duties"] = pending.duties;
  return json;
}

// Of rows that we wrote ourselves.
ToldUse use_of(const Json& json) {
  return {
      UseId(json.value("use", std::string())),
      json.value("action", std::string()),
      json.value("time", std::string()),
      json.value("seq", std::uint64_t{0}),
      json.value("leaf", std::string())};
}

// A notice that was not taken yet.
struct Owed {
  AgreementId agreement;
  std::string duty;
  std::string party;
  bool is_peer = false;
  bool queued = false;         // a message of Delivery is under way
  std::optional<Instant> due;  // nullopt: without a term
  bool violated = false;
  std::uint32_t failed = 0;  // attempts in a row, of a program
  std::optional<Instant> next_attempt;
};

}  // namespace

struct Informer::State : std::enable_shared_from_this<Informer::State> {
  class Notes final : public NoteDelivery {
   public:
    explicit Notes(State& state)
        : NoteDelivery(
              std::string(use_notice_kind),
              "transfer.use-notice-refused",
              state.parts.store,
              state.parts.journal,
              state.parts.delivery,
              state.parts.notices
          ),
          state_(state) {}

   protected:
    std::vector<audit::RecordDraft> records_of(const Row& row) const override {
      return state_.fulfilled(row);
    }
    void settled(const Row& row) override { state_.on_settled(row); }

   private:
    State& state_;
  };

  State(InformerParts with, PartyId party, std::string origin)
      : parts(std::move(with)),
        self(std::move(party)),
        log_origin(std::move(origin)),
        notes(*this) {}

  InformerParts parts;
  PartyId self;
  std::string log_origin;
  Notes notes;

  // Where the log was read to, as in memory and as the store has it.
  std::unique_ptr<audit::LogTail> tail;
  Row place;
  std::uint64_t next = 0;
  std::uint64_t saved = 0;
  bool loaded = false;
  std::map<std::string, Pending> pending;  // by use

  std::map<std::string, std::vector<Target>> known;  // by agreement
  std::map<std::string, Owed> owed;                  // by row
  std::set<std::string> overdue;                     // agreements of which the ledger knows it
  std::set<std::string> telling;                     // parties that are being called

  Result<void> load_place();
  Result<void> load_owed();
  Row place_row() const;
  Result<std::vector<Target>> targets_of(const AgreementId& agreement);
  Result<std::vector<UseRecord>> read_some(std::uint64_t end);

  struct Ended {
    AgreementId agreement;
    std::string duty;
    std::vector<ToldUse> uses;
    std::string time;  // when the first of them was over
  };
  Result<void> take(const UseRecord& record, std::vector<Ended>& ended);
  struct Made {
    Row row;
    Owed owed;
    std::optional<OutgoingMessage> message;
    audit::RecordDraft record;
  };
  Result<std::optional<Made>> make(Ended ended);
  Result<std::string> signed_note(const AgreementId& agreement, const Ended& ended) const;
  std::optional<OutgoingMessage> message_of(const std::string& row, const Json& body) const;

  awaitable<Result<void>> save_place();
  awaitable<Result<void>> follow();
  awaitable<Result<void>> follow_some(std::uint64_t end);
  awaitable<Result<void>> mark_overdue(ClockReading reading);
  void refresh(const AgreementId& agreement);
  std::vector<audit::RecordDraft> fulfilled(const Row& row) const;
  void on_settled(const Row& row);
  awaitable<Result<void>> send_waiting(Instant now);
  awaitable<Result<void>> queue_again(std::string id);
  awaitable<void> tell_other(std::string id);
  awaitable<Result<void>> settle_other(std::string id);
};

Informer::Informer(InformerParts parts, PartyId self, std::string log_origin)
    : state_(std::make_shared<State>(std::move(parts), std::move(self), std::move(log_origin))) {}
Informer::~Informer() = default;

// --- what the store has ---

Result<void> Informer::State::load_place() {
  const auto row = parts.store.row(place_kind, place_id);
  if (!row) return tl::unexpected(row.error());
  pending.clear();
  tail.reset();
  place = Row{};
  place.kind = place_kind;
  place.id = place_id;
  place.state = "read";
  if (!*row) {
    next = parts.durable();
    saved = 0;
    loaded = true;
    return {};
  }
  const auto json = negotiation::parse_row(**row);
  if (!json) return tl::unexpected(json.error());
  place = **row;
  next = saved = json->value("next", std::uint64_t{0});
  for (const Json& one : json->value("pending", Json::array())) {
    Pending use{
        AgreementId(one.value("agreement", std::string())),
        use_of(one),
        one.value("duties", std::vector<std::string>())};
    const std::string id = use.use.use.value;
    pending.emplace(id, std::move(use));
  }
  loaded = true;
  return {};
}

Result<void> Informer::State::load_owed() {
  for (const auto state : {sending, refused}) {
    const auto rows = all_rows(parts.store, use_notice_kind, state);
    if (!rows) return tl::unexpected(rows.error());
    for (const Row& row : *rows) {
      const auto json = negotiation::parse_row(row);
      if (!json) return tl::unexpected(json.error());
      Owed one;
      one.agreement = AgreementId(row.owner);
      one.duty = json->value("duty", std::string());
      one.party = json->value("party", std::string());
      one.is_peer = json->value("peer", false);
      one.queued = state == sending && json->value("queued", false);
      one.violated = json->value("violated", false);
      if (const auto due = parse_date_time(json->value("due", std::string()))) {
        one.due = due->instant;
      }
      owed.emplace(row.id, std::move(one));
    }
  }
  std::set<std::string> agreements;
  for (const auto& [id, one] : owed) {
    if (one.violated) agreements.insert(one.agreement.value);
  }
  for (const auto& agreement : agreements) refresh(AgreementId(agreement));
  return {};
}

Row Informer::State::place_row() const {
  Row row = place;
  Json waiting = Json::array();
  for (const auto& [id, one] : pending) waiting.push_back(to_json(one));
  const Json body = {{"next", next}, {"pending", std::move(waiting)}};
  row.body = body.dump();
  return row;
}

awaitable<Result<void>> Informer::State::save_place() {
  Transaction transaction;
  transaction.puts.push_back(place_row());
  const std::uint64_t reached = next;
  auto done = co_await parts.journal.commit(std::move(transaction), {});
  if (!done) {
    loaded = false;
    co_return fail(std::move(done));
  }
  ++place.version;
  saved = reached;
  co_return Result<void>{};
}

// --- what the log says ---

Result<std::vector<Target>> Informer::State::targets_of(const AgreementId& id) {
  if (const auto found = known.find(id.value); found != known.end()) return found->second;
  std::optional<usage::AgreementTerms> terms;
  if (const auto state = parts.enforcer.state(id)) {
    terms = state->terms;
  } else {
    const auto agreement = negotiation::find_agreement(parts.store, id);
    if (!agreement) return tl::unexpected(agreement.error());
    if (*agreement) {
      auto read = negotiation::terms_of(**agreement);
      if (!read) return fail(std::move(read));
      terms = std::move(*read);
    }
  }
  std::vector<Target> targets;
  if (terms) {
    const bool provides = terms->our_side == odrl::Side::provider;
    const PartyId& peer = provides ? terms->consumer : terms->provider;
    for (auto& duty : odrl::informing_of(*terms->policy)) {
      std::string party = duty.party.empty() ? terms->provider.uri : duty.party;
      // What we do ourselves we know: it stands in our log.
      if (party == self.uri) continue;
      const bool is_peer = party == peer.uri;
      targets.push_back({std::move(duty), std::move(party), is_peer});
    }
  }
  if (known.size() >= most_known_agreements) known.clear();
  return known.emplace(id.value, std::move(targets)).first->second;
}

// On the worker.
Result<std::vector<UseRecord>> Informer::State::read_some(std::uint64_t end) {
  if (!tail) {
    auto log = parts.open_log();
    if (!log) return fail(std::move(log));
    tail = std::make_unique<audit::LogTail>(std::move(*log), next);
  }
  std::vector<UseRecord> records;
  auto read = tail->read(end, most_records, [&](const audit::RecordView& record) {
    if (record.agreement.empty() || record.type == "use.denied") return;
    if (record.type.starts_with("use.")) records.push_back(read_record(record));
  });
  if (!read) return fail(std::move(read));
  return records;
}

Result<void> Informer::State::take(const UseRecord& record, std::vector<Ended>& ended) {
  if (record.type == "use.permitted") {
    const auto targets = targets_of(record.agreement);
    if (!targets) return tl::unexpected(targets.error());
    Pending use{record.agreement, record.permitted, {}};
    for (const auto& target : *targets) {
      const auto carries = [&](const std::string& rule) { return target.duty.is_of(RuleId(rule)); };
      if (std::ranges::any_of(record.rules, carries)) use.duties.push_back(target.duty.duty.value);
    }
    if (!use.duties.empty()) pending.insert_or_assign(record.permitted.use.value, std::move(use));
    return {};
  }
  for (const auto& id : record.uses) {
    const auto found = pending.find(id);
    if (found == pending.end()) continue;
    const Pending use = std::move(found->second);
    pending.erase(found);
    // What was given back was no use.
    if (record.type == "use.aborted") continue;
    for (const auto& duty : use.duties) {
      const auto same = std::ranges::find_if(ended, [&](const Ended& one) {
        return one.agreement == use.agreement && one.duty == duty &&
               one.uses.size() < uses_per_notice;
      });
      if (same != ended.end()) {
        same->uses.push_back(use.use);
      } else {
        ended.push_back({use.agreement, duty, {use.use}, record.time});
      }
    }
  }
  return {};
}

Result<std::string> Informer::State::signed_note(const AgreementId& id, const Ended& ended) const {
  if (!parts.signer) return std::string();
  UseNotice notice{
      id, RuleId(ended.duty), log_origin, format_micros(parts.clock.read().at), ended.uses};
  std::ranges::sort(notice.uses, {}, &ToldUse::seq);
  const auto key = audit::make_verifier_key(self.uri, parts.signer->public_key());
  return sign_use_notice(notice, key, [this](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
    const auto signature = parts.signer->sign(bytes);
    return Bytes(signature.begin(), signature.end());
  });
}

// Nothing where there is nobody to send it to now, or nothing that could be sent.
std::optional<OutgoingMessage> Informer::State::message_of(const std::string& row, const Json& body)
    const {
  const AgreementId id(body.value("agreement", std::string()));
  const auto agreement = negotiation::find_agreement(parts.store, id);
  const std::string note = body.value("note", std::string());
  if (!agreement || !*agreement || note.empty()) return std::nullopt;
  const PartyId& peer = (*agreement)->peer();
  const auto base = parts.peers.tally_url(peer);
  if (!base) return std::nullopt;
  const Json said = {{"agreement", id.value}, {"note", note}};
  HttpRequest request;
  request.method = "POST";
  request.body = said.dump();
  return negotiation::outgoing(
      new_pid(parts.random).value,
      negotiation::process_key(use_notice_kind, row),
      peer,
      *base + "/use-notices",
      request,
      parts.clock.read().at
  );
}

Result<std::optional<Informer::State::Made>> Informer::State::make(Ended ended) {
  const auto targets = targets_of(ended.agreement);
  if (!targets) return tl::unexpected(targets.error());
  const auto target = std::ranges::find_if(*targets, [&](const Target& one) {
    return one.duty.duty.value == ended.duty;
  });
  if (target == targets->end()) return std::optional<Made>();
  const auto note = signed_note(ended.agreement, ended);
  if (!note) return tl::unexpected(note.error());
  Made made;
  made.owed.agreement = ended.agreement;
  made.owed.duty = ended.duty;
  made.owed.party = target->party;
  made.owed.is_peer = target->is_peer;
  const auto since = parse_date_time(ended.time);
  if (since && target->duty.within) made.owed.due = add(since->instant, *target->duty.within);
  Json uses = Json::array();
  Json ids = Json::array();
  for (const auto& use : ended.uses) {
    uses.push_back(to_json(use));
    ids.push_back(use.use.value);
  }
  Json body = {
      {"agreement", ended.agreement.value},
      {"duty", ended.duty},
      {"party", target->party},
      {"peer", target->is_peer},
      {"note", *note},
      {"since", ended.time},
      {"uses", std::move(uses)}};
  if (made.owed.due) body["due"] = format_micros(*made.owed.due);
  made.row.kind = use_notice_kind;
  made.row.id = new_pid(parts.random).value;
  made.row.owner = ended.agreement.value;
  made.row.state = sending;
  if (target->is_peer) made.message = message_of(made.row.id, body);
  made.owed.queued = made.message.has_value();
  body["queued"] = made.owed.queued;
  made.row.body = body.dump();
  audit::RecordDraft record("inform.issued", new_event(parts.random, parts.clock.read().at));
  record.about(ended.agreement)
      .set("rule", ended.duty)
      .set("party", target->party)
      .set("content", sha256(note->empty() ? body["uses"].dump() : *note))
      .set_json("uses", ids);
  made.record = std::move(record);
  return std::optional<Made>(std::move(made));
}

awaitable<Result<void>> Informer::State::follow_some(std::uint64_t end) {
  std::optional<Result<std::vector<UseRecord>>> read;
  auto job = [this, &read, end] { read = read_some(end); };
  co_await parts.worker.run(std::move(job));
  if (!*read) co_return fail(std::move(*read));
  std::vector<Ended> ended;
  for (const auto& record : **read) {
    auto taken = take(record, ended);
    if (!taken) co_return taken;
  }
  next = tail->next();
  if (ended.empty()) {
    if (next - saved < most_unsaved) co_return Result<void>{};
    co_return co_await save_place();
  }
  Transaction transaction;
  std::vector<audit::RecordDraft> drafts;
  std::vector<std::pair<std::string, Owed>> fresh;
  for (auto& one : ended) {
    auto made = make(std::move(one));
    if (!made) co_return fail(std::move(made));
    if (!*made) continue;
    fresh.emplace_back((*made)->row.id, std::move((*made)->owed));
    if ((*made)->message) transaction.messages.push_back(std::move(*(*made)->message));
    transaction.puts.push_back(std::move((*made)->row));
    drafts.push_back(std::move((*made)->record));
  }
  transaction.puts.push_back(place_row());
  std::vector<OutgoingMessage> messages = transaction.messages;
  const std::uint64_t reached = next;
  auto done = co_await parts.journal.commit(std::move(transaction), std::move(drafts));
  if (!done) co_return fail(std::move(done));
  ++place.version;
  saved = reached;
  for (auto& [id, one] : fresh) owed.emplace(id, std::move(one));
  parts.delivery.queue(std::move(messages));
  co_return Result<void>{};
}

awaitable<Result<void>> Informer::State::follow() {
  if (!loaded) {
    auto read = load_place();
    if (!read) co_return read;
  }
  // In this order: an agreement is known before the first use under it.
  const std::uint64_t end = parts.durable();
  if (!parts.enforcer.anyone_informed()) {
    next = end;
    tail.reset();
    co_return Result<void>{};
  }
  while (next < end) {
    auto done = co_await follow_some(end);
    if (done) continue;
    loaded = false;  // from what the store has, again
    co_return done;
  }
  co_return Result<void>{};
}

// --- who is late ---

void Informer::State::refresh(const AgreementId& agreement) {
  std::vector<RuleId> duties;
  for (const auto& [id, one] : owed) {
    if (one.agreement == agreement && one.violated) duties.emplace_back(one.duty);
  }
  if (duties.empty() && overdue.erase(agreement.value) == 0) return;
  if (!duties.empty()) overdue.insert(agreement.value);
  parts.enforcer.set_overdue(agreement, std::move(duties), usage::Enforcer::OverdueBy::informer);
}

awaitable<Result<void>> Informer::State::mark_overdue(ClockReading reading) {
  if (!reading.reliable) co_return Result<void>{};
  std::vector<std::string> late;
  std::set<std::pair<std::string, std::string>> said;
  for (const auto& [id, one] : owed) {
    if (one.violated) said.emplace(one.agreement.value, one.duty);
    if (!one.violated && one.due && *one.due < reading.at) late.push_back(id);
  }
  for (const auto& id : late) {
    const auto found = owed.find(id);
    if (found == owed.end()) continue;
    // Once for a duty, however many of its notices wait.
    if (!said.emplace(found->second.agreement.value, found->second.duty).second) continue;
    auto row = parts.store.row(use_notice_kind, id);
    if (!row) co_return fail(std::move(row));
    if (!*row) continue;
    auto body = negotiation::parse_row(**row);
    if (!body) co_return fail(std::move(body));
    (*body)["violated"] = true;
    (*row)->body = body->dump();
    const Message reason{
        "transfer.not-informed",
        {{"party", found->second.party}, {"due", format_micros(*found->second.due)}}};
    audit::RecordDraft record("obligation.violated", new_event(parts.random, reading.at));
    record.about(found->second.agreement).set("action", "inform");
    record.set("rule", found->second.duty).set("reason", reason);
    parts.notices.note(Severity::warning, reason);
    Transaction transaction;
    transaction.puts.push_back(std::move(**row));
    std::vector<audit::RecordDraft> drafts;
    drafts.push_back(std::move(record));
    const AgreementId agreement = found->second.agreement;
    auto done = co_await parts.journal.commit(std::move(transaction), std::move(drafts));
    // Taken at this very moment: then it is owed no more, and the next look sees that.
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    if (const auto still = owed.find(id); still != owed.end()) still->second.violated = true;
    refresh(agreement);
  }
  co_return Result<void>{};
}

// --- who was told ---

std::vector<audit::RecordDraft> Informer::State::fulfilled(const Row& row) const {
  if (row.state != delivered) return {};
  const auto body = negotiation::parse_row(row);
  if (!body) return {};
  audit::RecordDraft record("obligation.fulfilled", new_event(parts.random, parts.clock.read().at));
  Json uses = Json::array();
  for (const Json& use : body->value("uses", Json::array())) {
    uses.push_back(use.value("use", std::string()));
  }
  record.about(AgreementId(row.owner)).set("action", "inform");
  record.set("rule", body->value("duty", std::string()));
  record.set("party", body->value("party", std::string())).set_json("uses", uses);
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(record));
  return drafts;
}

void Informer::State::on_settled(const Row& row) {
  const auto found = owed.find(row.id);
  if (found == owed.end()) return;
  if (row.state == delivered) {
    owed.erase(found);
    return refresh(AgreementId(row.owner));
  }
  found->second.queued = false;
  found->second.next_attempt = parts.clock.read().at + refused_again;
}

// To the other side, where there was no way to it before, or after it refused.
awaitable<Result<void>> Informer::State::queue_again(std::string id) {
  auto row = parts.store.row(use_notice_kind, id);
  if (!row) co_return fail(std::move(row));
  if (!*row) co_return Result<void>{};
  auto body = negotiation::parse_row(**row);
  if (!body) co_return fail(std::move(body));
  auto message = message_of(id, *body);
  if (!message) {
    if (const auto one = owed.find(id); one != owed.end()) {
      one->second.next_attempt = parts.clock.read().at + address_again;
    }
    co_return Result<void>{};
  }
  (*body)["queued"] = true;
  (*row)->state = sending;
  (*row)->body = body->dump();
  Transaction transaction;
  transaction.puts.push_back(std::move(**row));
  transaction.messages.push_back(*message);
  auto done = co_await parts.journal.commit(std::move(transaction), {});
  if (!done && done.error().kind == ErrorKind::conflict) co_return Result<void>{};
  if (!done) co_return fail(std::move(done));
  if (const auto one = owed.find(id); one != owed.end()) one->second.queued = true;
  std::vector<OutgoingMessage> messages;
  messages.push_back(std::move(*message));
  parts.delivery.queue(std::move(messages));
  co_return Result<void>{};
}

awaitable<Result<void>> Informer::State::settle_other(std::string id) {
  for (;;) {
    auto row = parts.store.row(use_notice_kind, id);
    if (!row) co_return fail(std::move(row));
    if (!*row) co_return Result<void>{};
    (*row)->state = delivered;
    Transaction transaction;
    transaction.puts.push_back(**row);
    auto drafts = fulfilled(**row);
    auto done = co_await parts.journal.commit(std::move(transaction), std::move(drafts));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    on_settled(**row);
    co_return Result<void>{};
  }
}

// One attempt to tell somebody beside the two.
awaitable<void> Informer::State::tell_other(std::string id) {
  const auto self_alive = shared_from_this();
  const auto row = parts.store.row(use_notice_kind, id);
  const auto found = owed.find(id);
  if (found == owed.end()) co_return;
  const std::string party = found->second.party;
  Result<bool> taken = false;
  if (row && *row) {
    const auto body = negotiation::parse_row(**row);
    Json said = {{"type", "use.notice"}};
    for (const char* member : {"agreement", "duty", "note", "party", "uses"}) {
      if (body && body->contains(member)) said[member] = body->at(member);
    }
    const auto agreement = negotiation::find_agreement(parts.store, AgreementId((*row)->owner));
    if (agreement && *agreement) {
      said["asset"] = (*agreement)->asset.value;
      said["provider"] = negotiation::to_json((*agreement)->provider);
      said["consumer"] = negotiation::to_json((*agreement)->consumer);
    }
    std::string text = said.dump(-1, ' ', false, Json::error_handler_t::replace);
    taken = co_await parts.others.tell(party, id, std::move(text));
  }
  telling.erase(party);
  if (taken && *taken) {
    auto settled = co_await settle_other(id);
    if (!settled) parts.notices.note(Severity::error, settled.error().message);
    co_return;
  }
  const auto again = owed.find(id);
  if (again == owed.end()) co_return;
  Owed& one = again->second;
  if (one.failed == 0) {
    parts.notices.note(Severity::warning, {"transfer.party-not-told", {{"party", party}}});
  }
  const auto doubled = parts.limits.retry_first << std::min<std::uint32_t>(one.failed, 16);
  ++one.failed;
  one.next_attempt = parts.clock.read().at + std::min(doubled, parts.limits.retry_most);
}

awaitable<Result<void>> Informer::State::send_waiting(Instant now) {
  std::vector<std::string> to_peers;
  std::vector<std::string> to_others;
  for (const auto& [id, one] : owed) {
    if (one.next_attempt && *one.next_attempt > now) continue;
    if (one.is_peer && !one.queued) to_peers.push_back(id);
    if (!one.is_peer && telling.insert(one.party).second) to_others.push_back(id);
  }
  for (auto& id : to_others) parts.tasks.spawn("inform", tell_other(std::move(id)));
  for (auto& id : to_peers) {
    auto done = co_await queue_again(std::move(id));
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

awaitable<Result<void>> Informer::start() {
  State& state = *state_;
  auto loaded = state.load_place();
  if (!loaded) co_return loaded;
  auto owed = state.load_owed();
  if (!owed) co_return owed;
  // Where it begins is kept: what is told begins with the first start that knows of it.
  if (state.place.version == 0) co_return co_await state.save_place();
  co_return Result<void>{};
}

awaitable<void> Informer::run() {
  const auto state = state_;
  bool failing = false;
  for (;;) {
    auto done = co_await state->follow();
    const ClockReading reading = state->parts.clock.read();
    if (done) done = co_await state->mark_overdue(reading);
    if (done) done = co_await state->send_waiting(reading.at);
    if (!done && !failing) state->parts.notices.note(Severity::error, done.error().message);
    failing = !done;
    co_await state->parts.timers.sleep_for(look_again);
  }
}

Result<Json> Informer::shown(const AgreementId& agreement) const {
  const auto list = [&](std::string_view kind, auto shape) -> Result<Json> {
    Json items = Json::array();
    Store::Query query;
    query.kind = kind;
    query.owner = agreement.value;
    while (items.size() < most_shown) {
      const auto rows = state_->parts.store.rows(query);
      if (!rows) return tl::unexpected(rows.error());
      for (const Row& row : *rows) {
        const auto body = negotiation::parse_row(row);
        if (!body) return tl::unexpected(body.error());
        items.push_back(shape(row, *body));
      }
      if (rows->size() < query.most) break;
      query.after = rows->back().id;
    }
    return items;
  };
  auto notices = list(use_notice_kind, [](const Row& row, const Json& body) {
    Json item = {{"id", row.id}, {"state", row.state}};
    for (const char* member : {"duty", "party", "since", "due", "uses"}) {
      if (body.contains(member)) item[member] = body.at(member);
    }
    item["overdue"] = row.state != delivered && body.value("violated", false);
    return item;
  });
  if (!notices) return notices;
  auto told = list(told_use_kind, [](const Row&, const Json& body) { return body; });
  if (!told) return told;
  return Json{{"notices", std::move(*notices)}, {"told", std::move(*told)}};
}

Result<void> Informer::begin_again(Store& store, Transaction& change) {
  auto rows = all_rows(store, place_kind);
  if (!rows) return fail(std::move(rows));
  for (auto& row : *rows) change.erases.push_back(std::move(row));
  return {};
}

}  // namespace tally::transfer
