#include "tally/audit/contradictions.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/checkpoint.hpp"
#include "tally/core/json.hpp"

#include "rows.hpp"

namespace tally::audit {

namespace {

constexpr std::string_view row_kind = "contradiction";
constexpr std::array<std::string_view, 2> standing_states = {"proven", "unshown"};
constexpr std::string_view lifted_state = "lifted";
// How often a lift is decided anew when the rows keep moving.
constexpr int most_decisions = 16;

std::string row_id(std::string_view origin, std::uint64_t size, const Digest& root) {
  return to_hex(sha256(origin)) + " " + std::to_string(size) + " " + to_hex(root);
}

Result<Contradiction> read(const Row& row) {
  const auto json = parse_json(row.body);
  if (!json || !json->is_object()) return unreadable(row);
  Contradiction out;
  out.origin = text_of(*json, "origin");
  out.party = owner_of(row);
  out.proven = json->value("proven", false);
  out.first = text_of(*json, "first");
  out.second = text_of(*json, "second");
  out.event = text_of(*json, "event");
  if (row.state == lifted_state) {
    const auto lifted = json->find("lifted");
    if (lifted == json->end() || !lifted->is_object()) return unreadable(row);
    const auto at = parse_date_time(text_of(*lifted, "at"));
    if (!at) return unreadable(row);
    out.lifted = Contradiction::Lifted{at->instant, text_of(*lifted, "reason")};
  }
  return out;
}

std::string print(const Contradiction& one) {
  Json body = {
      {"origin", one.origin},
      {"proven", one.proven},
      {"first", one.first},
      {"second", one.second},
      {"event", one.event}};
  if (one.lifted) {
    body["lifted"] = {{"at", format_micros(one.lifted->at)}, {"reason", one.lifted->reason}};
  }
  return body.dump();
}

Result<Checkpoint> checkpoint_of(const std::string& text) {
  const auto note = parse_note(text);
  if (!note) return tl::unexpected(note.error());
  return parse_checkpoint(note->text);
}

// Every row of a log, in order of size.
Result<std::vector<Row>> rows_of(Store& store, std::string_view origin) {
  const std::string prefix = to_hex(sha256(origin)) + " ";
  std::vector<Row> out;
  Store::Query query;
  query.kind = row_kind;
  query.after = prefix;
  for (;;) {
    auto rows = store.rows(query);
    if (!rows) return fail(std::move(rows));
    for (Row& row : *rows) {
      if (!row.id.starts_with(prefix)) return out;
      query.after = row.id;
      out.push_back(std::move(row));
    }
    if (rows->size() < query.most) return out;
  }
}

}  // namespace

Result<std::optional<Row>> find_contradiction(
    Store& store, std::string_view origin, std::uint64_t size, const Digest& root
) {
  return store.row(row_kind, row_id(origin, size, root));
}

Result<std::optional<Row>> new_contradiction(Store& store, const Contradiction& found) {
  const auto checkpoint = checkpoint_of(found.second);
  if (!checkpoint) return tl::unexpected(checkpoint.error());
  Row row;
  row.kind = row_kind;
  row.id = row_id(found.origin, checkpoint->size, checkpoint->root);
  row.state = standing_states[found.proven ? 0 : 1];
  auto kept = store.row(row.kind, row.id);
  if (!kept) return fail(std::move(kept));
  if (*kept) return std::nullopt;
  auto others = rows_of(store, found.origin);
  if (!others) return fail(std::move(others));
  const auto standing = std::count_if(others->begin(), others->end(), [&row](const Row& other) {
    return other.state == row.state;
  });
  if (static_cast<std::size_t>(standing) >= most_contradictions) return std::nullopt;
  row.owner = owner_text(found.party);
  row.body = print(found);
  return std::optional(std::move(row));
}

Result<std::vector<Contradiction>> contradictions(Store& store, const PartyId& party) {
  std::vector<Contradiction> out;
  // By state, so that however many were lifted, none that stands is beyond the page.
  for (const auto state : standing_states) {
    Store::Query query;
    query.kind = row_kind;
    query.state = state;
    query.owner = to_string(party);
    auto rows = store.rows(query);
    if (!rows) return fail(std::move(rows));
    for (const Row& row : *rows) {
      // One that cannot be read counts all the same.
      auto one = read(row);
      if (!one) return fail(std::move(one));
      out.push_back(*std::move(one));
    }
  }
  return out;
}

Result<std::vector<Contradiction>> contradictions_of(Store& store, std::string_view origin) {
  auto rows = rows_of(store, origin);
  if (!rows) return fail(std::move(rows));
  std::vector<Contradiction> out;
  for (const Row& row : *rows) {
    auto one = read(row);
    if (!one) return fail(std::move(one));
    out.push_back(*std::move(one));
  }
  return out;
}

awaitable<Result<std::vector<Contradiction>>> lift_contradictions(LiftParts parts, Lift lift) {
  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto rows = rows_of(parts.store, lift.origin);
    if (!rows) co_return fail(std::move(rows));
    Transaction change;
    std::vector<RecordDraft> drafts;
    std::vector<Contradiction> lifted;
    const Instant now = parts.clock.read().at;
    for (Row& row : *rows) {
      if (row.state == lifted_state) continue;
      auto one = read(row);
      if (!one) co_return fail(std::move(one));
      const auto asked = std::find(lift.evidence.begin(), lift.evidence.end(), one->evidence());
      if (asked == lift.evidence.end()) continue;
      const auto second = checkpoint_of(one->second);
      if (!second) co_return tl::unexpected(second.error());
      one->lifted = Contradiction::Lifted{now, lift.reason};
      row.state = lifted_state;
      row.body = print(*one);
      change.puts.push_back(std::move(row));

      RecordDraft draft("equivocation.lifted", new_event(parts.random, now));
      const Json peer = {
          {"origin", second->origin}, {"size", second->size}, {"root", digest_text(second->root)}};
      const Json contents = {digest_text(sha256(one->first)), digest_text(one->evidence())};
      draft.set_json("peer", peer).set_json("contents", contents).set("proven", one->proven);
      draft.set("reason", lift.reason);
      if (!one->party.empty()) draft.set("counterparty", one->party);
      drafts.push_back(std::move(draft));
      lifted.push_back(*std::move(one));
    }
    for (const Digest& evidence : lift.evidence) {
      const auto is_it = [&](const Contradiction& one) { return one.evidence() == evidence; };
      if (std::any_of(lifted.begin(), lifted.end(), is_it)) continue;
      const Message none{
          "audit.no-contradiction", {{"origin", lift.origin}, {"evidence", digest_text(evidence)}}};
      co_return fail(ErrorKind::not_found, none);
    }
    auto committed = co_await parts.journal.commit(std::move(change), std::move(drafts));
    if (committed) co_return lifted;
    if (committed.error().kind != ErrorKind::conflict) co_return fail(std::move(committed));
  }
  co_return fail(ErrorKind::unavailable, {"audit.witness-busy", {{"origin", lift.origin}}});
}

}  // namespace tally::audit
