#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tally/audit/new_log.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/posix.hpp"

namespace tally::audit {

namespace {

namespace fs = std::filesystem;

constexpr const char* current_name = "log";
constexpr const char* next_name = "log.new";
constexpr std::string_view former_prefix = "log-";
constexpr std::string_view order_name = "new-log";
constexpr std::string_view order_line = "tally/new-log/v1";

tl::unexpected<Error> failed(const fs::path& file, std::string action, int code) {
  return fail(
      ErrorKind::unavailable,
      {"audit.file-failed",
       {{"file", file.string()}, {"action", std::move(action)}, {"reason", std::strerror(code)}}}
  );
}

Result<void> sync_folder(const fs::path& folder) {
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = opened >= 0 && ::fsync(opened) == 0;
  const int code = errno;
  if (opened >= 0) ::close(opened);
  if (!synced) return failed(folder, "sync", code);
  return {};
}

// Durable on return. `to` is not there.
Result<void> rename_folder(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed(to, "rename", errno);
  return sync_folder(to.parent_path());
}

std::optional<std::uint64_t> former_number(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(former_prefix)) return std::nullopt;
  return log_number("x/log/" + name.substr(former_prefix.size()));
}

fs::path former_folder(const fs::path& connector, const std::string& origin) {
  return connector / (std::string(former_prefix) + std::to_string(*log_number(origin)));
}

struct Order {
  std::string from;  // origins
  std::string to;
};

std::string print(const Order& order) {
  return std::string(order_line) + "\n" + order.from + "\n" + order.to + "\n";
}

std::optional<Order> parse_order(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  if (lines.size() != 3 || lines[0] != order_line || !log_number(lines[1]) ||
      lines[2] != next_origin(lines[1])) {
    return std::nullopt;
  }
  return Order{std::move(lines[1]), std::move(lines[2])};
}

// Of the log in a folder, empty where it has no record; nullopt: there is no such folder.
Result<std::optional<std::string>> origin_in(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return std::nullopt;
  auto storage = open_log_folder(folder, FolderAccess::read_only);
  if (!storage) return fail(std::move(storage));
  std::string origin;
  const auto take = [&](const RecordView& record) {
    if (record.seq == 0) origin = record.json().value("log", std::string());
  };
  if (auto read = for_each_record(**storage, 0, take); !read) return fail(std::move(read));
  return origin;
}

class Change {
 public:
  Change(const NewLogOrder& order, Clock& clock, Random& random)
      : order_(order),
        current_(order.connector / current_name),
        next_(order.connector / next_name),
        clock_(clock),
        random_(random) {}

  Result<NewLog> run() {
    auto files = open_log_folder(order_.connector, FolderAccess::writable);
    if (!files) return fail(std::move(files));
    auto text = (*files)->read_small(order_name);
    if (!text) return fail(std::move(text));
    std::optional<Order> names;
    if (*text) {
      names = parse_order(**text);
      if (!names) return other();
    }
    auto origin = origin_in(current_);
    if (!origin) return fail(std::move(origin));
    if (!*origin && !names) return fail(ErrorKind::not_found, {"audit.log-missing", {}});

    if (*origin && (!names || **origin == names->from)) {
      if (auto given = lock_and_give_up(names.has_value()); !given) return fail(std::move(given));
      if (!names) {
        names = Order{given_.follows.origin, next_origin(given_.follows.origin)};
        auto written = (*files)->replace_small(order_name, print(*names));
        if (!written) return fail(std::move(written));
      }
      if (auto made = make_next(*names); !made) return fail(std::move(made));
      auto moved = rename_folder(current_, former_folder(order_.connector, names->from));
      if (!moved) return fail(std::move(moved));
      origin->reset();
    }
    if (!*origin) {
      // The rename that makes it current comes after everything that is in it.
      auto next = origin_in(next_);
      if (!next) return fail(std::move(next));
      if (*next != names->to) return other();
      if (auto moved = rename_folder(next_, current_); !moved) return fail(std::move(moved));
    }
    return describe(names->to);
  }

 private:
  tl::unexpected<Error> other() const {
    return fail(
        ErrorKind::conflict,
        {"audit.new-log-other", {{"file", (order_.connector / order_name).string()}}}
    );
  }

  Result<void> lock_and_give_up(bool ordered) {
    auto storage = open_log_folder(current_, FolderAccess::writable);
    if (!storage) return fail(std::move(storage));
    before_ = std::move(*storage);  // with its lock, also under its new name
    if (auto locked = before_->lock(); !locked) return locked;
    auto given = give_up(*before_);
    if (!given) return fail(std::move(given));
    given_ = std::move(*given);
    if (given_.follows.proofs.empty() && !order_.without_proof && !ordered) {
      return fail(
          ErrorKind::conflict, {"audit.new-log-unproven", {{"origin", given_.follows.origin}}}
      );
    }
    const fs::path former = former_folder(order_.connector, given_.follows.origin);
    std::error_code ignored;
    if (fs::exists(former, ignored)) {
      return fail(ErrorKind::conflict, {"audit.log-exists", {{"file", former.string()}}});
    }
    return {};
  }

  // What an earlier try left of it is nothing that anybody saw.
  Result<void> make_next(const Order& names) {
    std::error_code code;
    fs::remove_all(next_, code);
    if (!code) fs::create_directory(next_, code);
    if (code) return failed(next_, "create", code.value());
    auto storage = open_log_folder(next_, FolderAccess::writable);
    if (!storage) return fail(std::move(storage));
    Genesis genesis;
    genesis.origin = names.to;
    genesis.actor = given_.genesis.actor;
    genesis.vkey = make_verifier_key(names.to, order_.log_public_key).text();
    genesis.test = given_.genesis.test;
    genesis.follows = given_.follows;
    if (auto made = create_log(**storage, genesis, clock_, random_); !made) return made;
    return sync_folder(order_.connector);
  }

  Result<NewLog> describe(const std::string& origin) {
    auto storage = open_log_folder(current_, FolderAccess::writable);
    if (!storage) return fail(std::move(storage));
    auto recovered = recover(**storage, {});
    if (!recovered) return fail(std::move(recovered));
    // The order is there, so that nobody has written to it.
    if (recovered->genesis.origin != origin || recovered->size != 1) return other();
    return NewLog{recovered->genesis, recovered->mark()};
  }

  const NewLogOrder& order_;
  const fs::path current_;
  const fs::path next_;
  Clock& clock_;
  Random& random_;
  std::unique_ptr<LogStorage> before_;
  GivenUp given_;
};

}  // namespace

bool new_log_under_way(const fs::path& connector) {
  std::error_code ignored;
  return fs::exists(connector / order_name, ignored);
}

std::vector<fs::path> former_logs(const fs::path& connector) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(connector, ignored)) {
    if (entry.is_directory(ignored) && former_number(entry.path())) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(), [](const fs::path& one, const fs::path& other) {
    return *former_number(one) < *former_number(other);
  });
  return found;
}

Result<NewLog> begin_new_log(const NewLogOrder& order, Clock& clock, Random& random) {
  return Change(order, clock, random).run();
}

Result<void> finish_new_log(const fs::path& connector) {
  auto files = open_log_folder(connector, FolderAccess::writable);
  if (!files) return fail(std::move(files));
  return (*files)->remove(order_name);
}

}  // namespace tally::audit
