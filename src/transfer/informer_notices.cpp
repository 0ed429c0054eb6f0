// The uses that the log says are over, made into notices.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"

#include "informer_state.hpp"

namespace tally::transfer {

namespace {

constexpr std::size_t most_records = 256;
// How far behind the place in the store may be of what was read and held nothing.
constexpr std::uint64_t most_unsaved = 4096;
constexpr std::size_t most_known_agreements = 4096;

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

}  // namespace

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
  made.row.state = notice_state::sending;
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

}  // namespace tally::transfer
