// What the store's readers ask SQLite. The schema stands before it is made. Throws Failure.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "tally/core/store.hpp"

#include "sqlite.hpp"

namespace tally::store::sqlite {

class Reader {
 public:
  explicit Reader(Connection& connection) : connection_(connection) {}

  std::optional<Row> row(std::string_view kind, std::string_view id) {
    Statement::Use use(one_, kind, id);
    if (!use.next()) return std::nullopt;
    return read(use);
  }

  std::vector<Row> rows(const Store::Query& query) {
    const std::int64_t most = page(query.most);
    if (!query.owner.empty() && !query.state.empty()) {
      Statement::Use use(both_, query.kind, query.owner, query.state, query.after, most);
      return all(use);
    }
    if (!query.owner.empty()) {
      Statement::Use use(owned_, query.kind, query.owner, query.after, most);
      return all(use);
    }
    if (!query.state.empty()) {
      Statement::Use use(in_state_, query.kind, query.state, query.after, most);
      return all(use);
    }
    Statement::Use use(any_, query.kind, query.after, most);
    return all(use);
  }

  std::vector<OutgoingMessage> messages() {
    std::vector<OutgoingMessage> out;
    Statement::Use use(messages_);
    while (use.next()) {
      OutgoingMessage m;
      m.id = use.text(0);
      m.process = use.text(1);
      m.to = {use.text(2), use.text(3)};
      m.method = use.text(4);
      m.url = use.text(5);
      m.headers = use.text(6);
      m.body = use.text(7);
      m.created = {use.number(8), static_cast<std::int32_t>(use.number(9))};
      m.next_attempt = {use.number(10), static_cast<std::int32_t>(use.number(11))};
      m.attempts = static_cast<std::uint32_t>(use.number(12));
      m.last_answer = use.text(13);
      out.push_back(std::move(m));
    }
    return out;
  }

  std::optional<StoredAnswer> answer(std::string_view process, std::string_view message_id) {
    Statement::Use use(answer_, process, message_id);
    if (!use.next()) return std::nullopt;
    StoredAnswer found;
    found.process = process;
    found.message_id = message_id;
    found.body_digest = use.text(0);
    found.status = static_cast<int>(use.number(1));
    found.body = use.text(2);
    return found;
  }

  std::vector<DraftRow> drafts() {
    std::vector<DraftRow> out;
    Statement::Use use(drafts_);
    while (use.next()) out.push_back({use.text(0), unsigned_of(use.number(1)), use.text(2)});
    return out;
  }

  LogMark mark() {
    Statement::Use use(mark_);
    if (!use.next()) return {};
    return {unsigned_of(use.number(0)), use.text(1)};
  }

 private:
  // A negative LIMIT is none in SQLite, so a page of SIZE_MAX is clamped.
  static std::int64_t page(std::size_t most) {
    return static_cast<std::int64_t>(std::min<std::size_t>(most, 1 << 30));
  }
  static Row read(const Statement::Use& use) {
    return {
        use.text(0),
        use.text(1),
        unsigned_of(use.number(2)),
        use.text(3),
        use.text(4),
        use.text(5)};
  }
  static std::vector<Row> all(Statement::Use& use) {
    std::vector<Row> out;
    while (use.next()) out.push_back(read(use));
    return out;
  }

  Connection& connection_;
  Statement one_{connection_, "SELECT * FROM row WHERE kind = ? AND id = ?"};
  Statement any_{connection_, "SELECT * FROM row WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"};
  Statement in_state_{
      connection_, "SELECT * FROM row WHERE kind = ? AND state = ? AND id > ? ORDER BY id LIMIT ?"};
  Statement owned_{
      connection_, "SELECT * FROM row WHERE kind = ? AND owner = ? AND id > ? ORDER BY id LIMIT ?"};
  Statement both_{
      connection_,
      "SELECT * FROM row WHERE kind = ? AND owner = ? AND state = ? AND id > ? ORDER BY id LIMIT "
      "?"};
  Statement messages_{
      connection_,
      "SELECT id, process, to_domain, to_uri, method, url, headers, body, created_s, created_n,"
      " next_s, next_n, attempts, last_answer FROM message ORDER BY seq"};
  Statement answer_{
      connection_,
      "SELECT body_digest, status, body FROM answer WHERE process = ? AND message_id = ?"};
  Statement drafts_{connection_, "SELECT event, log_size, draft FROM outbox ORDER BY seq"};
  Statement mark_{connection_, "SELECT size, leaf FROM mark"};
};

}  // namespace tally::store::sqlite
