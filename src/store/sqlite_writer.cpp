#include "sqlite_writer.hpp"

namespace tally::store::sqlite {

bool Writer::put(const Row& row) {
  if (row.version == 0) {
    Statement::Use(insert_, row.kind, row.id, row.state, row.owner, row.body).run();
    return connection_.changed() == 1;
  }
  const auto version = signed_of(row.version);
  Statement::Use(update_body_, row.body, row.kind, row.id, version, row.state, row.owner).run();
  if (connection_.changed() == 1) return true;
  Statement::Use(update_state_, row.state, row.body, row.kind, row.id, version, row.owner).run();
  if (connection_.changed() == 1) return true;
  Statement::Use(update_, row.state, row.owner, row.body, row.kind, row.id, version).run();
  return connection_.changed() == 1;
}

std::optional<Row> Writer::apply_whole(const Transaction& unit) {
  Statement::Use(unit_).run();
  std::optional<Row> mismatch = apply(unit);
  if (mismatch) Statement::Use(undo_unit_).run();
  Statement::Use(end_unit_).run();
  return mismatch;
}

void Writer::put(const OutgoingMessage& m) {
  Statement::Use(
      message_,
      m.id,
      m.process,
      m.to.domain,
      m.to.uri,
      m.method,
      m.url,
      m.headers,
      m.body,
      m.created.seconds,
      std::int64_t{m.created.nanos},
      m.next_attempt.seconds,
      std::int64_t{m.next_attempt.nanos},
      std::int64_t{m.attempts},
      m.last_answer
  )
      .run();
}

std::optional<Row> Writer::apply(const Transaction& unit) {
  for (const Row& row : unit.puts) {
    if (!put(row)) return row;
  }
  for (const Row& row : unit.erases) {
    Statement::Use(erase_, row.kind, row.id, signed_of(row.version)).run();
    if (connection_.changed() != 1) return row;
  }
  for (const OutgoingMessage& message : unit.messages) put(message);
  for (const std::string& id : unit.delivered_messages) Statement::Use(delivered_, id).run();
  if (unit.answer) {
    const StoredAnswer& a = *unit.answer;
    Statement::Use(answer_, a.process, a.message_id, a.body_digest, std::int64_t{a.status}, a.body)
        .run();
  }
  for (const DraftRow& row : unit.drafts) {
    Statement::Use(draft_, row.event, signed_of(row.log_size), row.draft).run();
  }
  for (const std::string& event : unit.logged_events) Statement::Use(logged_, event).run();
  if (unit.mark.size > 0) {
    const std::int64_t size = signed_of(unit.mark.size);
    Statement::Use(mark_, size, unit.mark.leaf, size).run();
  }
  return std::nullopt;
}

}  // namespace tally::store::sqlite
