#include "tally/odrl/cases.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "tally/odrl/evaluate.hpp"

namespace tally::odrl {
namespace {

// "odrl.unknown-action-listed" → "unknown-action": the error code of the cases.
std::string error_code(const Message& message) {
  std::string code = message.code;
  if (code.starts_with("odrl.")) code = code.substr(5);
  constexpr std::string_view listed = "-listed";
  if (code.ends_with(listed)) code.resize(code.size() - listed.size());
  return code;
}

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text(const Json& object, const char* name) {
  const auto* found = member(object, name);
  return found && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> values_of(const Json& value) {
  std::vector<std::string> out;
  if (value.is_array()) {
    for (const auto& one : value) {
      for (auto& inner : values_of(one)) out.push_back(std::move(inner));
    }
  } else if (value.is_string()) {
    out.push_back(value.get<std::string>());
  } else if (value.is_object()) {
    for (const auto* name : {"@id", "@value"}) {
      if (auto inner = text(value, name); !inner.empty()) out.push_back(std::move(inner));
    }
  }
  return out;
}

std::optional<Instant> instant(const std::string& written) {
  const auto parsed = parse_date_time(written);
  if (!parsed) return std::nullopt;
  return parsed->instant;
}

// What a case says of the world, with the storage that World borrows.
struct WorldOfCase {
  World world;
  std::vector<UsageEntry> usage;
  std::vector<Broader> taxonomy;
};

void read_world(const Json& document, WorldOfCase& out) {
  auto& world = out.world;
  world.here = Side::consumer;
  const auto state = document.value("stateOfTheWorld", Json::object());
  const auto now = instant(text(state, "currentTime"));
  if (now) {
    world.now = *now;
  } else {
    world.clock_reliable = false;
  }
  if (text(state, "clock") == "unreliable") world.clock_reliable = false;
  if (const auto found = state.find("usage"); found != state.end()) {
    world.usage_known = found->is_array();
    for (const auto& one : world.usage_known ? *found : Json::array()) {
      UsageEntry entry;
      entry.rule = RuleId(text(one, "rule"));
      entry.usage.count = one.value("count", std::int64_t{0});
      entry.usage.first_use = instant(text(one, "firstUse"));
      entry.usage.last_use = instant(text(one, "lastUse"));
      out.usage.push_back(std::move(entry));
    }
  }
  if (const auto* steps = member(state, "taxonomy")) {
    for (const auto& one : *steps) {
      out.taxonomy.push_back({text(one, "narrower"), text(one, "broader")});
    }
  }
  world.usage = out.usage;
  world.taxonomy = out.taxonomy;
}

Request read_request(const Json& document) {
  Request request;
  const auto& written = document.at("request");
  request.assignee = text(written, "assignee");
  request.action = text(written, "action");
  request.target = text(written, "target");
  const std::string purpose(iri::purpose);
  if (const auto* context = member(written, "context")) {
    if (const auto* found = member(*context, purpose.c_str())) {
      request.purposes = values_of(*found);
    }
  }
  // What the enforcer measured outranks what is declared.
  if (const auto* state = member(document, "stateOfTheWorld")) {
    if (const auto* values = member(*state, "operandValues")) {
      if (const auto* found = member(*values, purpose.c_str())) {
        request.purposes = values_of(*found);
      }
    }
  }
  return request;
}

class Comparison {
 public:
  Comparison(const Json& document, CaseResult& result)
      : document_(document), expected_(document.at("expected")), result_(result) {}

  void refused(const std::vector<Problem>& problems);
  void decided(const CompiledPolicy& policy, const Decision& decision, const World& world);

 private:
  void same(const std::string& what, const std::string& expected, const std::string& got) {
    if (expected != got) result_.differences.push_back({what, expected, got});
  }
  void reason(std::string_view got) {
    if (const auto found = text(expected_, "reason"); !found.empty()) {
      same("reason", found, std::string(got));
    }
  }
  void codes(const char* name, const std::vector<std::string>& got) {
    const auto* list = member(expected_, name);
    if (!list) return;
    for (const auto& one : *list) {
      const auto code = one.is_string() ? one.get<std::string>() : text(one, "code");
      if (std::ranges::find(got, code) == got.end()) same(name, code, "");
    }
  }
  void rules(const Decision& decision);
  void obligations(const Decision& decision);
  void finish() {
    result_.verdict = result_.differences.empty() ? CaseVerdict::passed : CaseVerdict::failed;
  }

  const Json& document_;
  const Json& expected_;
  CaseResult& result_;
};

// A refused policy permits nothing. Where that and the error is what the case expects it passes;
// where the case expects an evaluation it is out of scope.
void Comparison::refused(const std::vector<Problem>& problems) {
  std::vector<std::string> got;
  got.reserve(problems.size());
  for (const auto& problem : problems) got.push_back(error_code(problem.message));
  const bool profile = std::ranges::find(got, "unknown-profile") != got.end();
  same("decision", text(expected_, "decision"), "deny");
  if (text(expected_, "reason").empty()) same("reason", "", "invalid-policy");
  reason(profile && got.size() == 1 ? "unsupported-profile" : "invalid-policy");
  codes("errors", got);
  finish();
  if (result_.verdict == CaseVerdict::failed) {
    result_.verdict = CaseVerdict::out_of_scope;
    for (const auto& problem : problems) {
      result_.differences.push_back(
          {"load", "", error_code(problem.message) + " " + problem.pointer}
      );
    }
  }
}

void Comparison::rules(const Decision& decision) {
  const auto* list = member(expected_, "rules");
  if (!list) return;
  const bool premises = document_.at("options").value("activationScope", "all-premises") ==
                        std::string("all-premises");
  for (const auto& one : *list) {
    const auto id = text(one, "rule");
    if (text(one, "type") == "Duty") continue;  // states of duties are not reported
    const auto found = std::ranges::find(decision.rules, RuleId(id), &RuleReport::rule);
    if (found == decision.rules.end()) {
      same("rules/" + id, text(one, "activationState"), "");
      continue;
    }
    bool active = found->active;
    const bool match =
        found->action == Truth::yes && found->target == Truth::yes && found->party == Truth::yes;
    if (!premises) {
      active = std::ranges::all_of(found->constraints, [&](const auto& constraint) {
        return found->kind == RuleKind::prohibition ? constraint.state != Truth::no
                                                    : constraint.state == Truth::yes;
      });
    }
    same("rules/" + id, text(one, "activationState"), active ? "Active" : "Inactive");
    if (const auto* wanted = member(one, "match")) {
      same("rules/" + id + "/match", wanted->dump(), match ? "true" : "false");
    }
  }
}

void Comparison::obligations(const Decision& decision) {
  const auto* list = member(expected_, "obligations");
  if (!list) return;
  for (const auto& one : *list) {
    const bool met = std::ranges::any_of(decision.obligations, [&](const Obligation& duty) {
      const auto deadline = text(one, "deadline");
      return (text(one, "action").empty() || text(one, "action") == duty.action) &&
             (text(one, "phase").empty() || text(one, "phase") == to_string(duty.phase)) &&
             (text(one, "duty").empty() || text(one, "duty") == duty.duty.value) &&
             (deadline.empty() || instant(deadline) == duty.at);
    });
    if (!met) same("obligations", one.dump(), "");
  }
}

void Comparison::decided(
    const CompiledPolicy& policy, const Decision& decision, const World& world
) {
  result_.permit = decision.permit;
  same("decision", text(expected_, "decision"), decision.permit ? "permit" : "deny");
  reason(to_string(decision.reason));
  rules(decision);
  obligations(decision);
  std::vector<std::string> errors, warnings;
  for (const auto& one : decision.errors) errors.push_back(error_code(one.message));
  for (const auto& one : policy.warnings()) warnings.push_back(error_code(one.message));
  codes("errors", errors);
  codes("warnings", warnings);
  if (const auto* consume = member(expected_, "consume")) {
    const Consume got = decision.consume.empty() ? Consume{} : decision.consume.front();
    same("consume/rule", text(*consume, "rule"), got.rule.value);
    if (const auto* after = member(*consume, "countAfter")) {
      const auto used = std::ranges::find(world.usage, got.rule, &UsageEntry::rule);
      const auto before = used == world.usage.end() ? 0 : used->usage.count;
      same("consume/countAfter", after->dump(), std::to_string(before + got.n));
    }
  }
  finish();
}

}  // namespace

CaseResult run_case(const Json& document) {
  CaseResult result;
  const auto not_a_case = [&](const std::string& what) {
    result.differences.push_back({what, "odrl-case/1", ""});
    return result;
  };
  if (text(document, "format") != "odrl-case/1") return not_a_case("format");
  result.id = text(document, "id");
  const auto* expected = member(document, "expected");
  if (!expected || !expected->is_object()) return not_a_case("expected");
  if (const auto decision = text(*expected, "decision"); !decision.empty()) {
    result.expected_permit = decision == "permit";
  }
  const auto out_of_scope = [&](const std::string& what) {
    result.verdict = CaseVerdict::out_of_scope;
    result.differences.push_back({what, "", ""});
    return result;
  };
  if (text(document, "kind") != "evaluate") return out_of_scope("kind");
  const auto* policy = member(document, "policy");
  if (!policy) return out_of_scope("policies");
  const auto* request = member(document, "request");
  if (!request || !result.expected_permit) return out_of_scope("request");
  if (!member(document, "options")) return not_a_case("options");
  if (text(document.at("options"), "behaviour") == "open") return out_of_scope("behaviour");

  Comparison comparison(document, result);
  const auto loaded = load_policy(*policy, {});
  if (!loaded) {
    comparison.refused(loaded.error());
    return result;
  }
  WorldOfCase world;
  read_world(document, world);
  const auto decision = evaluate(**loaded, read_request(document), world.world, Explain::full);
  comparison.decided(**loaded, decision, world.world);
  return result;
}

Result<CaseRun> run_cases(std::span<const std::filesystem::path> paths) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const auto& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      fs::recursive_directory_iterator it(path, error);
      for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
        const bool is_case = it->path().extension() == ".json" && it->is_regular_file(error);
        if (is_case) files.push_back(it->path());
      }
    } else if (fs::exists(path, error)) {
      files.push_back(path);
    }
    if (error || !fs::exists(path, error)) {
      return fail(ErrorKind::invalid, {"odrl.case-unreadable", {{"path", path.string()}}});
    }
  }
  std::ranges::sort(files);
  CaseRun run;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    CaseResult result;
    if (!stream)
      return fail(ErrorKind::invalid, {"odrl.case-unreadable", {{"path", file.string()}}});
    if (auto document = parse_json(content)) {
      try {
        result = run_case(*document);
      } catch (const Json::exception& wrong) {  // a member of another type than the format says
        result.differences.push_back({"format", "odrl-case/1", wrong.what()});
      }
    } else {
      result.differences.push_back({"json", "", document.error().pointer});
    }
    result.file = file.string();
    if (result.id.empty()) result.id = file.stem().string();
    switch (result.verdict) {
      case CaseVerdict::passed:
        ++run.passed;
        break;
      case CaseVerdict::failed:
        ++run.failed;
        break;
      case CaseVerdict::out_of_scope:
        ++run.out_of_scope;
        break;
    }
    run.results.push_back(std::move(result));
  }
  return run;
}

}  // namespace tally::odrl
