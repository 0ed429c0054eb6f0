#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/exchange.hpp"
#include "tally/transfer/receipt.hpp"

#include "transfer_process.hpp"

namespace tally::transfer {

Row signed_note_row(const AgreementId& agreement, const std::string& note) {
  Row row;
  row.kind = signed_note_kind;
  row.id = to_hex(sha256(note));
  row.owner = agreement.value;
  row.state = "held";
  row.body = Json{{"note", note}}.dump();
  return row;
}

Result<std::vector<std::string>> kept_notes(Store& store, const AgreementId& agreement) {
  std::vector<std::string> notes;
  const auto keep = [&notes](std::string note) {
    if (!note.empty()) notes.push_back(std::move(note));
  };
  for (const std::string_view kind :
       {process_kind,
        deletion_kind,
        deletion_record_kind,
        statement_kind,
        statement_record_kind,
        use_notice_kind,
        signed_note_kind}) {
    Store::Query query;
    query.kind = kind;
    query.owner = agreement.value;
    for (;;) {
      const auto rows = store.rows(query);
      if (!rows) return tl::unexpected(rows.error());
      if (rows->empty()) break;
      for (const Row& row : *rows) {
        const auto json = negotiation::parse_row(row);
        if (!json) return tl::unexpected(json.error());
        for (const char* member : {"note", "sentReceipt", "receivedReceipt"}) {
          keep(negotiation::text_of(*json, member));
        }
      }
      query.after = rows->back().id;
    }
  }
  return notes;
}

}  // namespace tally::transfer
