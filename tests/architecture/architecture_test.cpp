// What the compiler does not check: which module may know which, what may touch the world, and that
// every sentence has its code. Each finding names file and line.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "architecture/sources.hpp"

namespace tally::architecture {
namespace {
namespace fs = std::filesystem;

std::vector<SourceFile> program() {
  auto files = read_sources("include/tally");
  auto sources = read_sources("src");
  std::move(sources.begin(), sources.end(), std::back_inserter(files));
  return files;
}

std::string place(const SourceFile& file, const SourceLine& line) {
  return file.path + ":" + std::to_string(line.number);
}

std::size_t rank(const std::string& module) {
  const auto& all = modules();
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), module) - all.begin());
}

// Why `from` may not use `to`, or empty.
std::string forbidden(const std::string& from, const std::string& to) {
  if (from == to) return {};
  if (rank(to) == modules().size()) return "no such module";
  // `tally init` makes keys and requests for certificates: hence identity. `tally audit bundle`
  // reads the database of a folder: hence store. `tally audit new-log` ends what is open in it:
  // hence negotiation and transfer.
  static const std::set<std::string> of_cli = {
      "core",
      "odrl",
      "audit",
      "identity",
      "negotiation",
      "transfer",
      "custody",
      "evidence",
      "store",
      "net"};
  if (from == "cli") {
    return of_cli.contains(to) ? ""
                               : "cli uses core, odrl, audit, identity, negotiation, transfer, "
                                 "custody, evidence, store and net only";
  }
  if (rank(to) > rank(from)) return from + " comes before " + to;
  // Two adapters never know each other; only the daemon joins them.
  static const std::set<std::string> adapters = {"custody", "store", "net", "sources"};
  if (adapters.contains(from) && adapters.contains(to)) return "two adapters";
  return {};
}

TEST(Reader, KeepsCodeAndLiteralsApart) {
  const auto lines = read_lines(
      "#include \"tally/core/x.hpp\"  // \"not this\"\n"
      "int a = 1'000; char c = '\"'; /* std::thread\n"
      " more */ f(\"net.a\", R\"(x \"y\" \n z)\"); // std::thread\n"
      "  #include <thread>\n"
  );
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[0].include, "\"tally/core/x.hpp\"");
  EXPECT_EQ(lines[1].code, "int a = 1'000; char c = ' '; ");
  EXPECT_EQ(lines[2].code, " f(\"\", \"\"");
  EXPECT_EQ(lines[2].literals, (std::vector<std::string>{"net.a", "x \"y\" \n z"}));
  EXPECT_EQ(lines[4].include, "<thread>");
}

TEST(ModuleOrder, RefusesWhatItShould) {
  EXPECT_EQ(forbidden("audit", "core"), "");
  EXPECT_EQ(forbidden("audit", "odrl"), "");
  EXPECT_NE(forbidden("core", "audit"), "");
  EXPECT_NE(forbidden("odrl", "usage"), "");
  EXPECT_NE(forbidden("cli", "usage"), "");
  EXPECT_NE(forbidden("net", "store"), "");
  EXPECT_NE(forbidden("api", "nothing"), "");
  EXPECT_EQ(forbidden("daemon", "api"), "");
}

TEST(Architecture, EveryIncludeGoesUpTheModuleOrder) {
  for (const auto& file : program()) {
    if (file.module.empty()) {
      ADD_FAILURE() << file.path << " belongs to no module";
      continue;
    }
    for (const auto& line : file.lines) {
      if (line.include.empty()) continue;
      const std::string name = line.include.substr(1, line.include.size() - 2);
      if (name.starts_with("tally/")) {
        const std::string to = name.substr(6, name.find('/', 6) - 6);
        const std::string why = forbidden(file.module, to);
        EXPECT_EQ(why, "") << place(file, line) << " includes " << name;
        EXPECT_TRUE(fs::exists(fs::path(TALLY_SOURCE_DIR) / "include" / name))
            << place(file, line) << ": " << name;
      } else if (line.include[0] == '"') {
        EXPECT_FALSE(file.face) << place(file, line) << ": a face includes faces only";
        // A header beside its source: of the same module, and not by a way round.
        const fs::path home = fs::path(TALLY_SOURCE_DIR) / "src" / file.module / name;
        EXPECT_TRUE(name.find("..") == name.npos && fs::exists(home))
            << place(file, line) << " includes " << name << ", which is not in src/" << file.module;
      }
    }
  }
}

TEST(Architecture, EveryTargetLinksUpTheModuleOrder) {
  const std::regex target("tally_([a-z]+)");
  for (const auto& module : modules()) {
    std::ifstream in(fs::path(TALLY_SOURCE_DIR) / "src" / module / "CMakeLists.txt");
    if (!in) continue;
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (std::sregex_iterator it(text.begin(), text.end(), target), end; it != end; ++it) {
      const std::string to = (*it)[1];
      if (rank(to) == modules().size()) continue;  // tally_module, tally_options, …
      EXPECT_EQ(forbidden(module, to), "") << "src/" << module << "/CMakeLists.txt links " << to;
    }
  }
}

TEST(Architecture, FacesHoldNoHeavyHeaders) {
  const std::vector<std::string> heavy = {
      "<boost/beast",
      "<boost/asio/ssl",
      "<boost/asio.hpp>",
      "<sqlite3.h>",
      "<spdlog/",
      "<CLI/",
      "<openssl/"};
  for (const auto& file : read_sources("include/tally")) {
    for (const auto& line : file.lines) {
      for (const auto& name : heavy) {
        EXPECT_FALSE(line.include.starts_with(name)) << place(file, line) << ": " << line.include;
      }
    }
  }
}

// The files that are the edge to the world: adapters, the composition root, and the threads and
// files of the log.
bool may_touch_the_world(const std::string& path, const std::string& module) {
  static const std::set<std::string> homes = {"net", "store", "sources", "daemon", "cli"};
  if (homes.contains(module)) return true;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (module == "custody") return name.find("file") != name.npos;
  if (module == "audit") {
    return name.find("posix") != name.npos || name.find("thread") != name.npos;
  }
  return false;
}

bool is_name_character(char c) {
  return c == '_' || std::isalnum(static_cast<unsigned char>(c));
}

// Whether `code` holds the name `word`, whole; a word that ends in '*' may go on.
bool names(const std::string& code, std::string_view word) {
  const bool open = word.ends_with('*');
  if (open) word.remove_suffix(1);
  for (auto at = code.find(word); at != code.npos; at = code.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || !is_name_character(code[at - 1]);
    if (begins && (open || end == code.size() || !is_name_character(code[end]))) return true;
  }
  return false;
}

TEST(Architecture, TimeThreadsAndChanceComeThroughTheSeamOnly) {
  const std::vector<std::string_view> banned = {
      "steady_timer",
      "system_timer",
      "high_resolution_timer",
      "deadline_timer",
      "thread_pool",
      "system_clock",
      "steady_clock",
      "high_resolution_clock",
      "utc_clock",
      "random_device",
      "mt19937*",
      "std::thread",
      "std::jthread",
      "std::async",
      "std::this_thread::sleep_for",
      "std::this_thread::sleep_until",
      "clock_gettime",
      "gettimeofday",
      "std::time",
      "getrandom",
      "getentropy",
      "RAND_bytes",
      "RAND_priv_bytes",
      "std::rand",
      "nanosleep",
      "condition_variable*",
      "pthread_*"};
  auto files = program();
  auto simulator = read_sources("tests/sim");  // a seed would replay nothing
  std::move(simulator.begin(), simulator.end(), std::back_inserter(files));
  for (const auto& file : files) {
    if (may_touch_the_world(file.path, file.module)) continue;
    for (const auto& line : file.lines) {
      for (const auto word : banned) {
        EXPECT_FALSE(names(line.code, word)) << place(file, line) << ": " << word;
      }
    }
  }
}

TEST(Architecture, EveryCoroutineHasAnOwner) {
  for (const auto& file : program()) {
    for (const auto& line : file.lines) {
      EXPECT_FALSE(names(line.code, "detached"))
          << place(file, line) << ": spawn it in a TaskGroup";
    }
  }
}

// --- Sentences ---------------------------------------------------------------------------------

std::string module_names() {
  std::string names;
  for (const auto& module : modules()) names += (names.empty() ? "" : "|") + module;
  return names;
}

// The first literal of each entry {"code", "en", "zh"} of src/core/sentences/*.inc.
std::map<std::string, std::string> table_codes() {
  std::map<std::string, std::string> codes;
  const std::regex code("(" + module_names() + ")\\.[a-z0-9._-]+");
  for (const auto& file : read_sources("src/core/sentences")) {
    for (const auto& line : file.lines) {
      const auto open = line.code.find_first_not_of(" \t");
      if (open == line.code.npos || line.code[open] != '{' || line.literals.empty()) continue;
      if (std::regex_match(line.literals[0], code)) codes[line.literals[0]] = place(file, line);
    }
  }
  return codes;
}

// Names of records are no sentences: log entries name them, people see them through `show`.
std::set<std::string> record_types() {
  std::set<std::string> types;
  for (const auto& file : read_sources("src/audit")) {
    if (!file.path.ends_with("/record_types.cpp")) continue;
    for (const auto& line : file.lines) {
      for (const auto& literal : line.literals) types.insert(literal);
    }
  }
  return types;
}

TEST(Sentences, EveryCodeInTheSourcesIsInTheTable) {
  const auto codes = table_codes();
  ASSERT_FALSE(codes.empty());
  const auto types = record_types();
  const std::regex code("(" + module_names() + ")\\.[a-z][a-z0-9-]*");
  const std::regex file_name(".*\\.(json|sqlite|db|log|csr|pem|key|lock|sock|pid|hpp|cpp|inc)");
  for (const auto& file : program()) {
    if (file.path.ends_with(".inc")) continue;
    for (const auto& line : file.lines) {
      for (const auto& literal : line.literals) {
        if (literal.find('.') == literal.npos) continue;
        if (!std::regex_match(literal, code) || std::regex_match(literal, file_name)) continue;
        // A literal that ends in '-' begins codes; at least one of them must be there.
        const auto next = codes.lower_bound(literal);
        const bool begins =
            literal.ends_with('-') && next != codes.end() && next->first.starts_with(literal);
        EXPECT_TRUE(codes.contains(literal) || types.contains(literal) || begins)
            << place(file, line) << ": \"" << literal << "\" has no sentence";
      }
    }
  }
}

TEST(Sentences, EveryCodeOfTheTableIsSaidSomewhere) {
  // Said whole; or by its beginning, "audit.story-", where the rest is put to it, or its end,
  // "-listed"; or, within its module, by its name alone where the module is put before it.
  std::set<std::string> used;
  for (const auto& file : program()) {
    if (file.path.ends_with(".inc")) continue;
    for (const auto& line : file.lines) {
      for (const auto& literal : line.literals) {
        used.insert(literal);
        used.insert(file.module + ":" + literal);
      }
    }
  }
  const auto begun = [&](const std::string& code) {
    for (auto dash = code.find('-'); dash != code.npos; dash = code.find('-', dash + 1)) {
      if (used.contains(code.substr(0, dash + 1))) return true;
      if (used.contains(code.substr(0, dash)) && used.contains(code.substr(dash))) return true;
    }
    return false;
  };
  for (const auto& [code, where] : table_codes()) {
    std::string named = code;
    named[code.find('.')] = ':';
    EXPECT_TRUE(used.contains(code) || used.contains(named) || begun(code) || begun(named))
        << where << ": \"" << code << "\" is said nowhere";
  }
}

TEST(Sentences, EveryHelpOfTheCommandLineIsInTheTable) {
  const auto codes = table_codes();
  for (const auto& file : read_sources("src/cli")) {
    for (const auto& line : file.lines) {
      for (const auto& literal : line.literals) {
        if (!literal.starts_with("help-") || literal.ends_with("-")) continue;
        EXPECT_TRUE(codes.contains("cli." + literal)) << place(file, line) << ": " << literal;
      }
    }
  }
}

TEST(Sentences, ACodeStandsInTheFileOfItsModule) {
  for (const auto& [code, where] : table_codes()) {
    const std::string home = "src/core/sentences/" + code.substr(0, code.find('.')) + ".inc:";
    EXPECT_TRUE(where.starts_with(home)) << where << ": " << code;
  }
}

}  // namespace
}  // namespace tally::architecture
