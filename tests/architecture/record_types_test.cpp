// Which types of records the program writes. Read from the sources: a type is written where a draft
// is made of it. Types whose act the program does not have yet are listed here, and no other may go
// unwritten. A draft of a type that the table lacks would be refused only when it happens, so it
// fails here.
#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "architecture/sources.hpp"

namespace tally::architecture {
namespace {

bool looks_like_a_type(const std::string& literal) {
  static const std::regex form("[a-z]+\\.[a-z_]+");
  return std::regex_match(literal, form);
}

// The first literal of each entry of the table, with those of its members.
std::map<std::string, std::vector<std::string>> table() {
  std::map<std::string, std::vector<std::string>> types;
  std::string type;
  for (const auto& file : read_sources("src/audit")) {
    if (!file.path.ends_with("/record_types.cpp")) continue;
    for (const auto& line : file.lines) {
      for (const auto& literal : line.literals) {
        if (looks_like_a_type(literal)) {
          type = literal;
          types[type];
        } else if (!type.empty()) {
          types[type].push_back(literal);
        }
      }
    }
  }
  return types;
}

// The types that statements of `lines` make drafts of: RecordDraft name("type", …), or draft("type"
// …) of a service. A comparison with a type makes none.
std::set<std::string> drafted(const std::vector<SourceLine>& lines) {
  static const std::regex makes("RecordDraft\\s+[a-z_]+\\s*\\(|\\bdraft\\(\\s*\"\"");
  std::set<std::string> types;
  std::string statement;
  std::vector<std::string> literals;
  const auto end = [&] {
    if (std::regex_search(statement, makes)) {
      std::copy_if(
          literals.begin(), literals.end(), std::inserter(types, types.end()), looks_like_a_type
      );
    }
    statement.clear();
    literals.clear();
  };
  for (const auto& line : lines) {
    std::size_t next = 0;
    for (std::size_t i = 0; i < line.code.size(); ++i) {
      const char c = line.code[i];
      statement += c;
      if (line.code.compare(i, 2, "\"\"") == 0 && next < line.literals.size()) {
        literals.push_back(line.literals[next++]);
        statement += line.code[++i];
      }
      if (c == ';' || c == '{' || c == '}') end();
    }
    statement += ' ';
  }
  end();
  return types;
}

std::map<std::string, std::set<std::string>> written() {
  std::map<std::string, std::set<std::string>> by_type;  // and the files that do
  for (const auto& file : read_sources("src")) {
    if (file.path.ends_with(".inc") || file.path.ends_with("/record_types.cpp")) continue;
    for (const auto& type : drafted(file.lines)) by_type[type].insert(file.path);
  }
  return by_type;
}

TEST(RecordTypes, AreFoundWhereADraftIsMadeAndNowhereElse) {
  const auto lines = read_lines(
      "audit::RecordDraft draft(\n"
      "    update ? \"offer.updated\" : \"offer.published\", new_event(parts_.random, now)\n"
      ");\n"
      "auto record = state.draft(\"transfer.sent\", process); record.set(\"asset\", \"a.b\");\n"
      "if (record.type == \"use.denied\") { Message m{\"transfer.busy\", {}}; }\n"
      "RecordDraft other(type, event()); // draft(\"log.heads\")\n"
  );
  EXPECT_EQ(
      drafted(lines), (std::set<std::string>{"offer.published", "offer.updated", "transfer.sent"})
  );
}

TEST(RecordTypes, EveryDraftIsOfATypeThatTheLogTakes) {
  const auto types = table();
  for (const auto& [type, files] : written()) {
    EXPECT_TRUE(types.contains(type)) << *files.begin() << ": " << type;
  }
}

// Each arrives with the act that it records.
const std::set<std::string> arrives_with_the_act = {
    "aggregate.answered",
    "aggregate.refused",
    "approval.approved",
    "approval.rejected",
    "approval.requested",
    "export.made",
    "key.rotated",
    "policy.revoked",
    "process.executed",
    "statement.issued",
    "time.anchored",
};

TEST(RecordTypes, EachIsToldByTheStoryAndWrittenOrArrivesWithItsAct) {
  const auto types = table();
  ASSERT_GE(types.size(), 60U);
  EXPECT_EQ(types.at("transfer.sent").size(), 4U);  // the table was read as it is
  std::set<std::string> sentences;
  for (const auto& file : read_sources("src/core/sentences")) {
    for (const auto& line : file.lines) {
      sentences.insert(line.literals.begin(), line.literals.end());
    }
  }
  const auto by_type = written();
  // Those without which nothing else here would be worth much.
  for (const char* type :
       {"contract.finalized",
        "transfer.sent",
        "transfer.received",
        "use.permitted",
        "use.denied",
        "use.executed",
        "receipt.issued",
        "data.destroyed"}) {
    EXPECT_TRUE(by_type.contains(type)) << type;
  }
  for (const auto& [type, members] : types) {
    EXPECT_TRUE(sentences.contains("audit.story-" + type)) << type;
    if (type == "log.genesis" || type == "log.heads") continue;
    EXPECT_TRUE(by_type.contains(type) || arrives_with_the_act.contains(type)) << type;
  }
  for (const auto& type : arrives_with_the_act) EXPECT_TRUE(types.contains(type)) << type;
}

}  // namespace
}  // namespace tally::architecture
