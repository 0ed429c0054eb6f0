#include "tally/audit/checkpoint_sender.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "rows.hpp"

namespace tally::audit {

namespace {

constexpr std::string_view row_kind = "cosigned";
constexpr Nanos most_apart = seconds(300);  // of two clocks that agree, the wire included
// Our idea of what it cosigned last may be old; more turns than this are a witness that plays.
constexpr int most_turns = 3;
constexpr Nanos tick = seconds(1);

PeerRequest request_to(const WitnessTarget& target, std::string method, std::string_view path) {
  PeerRequest request;
  request.to = target.to;
  request.url = target.url + std::string(path);
  request.http.method = std::move(method);
  return request;
}

// As the witness says.
std::optional<Instant> cosigned_at(const std::string& note, const std::vector<VerifierKey>& keys) {
  const auto verified = verify_note(note, keys);
  if (!verified) return std::nullopt;
  return Instant{static_cast<std::int64_t>(verified->good.back().time), 0};
}

Error refused(const WitnessTarget& target, int status) {
  return {
      ErrorKind::unavailable,
      {"audit.witness-refused", {{"witness", target.id}, {"status", std::to_string(status)}}},
      {}};
}

}  // namespace

struct CheckpointSender::Known {
  Row row;
  std::uint64_t size = 0;
  std::string note;
  std::int64_t failing_since = 0;  // seconds of Unix time; 0: not failing
  bool missing = false;
  std::uint64_t told = 0;  // of our key's rotations
  std::int64_t apart = 0;  // as WitnessState::apart

  [[nodiscard]] std::optional<Instant> failing() const {
    return failing_since == 0 ? std::nullopt : std::optional(Instant{failing_since, 0});
  }
  [[nodiscard]] Cosigned cosigned(const PartyId& party) const;
};

struct CheckpointSender::Asking {
  std::size_t running = 0;
  std::optional<Error> found;
};

CheckpointSender::CheckpointSender(CheckpointSenderParts parts, CheckpointSettings settings)
    : parts_(std::move(parts)), settings_(std::move(settings)) {}

CheckpointSender::~CheckpointSender() = default;

Result<CheckpointSender::Known> CheckpointSender::known(const WitnessTarget& target) const {
  Known known;
  known.row.kind = row_kind;
  known.row.id = target.id;
  known.row.owner = to_string(target.to);
  auto row = parts_.store.row(row_kind, target.id);
  if (!row) return fail(std::move(row));
  if (!*row) return known;
  return read(std::move(**row));
}

Result<CheckpointSender::Known> CheckpointSender::read(Row row) {
  Known known;
  known.row = std::move(row);
  const auto json = parse_json(known.row.body);
  if (!json || !json->is_object()) return unreadable(known.row);
  known.size = json->value("size", std::uint64_t{0});
  known.note = json->value("note", std::string());
  known.failing_since = json->value("failingSince", std::int64_t{0});
  known.missing = json->value("missing", false);
  known.told = json->value("told", std::uint64_t{0});
  known.apart = json->value("apart", std::int64_t{0});
  return known;
}

Cosigned CheckpointSender::Known::cosigned(const PartyId& party) const {
  return {row.id, party, size, note, failing(), missing};
}

void CheckpointSender::tell(const PartyId& party, const Known& known) {
  parts_.witnessing.cosigned(known.cosigned(party));
}

Result<CheckpointSender::Known> CheckpointSender::remember(const WitnessTarget& target) {
  auto found = known(target);
  if (!found) return found;
  sending_[target.id].note = found->note;
  tell(target.to, *found);
  return found;
}

void CheckpointSender::answered(const std::string& id) {
  if (unasked_.erase(id) > 0) parts_.answered();
}

std::optional<Instant> CheckpointSender::unasked(const PartyId& party) const {
  for (const auto& [id, one] : unasked_) {
    if (one.party == party) return one.since;
  }
  return std::nullopt;
}

awaitable<Result<void>> CheckpointSender::keep(Known known, std::vector<RecordDraft> drafts) {
  const Json body = {
      {"size", known.size},
      {"note", known.note},
      {"failingSince", known.failing_since},
      {"missing", known.missing},
      {"told", known.told},
      {"apart", known.apart}};
  known.row.body = body.dump();
  Transaction transaction;
  transaction.puts.push_back(std::move(known.row));
  auto kept = co_await parts_.journal.commit(std::move(transaction), std::move(drafts));
  if (!kept) co_return fail(std::move(kept));
  co_return Result<void>{};
}

awaitable<Result<std::string>> CheckpointSender::current() {
  Result<std::string> note = fail(ErrorKind::unavailable, {"audit.log-failed", {}});
  auto job = [this, &note] { note = parts_.source.checkpoint(); };
  co_await parts_.worker.run(std::move(job));
  co_return note;
}

awaitable<void> CheckpointSender::keep_proof(ProofOfLoss proof) {
  Result<void> kept;
  auto job = [this, &kept, &proof] { kept = parts_.source.keep_proof(proof); };
  co_await parts_.worker.run(std::move(job));
  // Without it the log is refused all the same; a new one could only be begun on our own word.
  if (!kept) parts_.notices.note(Severity::error, kept.error().message);
}

Error CheckpointSender::raise(
    std::string code, const WitnessTarget& target, std::uint64_t ours, std::uint64_t theirs
) {
  Message message{
      std::move(code),
      {{"origin", settings_.origin},
       {"witness", target.to.uri},
       {"ours", std::to_string(ours)},
       {"theirs", std::to_string(theirs)}}};
  if (!alarm_) {
    alarm_ = message;
    parts_.notices.note(Severity::error, message);
  }
  return {ErrorKind::conflict, std::move(message), {}};
}

awaitable<Result<void>> CheckpointSender::examine(WitnessTarget target) {
  auto request = request_to(target, "GET", "/" + to_hex(sha256(settings_.origin)) + "/checkpoint");
  auto answer = co_await parts_.peer.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  if (answer->status == 404) co_return Result<void>{};
  if (answer->status != 200) co_return tl::unexpected(refused(target, answer->status));
  // Only what we signed ourselves is proof; anybody can claim a number.
  auto held = settings_.log_keys.verify(answer->body);
  ProofOfLoss proof{answer->body, {}};
  if (!held) {
    // A log that was set back may lack the record of its newest key.
    auto shown = co_await keys_shown_by(target);
    if (shown) {
      held = shown->verify(answer->body);
      proof.rotations = shown->notes();
    }
  }
  if (!held) co_return tl::unexpected(held.error());
  if (held->checkpoint.origin != settings_.origin) {
    co_return tl::unexpected(refused(target, answer->status));
  }
  auto note = co_await current();
  if (!note) co_return fail(std::move(note));
  const auto ours = settings_.log_keys.verify(*note);
  if (!ours) co_return tl::unexpected(ours.error());
  const std::uint64_t size = held->checkpoint.size;
  if (size > ours->checkpoint.size) {
    co_await keep_proof(std::move(proof));
    co_return tl::unexpected(raise("audit.log-behind", target, ours->checkpoint.size, size));
  }
  Result<Digest> root = ours->checkpoint.root;
  auto job = [this, &root, size] { root = parts_.source.root(size); };
  co_await parts_.worker.run(std::move(job));
  if (!root) co_return tl::unexpected(root.error());
  if (*root != held->checkpoint.root) {
    co_await keep_proof(std::move(proof));
    co_return tl::unexpected(raise("audit.log-forked", target, ours->checkpoint.size, size));
  }
  co_return Result<void>{};
}

awaitable<Result<LogKeys>> CheckpointSender::keys_shown_by(WitnessTarget target) {
  auto request = request_to(target, "GET", "/" + to_hex(sha256(settings_.origin)) + "/rotations");
  auto answer = co_await parts_.peer.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  if (answer->status != 200) co_return tl::unexpected(refused(target, answer->status));
  const auto notes = parse_rotations(answer->body);
  if (!notes) co_return tl::unexpected(notes.error());
  co_return settings_.log_keys.extended(*notes);
}

awaitable<Result<bool>> CheckpointSender::tell_rotations(WitnessTarget target) {
  auto request = request_to(target, "POST", "/rotations");
  request.http.headers.set("Content-Type", "application/json");
  request.http.body = print_rotations(settings_.log_keys.notes());
  auto answer = co_await parts_.peer.send(std::move(request));
  if (!answer) co_return fail(std::move(answer));
  co_return answer->status == 200;
}

awaitable<void> CheckpointSender::ask(WitnessTarget target, std::shared_ptr<Asking> asking) {
  const std::string id = target.id;
  auto answer = co_await examine(std::move(target));
  --asking->running;
  if (answer) {
    answered(id);
  } else if (answer.error().kind == ErrorKind::conflict && !asking->found) {
    asking->found = answer.error();
  }
}

awaitable<Result<std::vector<PartyId>>> CheckpointSender::ask_first() {
  auto asking = std::make_shared<Asking>();
  const auto targets = parts_.targets();
  const Instant now = parts_.clock.read().at;
  unasked_.clear();
  for (const auto& target : targets) {
    auto before = remember(target);
    if (!before) co_return fail(std::move(before));
    unasked_.emplace(target.id, Unasked{target.to, now});
  }
  asking->running = targets.size();
  for (const auto& target : targets) parts_.tasks.spawn("ask-witness", ask(target, asking));
  // Those that cannot be reached do not hold up a start.
  const Nanos step = milliseconds(50);
  Nanos waited = 0;
  while (!asking->found && asking->running > 0 && waited < settings_.ask_patience) {
    co_await parts_.timers.sleep_for(step);
    waited += step;
  }
  if (asking->found) co_return tl::unexpected(*asking->found);
  std::vector<PartyId> silent;
  for (const auto& [id, one] : unasked_) silent.push_back(one.party);
  co_return silent;
}

awaitable<void> CheckpointSender::run() {
  for (;;) {
    const Instant now = parts_.clock.read().at;
    if (milestone_.exchange(false, std::memory_order_relaxed)) {
      for (auto& [id, sending] : sending_) {
        if (sending.busy) sending.again = true;
        sending.next = std::min(sending.next, now + settings_.settle);
      }
    }
    auto targets = parts_.targets();
    // Who is no witness of ours any more owes no answer.
    for (auto it = unasked_.begin(); it != unasked_.end();) {
      const std::string id = (it++)->first;
      const auto same = [&id](const WitnessTarget& target) { return target.id == id; };
      if (std::none_of(targets.begin(), targets.end(), same)) answered(id);
    }
    const auto waits = [&](const WitnessTarget& target) {
      const Sending& sending = sending_[target.id];
      return sending.busy || sending.next > now;
    };
    targets.erase(std::remove_if(targets.begin(), targets.end(), waits), targets.end());
    // Once for all of them, and before any: so each checkpoint that is witnessed covers it.
    if (!targets.empty() && !alarm_ && parts_.heads_due()) co_await append_heads();
    Result<std::string> note = std::string();
    if (!targets.empty()) note = co_await current();
    for (auto& target : targets) {
      Sending& sending = sending_[target.id];
      sending.busy = true;
      sending.again = false;
      parts_.tasks.spawn("checkpoint", deliver(std::move(target), note));
    }
    co_await parts_.timers.sleep_for(tick);
  }
}

awaitable<void> CheckpointSender::append_heads() {
  std::vector<RecordDraft> drafts;
  drafts.emplace_back("log.heads", new_event(parts_.random, parts_.clock.read().at));
  auto kept = co_await parts_.journal.commit(Transaction{}, std::move(drafts));
  // A checkpoint without it claims less, and nothing wrong.
  if (!kept) parts_.notices.note(Severity::warning, kept.error().message);
}

awaitable<void> CheckpointSender::deliver(WitnessTarget target, Result<std::string> note) {
  const std::string id = target.id;
  Result<void> done;
  if (unasked_.contains(id)) {
    done = co_await examine(target);
    if (done) answered(id);
  }
  if (done) done = co_await attempt(target, std::move(note));
  Sending& sending = sending_[id];
  sending.busy = false;
  const Instant now = parts_.clock.read().at;
  if (done) {
    sending.failures = 0;
    sending.why.reset();
    sending.next = now + (sending.again ? settings_.settle : settings_.every);
    co_return;
  }
  const unsigned doubled = std::min(sending.failures++, 20U);
  sending.next = now + std::min(parts_.limits.retry_first << doubled, parts_.limits.retry_most);
  auto why = std::move(done).error();
  sending.why = why.message;
  co_await failed(std::move(target), std::move(why));
}

awaitable<void> CheckpointSender::failed(WitnessTarget target, Error why) {
  auto known = this->known(target);
  if (!known) {
    parts_.notices.note(Severity::error, known.error().message);
    co_return;
  }
  const std::int64_t now = parts_.clock.read().at.seconds;
  std::vector<RecordDraft> drafts;
  if (known->failing_since == 0) {
    known->failing_since = now;
  } else if (!known->missing && now - known->failing_since >= settings_.missing_after / seconds(1)) {
    known->missing = true;
    RecordDraft draft("witness.missing", new_event(parts_.random, parts_.clock.read().at));
    draft.set("counterparty", target.to).set("size", known->size);
    draft.set("since", format_seconds(Instant{known->failing_since, 0}));
    draft.set("reason", why.message);
    drafts.push_back(std::move(draft));
    const Message missing{"audit.witness-missing", {{"witness", target.to.uri}}};
    parts_.notices.note(Severity::warning, missing);
  } else {
    co_return;
  }
  auto taken = std::move(*known);
  tell(target.to, taken);
  auto kept = co_await keep(std::move(taken), std::move(drafts));
  if (!kept && kept.error().kind != ErrorKind::conflict) {
    parts_.notices.note(Severity::error, kept.error().message);
  }
}

awaitable<Result<void>> CheckpointSender::attempt(WitnessTarget target, Result<std::string> text) {
  if (!text) co_return fail(std::move(text));
  auto known = this->known(target);
  if (!known) co_return fail(std::move(known));
  const std::uint64_t rotations = settings_.log_keys.entries().size() - 1;
  if (known->told < rotations) {
    auto told = co_await tell_rotations(target);
    if (!told) co_return fail(std::move(told));
    // In any case the checkpoint follows: in the overlap the old key has signed it too.
    if (*told) known->told = rotations;
  }
  auto note = parse_note(*text);
  if (!note) co_return tl::unexpected(note.error());
  const auto checkpoint = parse_checkpoint(note->text);
  if (!checkpoint) co_return tl::unexpected(checkpoint.error());

  std::uint64_t old_size = known->size;
  for (int turn = 0; turn < most_turns; ++turn) {
    if (old_size > checkpoint->size) break;
    AddCheckpoint question;
    question.old_size = old_size;
    question.note = *note;
    question.checkpoint = *checkpoint;
    if (old_size > 0) {
      Result<Proof> proof = Proof{};
      auto job = [this, &proof, old_size, size = checkpoint->size] {
        proof = parts_.source.consistency(old_size, size);
      };
      co_await parts_.worker.run(std::move(job));
      if (!proof) co_return tl::unexpected(proof.error());
      question.proof = *std::move(proof);
    }
    auto request = request_to(target, "POST", "/add-checkpoint");
    request.http.headers.set("Content-Type", "text/plain; charset=utf-8");
    request.http.body = question.print();
    auto sent = co_await parts_.peer.send(std::move(request));
    if (!sent) co_return fail(std::move(sent));
    const auto answer = parse_witness_answer(sent->status, sent->body);
    if (!answer) co_return tl::unexpected(answer.error());
    if (answer->status == WitnessStatus::cosigned) {
      // Only what the witness really signed is kept.
      auto cosigned = add_cosignatures(*note, answer->cosignatures, target.keys);
      if (!cosigned) co_return tl::unexpected(cosigned.error());
      auto before = std::move(*known);
      auto after = std::move(*cosigned);
      co_return co_await keep_answer(
          std::move(target), std::move(before), std::move(after), checkpoint->size
      );
    }
    if (answer->status == WitnessStatus::inconsistent) break;
    if (answer->status != WitnessStatus::other_size) {
      co_return tl::unexpected(refused(target, sent->status));
    }
    // It has that size too, and another tree there.
    if (answer->size == old_size) break;
    old_size = answer->size;
  }
  // It knows another log than ours, or says so.
  const Error unexplained = refused(target, static_cast<int>(WitnessStatus::inconsistent));
  auto examined = co_await examine(std::move(target));
  if (!examined) co_return examined;
  co_return tl::unexpected(unexplained);
}

awaitable<Result<void>> CheckpointSender::keep_answer(
    WitnessTarget target, Known known, Note note, std::uint64_t size
) {
  known.size = size;
  known.note = note.print();
  known.failing_since = 0;
  known.missing = false;
  auto drafts = compare_clocks(target, known);
  const Known told = known;
  auto kept = co_await keep(std::move(known), std::move(drafts));
  if (!kept) co_return kept;
  sending_[target.id].note = told.note;
  tell(target.to, told);
  co_await show(std::move(note));
  co_return kept;
}

std::vector<RecordDraft> CheckpointSender::compare_clocks(
    const WitnessTarget& target, Known& known
) {
  const auto signed_at = cosigned_at(known.note, target.keys);
  const Instant now = parts_.clock.read().at;
  if (!signed_at) return {};
  const std::int64_t seconds = signed_at->seconds - now.seconds;
  const bool apart = std::abs(seconds) > most_apart / tally::seconds(1);
  const bool before = known.apart != 0;
  known.apart = apart ? seconds : 0;
  if (apart == before) return {};
  std::vector<RecordDraft> drafts;
  RecordDraft draft("time.compared", new_event(parts_.random, now));
  draft.set("counterparty", target.to).set("seconds", seconds).set("apart", apart);
  drafts.push_back(std::move(draft));
  parts_.notices.note(
      apart ? Severity::warning : Severity::info,
      {apart ? "audit.clocks-apart" : "audit.clocks-agree",
       {{"witness", target.to.uri}, {"seconds", std::to_string(seconds)}}}
  );
  return drafts;
}

awaitable<void> CheckpointSender::show(Note note) {
  // All that was cosigned of the same checkpoint.
  const auto add = [&note](const std::string& text) {
    const auto other = parse_note(text);
    if (!other || other->text != note.text) return;
    for (const auto& signature : other->signatures) {
      const auto same = [&](const NoteSignature& one) {
        return one.name == signature.name && one.id == signature.id;
      };
      const bool has = std::any_of(note.signatures.begin(), note.signatures.end(), same);
      if (!has && note.signatures.size() < most_note_signatures) {
        note.signatures.push_back(signature);
      }
    }
  };
  for (const auto& [id, sending] : sending_) add(sending.note);
  const auto worth = [this](const Note& one) {
    const auto checkpoint = parse_checkpoint(one.text);
    return std::tuple(
        parts_.witnessing.makes_quorum(one),
        checkpoint ? checkpoint->size : 0,
        one.signatures.size()
    );
  };
  Result<void> done;
  auto job = [this, &note, &worth, &done] {
    done = parts_.source.keep_cosigned(note, [&](const Note& kept) {
      return worth(kept) > worth(note);
    });
  };
  co_await parts_.worker.run(std::move(job));
  if (!done) parts_.notices.note(Severity::warning, done.error().message);
}

Result<void> CheckpointSender::begin_again(Store& store, Transaction& change) {
  Store::Query query;
  query.kind = row_kind;
  for (;;) {
    auto rows = store.rows(query);
    if (!rows) return fail(std::move(rows));
    if (rows->empty()) return {};
    query.after = rows->back().id;
    for (Row& row : *rows) change.erases.push_back(std::move(row));
  }
}

Result<std::vector<WitnessState>> CheckpointSender::witnesses() const {
  std::vector<WitnessState> out;
  for (auto& target : parts_.targets()) {
    const auto known = this->known(target);
    if (!known) return tl::unexpected(known.error());
    WitnessState state;
    state.cosigned = known->cosigned(target.to);
    state.at = cosigned_at(known->note, target.keys);
    state.apart = known->apart;
    if (const auto sending = sending_.find(target.id); sending != sending_.end()) {
      state.why = sending->second.why;
    }
    if (const auto unasked = unasked_.find(target.id); unasked != unasked_.end()) {
      state.unasked = unasked->second.since;
    }
    state.target = std::move(target);
    out.push_back(std::move(state));
  }
  return out;
}

Result<std::vector<Cosigned>> CheckpointSender::cosigned(Store& store) {
  std::vector<Cosigned> out;
  Store::Query query;
  query.kind = row_kind;
  for (;;) {
    auto rows = store.rows(query);
    if (!rows) return fail(std::move(rows));
    if (rows->empty()) return out;
    for (Row& row : *rows) {
      query.after = row.id;
      auto one = read(std::move(row));
      if (!one) return fail(std::move(one));
      out.push_back(one->cosigned(owner_of(one->row)));
    }
  }
}

}  // namespace tally::audit
