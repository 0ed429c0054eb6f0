#include "tally/audit/witness.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "rows.hpp"

namespace tally::audit {

namespace {

constexpr std::string_view witnessed_kind = "witnessed";
// How often a request is decided anew when the state keeps moving.
constexpr int most_decisions = 16;

WitnessReply refused(WitnessDecision decision) {
  WitnessReply reply;
  reply.answer.status = decision.status;
  reply.answer.size = decision.size;
  reply.reason = std::move(decision.reason);
  return reply;
}

Json peer_of(const Checkpoint& checkpoint) {
  return {
      {"origin", checkpoint.origin},
      {"size", checkpoint.size},
      {"root", digest_text(checkpoint.root)},
  };
}

// Which keys count now, after those rotations.
std::vector<LogKeys> keys_after(
    const std::vector<VerifierKey>& first, const std::vector<std::string>& rotations
) {
  std::vector<LogKeys> chains;
  for (const VerifierKey& key : first) {
    LogKeys& keys = chains.emplace_back(key);
    // A note that does not fit follows another one of the first keys.
    for (const std::string& note : rotations) (void)keys.rotate(0, note);
  }
  return chains;
}

std::vector<VerifierKey> current_of(const std::vector<LogKeys>& chains) {
  std::vector<VerifierKey> keys;
  keys.reserve(chains.size());
  for (const LogKeys& chain : chains) keys.push_back(chain.current());
  return keys;
}

}  // namespace

// What is remembered of one log.
struct Witness::Known {
  Row row;  // as read; version 0: nothing yet
  std::uint64_t size = 0;
  Digest root{};
  std::uint64_t time = 0;              // of our last cosignature, in seconds of Unix time
  std::string note;                    // cosigned; empty: never
  std::vector<std::string> rotations;  // of its key, as notes
};

Witness::Witness(WitnessParts parts, VerifierKey key, Signer signer)
    : parts_(parts), key_(std::move(key)), signer_(std::move(signer)) {}

Result<Witness::Known> Witness::known(const std::string& origin) const {
  Known log;
  log.row.kind = witnessed_kind;
  log.row.id = to_hex(sha256(origin));
  auto row = parts_.store.row(log.row.kind, log.row.id);
  if (!row) return fail(std::move(row));
  if (!*row) return log;
  log.row = std::move(**row);
  const auto json = parse_json(log.row.body);
  if (!json || !json->is_object()) return unreadable(log.row);
  const auto rotations = json->find("rotations");
  if (rotations != json->end()) {
    if (!rotations->is_array()) return unreadable(log.row);
    for (const Json& note : *rotations) {
      if (!note.is_string()) return unreadable(log.row);
      log.rotations.push_back(note.get<std::string>());
    }
  }
  log.note = text_of(*json, "note");
  if (log.note.empty() && !log.rotations.empty()) return log;  // never cosigned
  const auto time = json->find("time");
  const auto note = parse_note(log.note);
  const auto checkpoint = note ? parse_checkpoint(note->text) : tl::unexpected(note.error());
  if (!checkpoint || checkpoint->origin != origin || time == json->end() ||
      !time->is_number_unsigned()) {
    return unreadable(log.row);
  }
  log.size = checkpoint->size;
  log.root = checkpoint->root;
  log.time = time->get<std::uint64_t>();
  return log;
}

Result<WitnessReply> Witness::cosign(
    const AddCheckpoint& request, Known& log, const Watched& watched, Transaction& change
) const {
  const auto reading = parts_.clock.read();
  if (!reading.reliable || reading.at.seconds < 0) {
    return fail(ErrorKind::unavailable, {"audit.witness-clock", {}});
  }
  // No cosignature says an earlier time than the one before it.
  const std::uint64_t time = std::max(static_cast<std::uint64_t>(reading.at.seconds), log.time);
  const Note bare{request.note.text, request.note.signatures};
  auto cosignature = cosign_checkpoint(bare.print(), key_, time, signer_);
  if (!cosignature) return fail(std::move(cosignature));

  // Kept with the signatures by the log's own keys and ours alone: what others signed on the way
  // was not looked at.
  Note kept{request.note.text, {}};
  for (const NoteSignature& signature : request.note.signatures) {
    const auto by = [&](const VerifierKey& key) { return signature.by(key); };
    if (std::any_of(watched.keys.begin(), watched.keys.end(), by)) {
      kept.signatures.push_back(signature);
    }
  }
  kept.signatures.push_back(*cosignature);
  Json body = {{"note", kept.print()}, {"time", time}};
  if (!log.rotations.empty()) body["rotations"] = log.rotations;
  log.row.owner = owner_text(watched.owner);
  log.row.body = body.dump();
  change.puts.push_back(log.row);

  // A signed tree that was not shown to continue the last one, and is now.
  auto answered = find_contradiction(
      parts_.store, request.checkpoint.origin, request.checkpoint.size, request.checkpoint.root
  );
  if (!answered) return fail(std::move(answered));
  if (*answered) change.erases.push_back(std::move(**answered));

  WitnessReply reply;
  reply.answer.status = WitnessStatus::cosigned;
  reply.answer.cosignatures.push_back(*std::move(cosignature));
  return reply;
}

// A checkpoint that the log signed and that cannot stand beside the one cosigned here. Nothing when
// there is none, or when it is kept already.
Result<std::optional<RecordDraft>> Witness::evidence(
    const AddCheckpoint& request, const Known& log, const Watched& watched, Transaction& change
) const {
  const Checkpoint& checkpoint = request.checkpoint;
  if (log.note.empty()) return std::nullopt;
  // Also one that comes with another old size: the two notes are enough.
  const bool proven = checkpoint.size == log.size && checkpoint.root != log.root;
  const bool unshown = checkpoint.size > log.size && request.old_size == log.size;
  if (!proven && !unshown) return std::nullopt;

  const PartyId& whose = watched.owner.empty() ? watched.partner : watched.owner;
  RecordDraft draft("equivocation.found", new_event(parts_.random, parts_.clock.read().at));
  const Contradiction found{
      checkpoint.origin, whose, proven, log.note, request.note.print(), draft.event().value, {}};
  auto row = new_contradiction(parts_.store, found);
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  change.puts.push_back(std::move(**row));
  // So that the pair is a pair: the cosigned one has not moved meanwhile.
  change.puts.push_back(log.row);

  draft.set_json("peer", peer_of(checkpoint)).set("proven", proven);
  if (!whose.empty()) draft.set("counterparty", whose);
  const Json digests = {digest_text(sha256(found.first)), digest_text(found.evidence())};
  draft.set_json("contents", digests);
  if (found.first.size() + found.second.size() <= most_shown_notes) {
    const Json notes = {found.first, found.second};
    draft.set_json("notes", notes);
  }
  return draft;
}

awaitable<Result<WitnessReply>> Witness::add_checkpoint(std::string body, PartyId from) {
  const auto request = parse_add_checkpoint(body);
  if (!request) {
    WitnessReply reply;
    reply.reason = request.error().message;
    co_return reply;
  }
  const Checkpoint& checkpoint = request->checkpoint;
  const auto found_log = parts_.logs.find(checkpoint.origin, from);
  if (!found_log) co_return refused(decide(*request, nullptr));

  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto log = known(checkpoint.origin);
    if (!log) co_return fail(std::move(log));
    auto watched = found_log;
    watched->keys = current_of(keys_after(found_log->keys, log->rotations));
    // One state for each origin: whose log it was when it was first cosigned, it stays.
    if (!watched->owner.empty() && log->row.version != 0 && !log->row.owner.empty() &&
        log->row.owner != to_string(watched->owner)) {
      co_return refused(decide(*request, nullptr));
    }
    const WatchedLog state{watched->keys, log->size, log->root};
    auto decision = decide(*request, &state);

    Transaction change;
    std::vector<RecordDraft> drafts;
    WitnessReply reply;
    if (decision.status == WitnessStatus::cosigned) {
      const bool news = log->note.empty() || checkpoint.size != log->size;
      auto cosigned = cosign(*request, *log, *watched, change);
      if (!cosigned) co_return fail(std::move(cosigned));
      reply = *std::move(cosigned);
      // The same tree again, at a later time, is no news for our log.
      if (news) {
        RecordDraft draft("checkpoint.witnessed", new_event(parts_.random, parts_.clock.read().at));
        draft.set_json("peer", peer_of(checkpoint));
        if (!watched->owner.empty()) draft.set("counterparty", watched->owner);
        drafts.push_back(std::move(draft));
      }
    } else {
      const bool signed_by_log = decision.signed_by_log;
      reply = refused(std::move(decision));
      if (!signed_by_log) co_return reply;
      auto found = evidence(*request, *log, *watched, change);
      if (!found) co_return fail(std::move(found));
      if (!*found) co_return reply;
      drafts.push_back(std::move(**found));
    }
    auto committed = co_await parts_.journal.commit(std::move(change), std::move(drafts));
    if (committed) co_return reply;
    if (committed.error().kind != ErrorKind::conflict) co_return fail(std::move(committed));
  }
  co_return fail(ErrorKind::unavailable, {"audit.witness-busy", {{"origin", checkpoint.origin}}});
}

Result<std::optional<std::string>> Witness::checkpoint(
    const std::string& origin_hash, const PartyId& from
) const {
  auto row = parts_.store.row(witnessed_kind, origin_hash);
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  if (!(*row)->owner.empty() && (*row)->owner != to_string(from)) return std::nullopt;
  const auto json = parse_json((*row)->body);
  if (!json || !json->is_object()) return unreadable(**row);
  auto note = text_of(*json, "note");
  if (note.empty()) return std::nullopt;
  return note;
}

awaitable<Result<void>> Witness::learn_rotations(std::string body, PartyId from) {
  const auto notes = parse_rotations(body);
  if (!notes) co_return tl::unexpected(notes.error());
  std::vector<KeyRotation> rotations;
  for (const std::string& note : *notes) {
    auto rotation = parse_rotation(note);
    if (!rotation) co_return fail(std::move(rotation));
    rotations.push_back(*std::move(rotation));
    if (rotations.back().origin != rotations.front().origin) {
      co_return fail(ErrorKind::invalid, {"audit.rotation-malformed", {}});
    }
  }
  if (rotations.empty()) co_return fail(ErrorKind::invalid, {"audit.rotation-malformed", {}});
  const std::string& origin = rotations.front().origin;
  const auto watched = parts_.logs.find(origin, from);
  const Error unknown{
      ErrorKind::not_found, {"audit.witness-unknown-log", {{"origin", origin}}}, {}};
  if (!watched) co_return tl::unexpected(unknown);
  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto log = known(origin);
    if (!log) co_return fail(std::move(log));
    if (log->row.version != 0 && log->row.owner != owner_text(watched->owner)) {
      co_return tl::unexpected(unknown);
    }
    const std::size_t before = log->rotations.size();
    auto chains = keys_after(watched->keys, log->rotations);
    for (const std::string& note : *notes) {
      bool news = false;
      for (LogKeys& chain : chains) news = chain.rotate(0, note).has_value() || news;
      if (news) log->rotations.push_back(note);
    }
    const auto keys = current_of(chains);
    if (std::find(keys.begin(), keys.end(), rotations.back().after) == keys.end()) {
      co_return fail(ErrorKind::forbidden, {"audit.rotation-unfit", {{"origin", origin}}});
    }
    if (log->rotations.size() == before) co_return Result<void>{};
    Json row = {{"rotations", log->rotations}};
    if (!log->note.empty()) {
      row["note"] = log->note;
      row["time"] = log->time;
    }
    log->row.body = row.dump();
    log->row.owner = owner_text(watched->owner);
    Transaction change;
    change.puts.push_back(log->row);
    RecordDraft draft("witness.rekeyed", new_event(parts_.random, parts_.clock.read().at));
    const Json peer = {{"origin", origin}};
    draft.set_json("peer", peer).set("vkey", rotations.back().after.text());
    if (!watched->owner.empty()) draft.set("counterparty", watched->owner);
    std::vector<RecordDraft> drafts;
    drafts.push_back(std::move(draft));
    auto committed = co_await parts_.journal.commit(std::move(change), std::move(drafts));
    if (committed) co_return Result<void>{};
    if (committed.error().kind != ErrorKind::conflict) co_return fail(std::move(committed));
  }
  co_return fail(ErrorKind::unavailable, {"audit.witness-busy", {{"origin", origin}}});
}

Result<std::optional<std::string>> Witness::rotations(
    const std::string& origin_hash, const PartyId& from
) const {
  auto row = parts_.store.row(witnessed_kind, origin_hash);
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  if (!(*row)->owner.empty() && (*row)->owner != to_string(from)) return std::nullopt;
  const auto json = parse_json((*row)->body);
  if (!json || !json->is_object()) return unreadable(**row);
  const auto notes = json->find("rotations");
  if (notes == json->end() || !notes->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& note : *notes) {
    if (!note.is_string()) return unreadable(**row);
    texts.push_back(note.get<std::string>());
  }
  return print_rotations(texts);
}

Result<std::string> cosigned_checkpoint(Store& store, std::string_view origin) {
  auto row = store.row(witnessed_kind, to_hex(sha256(origin)));
  if (!row) return fail(std::move(row));
  if (!*row) return std::string();
  const auto json = parse_json((*row)->body);
  if (!json || !json->is_object()) return unreadable(**row);
  return text_of(*json, "note");
}

Result<std::vector<WitnessedLog>> witnessed_logs(Store& store) {
  std::vector<WitnessedLog> out;
  Store::Query query;
  query.kind = witnessed_kind;
  for (;;) {
    auto rows = store.rows(query);
    if (!rows) return fail(std::move(rows));
    for (const Row& row : *rows) {
      query.after = row.id;
      const auto json = parse_json(row.body);
      if (!json || !json->is_object()) return unreadable(row);
      const auto note = parse_note(text_of(*json, "note"));
      if (!note) continue;  // never cosigned, though a rotation of its key is known
      const auto checkpoint = parse_checkpoint(note->text);
      const auto time = json->find("time");
      if (!checkpoint || time == json->end() || !time->is_number_unsigned()) return unreadable(row);
      const Instant at{time->get<std::int64_t>(), 0};
      out.push_back({checkpoint->origin, owner_of(row), checkpoint->size, checkpoint->root, at});
    }
    if (rows->size() < query.most) return out;
  }
}

}  // namespace tally::audit
