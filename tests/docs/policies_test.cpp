// The ready-to-use offers in policies/: each loads without a problem, and does what
// policies/README.md says of it.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/catalog/catalog.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/terms.hpp"

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr const char* institute = "did:web:institute.example";
constexpr const char* research = "urn:purpose:research";
constexpr const char* export_action = "urn:tally:profile:1#export";

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in) << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

fs::path folder() {
  return fs::path(TALLY_SOURCE_DIR) / "policies";
}

std::vector<std::string> json_files(const fs::path& where) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(where)) {
    if (entry.path().extension() == ".json") out.push_back(entry.path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> policy_files() {
  return json_files(folder());
}

catalog::Document asset(const std::string& id, const std::string& delivery) {
  const Json json = {
      {"id", id}, {"delivery", delivery}, {"source", {{"type", "file"}, {"path", "data.csv"}}}};
  return {"assets/" + id + ".json", json.dump()};
}

catalog::BuildResult build(const std::string& file) {
  catalog::BuildOptions options;
  options.publisher = {"did:web:hospital.example", {}};
  options.domains = {"health"};
  return catalog::build(
      {asset("cohort-2026", "custody"), asset("laboratory-api", "call")},
      {{"policies/" + file, text_of(folder() / file)}},
      options
  );
}

// The offer as it was published, agreed as it stands.
odrl::PolicyPtr agreed(const std::string& file) {
  const auto built = build(file);
  if (!built.problems.empty() || built.catalog->offers().size() != 1) return nullptr;
  Json policy = built.catalog->offers().begin()->second.message_offer();
  policy["@type"] = "Agreement";
  policy["@id"] = "urn:test:agreement";
  policy["assigner"] = "did:web:hospital.example";
  policy["assignee"] = institute;
  const auto loaded = odrl::load_policy(policy);
  if (loaded) return *loaded;
  for (const auto& problem : loaded.error()) {
    ADD_FAILURE() << file << problem.pointer << ": " << render(problem.message, Lang::en);
  }
  return nullptr;
}

TEST(Policies, EachOneIsOfferedWithoutAProblem) {
  ASSERT_FALSE(policy_files().empty());
  for (const auto& file : policy_files()) {
    const auto built = build(file);
    for (const auto& problem : built.problems) {
      ADD_FAILURE() << problem.file << problem.pointer << ": " << render(problem.message, Lang::en);
    }
    EXPECT_EQ(built.catalog->offers().size(), 1U) << file;
  }
}

void expect_page_names_each_file(const fs::path& where) {
  const auto page = text_of(where / "README.md");
  for (const auto& file : json_files(where)) {
    EXPECT_NE(page.find("`" + file + "`"), std::string::npos) << file;
  }
  for (std::size_t at = page.find(".json`"); at != page.npos; at = page.find(".json`", at + 1)) {
    const auto start = page.rfind('`', at) + 1;
    const auto name = page.substr(start, at + 5 - start);
    EXPECT_TRUE(fs::exists(where / name)) << name;
  }
}

TEST(Policies, TheirPageNamesEachOneAndNoOther) {
  expect_page_names_each_file(folder());
}

TEST(Policies, ThePageOfTemplatesNamesEachOneAndNoOther) {
  expect_page_names_each_file(folder() / "templates");
}

struct Act {
  const char* file;
  const char* what;  // for people
  std::string_view action;
  odrl::Side here;
  const char* purpose;
  std::int64_t used;
  const char* first_use;  // empty: none yet
  const char* now;
  bool permit;
};

TEST(Policies, DoWhatTheirPageSays) {
  using odrl::Side;
  namespace iri = odrl::iri;
  const auto consumer = Side::consumer;
  const auto provider = Side::provider;
  const char* may = "2029-05-01T00:00:00Z";
  const char* late = "2030-01-01T00:00:00Z";
  const std::vector<Act> acts = {
      {"three-uses.json", "pull", iri::archive, provider, research, 0, "", may, true},
      {"three-uses.json", "third", iri::read, consumer, research, 2, may, may, true},
      {"three-uses.json", "fourth", iri::read, consumer, research, 3, may, may, false},
      {"three-uses.json",
       "purpose",
       iri::read,
       consumer,
       "urn:purpose:advertising",
       0,
       "",
       may,
       false},
      {"three-uses.json", "late", iri::read, consumer, research, 0, "", late, false},

      {"ninety-days.json", "pull", iri::archive, provider, research, 0, "", may, true},
      {"ninety-days.json", "first", iri::read, consumer, research, 0, "", may, true},
      {"ninety-days.json",
       "89 days",
       iri::read,
       consumer,
       research,
       500,
       may,
       "2029-07-29T00:00:00Z",
       true},
      {"ninety-days.json",
       "91 days",
       iri::read,
       consumer,
       research,
       500,
       may,
       "2029-07-31T00:00:00Z",
       false},

      {"counted-calls.json", "last", iri::read, provider, research, 999, may, may, true},
      {"counted-calls.json", "one more", iri::read, provider, research, 1000, may, may, false},
      {"counted-calls.json", "not here", iri::read, consumer, research, 0, "", may, false},

      {"read-inside.json", "pull", iri::archive, provider, research, 0, "", may, true},
      {"read-inside.json", "read", iri::read, consumer, research, 10'000, may, may, true},
      {"read-inside.json", "export", export_action, consumer, research, 0, "", may, false},
      {"read-inside.json", "late", iri::read, consumer, research, 0, "", late, false},

      {"read-once.json", "pull", iri::archive, provider, research, 0, "", may, true},
      {"read-once.json", "first", iri::read, consumer, research, 0, "", may, true},
      {"read-once.json", "second", iri::read, consumer, research, 1, may, may, false},
  };
  for (const auto& file : policy_files()) {
    EXPECT_TRUE(
        std::any_of(acts.begin(), acts.end(), [&](const Act& act) { return act.file == file; })
    ) << file
      << " has no act here";
  }
  for (const auto& act : acts) {
    const auto policy = agreed(act.file);
    ASSERT_TRUE(policy) << act.file;
    const std::vector<std::string> purposes{act.purpose};
    const odrl::Request request{
        institute,
        std::string(act.action),
        policy->target(),
        {odrl::declared_names(odrl::iri::purpose, purposes, odrl::Source::asserted)}};
    odrl::World world;
    world.now = parse_date_time(act.now)->instant;
    world.here = act.here;
    std::vector<odrl::UsageEntry> usage;
    for (const auto& rule : policy->rules()) {
      odrl::RuleUsage used{act.used, {}, {}};
      if (*act.first_use != '\0') used.first_use = parse_date_time(act.first_use)->instant;
      usage.push_back({rule.id, used});
    }
    world.usage = usage;
    EXPECT_EQ(odrl::evaluate(*policy, request, world).permit, act.permit)
        << act.file << ": " << act.what;
  }
}

TEST(Policies, SayWhenTheDataHasToGo) {
  const struct {
    const char* file;
    odrl::DeadlineKind deadline;
  } rows[] = {
      {"three-uses.json", odrl::DeadlineKind::when_expired},
      {"ninety-days.json", odrl::DeadlineKind::after_use},
      {"read-inside.json", odrl::DeadlineKind::at_instant},
      {"read-once.json", odrl::DeadlineKind::at_once},
  };
  for (const auto& row : rows) {
    const auto policy = agreed(row.file);
    ASSERT_TRUE(policy) << row.file;
    ASSERT_EQ(policy->duties().size(), 1U) << row.file;
    EXPECT_EQ(policy->duties().front().deadline, row.deadline) << row.file;
    EXPECT_TRUE(policy->not_after()) << row.file << ": unread data would stay for ever";
  }
  EXPECT_TRUE(agreed("counted-calls.json")->duties().empty());
}

}  // namespace
}  // namespace tally
