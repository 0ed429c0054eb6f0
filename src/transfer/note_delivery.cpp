#include "note_delivery.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/exchange.hpp"

namespace tally::transfer {

using negotiation::Refused;
using negotiation::Standing;

NoteDelivery::NoteDelivery(
    std::string kind,
    std::string refused_code,
    Store& store,
    audit::Journal& journal,
    negotiation::Delivery& delivery,
    Notices& notices
)
    : kind_(std::move(kind)),
      refused_code_(std::move(refused_code)),
      store_(store),
      journal_(journal),
      notices_(notices) {
  delivery.serve(kind_, *this);
}

awaitable<Result<void>> NoteDelivery::settle(
    OutgoingMessage message, std::string state, std::string answer
) {
  const auto id = negotiation::parse_process_key(message.process).id;
  for (;;) {
    auto found = store_.row(kind_, id);
    if (!found) co_return fail(std::move(found));
    Transaction transaction;
    transaction.delivered_messages.push_back(message.id);
    std::vector<audit::RecordDraft> drafts;
    std::optional<Row> changed;
    if (*found) {
      Row row = std::move(**found);
      row.state = state;
      auto json = negotiation::parse_row(row);
      if (json) {
        (*json)["answer"] = answer.substr(0, 2000);
        row.body = json->dump(-1, ' ', false, Json::error_handler_t::replace);
      }
      drafts = records_of(row);
      transaction.puts.push_back(row);
      changed = std::move(row);
    }
    auto done = co_await journal_.commit(std::move(transaction), std::move(drafts));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    if (changed) settled(*changed);
    co_return Result<void>{};
  }
}

awaitable<Result<void>> NoteDelivery::on_delivered(OutgoingMessage message, std::string body) {
  std::string state = "delivered";
  co_return co_await settle(std::move(message), std::move(state), std::move(body));
}

awaitable<Result<void>> NoteDelivery::on_refused(OutgoingMessage message, Refused refused) {
  const Message told{
      refused_code_, {{"peer", message.to.uri}, {"status", std::to_string(refused.status)}}};
  notices_.note(Severity::warning, told);
  std::string state = "refused";
  co_return co_await settle(std::move(message), std::move(state), std::move(refused.body));
}

std::vector<audit::RecordDraft> NoteDelivery::records_of(const Row&) const {
  return {};
}

void NoteDelivery::settled(const Row&) {}

std::string NoteDelivery::state_url(const OutgoingMessage&) {
  return {};  // a note has no state to ask for: what is refused stays refused
}

Standing NoteDelivery::compare(const OutgoingMessage&, const std::string&) {
  return Standing::elsewhere;
}

std::optional<Nanos> NoteDelivery::deadline() const {
  return std::nullopt;
}

}  // namespace tally::transfer
