#include "engine.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include <sqlite3.h>

namespace tally::aggregates {

namespace {

constexpr int steps_between = 10'000;
constexpr std::size_t page_bytes = 4096;

// What fails within; turned into an Error at the edge.
class Failure : public std::runtime_error {
 public:
  Failure(int code, const char* text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] int code() const { return code_; }

 private:
  int code_;
};

struct CloseConnection {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
struct EndStatement {
  void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;
using Statement = std::unique_ptr<sqlite3_stmt, EndStatement>;

void check(sqlite3* connection, int code) {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
  throw Failure(code, sqlite3_errmsg(connection));
}

Statement prepare(sqlite3* connection, const std::string& sql) {
  sqlite3_stmt* handle = nullptr;
  check(connection, sqlite3_prepare_v2(connection, sql.c_str(), -1, &handle, nullptr));
  return Statement(handle);
}

void execute(sqlite3* connection, const std::string& sql) {
  const auto statement = prepare(connection, sql);
  check(connection, sqlite3_step(statement.get()));
}

// After the table is filled: one table is read, with five functions, and nothing else happens.
int authorize(void*, int action, const char* first, const char* second, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
      return SQLITE_OK;
    case SQLITE_READ:
      return std::string_view(first) == "t" ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
      return second != nullptr && find_function(second) ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

// Which columns of what is handed out the query looks at, and their names in the table.
class Names {
 public:
  explicit Names(const BoundQuery& query) {
    std::set<std::size_t> used(query.keys.begin(), query.keys.end());
    used.insert(query.measured.begin(), query.measured.end());
    for (const auto& one : query.filter) used.insert(one.column);
    columns_.assign(used.begin(), used.end());
  }
  [[nodiscard]] const std::vector<std::size_t>& columns() const { return columns_; }
  static std::string of(std::size_t column) { return "c" + std::to_string(column); }

 private:
  std::vector<std::size_t> columns_;
};

class Binding {
 public:
  Binding(sqlite3* connection, sqlite3_stmt* statement)
      : connection_(connection), statement_(statement) {}

  void operator()(std::int64_t value) {
    check(connection_, sqlite3_bind_int64(statement_, ++index_, value));
  }
  void operator()(double value) {
    check(connection_, sqlite3_bind_double(statement_, ++index_, value));
  }
  void operator()(const std::string& value) {
    check(
        connection_,
        sqlite3_bind_text64(
            statement_, ++index_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8
        )
    );
  }
  void nothing() { check(connection_, sqlite3_bind_null(statement_, ++index_)); }

 private:
  sqlite3* connection_;
  sqlite3_stmt* statement_;
  int index_ = 0;
};

Value value_at(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_NULL:
      return {};
    default: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
    }
  }
}

bool is_number(catalog::ColumnType type) {
  return type == catalog::ColumnType::integer || type == catalog::ColumnType::decimal;
}

// Of the kind that its column's type has; in JSON "12" is no number.
std::optional<Literal> literal_of(
    const dataplane::Cell& cell, const catalog::Schema& schema, std::size_t column
) {
  using dataplane::CellKind;
  if (cell.kind == CellKind::absent) return std::nullopt;
  const auto type = schema.columns[column].type;
  if (schema.form != catalog::DataForm::csv) {
    const auto wanted = is_number(type)                        ? CellKind::number
                        : type == catalog::ColumnType::boolean ? CellKind::boolean
                                                               : CellKind::text;
    if (cell.kind != wanted) return std::nullopt;
  }
  return typed_literal(cell.text, type);
}

}  // namespace

struct Engine::State {
  State(const BoundQuery& query_, const EngineLimits& limits_)
      : query(query_), limits(limits_), names(query_) {}

  void open();
  void bind_filter(sqlite3_stmt* statement) const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] std::string keys_of(std::size_t level) const;
  void assign(Grouping& out);
  void evaluate(std::size_t level, std::vector<Group*>& groups) const;
  [[nodiscard]] Result<Grouping> grouped();
  static int step_limit(void* self);
  [[nodiscard]] tl::unexpected<Error> failed(const Failure& failure) const;

  const BoundQuery& query;
  const EngineLimits limits;
  const Names names;
  Connection connection;
  Statement insert;
  std::uint64_t steps = 0;
  bool out_of_steps = false;
};

int Engine::State::step_limit(void* self) {
  auto& state = *static_cast<State*>(self);
  state.steps += steps_between;
  state.out_of_steps = state.steps > state.limits.steps;
  return state.out_of_steps ? 1 : 0;
}

void Engine::State::open() {
  sqlite3* handle = nullptr;
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY |
                        SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(":memory:", &handle, flags, nullptr);
  connection.reset(handle);
  check(handle, code);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  execute(handle, "PRAGMA journal_mode=OFF");
  execute(handle, "PRAGMA temp_store=MEMORY");
  // The table, and what sorting takes beside it: each may have half.
  const auto pages = std::to_string(limits.memory_bytes / 2 / page_bytes);
  execute(handle, "PRAGMA max_page_count=" + pages);
  execute(handle, "PRAGMA cache_size=" + pages);
  std::string table = "CREATE TABLE t (r INTEGER PRIMARY KEY";
  std::string places = "?";
  for (const auto column : names.columns()) {
    table += ", " + Names::of(column);
    places += ", ?";
  }
  execute(handle, table + ")");
  insert = prepare(handle, "INSERT INTO t VALUES (" + places + ")");
  execute(handle, "BEGIN");
}

std::string Engine::State::where() const {
  std::string out;
  for (const auto& one : query.filter) {
    out += out.empty() ? " WHERE " : " AND ";
    out += Names::of(one.column);
    switch (one.op) {
      case odrl::Operator::neq:
        out += " <> ?";
        break;
      case odrl::Operator::lt:
        out += " < ?";
        break;
      case odrl::Operator::lteq:
        out += " <= ?";
        break;
      case odrl::Operator::gt:
        out += " > ?";
        break;
      case odrl::Operator::gteq:
        out += " >= ?";
        break;
      default:
        out += " IN (?";
        for (std::size_t i = 1; i < one.values.size(); ++i) out += ", ?";
        out += ")";
    }
  }
  return out;
}

void Engine::State::bind_filter(sqlite3_stmt* statement) const {
  Binding bind(connection.get(), statement);
  for (const auto& one : query.filter) {
    for (const auto& value : one.values) std::visit(bind, value);
  }
}

std::string Engine::State::keys_of(std::size_t level) const {
  std::string out;
  for (std::size_t i = 0; i < level; ++i) {
    if (i > 0) out += ", ";
    out += Names::of(query.keys[i]);
  }
  return out;
}

// Which rows are in which group, of the deepest level.
void Engine::State::assign(Grouping& out) {
  const auto level = query.keys.size();
  std::string sql = "SELECT r";
  if (level > 0) sql += ", " + keys_of(level);
  for (const auto column : query.measured) sql += ", " + Names::of(column) + " IS NOT NULL";
  sql += " FROM t" + where() + " ORDER BY ";
  if (level > 0) sql += keys_of(level) + ", ";
  const auto statement = prepare(connection.get(), sql + "r");
  bind_filter(statement.get());
  std::vector<Value> key(level);
  for (;;) {
    const int code = sqlite3_step(statement.get());
    check(connection.get(), code);
    if (code == SQLITE_DONE) return;
    for (std::size_t i = 0; i < level; ++i) {
      key[i] = value_at(statement.get(), static_cast<int>(1 + i));
    }
    if (out.empty() || out.back().key != key) {
      Group group;
      group.level = level;
      group.key = key;
      group.present.resize(query.measured.size());
      out.push_back(std::move(group));
      if (out.size() > limits.groups) return;
    }
    const auto place = static_cast<std::uint32_t>(sqlite3_column_int64(statement.get(), 0));
    out.back().rows.push_back(place);
    for (std::size_t i = 0; i < query.measured.size(); ++i) {
      if (sqlite3_column_int(statement.get(), static_cast<int>(1 + level + i)) != 0) {
        out.back().present[i].push_back(place);
      }
    }
  }
}

// The values of all groups of a level, which come in the same order.
void Engine::State::evaluate(std::size_t level, std::vector<Group*>& groups) const {
  std::string sql = "SELECT ";
  for (std::size_t i = 0; i < query.measures.size(); ++i) {
    const auto& one = query.measures[i];
    if (i > 0) sql += ", ";
    sql += to_string(one.function);
    sql += one.slot == BoundMeasure::rows ? "(*)" : "(" + Names::of(query.measured[one.slot]) + ")";
  }
  sql += " FROM t" + where();
  if (level > 0) sql += " GROUP BY " + keys_of(level) + " ORDER BY " + keys_of(level);
  const auto statement = prepare(connection.get(), sql);
  bind_filter(statement.get());
  for (Group* group : groups) {
    const int code = sqlite3_step(statement.get());
    check(connection.get(), code);
    if (code != SQLITE_ROW) throw Failure(SQLITE_INTERNAL, "groups do not match");
    for (std::size_t i = 0; i < query.measures.size(); ++i) {
      group->values.push_back(value_at(statement.get(), static_cast<int>(i)));
    }
  }
}

namespace {

// The groups of every shorter key, down to none, over those of the deepest level.
Grouping with_totals(Grouping deepest, std::size_t levels, std::size_t slots) {
  Grouping out;
  std::vector<std::size_t> above;  // of the level before, for each group of the deepest
  for (std::size_t level = 0; level <= levels; ++level) {
    std::vector<std::size_t> here(deepest.size());
    for (std::size_t i = 0; i < deepest.size(); ++i) {
      auto& leaf = deepest[i];
      const std::vector<Value> key(
          leaf.key.begin(), leaf.key.begin() + static_cast<std::ptrdiff_t>(level)
      );
      const bool begins = i == 0 || !std::equal(key.begin(), key.end(), deepest[i - 1].key.begin());
      if (begins) {
        Group group;
        group.level = level;
        group.key = key;
        group.present.resize(slots);
        if (level > 0) group.parent = above[i];
        out.push_back(std::move(group));
      }
      here[i] = out.size() - 1;
      auto& group = out.back();
      group.rows.insert(group.rows.end(), leaf.rows.begin(), leaf.rows.end());
      for (std::size_t s = 0; s < slots; ++s) {
        group.present[s].insert(
            group.present[s].end(), leaf.present[s].begin(), leaf.present[s].end()
        );
      }
    }
    above = std::move(here);
  }
  for (auto& group : out) {
    std::ranges::sort(group.rows);
    for (auto& present : group.present) std::ranges::sort(present);
  }
  return out;
}

}  // namespace

Result<Grouping> Engine::State::grouped() {
  Grouping out;
  assign(out);
  const auto levels = query.keys.size();
  // Without keys there is one group, also of no row.
  if (levels == 0 && out.empty()) {
    Group all;
    all.present.resize(query.measured.size());
    out.push_back(std::move(all));
  }
  if (query.totals) out = with_totals(std::move(out), levels, query.measured.size());
  if (out.size() > limits.groups) {
    const Message message{"aggregates.too-many-groups", {{"most", std::to_string(limits.groups)}}};
    return fail(ErrorKind::forbidden, message);
  }
  for (std::size_t level = query.totals ? 0 : levels; level <= levels; ++level) {
    std::vector<Group*> groups;
    for (auto& group : out) {
      if (group.level == level) groups.push_back(&group);
    }
    if (!groups.empty()) evaluate(level, groups);
  }
  for (auto& group : out) group.column_shown.assign(query.measured.size(), true);
  return out;
}

tl::unexpected<Error> Engine::State::failed(const Failure& failure) const {
  const int code = failure.code() & 0xff;
  if (out_of_steps || code == SQLITE_FULL || code == SQLITE_NOMEM || code == SQLITE_INTERRUPT) {
    return fail(ErrorKind::forbidden, {"aggregates.too-much", {}});
  }
  // A sum beyond 64 bits. SQLite's text of anything else could repeat a value.
  const bool sum = std::string_view(failure.what()) == "integer overflow";
  if (sum) return fail(ErrorKind::forbidden, {"aggregates.overflow", {}});
  return fail(ErrorKind::unavailable, {"aggregates.engine", {{"sqlite", std::to_string(code)}}});
}

Engine::Engine(const BoundQuery& query, const EngineLimits& limits)
    : state_(std::make_unique<State>(query, limits)) {}
Engine::~Engine() {
  state_->insert.reset();
}

Result<void> Engine::add(std::uint32_t place, const dataplane::Record& values) {
  try {
    if (!state_->connection) state_->open();
    auto* statement = state_->insert.get();
    Binding bind(state_->connection.get(), statement);
    bind(static_cast<std::int64_t>(place));
    for (const auto column : state_->names.columns()) {
      const auto literal = literal_of(values[column], state_->query.columns, column);
      if (literal) {
        std::visit(bind, *literal);
      } else {
        bind.nothing();
      }
    }
    check(state_->connection.get(), sqlite3_step(statement));
    check(state_->connection.get(), sqlite3_reset(statement));
    return {};
  } catch (const Failure& failure) {
    return state_->failed(failure);
  }
}

Result<Grouping> Engine::run() {
  try {
    if (!state_->connection) state_->open();
    auto* connection = state_->connection.get();
    execute(connection, "COMMIT");
    state_->insert.reset();
    execute(connection, "PRAGMA query_only=ON");
    sqlite3_progress_handler(connection, steps_between, &State::step_limit, state_.get());
    sqlite3_set_authorizer(connection, &authorize, nullptr);
    return state_->grouped();
  } catch (const Failure& failure) {
    return state_->failed(failure);
  }
}

}  // namespace tally::aggregates
