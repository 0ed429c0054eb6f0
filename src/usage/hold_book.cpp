#include "tally/usage/hold_book.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::usage {
namespace {

constexpr std::string_view in_force = "in-force";
constexpr std::string_view lifted = "lifted";
constexpr Nanos most_ahead = seconds(300);  // how far a regulator's clock may be before ours
constexpr Nanos refusal_window = seconds(3600);
constexpr int most_refusals = 100;

tl::unexpected<Error> unreadable(const std::string& id) {
  return fail(ErrorKind::internal, {"usage.hold-unreadable", {{"hold", id}}});
}

std::optional<Instant> time_of(const Json& json, const char* member) {
  const auto text = string_member(json, member, "");
  const auto time = text ? parse_date_time(*text) : std::nullopt;
  return time ? std::optional(time->instant) : std::nullopt;
}

std::optional<Hold> hold_of(const Row& row) {
  const auto json = parse_json(row.body);
  if (!json) return std::nullopt;
  const auto on = audit::parse_hold_on(*json);
  const auto by = string_member(*json, "by", "");
  const auto since = time_of(*json, "since");
  if (!on || !by || !since) return std::nullopt;
  Hold hold;
  hold.id = row.id;
  for (const auto who : {HoldBy::operator_, HoldBy::peer, HoldBy::regulator}) {
    if (*by == to_string(who)) hold.by = who;
  }
  hold.on = *on;
  hold.since = *since;
  hold.until = time_of(*json, "until");
  hold.name = string_member_or(*json, "name", "", "").value_or("");
  hold.reference = string_member_or(*json, "reference", "", "").value_or("");
  return hold;
}

// An agreement's own records tell of holds on it.
void describe(audit::RecordDraft& draft, const Hold& hold) {
  draft.set("hold", hold.id).set("by", to_string(hold.by));
  draft.set("scope", to_string(hold.on.scope));
  if (hold.on.scope == HoldScope::agreement) {
    draft.about(AgreementId(hold.on.target));
  } else if (!hold.on.target.empty()) {
    draft.set("target", hold.on.target);
  }
  if (!hold.name.empty()) draft.set("name", hold.name);
}

bool same_but_since(Hold a, const Hold& b) {
  a.since = b.since;
  return a == b;
}

}  // namespace

std::string own_suspension(const AgreementId& agreement) {
  return "self:" + agreement.value;
}
std::string peer_suspension(const AgreementId& agreement) {
  return "peer:" + agreement.value;
}
std::string regulator_hold(const std::string& regulator, const std::string& hold) {
  return "regulator:" + regulator + ":" + hold;
}

// An id while something about it is being committed.
class HoldBook::Busy {
 public:
  Busy(std::set<std::string>& ids, std::string id) : ids_(ids), id_(std::move(id)) {
    mine_ = ids_.insert(id_).second;
  }
  ~Busy() {
    if (mine_) ids_.erase(id_);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  [[nodiscard]] bool mine() const { return mine_; }
  [[nodiscard]] tl::unexpected<Error> elsewhere() const {
    return fail(ErrorKind::unavailable, {"usage.hold-busy", {{"hold", id_}}});
  }

 private:
  std::set<std::string>& ids_;
  std::string id_;
  bool mine_ = false;
};

HoldBook::HoldBook(HoldBookParts parts, PartyId self, std::vector<audit::Regulator> regulators)
    : parts_(parts), self_(std::move(self)), regulators_(std::move(regulators)) {}

Result<void> HoldBook::load() {
  auto rows = all_rows(parts_.store, hold_kind, in_force);
  if (!rows) return fail(std::move(rows));
  for (const Row& row : *rows) {
    auto hold = hold_of(row);
    if (!hold) return unreadable(row.id);  // what it stops is not known: do not start
    standing_[row.id] = *std::move(hold);
  }
  publish();
  return {};
}

void HoldBook::publish() {
  std::vector<Hold> holds;
  holds.reserve(standing_.size());
  for (const auto& [id, hold] : standing_) holds.push_back(hold);
  parts_.enforcer.hold(holds.empty() ? nullptr : std::make_shared<const HoldSet>(std::move(holds)));
  if (changed_) changed_();
}

std::optional<Hold> HoldBook::find(const std::string& id) const {
  const auto found = standing_.find(id);
  return found == standing_.end() ? std::nullopt : std::optional(found->second);
}

Result<HoldBook::Kept> HoldBook::kept(const std::string& id) const {
  auto row = parts_.store.row(hold_kind, id);
  if (!row) return fail(std::move(row));
  Kept found;
  if (!*row) return found;
  const auto json = parse_json((*row)->body);
  if (!json) return unreadable(id);
  found.ordered = time_of(*json, "ordered");
  found.order = string_member_or(*json, "order", "", "").value_or("");
  found.row = std::move(**row);
  return found;
}

// The lock of the id is held.
awaitable<Result<Hold>> HoldBook::put(Hold hold, HoldCommit with, const std::string& note) {
  const auto before = kept(hold.id);
  if (!before) co_return tl::unexpected(before.error());
  const auto stood = find(hold.id);
  Row row = before->row.value_or(Row{});
  row.kind = hold_kind;
  row.id = hold.id;
  row.state = in_force;
  row.owner = hold.on.target;
  Json body = to_json(hold);
  if (!with.said.empty()) body["reason"] = with.said;
  if (!note.empty()) {
    body["order"] = note;
    body["ordered"] = format_micros(hold.since);
  }
  row.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  audit::RecordDraft record("hold.placed", new_event(parts_.random, parts_.clock.read().at));
  describe(record, hold);
  if (hold.until) record.set("until", format_micros(*hold.until));
  if (!hold.reference.empty()) record.set("reference", hold.reference);
  if (!note.empty()) record.set("content", sha256(note));

  // In force first: no permit is queued behind the record.
  standing_[hold.id] = hold;
  publish();
  Transaction transaction;
  transaction.puts = std::move(with.puts);
  transaction.puts.push_back(std::move(row));
  transaction.messages = std::move(with.messages);
  std::vector<audit::RecordDraft> records;
  records.push_back(std::move(record));
  auto done = co_await parts_.journal.commit(
      std::move(transaction), std::move(records), audit::Priority::reserved
  );
  if (!done) {
    // Of a conflict nothing was stored; whoever asked decides again.
    if (done.error().kind == ErrorKind::conflict) {
      if (stood) {
        standing_[hold.id] = *stood;
      } else {
        standing_.erase(hold.id);
      }
      publish();
    }
    co_return fail(std::move(done));
  }
  co_return hold;
}

// The lock of the id is held.
awaitable<Result<void>> HoldBook::end(
    std::string id,
    std::optional<Hold> hold,
    HoldBy by,
    std::string reference,
    HoldCommit with,
    const std::string& note,
    Instant ordered
) {
  const auto before = kept(id);
  if (!before) co_return tl::unexpected(before.error());
  const Instant now = parts_.clock.read().at;
  std::vector<audit::RecordDraft> records;
  Transaction transaction;
  transaction.puts = std::move(with.puts);
  transaction.messages = std::move(with.messages);
  if (hold || !note.empty()) {
    Row row = before->row.value_or(Row{});
    row.kind = hold_kind;
    row.id = id;
    row.state = lifted;
    Json body = hold ? to_json(*hold) : Json{{"id", id}, {"by", to_string(by)}};
    body["lifted"] = format_micros(now);
    if (!reference.empty()) body["liftedFor"] = reference;
    if (!note.empty()) {
      body["order"] = note;
      body["ordered"] = format_micros(ordered);
    }
    row.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    transaction.puts.push_back(std::move(row));
    Hold told = hold.value_or(Hold{});
    told.id = id;
    told.by = by;
    audit::RecordDraft record("hold.lifted", new_event(parts_.random, now));
    describe(record, told);
    if (!reference.empty()) record.set("reference", reference);
    if (!note.empty()) record.set("content", sha256(note));
    records.push_back(std::move(record));
  }
  if (transaction.puts.empty()) co_return Result<void>{};
  auto done = co_await parts_.journal.commit(
      std::move(transaction), std::move(records), audit::Priority::reserved
  );
  if (!done) co_return fail(std::move(done));
  if (standing_.erase(id) > 0) publish();
  co_return Result<void>{};
}

awaitable<Result<Hold>> HoldBook::place(Hold hold, HoldCommit with) {
  const Instant now = parts_.clock.read().at;
  hold.since = Instant{now.seconds, now.nanos - now.nanos % 1000};
  if (hold.id.empty()) {
    hold.id = new_pid(parts_.random).value.substr(std::string_view("urn:uuid:").size());
  }
  const AgreementId agreement(hold.on.target);
  if (hold.on.scope == HoldScope::agreement && !parts_.enforcer.state(agreement)) {
    co_return fail(
        ErrorKind::not_found, {"usage.unknown-agreement", {{"agreement", agreement.value}}}
    );
  }
  const Busy busy(busy_, hold.id);
  if (!busy.mine()) co_return busy.elsewhere();
  if (const auto stands = find(hold.id)) {
    if (same_but_since(*stands, hold)) {
      if (with.puts.empty()) co_return *stands;
      hold.since = stands->since;
    } else if (hold.by == HoldBy::operator_) {
      co_return fail(ErrorKind::conflict, {"usage.hold-exists", {{"hold", hold.id}}});
    }
  }
  const std::string none;
  co_return co_await put(std::move(hold), std::move(with), none);
}

awaitable<Result<bool>> HoldBook::lift(
    std::string id, HoldBy by, std::string reference, HoldCommit with
) {
  const Busy busy(busy_, id);
  if (!busy.mine()) co_return busy.elsewhere();
  auto hold = find(id);
  if (hold && hold->by != by) {
    co_return fail(
        ErrorKind::forbidden,
        {"usage.hold-of-another",
         {{"hold", id}, {"by", std::string(to_string(hold->by))}, {"name", hold->name}}}
    );
  }
  const bool stood = hold.has_value();
  const std::string none;
  auto done = co_await end(
      std::move(id), std::move(hold), by, std::move(reference), std::move(with), none, {}
  );
  if (!done) co_return fail(std::move(done));
  co_return stood;
}

// --- orders of regulators ---

awaitable<Result<HoldBook::Taken>> HoldBook::take(std::string note, std::optional<PartyId> from) {
  auto order = audit::verify_hold_order(note, regulators_);
  Result<Taken> taken;
  if (order) {
    taken = co_await obey(*std::move(order), note);
  } else {
    taken = tl::unexpected(order.error());
  }
  // What could not be done now was not refused.
  if (!taken && taken.error().kind != ErrorKind::unavailable) {
    co_await record_refusal(std::move(note), std::move(from), taken.error().message);
  }
  co_return taken;
}

awaitable<Result<HoldBook::Taken>> HoldBook::obey(audit::SignedOrder given, std::string note) {
  audit::HoldOrder& order = given.order;
  const Message message{
      "", {{"regulator", given.regulator}, {"hold", order.hold}, {"to", order.to}}};
  const auto refused = [&message](ErrorKind kind, const char* code) {
    Message why = message;
    why.code = code;
    return fail(kind, std::move(why));
  };
  if (order.to != self_.uri) co_return refused(ErrorKind::invalid, "usage.order-for-another");
  const ClockReading now = parts_.clock.read();
  // One that is dated ahead would keep later ones from counting.
  if (now.reliable && order.time > now.at + most_ahead) {
    co_return refused(ErrorKind::invalid, "usage.order-too-early");
  }
  const std::string id = regulator_hold(given.regulator, order.hold);
  const Busy busy(busy_, id);
  if (!busy.mine()) co_return busy.elsewhere();
  const auto before = kept(id);
  if (!before) co_return tl::unexpected(before.error());
  if (before->ordered && order.time <= *before->ordered) {
    // The last one again is no other one; any before it is over, whatever it says.
    if (before->order == note) co_return Taken{id, order.lifts};
    co_return refused(ErrorKind::conflict, "usage.order-older");
  }
  if (order.lifts) {
    auto stands = find(id);
    HoldCommit with;
    auto done = co_await end(
        id,
        std::move(stands),
        HoldBy::regulator,
        std::move(order.reference),
        std::move(with),
        note,
        order.time
    );
    if (!done) co_return fail(std::move(done));
    co_return Taken{id, true};
  }
  const AgreementId agreement(order.on.target);
  if (order.on.scope == HoldScope::agreement && !parts_.enforcer.state(agreement)) {
    co_return fail(
        ErrorKind::not_found, {"usage.unknown-agreement", {{"agreement", agreement.value}}}
    );
  }
  Hold hold;
  hold.id = id;
  hold.by = HoldBy::regulator;
  hold.name = given.regulator;
  hold.on = std::move(order.on);
  hold.since = order.time;
  hold.until = order.until;
  hold.reference = std::move(order.reference);
  HoldCommit with;
  auto placed = co_await put(std::move(hold), std::move(with), note);
  if (!placed) co_return fail(std::move(placed));
  co_return Taken{id, false};
}

// A sender that is refused again and again does not fill the log.
bool HoldBook::may_record(const std::optional<PartyId>& from) {
  const Instant now = parts_.clock.read().at;
  std::erase_if(refusals_, [now](const auto& each) {
    return now - each.second.since >= refusal_window || now < each.second.since;
  });
  auto& of_sender = refusals_[from ? to_string(*from) : std::string()];
  if (of_sender.count == 0) of_sender.since = now;
  return ++of_sender.count <= most_refusals;
}

awaitable<void> HoldBook::record_refusal(
    std::string note, std::optional<PartyId> from, Message reason
) {
  if (!may_record(from)) co_return;
  audit::RecordDraft record("hold.refused", new_event(parts_.random, parts_.clock.read().at));
  record.set("content", sha256(note)).set("reason", reason);
  if (from) record.set("counterparty", *from);
  std::vector<audit::RecordDraft> records;
  records.push_back(std::move(record));
  // Whether it could be recorded changes nothing for who sent it.
  co_await parts_.journal.commit(Transaction{}, std::move(records));
}

}  // namespace tally::usage
