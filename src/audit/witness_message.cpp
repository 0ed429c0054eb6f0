#include "tally/audit/witness_message.hpp"

#include <algorithm>

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view old_word = "old ";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.witness-request", {}});
}

tl::unexpected<Error> no_answer(int status) {
  return fail(
      ErrorKind::unavailable, {"audit.witness-answer", {{"status", std::to_string(status)}}}
  );
}

std::string size_line(std::uint64_t size) {
  return std::to_string(size) + "\n";
}

}  // namespace

std::string AddCheckpoint::print() const {
  std::string body = std::string(old_word) + size_line(old_size);
  for (const Digest& hash : proof) body += to_base64(hash) + "\n";
  return body + "\n" + note.print();
}

Result<AddCheckpoint> parse_add_checkpoint(std::string_view body) {
  AddCheckpoint request;
  const auto first = take_line(body);
  if (!first || !first->starts_with(old_word)) return malformed();
  const auto old_size = parse_number(first->substr(old_word.size()), most_tree_size);
  if (!old_size) return malformed();
  request.old_size = *old_size;
  for (;;) {
    const auto line = take_line(body);
    if (!line) return malformed();
    if (line->empty()) break;
    const auto hash = to_digest(from_base64(*line));
    if (!hash || request.proof.size() == most_request_hashes) return malformed();
    request.proof.push_back(*hash);
  }
  if (body.size() > most_checkpoint_bytes) return malformed();
  auto note = parse_note(body);
  if (!note) return malformed();
  auto checkpoint = parse_checkpoint(note->text);
  if (!checkpoint) return malformed();
  request.note = *std::move(note);
  request.checkpoint = *std::move(checkpoint);
  return request;
}

WitnessDecision decide(const AddCheckpoint& request, const WatchedLog* log) {
  const Checkpoint& checkpoint = request.checkpoint;
  const auto answer = [&](WitnessStatus status, std::string_view code, bool is_signed) {
    return WitnessDecision{
        status, 0, is_signed, {std::string(code), {{"origin", checkpoint.origin}}}};
  };
  if (log == nullptr) return answer(WitnessStatus::unknown_log, "audit.witness-unknown-log", false);
  if (!verify_checkpoint(request.note.print(), log->keys)) {
    return answer(WitnessStatus::untrusted, "audit.witness-untrusted", false);
  }
  if (request.old_size > checkpoint.size) {
    return answer(WitnessStatus::malformed, "audit.witness-shrinks", true);
  }
  if (request.old_size != log->size) {
    auto other = answer(WitnessStatus::other_size, "audit.witness-other-size", true);
    other.size = log->size;
    other.reason.params["size"] = std::to_string(log->size);
    return other;
  }
  // Also of two empty trees: both have the one root that an empty tree has.
  const Digest& before = log->size == 0 ? empty_root() : log->root;
  if (!verify_consistency(log->size, checkpoint.size, before, checkpoint.root, request.proof)) {
    return answer(WitnessStatus::inconsistent, "audit.witness-inconsistent", true);
  }
  return {WitnessStatus::cosigned, 0, true, {}};
}

std::string WitnessAnswer::body() const {
  std::string body;
  if (status == WitnessStatus::other_size) body = size_line(size);
  if (status == WitnessStatus::cosigned) {
    for (const NoteSignature& cosignature : cosignatures) body += cosignature.line();
  }
  return body;
}

std::string_view WitnessAnswer::content_type() const {
  return status == WitnessStatus::other_size ? tlog_size_type : "text/plain; charset=utf-8";
}

Result<WitnessAnswer> parse_witness_answer(int status, std::string_view body) {
  if (body.size() > most_checkpoint_bytes) return no_answer(status);
  WitnessAnswer answer;
  switch (status) {
    case 200: {
      answer.status = WitnessStatus::cosigned;
      auto lines = parse_signature_lines(body);
      if (!lines) return no_answer(status);
      answer.cosignatures = *std::move(lines);
      return answer;
    }
    case 409: {
      const auto line = take_line(body);
      const auto size = line ? parse_number(*line, most_tree_size) : std::nullopt;
      if (size && body.empty()) {
        answer.status = WitnessStatus::other_size;
        answer.size = *size;
      } else {
        // The standard's answer to another root at the same size: there is no size to name.
        answer.status = WitnessStatus::inconsistent;
      }
      return answer;
    }
    case 400:
    case 403:
    case 404:
    case 422:
      answer.status = static_cast<WitnessStatus>(status);
      return answer;
    default:
      return no_answer(status);
  }
}

Result<Note> add_cosignatures(
    const Note& checkpoint,
    std::span<const NoteSignature> cosignatures,
    std::span<const VerifierKey> witnesses
) {
  std::vector<VerifierKey> keys;
  std::copy_if(witnesses.begin(), witnesses.end(), std::back_inserter(keys), [](const auto& key) {
    return key.type == cosignature_type;
  });
  const Note answered{checkpoint.text, {cosignatures.begin(), cosignatures.end()}};
  const auto verified = verify_note(answered, keys);
  if (!verified) return tl::unexpected(verified.error());
  Note note = checkpoint;
  for (const NoteSignature& cosignature : cosignatures) {
    const auto same = [&](const auto& one) {
      return one.name == cosignature.name && one.id == cosignature.id;
    };
    if (std::any_of(verified->others.begin(), verified->others.end(), same)) continue;
    std::erase_if(note.signatures, same);
    note.signatures.push_back(cosignature);
  }
  if (note.signatures.size() > most_note_signatures) {
    return fail(
        ErrorKind::invalid,
        {"audit.note-too-large",
         {{"bytes", std::to_string(most_note_bytes)},
          {"signatures", std::to_string(most_note_signatures)}}}
    );
  }
  return note;
}

}  // namespace tally::audit
