#include "tally/transfer/statement_sender.hpp"

#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <nlohmann/json.hpp>

#include "tally/audit/recovery.hpp"
#include "tally/audit/statement.hpp"
#include "tally/audit/use_list.hpp"
#include "tally/core/wakeup.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"

#include "note_delivery.hpp"
#include "transfer_process.hpp"

namespace tally::transfer {

namespace {

constexpr std::string_view stated_kind = "statement-range";  // a row for each agreement
constexpr std::string_view round_kind = "statement-round";   // one row
constexpr std::string_view round_id = "last";
constexpr Nanos look_again = seconds(60);
constexpr Nanos wait_step = milliseconds(10);
constexpr std::size_t notes_per_page = 100;

// How far the records of an agreement are stated.
struct Stated {
  Row row;
  std::uint64_t number = 0;  // of the last statement
  std::uint64_t aseq = 0;    // of the last record in it
};

Result<Stated> parse_stated(Row row) {
  const auto json = negotiation::parse_row(row);
  if (!json) return tl::unexpected(json.error());
  Stated stated;
  stated.number = json->value("number", std::uint64_t{0});
  stated.aseq = json->value("aseq", std::uint64_t{0});
  stated.row = std::move(row);
  return stated;
}

// Set for as long as it lives, however that ends.
class Flag {
 public:
  explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
  ~Flag() { flag_ = false; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

 private:
  bool& flag_;
};

// The last period that was stated for all agreements.
struct Round {
  Row row;
  Instant at;
  std::uint64_t size = 0;  // of the log then: what stands before it needs no second look
};

}  // namespace

struct StatementSender::State {
  State(StatementParts with, StatementSettings options)
      : parts(std::move(with)),
        settings(std::move(options)),
        notes(
            std::string(statement_kind),
            "transfer.statement-refused",
            parts.store,
            parts.journal,
            parts.delivery,
            parts.notices
        ) {}

  StatementParts parts;
  StatementSettings settings;
  NoteDelivery notes;
  std::set<std::string> ended;
  bool kicked = false;
  bool stating = false;    // what is stated is being added up
  bool answering = false;  // somebody is being answered: the log is read for one at a time
  std::shared_ptr<Wakeup> sleeper;

  Result<std::optional<Round>> last_round() const;
  awaitable<Result<void>> end_round(std::optional<Round> last, std::uint64_t size);
  Result<std::map<std::string, Stated>> all_stated() const;

  struct Added {
    std::uint64_t size = 0;
    Digest root{};
    std::map<std::string, audit::UseSums> sums;
  };
  // Of the agreements in `only`, or of all.
  Result<Added> add_up(
      std::uint64_t from,
      const std::map<std::string, Stated>& stated,
      const std::set<std::string>* only
  ) const;
  awaitable<Result<void>> state_all(const std::set<std::string>* only);
  awaitable<Result<void>> issue(
      AgreementId agreement, Stated stated, audit::UseSums sums, const Added& added
  );
  awaitable<Instant> look();
  void wake();
  [[nodiscard]] audit::Signer signer() const;
  [[nodiscard]] Result<void> is_of(const AgreementId& agreement, const PartyId& caller) const;
  awaitable<Result<void>> state_now(AgreementId agreement);
  Result<audit::UseList> list_uses(
      const AgreementId& agreement, std::uint64_t aseq, std::uint64_t seq
  ) const;
};

StatementSender::StatementSender(StatementParts parts, StatementSettings settings)
    : state_(std::make_shared<State>(std::move(parts), std::move(settings))) {}

StatementSender::~StatementSender() = default;

Result<std::optional<Round>> StatementSender::State::last_round() const {
  auto row = parts.store.row(round_kind, round_id);
  if (!row) return fail(std::move(row));
  if (!*row) return std::optional<Round>();
  const auto json = negotiation::parse_row(**row);
  if (!json) return tl::unexpected(json.error());
  const auto at = parse_date_time(negotiation::text_of(*json, "at"));
  if (!at) return fail(ErrorKind::internal, {"transfer.statement-round-unreadable", {}});
  return Round{std::move(**row), at->instant, json->value("size", std::uint64_t{0})};
}

awaitable<Result<void>> StatementSender::State::end_round(
    std::optional<Round> last, std::uint64_t size
) {
  Row row;
  if (last) row = std::move(last->row);
  row.kind = round_kind;
  row.id = round_id;
  row.state = "done";
  const Json body = {{"at", format_micros(parts.clock.read().at)}, {"size", size}};
  row.body = body.dump();
  Transaction transaction;
  transaction.puts.push_back(std::move(row));
  auto done = co_await parts.journal.commit(std::move(transaction), {});
  if (!done) co_return fail(std::move(done));
  co_return Result<void>{};
}

Result<std::map<std::string, Stated>> StatementSender::State::all_stated() const {
  auto rows = all_rows(parts.store, stated_kind);
  if (!rows) return fail(std::move(rows));
  std::map<std::string, Stated> all;
  for (auto& row : *rows) {
    std::string agreement = row.id;
    auto stated = parse_stated(std::move(row));
    if (!stated) return fail(std::move(stated));
    all.emplace(std::move(agreement), std::move(*stated));
  }
  return all;
}

Result<StatementSender::State::Added> StatementSender::State::add_up(
    std::uint64_t from,
    const std::map<std::string, Stated>& stated,
    const std::set<std::string>* only
) const {
  Added added;
  added.size = parts.tree.size();
  auto root = parts.tree.root(added.size);
  if (!root) return fail(std::move(root));
  added.root = *root;
  auto log = parts.open_log();
  if (!log) return fail(std::move(log));
  std::uint64_t next = from;
  const auto each = [&](const audit::RecordView& record) {
    if (record.seq >= added.size) return;
    next = record.seq + 1;
    if (record.agreement.empty() || !record.type.starts_with("use.")) return;
    if (only != nullptr && !only->contains(record.agreement)) return;
    const auto known = stated.find(record.agreement);
    const std::string aseq(record.raw("aseq"));
    if (known != stated.end() && std::strtoull(aseq.c_str(), nullptr, 10) <= known->second.aseq) {
      return;
    }
    added.sums[record.agreement].add(record);
  };
  auto read = audit::for_each_record(**log, from, each);
  if (!read) return fail(std::move(read));
  // Half a log adds up to a wrong sum.
  if (next < added.size) {
    return fail(
        ErrorKind::unavailable,
        {"transfer.statement-log-short",
         {{"read", std::to_string(next)}, {"size", std::to_string(added.size)}}}
    );
  }
  return added;
}

awaitable<Result<void>> StatementSender::State::state_all(const std::set<std::string>* only) {
  auto last = last_round();
  if (!last) co_return fail(std::move(last));
  auto stated = all_stated();
  if (!stated) co_return fail(std::move(stated));
  const std::uint64_t from = *last ? (*last)->size : 0;
  std::optional<Result<Added>> added;
  auto job = [this, &added, &stated, only, from] { added = add_up(from, *stated, only); };
  co_await parts.worker.run(std::move(job));
  if (!*added) co_return fail(std::move(*added));
  for (auto& [id, sums] : (*added)->sums) {
    if (!sums.any()) continue;
    Stated of;
    if (const auto found = stated->find(id); found != stated->end()) of = std::move(found->second);
    auto issued = co_await issue(AgreementId(id), std::move(of), std::move(sums), **added);
    if (!issued) co_return issued;
  }
  if (only != nullptr) co_return Result<void>{};
  co_return co_await end_round(std::move(*last), (*added)->size);
}

awaitable<Result<void>> StatementSender::State::issue(
    AgreementId id, Stated stated, audit::UseSums sums, const Added& added
) {
  const auto agreement = negotiation::find_agreement(parts.store, id);
  if (!agreement) co_return tl::unexpected(agreement.error());
  if (!*agreement) co_return Result<void>{};  // refused uses of what never was one
  const PartyId partner = (*agreement)->peer();

  audit::Statement statement;
  statement.agreement = id;
  statement.number = stated.number + 1;
  sums.from = stated.aseq + 1;
  statement.sums = std::move(sums);
  statement.origin = settings.log_origin;
  statement.size = added.size;
  statement.root = added.root;
  statement.asserted = (*agreement)->is_asserted();
  const auto key = audit::make_verifier_key(settings.self.uri, parts.signer->public_key());
  auto note = audit::sign_statement(statement, key, signer());
  if (!note) co_return fail(std::move(note));

  const Instant now = parts.clock.read().at;
  const auto base = parts.peers.tally_url(partner);
  Transaction transaction;
  Row range = std::move(stated.row);
  range.kind = stated_kind;
  range.id = id.value;
  range.owner = id.value;
  range.state = "stated";
  const Json reached = {{"number", statement.number}, {"aseq", statement.sums.to}};
  range.body = reached.dump();
  transaction.puts.push_back(std::move(range));
  Row row;
  row.kind = statement_kind;
  row.id = statement_row_id(id, settings.log_origin, statement.number);
  row.owner = id.value;
  // Where nobody would understand it, the statement stands in the log alone.
  row.state = base ? "sending" : "kept";
  Json stored = {{"note", *note}, {"number", statement.number}, {"sums", statement.sums.to_json()}};
  if (statement.asserted) stored["assurance"] = "asserted";
  row.body = stored.dump();
  if (base) {
    const Json body = {{"agreement", id.value}, {"note", *note}};
    HttpRequest request;
    request.method = "POST";
    request.body = body.dump();
    transaction.messages.push_back(negotiation::outgoing(
        new_pid(parts.random).value,
        negotiation::process_key(statement_kind, row.id),
        partner,
        *base + "/statements",
        request,
        now
    ));
  }
  transaction.puts.push_back(std::move(row));
  std::vector<OutgoingMessage> messages = transaction.messages;
  audit::RecordDraft record("statement.issued", new_event(parts.random, now));
  record.about(id).set("content", sha256(*note)).set("number", statement.number);
  record.set_json("sums", statement.sums.to_json());
  if (statement.asserted) record.set("assurance", "asserted");
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(record));
  auto done = co_await parts.journal.commit(std::move(transaction), std::move(drafts));
  if (!done) co_return fail(std::move(done));
  parts.delivery.queue(std::move(messages));
  co_return Result<void>{};
}

audit::Signer StatementSender::State::signer() const {
  return [this](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
    const auto signature = parts.signer->sign(bytes);
    return Bytes(signature.begin(), signature.end());
  };
}

// Does what is due; when to look again.
awaitable<Instant> StatementSender::State::look() {
  const ClockReading reading = parts.clock.read();
  const Instant later = reading.at + look_again;
  if (!reading.reliable) co_return later;
  while (stating) co_await parts.timers.sleep_for(wait_step);
  const Flag mine(stating);
  auto last = last_round();
  Result<void> done;
  std::optional<Instant> due;
  if (!last) {
    done = fail(std::move(last));
  } else if (!*last) {
    // The first period of this connector begins; what its log has from before is in it.
    done = co_await end_round(std::nullopt, 0);
    due = reading.at;
  } else {
    const std::int64_t period = settings.period / nanos_per_second;
    due = Instant{((*last)->at.seconds / period + 1) * period, 0};
    const std::set<std::string> only = std::exchange(ended, {});
    if (*due <= reading.at) {
      done = co_await state_all(nullptr);
      due = reading.at;
    } else if (!only.empty()) {
      done = co_await state_all(&only);
    }
    if (!done) ended.insert(only.begin(), only.end());
  }
  if (!done) {
    parts.notices.note(Severity::error, done.error().message);
    co_return later;
  }
  co_return std::min(*due, later);
}

awaitable<void> StatementSender::run() {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto state = state_;
  while (true) {
    const Instant wake = co_await state->look();
    auto kicked = [state]() -> awaitable<void> {
      auto started = [state](std::shared_ptr<Wakeup> wakeup) {
        if (std::exchange(state->kicked, false)) {
          wakeup->wake();
        } else {
          state->sleeper = std::move(wakeup);
        }
      };
      co_await suspend(std::move(started));
    };
    auto slept = state->parts.timers.sleep_until(wake);
    auto woken = kicked();
    co_await (std::move(slept) || std::move(woken));
    state->sleeper.reset();
  }
}

void StatementSender::State::wake() {
  if (auto sleeping = std::exchange(sleeper, nullptr)) {
    sleeping->wake();
  } else {
    kicked = true;
  }
}

// --- what the other side asks ---

Result<void> StatementSender::State::is_of(const AgreementId& agreement, const PartyId& caller)
    const {
  const auto found = negotiation::find_agreement(parts.store, agreement);
  if (!found) return tl::unexpected(found.error());
  if (*found && (*found)->peer() == caller) return {};
  return fail(ErrorKind::not_found, {"transfer.unknown-agreement", {}});
}

awaitable<Result<void>> StatementSender::State::state_now(AgreementId agreement) {
  while (stating) co_await parts.timers.sleep_for(wait_step);
  const Flag mine(stating);
  const std::set<std::string> only{agreement.value};
  co_return co_await state_all(&only);
}

Result<audit::UseList> StatementSender::State::list_uses(
    const AgreementId& agreement, std::uint64_t aseq, std::uint64_t seq
) const {
  audit::UseList list;
  list.agreement = agreement;
  list.from = aseq;
  list.origin = settings.log_origin;
  list.size = parts.tree.size();
  const auto root = parts.tree.root(list.size);
  if (!root) return tl::unexpected(root.error());
  list.root = *root;
  auto log = parts.open_log();
  if (!log) return fail(std::move(log));
  const auto each = [&](const audit::RecordView& record) {
    if (record.seq >= list.size || record.agreement != agreement.value) return;
    auto line = audit::use_line(record);
    list.last = line.aseq;
    const bool wanted = line.aseq >= aseq && list.lines.size() < audit::most_use_lines;
    if (wanted) list.lines.push_back(std::move(line));
  };
  auto read = audit::for_each_record(**log, seq, each);
  if (!read) return fail(std::move(read));
  return list;
}

awaitable<Result<Json>> StatementSender::statements(
    AgreementId agreement, PartyId caller, std::string after
) {
  const auto state = state_;
  if (auto known = state->is_of(agreement, caller); !known) co_return fail(std::move(known));
  const Message busy{"transfer.busy", {}};
  if (state->answering) co_return fail(ErrorKind::unavailable, busy);
  const Flag mine(state->answering);
  if (after.empty() && state->parts.clock.read().reliable) {
    auto stated = co_await state->state_now(agreement);
    if (!stated) co_return fail(std::move(stated));
  }
  const Store::Query query{
      std::string(statement_kind), {}, agreement.value, std::move(after), notes_per_page};
  const auto rows = state->parts.store.rows(query);
  if (!rows) co_return tl::unexpected(rows.error());
  Json notes = Json::array();
  for (const Row& row : *rows) {
    const auto json = negotiation::parse_row(row);
    if (!json) co_return tl::unexpected(json.error());
    notes.push_back(negotiation::text_of(*json, "note"));
  }
  Json answer = {{"statements", std::move(notes)}};
  if (rows->size() == notes_per_page) answer["next"] = rows->back().id;
  co_return answer;
}

awaitable<Result<Json>> StatementSender::uses(
    AgreementId agreement, PartyId caller, std::uint64_t aseq, std::uint64_t seq
) {
  const auto state = state_;
  if (auto known = state->is_of(agreement, caller); !known) co_return fail(std::move(known));
  const Message busy{"transfer.busy", {}};
  if (state->answering) co_return fail(ErrorKind::unavailable, busy);
  const Flag mine(state->answering);
  std::optional<Result<audit::UseList>> list;
  auto job = [&state, &list, &agreement, aseq, seq] {
    list = state->list_uses(agreement, aseq, seq);
  };
  co_await state->parts.worker.run(std::move(job));
  if (!*list) co_return fail(std::move(*list));
  const auto key =
      audit::make_verifier_key(state->settings.self.uri, state->parts.signer->public_key());
  const auto note = audit::sign_use_list(**list, key, state->signer());
  if (!note) co_return tl::unexpected(note.error());
  co_return Json{{"uses", *note}};
}

void StatementSender::ended(const AgreementId& agreement) {
  state_->ended.insert(agreement.value);
  state_->wake();
}

Result<void> StatementSender::begin_again(Store& store, Transaction& change) {
  for (const std::string_view of_the_log : {stated_kind, round_kind}) {
    auto rows = all_rows(store, of_the_log);
    if (!rows) return fail(std::move(rows));
    for (auto& row : *rows) change.erases.push_back(std::move(row));
  }
  return {};
}

void StatementSender::kick() {
  state_->wake();
}

}  // namespace tally::transfer
