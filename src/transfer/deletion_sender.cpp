#include "tally/transfer/deletion_sender.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"

#include "note_delivery.hpp"
#include "transfer_process.hpp"

namespace tally::transfer {

namespace {

// One row for each content that was destroyed under an agreement.
std::string row_id(const DeletionNote& note) {
  return to_hex(sha256(note.agreement.value + "\n" + note.content));
}

}  // namespace

struct DeletionSender::State {
  State(DeletionParts with, PartyId party)
      : parts(std::move(with)),
        self(std::move(party)),
        notes(
            std::string(deletion_kind),
            "transfer.deletion-refused",
            parts.store,
            parts.journal,
            parts.delivery,
            parts.notices
        ) {}

  DeletionParts parts;
  PartyId self;
  NoteDelivery notes;
};

DeletionSender::DeletionSender(DeletionParts parts, PartyId self)
    : state_(std::make_unique<State>(std::move(parts), std::move(self))) {}

DeletionSender::~DeletionSender() = default;

awaitable<Result<void>> DeletionSender::send(DeletionNote note) {
  const DeletionParts& parts = state_->parts;
  const auto id = row_id(note);
  auto known = parts.store.row(deletion_kind, id);
  if (!known) co_return fail(std::move(known));
  if (*known) co_return Result<void>{};
  auto agreement = negotiation::find_agreement(parts.store, note.agreement);
  if (!agreement) co_return fail(std::move(agreement));
  if (!*agreement) {
    const Message unknown{"transfer.unknown-agreement", {}};
    co_return fail(ErrorKind::not_found, unknown);
  }
  const PartyId provider = (*agreement)->provider;
  const auto base = parts.peers.tally_url(provider);
  if (!base || !parts.signer) {
    // Nobody there would understand it, or nothing here could sign it: the record stands alone.
    const Message nowhere{"transfer.deletion-not-told", {{"peer", provider.uri}}};
    parts.notices.note(Severity::warning, nowhere);
    co_return Result<void>{};
  }
  auto text = sign_deletion(note, state_->self.uri, *parts.signer);
  if (!text) co_return fail(std::move(text));

  const Instant now = parts.clock.read().at;
  Transaction transaction;
  Row row;
  row.kind = deletion_kind;
  row.id = id;
  row.state = "sending";
  row.owner = note.agreement.value;
  const Json stored = {{"note", *text}, {"content", note.content}, {"time", note.time}};
  row.body = stored.dump();
  transaction.puts.push_back(std::move(row));
  const Json body = {{"agreement", note.agreement.value}, {"note", *text}};
  HttpRequest request;
  request.method = "POST";
  request.body = body.dump();
  transaction.messages.push_back(negotiation::outgoing(
      new_pid(parts.random).value,
      negotiation::process_key(deletion_kind, id),
      provider,
      *base + "/deletion-records",
      request,
      now
  ));
  std::vector<OutgoingMessage> messages = transaction.messages;
  audit::RecordDraft record("receipt.issued", new_event(parts.random, now));
  record.about(note.agreement).set("pid", (*agreement)->negotiation.value);
  record.set("receipt", sha256(*text)).set("of", "deletion").set("content", note.content);
  std::vector<audit::RecordDraft> drafts;
  drafts.push_back(std::move(record));
  auto done = co_await parts.journal.commit(
      std::move(transaction), std::move(drafts), audit::Priority::reserved
  );
  if (!done && done.error().kind == ErrorKind::conflict) co_return Result<void>{};  // sent already
  if (!done) co_return fail(std::move(done));
  parts.delivery.queue(std::move(messages));
  co_return Result<void>{};
}

}  // namespace tally::transfer
