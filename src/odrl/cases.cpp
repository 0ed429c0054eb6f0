#include "tally/odrl/cases.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "tally/odrl/compare.hpp"
#include "tally/odrl/exchange.hpp"

#include "literals.hpp"

namespace tally::odrl {
namespace {

// "odrl.unknown-action-listed" → "unknown-action": the error code of the cases. An operator that
// makes no sense of an operand's values is a mismatch of types there.
std::string error_code(const Message& message) {
  std::string code = message.code;
  if (code.starts_with("odrl.")) code = code.substr(5);
  constexpr std::string_view listed = "-listed";
  if (code.ends_with(listed)) code.resize(code.size() - listed.size());
  return code == "operator-mismatch" ? "type-mismatch" : code;
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

std::vector<std::string> texts(const Json& object, const char* name) {
  std::vector<std::string> out;
  if (const auto* list = member(object, name); list && list->is_array()) {
    for (const auto& one : *list) {
      if (one.is_string()) out.push_back(one.get<std::string>());
    }
  }
  return out;
}

std::optional<Instant> instant(const std::string& written) {
  const auto parsed = parse_date_time(written);
  if (!parsed) return std::nullopt;
  return parsed->instant;
}

// "rules/urn:r" and "urn:d": "rules/urn:r/urn:d".
std::string below(const std::string& what, const std::string& inner) {
  std::string out = what;
  out += '/';
  out += inner;
  return out;
}

struct Policies {
  std::vector<const Json*> documents;
  [[nodiscard]] const Json* find(std::string_view uid) const {
    for (const auto* one : documents) {
      if (text(*one, "uid") == uid || text(*one, "@id") == uid) return one;
    }
    return nullptr;
  }
};

Policies policies_of(const Json& document) {
  Policies out;
  if (const auto* one = member(document, "policy")) out.documents.push_back(one);
  if (const auto* list = member(document, "policies"); list && list->is_array()) {
    for (const auto& one : *list) out.documents.push_back(&one);
  }
  return out;
}

// "+08:00" or "Z", in minutes east of UTC.
int zone_of(const std::string& written) {
  const auto at = parse_date_time("1970-01-02T00:00:00" + written);
  return at ? static_cast<int>((86400 - at->instant.seconds) / 60) : 0;
}

LoadOptions load_options(const Json& document, const Policies& policies) {
  LoadOptions out;
  const Json empty = Json::object();
  const auto* options = member(document, "options");
  const auto& written = options ? *options : empty;
  out.extra_profiles = texts(written, "profiles");
  out.extra_operands = texts(written, "operands");
  out.default_zone = zone_of(text(written, "defaultTimezone"));
  out.library = [policies](std::string_view uid) { return policies.find(uid); };
  return out;
}

EvaluateOptions evaluate_options(const Json& document, std::vector<std::string>& enforceable) {
  EvaluateOptions out;
  out.explain = Explain::full;
  const auto* written = member(document, "options");
  if (!written) return out;
  out.open = text(*written, "behaviour") == "open";
  if (text(*written, "conditionSemantics") == "not-violated") {
    out.conditions = EvaluateOptions::Conditions::not_violated;
  }
  if (member(*written, "enforceable")) {
    enforceable = texts(*written, "enforceable");
    out.enforceable = enforceable;
  }
  return out;
}

// What the engine answered against what the case expects.
class Judge {
 public:
  Judge(const Json& document, CaseResult& result)
      : expected_(document.at("expected")),
        all_premises_(
            text(document.value("options", Json::object()), "activationScope") !=
            "constraints-and-conditions"
        ),
        result_(result) {}

  void refused(const Reading& reading);
  void decided(const Decision& decision, const std::vector<Problem>& warnings);
  void compared(const Comparison& comparison);

 private:
  void same(const std::string& what, const std::string& expected, const std::string& got) {
    if (expected != got) result_.differences.push_back({what, expected, got});
  }
  // Where the case says something of `name`.
  void same_where_given(
      const Json& object, const char* name, const std::string& what, std::string_view got
  ) {
    if (const auto found = text(object, name); !found.empty()) {
      same(what, found, std::string(got));
    }
  }
  void codes(const char* name, const std::vector<Problem>& problems);
  void rules(const Decision& decision);
  void rule(const Json& wanted, const RuleReport& found, const std::string& what);
  void duty(const Json& wanted, const DutyReport& found, const std::string& what);
  void constraints(
      const Json& wanted,
      const char* name,
      const std::vector<ConstraintReport>& found,
      const std::string& what
  );
  void obligations(const Decision& decision);
  void consume(const Decision& decision);

  const Json& expected_;
  bool all_premises_;
  CaseResult& result_;
};

void Judge::codes(const char* name, const std::vector<Problem>& problems) {
  for (const auto& code : texts(expected_, name)) {
    const bool found = std::ranges::any_of(problems, [&](const Problem& one) {
      return error_code(one.message) == code;
    });
    if (!found) same(name, code, "");
  }
}

// A policy that is not valid permits nothing.
void Judge::refused(const Reading& reading) {
  result_.permit = false;
  same_where_given(expected_, "decision", "decision", "deny");
  const bool wants_reason = !text(expected_, "reason").empty();
  if (!wants_reason) {
    for (const auto& problem : reading.problems) {
      same("policy", "", error_code(problem.message) + " " + problem.pointer);
    }
  }
  same_where_given(expected_, "reason", "reason", reading.reason);
  codes("errors", reading.problems);
}

const ConstraintReport* find_constraint(
    const std::vector<ConstraintReport>& list, const std::string& name
) {
  for (const auto& one : list) {
    if (one.id == name || one.pointer == name) return &one;
    if (const auto* inner = find_constraint(one.children, name)) return inner;
  }
  return nullptr;
}

void Judge::constraints(
    const Json& wanted,
    const char* name,
    const std::vector<ConstraintReport>& found,
    const std::string& what
) {
  const auto* list = member(wanted, name);
  if (!list) return;
  for (const auto& one : *list) {
    const auto id = text(one, "constraint");
    const auto* report = find_constraint(found, id);
    same_where_given(
        one, "satisfactionState", below(what, id), report ? to_string(report->state) : ""
    );
  }
}

void Judge::duty(const Json& wanted, const DutyReport& found, const std::string& what) {
  same_where_given(
      wanted, "activationState", what, found.active == Truth::yes ? "Active" : "Inactive"
  );
  same_where_given(wanted, "deonticState", what + "/deonticState", to_string(found.state));
  constraints(wanted, "constraints", found.constraints, what);
}

void Judge::rule(const Json& wanted, const RuleReport& found, const std::string& what) {
  const bool active = all_premises_ ? found.active : found.applies;
  same_where_given(wanted, "activationState", what, active ? "Active" : "Inactive");
  same_where_given(wanted, "deonticState", what + "/deonticState", to_string(found.state));
  same_where_given(wanted, "attemptState", what + "/attemptState", "Attempted");
  if (const auto* match = member(wanted, "match")) {
    same(what + "/match", match->dump(), found.match ? "true" : "false");
  }
  constraints(wanted, "constraints", found.constraints, what);
  constraints(wanted, "refinements", found.refinements, what);
  const auto* conditions = member(wanted, "conditions");
  if (!conditions) return;
  for (const auto& one : *conditions) {
    const auto id = text(one, "rule");
    const auto report = std::ranges::find(found.conditions, RuleId(id), &DutyReport::duty);
    if (report == found.conditions.end()) {
      same(below(what, id), "Duty", "");
    } else {
      duty(one, *report, below(what, id));
    }
  }
}

void Judge::rules(const Decision& decision) {
  const auto* list = member(expected_, "rules");
  if (!list) return;
  for (const auto& one : *list) {
    const auto id = text(one, "rule");
    const auto what = "rules/" + id;
    if (text(one, "type") == "Duty") {
      const auto found = std::ranges::find(decision.duties, RuleId(id), &DutyReport::duty);
      if (found == decision.duties.end()) {
        same(what, "Duty", "");
      } else {
        duty(one, *found, what);
      }
      continue;
    }
    const auto found = std::ranges::find(decision.rules, RuleId(id), &RuleReport::rule);
    if (found == decision.rules.end()) {
      same(what, text(one, "activationState"), "");
    } else {
      rule(one, *found, what);
    }
  }
}

// Each member of a wanted parameter is a value as the policy writes it.
bool has_parameters(const Json& wanted, const Obligation& obligation) {
  const auto* list = member(wanted, "parameters");
  if (!list) return true;
  const Context context;
  for (auto it = list->begin(); it != list->end(); ++it) {
    std::vector<Literal> literals;
    std::vector<Problem> problems;
    if (!read_literals(it.value(), "", context, 4096, literals, problems)) return false;
    std::string written;
    for (const auto& one : literals) written += (written.empty() ? "" : ", ") + one.text;
    const auto operand = context.expand_term(it.key());
    const bool found = std::ranges::any_of(obligation.parameters, [&](const auto& one) {
      return one.operand == operand && one.text == written;
    });
    if (!found) return false;
  }
  return true;
}

bool is_wanted(const Json& wanted, const Obligation& obligation) {
  static constexpr auto plain =
      std::to_array<std::string_view>({"duty", "action", "phase", "deadline", "parameters"});
  const auto fits = [&](const char* name, std::string_view got) {
    const auto expected = text(wanted, name);
    return expected.empty() || expected == got;
  };
  const auto deadline = text(wanted, "deadline");
  for (auto it = wanted.begin(); it != wanted.end(); ++it) {
    if (std::ranges::find(plain, it.key()) != plain.end() || !it->is_string()) continue;
    const bool found = std::ranges::any_of(obligation.parties, [&](const auto& one) {
      return one.first == it.key() && one.second == it->get<std::string>();
    });
    if (!found) return false;
  }
  return fits("duty", obligation.duty.value) && fits("action", obligation.action) &&
         fits("phase", to_string(obligation.phase)) &&
         (deadline.empty() || instant(deadline) == obligation.at) &&
         has_parameters(wanted, obligation);
}

void Judge::obligations(const Decision& decision) {
  const auto* list = member(expected_, "obligations");
  if (!list) return;
  for (const auto& one : *list) {
    const bool met = std::ranges::any_of(decision.obligations, [&](const Obligation& obligation) {
      return is_wanted(one, obligation);
    });
    if (!met) same("obligations", one.dump(), "");
  }
}

void Judge::consume(const Decision& decision) {
  const auto* wanted = member(expected_, "consume");
  if (!wanted) return;
  const Consume got = decision.consume.empty() ? Consume{} : decision.consume.front();
  same("consume/rule", text(*wanted, "rule"), got.rule.value);
  if (const auto* after = member(*wanted, "countAfter")) {
    same("consume/countAfter", after->dump(), std::to_string(got.count_after));
  }
}

void Judge::decided(const Decision& decision, const std::vector<Problem>& warnings) {
  result_.permit = decision.permit;
  same_where_given(expected_, "decision", "decision", decision.permit ? "permit" : "deny");
  same_where_given(expected_, "reason", "reason", to_string(decision.reason));
  rules(decision);
  obligations(decision);
  codes("errors", decision.errors);
  codes("warnings", warnings);
  consume(decision);
}

void Judge::compared(const Comparison& comparison) {
  const auto got = std::string(to_string(comparison.verdict));
  const auto acceptable = texts(expected_, "acceptable");
  if (std::ranges::find(acceptable, got) != acceptable.end()) return;
  same("verdict", text(expected_, "verdict"), got);
}

void evaluate_case(const Json& document, CaseResult& result) {
  Judge judge(document, result);
  const auto written = policies_of(document);
  const auto options = load_options(document, written);
  const auto* stated = member(document, "options");
  const auto entry = stated ? text(*stated, "entryPolicy") : std::string();
  std::vector<PolicyPtr> policies;
  std::vector<Problem> warnings;
  for (const auto* one : written.documents) {
    if (!entry.empty() && one != written.find(entry)) continue;
    auto reading = read_policy(*one, options);
    if (!reading.policy) {
      judge.refused(reading);
      return;
    }
    const auto& told = reading.policy->warnings();
    warnings.insert(warnings.end(), told.begin(), told.end());
    policies.push_back(std::move(reading.policy));
  }
  const auto world = read_world(document.value("stateOfTheWorld", Json::object()));
  const auto wrong = [&](const Error& error) {
    result.differences.push_back({error.pointer, "odrl-case/1", error.message.code});
  };
  if (!world) return wrong(world.error());
  const auto* asked = member(document, "request");
  if (!asked) {  // a monitoring run
    judge.decided(monitor(*policies.front(), (*world)->world), warnings);
    result.permit.reset();
    return;
  }
  const auto request = read_request(*asked);
  if (!request) return wrong(request.error());
  std::vector<const CompiledPolicy*> together;
  together.reserve(policies.size());
  for (const auto& one : policies) together.push_back(one.get());
  std::vector<std::string> enforceable;
  const auto how = evaluate_options(document, enforceable);
  judge.decided(evaluate(together, *request, (*world)->world, how), warnings);
}

CompareFacts compare_facts(const Json& document) {
  CompareFacts out;
  const auto* facts = member(document, "facts");
  if (!facts) return out;
  if (const auto* steps = member(*facts, "taxonomy")) {
    for (const auto& one : *steps) {
      out.taxonomy.push_back({text(one, "narrower"), text(one, "broader")});
    }
  }
  if (const auto* pairs = member(*facts, "disjointness")) {
    constexpr std::string_view distinct = "pairwise-distinct: ";
    for (const auto& one : *pairs) {
      if (one.is_string()) {
        auto said = one.get<std::string>();
        if (said.starts_with(distinct)) said = said.substr(distinct.size());
        out.disjoint.emplace_back(said, "");
      } else if (one.is_array() && one.size() == 2) {
        out.disjoint.emplace_back(one[0].get<std::string>(), one[1].get<std::string>());
      }
    }
  }
  out.closed_world = text(*facts, "worldAssumption") == "closed";
  out.silent_is_unknown = text(*facts, "silentOperand") == "unknown";
  return out;
}

void compare_case(const Json& document, CaseResult& result) {
  Judge judge(document, result);
  const auto written = policies_of(document);
  const auto options = load_options(document, written);
  std::vector<PolicyPtr> policies;
  for (const auto* one : written.documents) {
    auto reading = read_policy(*one, options);
    if (!reading.policy) {
      judge.refused(reading);
      return;
    }
    policies.push_back(std::move(reading.policy));
  }
  const auto relation = text(document, "relation");
  const auto facts = compare_facts(document);
  if (relation == "realizable" && policies.size() == 1) {
    judge.compared(realizable(*policies[0], facts));
  } else if (policies.size() != 2) {
    result.differences.push_back({"policies", "2", std::to_string(policies.size())});
  } else if (relation == "joint") {
    judge.compared(joint(*policies[0], *policies[1], facts));
  } else if (relation == "verdict-vector") {
    judge.compared(per_operand(*policies[0], *policies[1], facts));
  } else if (relation == "refines") {
    judge.compared(refines(*policies[0], *policies[1], facts));
  } else if (relation == "conflicts") {
    judge.compared(conflicts(*policies[0], *policies[1], facts));
  } else {
    result.differences.push_back(
        {"relation", "joint|verdict-vector|refines|realizable|conflicts", relation}
    );
  }
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
  if (policies_of(document).documents.empty()) return not_a_case("policy");
  if (const auto decision = text(*expected, "decision"); !decision.empty()) {
    result.expected_permit = decision == "permit";
  }
  const auto kind = text(document, "kind");
  if (kind == "evaluate") {
    evaluate_case(document, result);
  } else if (kind == "compare") {
    compare_case(document, result);
  } else {
    return not_a_case("kind");
  }
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
    ++(result.passed() ? run.passed : run.failed);
    run.results.push_back(std::move(result));
  }
  return run;
}

}  // namespace tally::odrl
