// SQLite's C interface with destructors. What fails throws Failure; the store turns it into an
// Error at its edge. One thread at a time for each Connection and its Statements.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <sqlite3.h>

namespace tally::store::sqlite {

// Counts as SQLite keeps them.
inline std::int64_t signed_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}
inline std::uint64_t unsigned_of(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

class Failure : public std::runtime_error {
 public:
  Failure(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] int code() const { return code_; }  // extended
  [[nodiscard]] bool disk_full() const { return (code_ & 0xff) == SQLITE_FULL; }

 private:
  int code_;
};

class Connection {
 public:
  Connection(const std::string& file, int flags, const std::string& vfs);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void execute(const char* sql);  // no result rows are looked at
  std::int64_t number(const char* sql);
  [[nodiscard]] std::int64_t changed() const { return sqlite3_changes64(handle_); }
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  [[noreturn]] void raise(int code) const;
  [[nodiscard]] sqlite3* handle() const { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
};

// A prepared statement, used again and again. `Use` is one execution: it resets when it ends, so
// that no read transaction is left open.
class Statement {
 public:
  Statement(Connection& connection, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  class Use {
   public:
    template <class... Values>
    explicit Use(Statement& statement, const Values&... values) : statement_(statement) {
      int index = 0;
      (bind(++index, values), ...);
    }
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    bool next();  // true: a row is there
    void run() {
      while (next()) {
      }
    }
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;

   private:
    // Bound without a copy: the values outlive the Use.
    void bind(int index, std::string_view value);
    void bind(int index, std::int64_t value);
    Statement& statement_;
  };

 private:
  Connection& connection_;
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace tally::store::sqlite
