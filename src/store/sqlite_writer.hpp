// What the store's writer says to SQLite. The schema stands before it is made. Throws Failure.
#pragma once

#include <optional>

#include "tally/core/store.hpp"

#include "sqlite.hpp"

namespace tally::store::sqlite {

class Writer {
 public:
  explicit Writer(Connection& connection) : connection_(connection) {}
  void begin() { Statement::Use(begin_).run(); }
  void commit() { Statement::Use(commit_).run(); }
  // Within a transaction. Nothing: applied. Otherwise the row whose version did not match; parts of
  // the unit may have been written.
  std::optional<Row> apply(const Transaction& unit);
  // The same, and nothing of a unit that was not applied is left.
  std::optional<Row> apply_whole(const Transaction& unit);

 private:
  bool put(const Row& row);
  void put(const OutgoingMessage& message);

  Connection& connection_;
  Statement begin_{connection_, "BEGIN IMMEDIATE"};
  Statement commit_{connection_, "COMMIT"};
  Statement unit_{connection_, "SAVEPOINT unit"};
  Statement undo_unit_{connection_, "ROLLBACK TO unit"};
  Statement end_unit_{connection_, "RELEASE unit"};
  Statement insert_{connection_, "INSERT INTO row VALUES (?,?,1,?,?,?) ON CONFLICT DO NOTHING"};
  // Three of them, since SQLite writes the index of each column that is set, changed or not.
  Statement update_body_{
      connection_,
      "UPDATE row SET version = version + 1, body = ? "
      "WHERE kind = ? AND id = ? AND version = ? AND state = ? AND owner = ?"};
  Statement update_state_{
      connection_,
      "UPDATE row SET version = version + 1, state = ?, body = ? "
      "WHERE kind = ? AND id = ? AND version = ? AND owner = ?"};
  Statement update_{
      connection_,
      "UPDATE row SET version = version + 1, state = ?, owner = ?, body = ? "
      "WHERE kind = ? AND id = ? AND version = ?"};
  Statement erase_{connection_, "DELETE FROM row WHERE kind = ? AND id = ? AND version = ?"};
  Statement message_{
      connection_,
      "INSERT INTO message (id, process, to_domain, to_uri, method, url, headers, body, created_s,"
      " created_n, next_s, next_n, attempts, last_answer) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
      "ON CONFLICT (id) DO UPDATE SET process = excluded.process, to_domain = excluded.to_domain,"
      " to_uri = excluded.to_uri, method = excluded.method, url = excluded.url,"
      " headers = excluded.headers, body = excluded.body, created_s = excluded.created_s,"
      " created_n = excluded.created_n, next_s = excluded.next_s, next_n = excluded.next_n,"
      " attempts = excluded.attempts, last_answer = excluded.last_answer"};
  Statement delivered_{connection_, "DELETE FROM message WHERE id = ?"};
  Statement answer_{
      connection_,
      "INSERT INTO answer VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET "
      "body_digest = excluded.body_digest, status = excluded.status, body = excluded.body"};
  Statement draft_{
      connection_,
      "INSERT INTO outbox (event, log_size, draft) VALUES (?,?,?) ON CONFLICT (event) DO UPDATE "
      "SET "
      "log_size = excluded.log_size, draft = excluded.draft"};
  Statement logged_{connection_, "DELETE FROM outbox WHERE event = ?"};
  Statement mark_{connection_, "UPDATE mark SET size = ?, leaf = ? WHERE size < ?"};
};

}  // namespace tally::store::sqlite
