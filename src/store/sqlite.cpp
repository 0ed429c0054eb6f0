#include "sqlite.hpp"

namespace tally::store::sqlite {

Connection::Connection(const std::string& file, int flags, const std::string& vfs) {
  const int code =
      sqlite3_open_v2(file.c_str(), &handle_, flags, vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) {
    const std::string text = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
    sqlite3_close_v2(handle_);
    throw Failure(code, text);
  }
  sqlite3_extended_result_codes(handle_, 1);
}

Connection::~Connection() {
  sqlite3_close_v2(handle_);
}

void Connection::raise(int code) const {
  throw Failure(code, sqlite3_errmsg(handle_));
}

void Connection::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) raise(code);
}

std::int64_t Connection::number(const char* sql) {
  Statement statement(*this, sql);
  Statement::Use use(statement);
  return use.next() ? use.number(0) : 0;
}

Statement::Statement(Connection& connection, const char* sql) : connection_(connection) {
  const int code = sqlite3_prepare_v3(
      connection.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr
  );
  if (code != SQLITE_OK) connection.raise(code);
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement::Use::~Use() {
  sqlite3_reset(statement_.handle_);
  sqlite3_clear_bindings(statement_.handle_);
}

bool Statement::Use::next() {
  const int code = sqlite3_step(statement_.handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  statement_.connection_.raise(code);
}

std::string Statement::Use::text(int column) const {
  const auto* data = sqlite3_column_text(statement_.handle_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.handle_, column));
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), size};
}

std::int64_t Statement::Use::number(int column) const {
  return sqlite3_column_int64(statement_.handle_, column);
}

void Statement::Use::bind(int index, std::string_view value) {
  // A null pointer would bind NULL, which the STRICT NOT NULL columns refuse.
  const char* data = value.data() == nullptr ? "" : value.data();
  const int code = sqlite3_bind_text64(
      statement_.handle_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8
  );
  if (code != SQLITE_OK) statement_.connection_.raise(code);
}

void Statement::Use::bind(int index, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_.handle_, index, value);
  if (code != SQLITE_OK) statement_.connection_.raise(code);
}

}  // namespace tally::store::sqlite
