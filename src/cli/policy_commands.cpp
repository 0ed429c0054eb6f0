#include "policy_commands.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/clock.hpp"
#include "tally/core/limits.hpp"
#include "tally/odrl/cases.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/exchange.hpp"
#include "tally/odrl/explain.hpp"
#include "tally/odrl/templates.hpp"
#include "tally/odrl/vocabulary.hpp"

#include "files.hpp"
#include "system_random.hpp"

namespace tally::cli {

namespace {

Result<Json> read_json(const std::filesystem::path& file) {
  const auto text = read_text(file);
  if (!text) return fail(text.error().kind, text.error().message);
  const Limits limits;
  return parse_json(*text, {limits.policy_bytes, limits.json_depth});
}

// A policy, or the policy of an offer file of the `policies/` folder.
struct Written {
  Json policy;
  bool is_offer_file = false;
};
Written policy_of(Json document) {
  if (!document.is_object() || !document.contains("policy")) return {std::move(document), false};
  return {std::move(document.at("policy")), true};
}

// Of one file: what refuses it, what this connector cannot enforce, and what is worth knowing.
struct Checked {
  std::vector<odrl::Problem> problems;
  std::vector<odrl::Problem> not_enforced;
  std::vector<odrl::Problem> warnings;
  odrl::PolicyPtr policy;
};

// An offer file is checked as the connector reads it; a policy by itself as the language has it.
Checked check(Json document) {
  Checked checked;
  const auto written = policy_of(std::move(document));
  odrl::LoadOptions options;
  options.enforced_only = written.is_offer_file;
  if (written.is_offer_file) options.required_type = odrl::PolicyType::offer;
  const auto policy = odrl::load_policy(written.policy, options);
  if (!policy) {
    checked.problems = policy.error();
  } else {
    checked.warnings = (*policy)->warnings();
    for (auto& concern : odrl::concerns(**policy)) checked.warnings.push_back(std::move(concern));
    checked.policy = *policy;
    options.enforced_only = true;
    if (const auto enforced = odrl::load_policy(written.policy, options); !enforced) {
      checked.not_enforced = enforced.error();
    }
  }
  if (written.is_offer_file) {
    for (auto* list : {&checked.problems, &checked.warnings}) {
      for (auto& problem : *list) problem.pointer.insert(0, "/policy");
    }
  }
  return checked;
}

Json to_json(const Console& console, const std::vector<odrl::Problem>& problems) {
  Json out = Json::array();
  for (const auto& problem : problems) {
    auto& one = out.emplace_back(console.message_json(problem.message));
    one["pointer"] = problem.pointer;
  }
  return out;
}

void say(
    const Console& console,
    const char* code,
    const std::filesystem::path& file,
    const std::vector<odrl::Problem>& problems
) {
  for (const auto& problem : problems) {
    console.say(
        {code,
         {{"file", file.string()},
          {"pointer", problem.pointer.empty() ? "/" : problem.pointer},
          {"what", console.text(problem.message)}}}
    );
  }
}

// What a rule of `policy` has against a rule of those that were read before it. Offers of one
// asset may contradict each other on purpose, so it refuses nothing.
Json contradictions(
    const Console& console,
    const std::vector<std::pair<std::string, odrl::PolicyPtr>>& earlier,
    const odrl::PolicyPtr& policy
) {
  Json out = Json::array();
  if (!policy) return out;
  for (const auto& [other, compared] : earlier) {
    const auto found = odrl::conflicts(*policy, *compared);
    if (found.verdict != odrl::Verdict::conflict) continue;
    auto& one = out.emplace_back(odrl::to_json(found, console.lang));
    one["other"] = other;
  }
  return out;
}

}  // namespace

int policy_check(const Console& console, const std::vector<std::filesystem::path>& files) {
  bool refused_any = false;
  bool unreadable = false;
  Json report = Json::array();
  std::vector<std::pair<std::string, odrl::PolicyPtr>> sound;
  for (const auto& file : files) {
    const auto text = read_text(file);
    if (!text) {
      unreadable = true;
      console.fail(text.error(), usage);
      continue;
    }
    Checked checked;
    if (auto document = read_json(file)) {
      checked = check(std::move(*document));
    } else {
      checked.problems.push_back({document.error().message, document.error().pointer});
    }
    refused_any = refused_any || !checked.problems.empty();
    const auto against = contradictions(console, sound, checked.policy);
    if (checked.policy) sound.emplace_back(file.string(), checked.policy);
    if (console.json) {
      report.push_back(
          {{"file", file.string()},
           {"problems", to_json(console, checked.problems)},
           {"notEnforced", to_json(console, checked.not_enforced)},
           {"warnings", to_json(console, checked.warnings)},
           {"contradicts", against}}
      );
      continue;
    }
    say(console, "cli.policy-problem", file, checked.problems);
    say(console, "cli.policy-not-enforced", file, checked.not_enforced);
    say(console, "cli.policy-warning", file, checked.warnings);
    for (const auto& one : against) {
      console.say(
          {"cli.policies-conflict",
           {{"file", file.string()}, {"other", one.at("other")}, {"what", one.at("message")}}}
      );
    }
    if (!checked.problems.empty()) continue;
    const bool all = checked.not_enforced.empty();
    console.say({all ? "cli.policy-good" : "cli.policy-understood", {{"file", file.string()}}});
  }
  if (console.json) console.print(report.dump(2));
  return unreadable ? usage : refused_any ? refused : done;
}

int policy_cases(const Console& console, const std::vector<std::filesystem::path>& paths) {
  const auto run = odrl::run_cases(paths);
  if (!run) return console.fail(run.error(), usage);
  Json failed = Json::array();
  for (const auto& result : run->results) {
    if (result.passed()) continue;
    std::string differences;
    for (const auto& one : result.differences) {
      const std::map<std::string, std::string> params{
          {"case", result.id},
          {"file", result.file},
          {"what", one.what},
          {"expected", one.expected.empty() ? "-" : one.expected},
          {"got", one.got.empty() ? "-" : one.got},
      };
      failed.push_back(params);
      differences += (differences.empty() ? "" : "; ") + console.text({"cli.case-differs", params});
    }
    if (console.json) continue;
    console.say(
        {"cli.case-failed",
         {{"case", result.id}, {"file", result.file}, {"differences", differences}}}
    );
  }
  if (console.json) {
    const Json out = {{"passed", run->passed}, {"failed", run->failed}, {"differences", failed}};
    console.print(out.dump(2));
  } else {
    console.say(
        {"cli.cases-done",
         {{"passed", std::to_string(run->passed)}, {"failed", std::to_string(run->failed)}}}
    );
  }
  return run->failed == 0 ? done : refused;
}

namespace {

// The policy for looking at it: what is unknown in it stays unknown and refuses.
Result<odrl::Reading> read_for_looking(const std::filesystem::path& file) {
  auto document = read_json(file);
  if (!document) return tl::unexpected(std::move(document.error()));
  return odrl::read_policy(policy_of(std::move(*document)).policy);
}

int say_problems(
    const Console& console,
    const std::filesystem::path& file,
    const std::vector<odrl::Problem>& problems
) {
  if (console.json) {
    const Json out = {{"file", file.string()}, {"problems", to_json(console, problems)}};
    console.print(out.dump(2));
  } else {
    say(console, "cli.policy-problem", file, problems);
  }
  return refused;
}

Error with_file(Error error, const std::filesystem::path& file) {
  const auto at = error.pointer.empty() ? std::string("/") : error.pointer;
  error.message = {
      "cli.file-fault",
      {{"file", file.string()}, {"pointer", at}, {"what", render(error.message, Lang::en)}}};
  return error;
}

}  // namespace

int policy_eval(const Console& console, const EvalOptions& options) {
  const auto reading = read_for_looking(options.policy);
  if (!reading) return console.fail(reading.error(), usage);
  if (!reading->policy) return say_problems(console, options.policy, reading->problems);
  const auto request_json = read_json(options.request);
  if (!request_json) return console.fail(with_file(request_json.error(), options.request), usage);
  const auto world_json = read_json(options.world);
  if (!world_json) return console.fail(with_file(world_json.error(), options.world), usage);
  const auto request = odrl::read_request(*request_json);
  if (!request) return console.fail(with_file(request.error(), options.request), usage);
  const auto world = odrl::read_world(*world_json);
  if (!world) return console.fail(with_file(world.error(), options.world), usage);
  const auto decision = odrl::evaluate(
      *reading->policy,
      *request,
      (*world)->world,
      {options.full ? odrl::Explain::full : odrl::Explain::decisive}
  );
  if (console.json) {
    auto out = odrl::to_json(decision, console.lang);
    out["policyDigest"] = digest_text(reading->policy->digest());
    out["warnings"] = Json::array();
    for (const auto& one : reading->policy->warnings()) {
      out["warnings"].push_back(odrl::to_json(one, console.lang));
    }
    out["text"] = Json::array();
    for (const auto& message : odrl::explain(decision)) {
      out["text"].push_back(console.text(message));
    }
    console.print(out.dump(2));
  } else {
    for (const auto& message : odrl::explain(decision)) console.say(message);
  }
  return decision.permit ? done : refused;
}

int policy_compare(
    const Console& console, const std::filesystem::path& a, const std::filesystem::path& b
) {
  const auto first = read_for_looking(a);
  if (!first) return console.fail(first.error(), usage);
  if (!first->policy) return say_problems(console, a, first->problems);
  const auto second = read_for_looking(b);
  if (!second) return console.fail(second.error(), usage);
  if (!second->policy) return say_problems(console, b, second->problems);
  const auto& one = *first->policy;
  const auto& other = *second->policy;
  const std::vector<std::pair<const char*, odrl::Comparison>> answers{
      {"joint", odrl::joint(one, other)},
      {"refines", odrl::refines(one, other)},
      {"refinedBy", odrl::refines(other, one)},
      {"conflicts", odrl::conflicts(one, other)},
      {"realizable", odrl::realizable(one)},
      {"otherRealizable", odrl::realizable(other)},
  };
  Json out = Json::object();
  for (const auto& [relation, answer] : answers) {
    if (console.json) {
      out[relation] = odrl::to_json(answer, console.lang);
    } else {
      console.say(
          {"cli.compared",
           {{"relation", relation},
            {"verdict", std::string(odrl::to_string(answer.verdict))},
            {"what", console.text(answer.message)}}}
      );
    }
  }
  if (console.json) console.print(out.dump(2));
  return answers[1].second.verdict == odrl::Verdict::refines ? done : refused;
}

int policy_explain(const Console& console, const std::filesystem::path& file) {
  const auto reading = read_for_looking(file);
  if (!reading) return console.fail(reading.error(), usage);
  if (!reading->policy) return say_problems(console, file, reading->problems);
  const auto lines = odrl::read_out(*reading->policy, console.lang);
  if (console.json) {
    const Json out = {
        {"policy", reading->policy->uid()},
        {"sentences", lines},
        {"doubts", to_json(console, reading->doubts)}};
    console.print(out.dump(2));
    return done;
  }
  for (const auto& line : lines) console.print(line);
  say(console, "cli.policy-warning", file, reading->doubts);
  return done;
}

Result<Json> filled_template(const NewOptions& options) {
  const auto* from = odrl::find_template(options.name);
  if (!from) {
    std::vector<std::string_view> names;
    std::string known;
    for (const auto& one : odrl::policy_templates()) {
      names.push_back(one.name);
      known += (known.empty() ? "" : ", ") + one.name;
    }
    const auto near = closest_term(options.name, names);
    return fail(
        ErrorKind::invalid,
        {"cli.template-unknown",
         {{"name", options.name}, {"closest", near.empty() ? known : std::string(near)}}}
    );
  }
  odrl::TemplateValues values;
  for (const auto& pair : options.values) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorKind::invalid, {"cli.set-malformed", {{"text", pair}}});
    }
    values[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  std::string uid;
  if (const auto found = values.find("uid"); found != values.end()) {
    uid = found->second;
    values.erase(found);
  }
  auto policy = odrl::fill(*from, values);
  if (!policy) return policy;
  if (uid.empty()) {
    SystemRandom random;
    uid = "urn:uuid:" + uuid_v4(random);
  }
  (*policy)["@id"] = uid;
  return policy;
}

int policy_new(const Console& console, const NewOptions& options) {
  const auto policy = filled_template(options);
  if (!policy) return console.fail(policy.error(), usage);
  console.print(policy->dump(2));
  return done;
}

int policy_templates(const Console& console) {
  if (console.json) {
    Json out = Json::array();
    for (const auto& one : odrl::policy_templates()) {
      auto& entry = out.emplace_back(Json{
          {"template", one.name},
          {"class", one.usage_class},
          {"wire", one.wire},
          {"english", one.english},
          {"chinese", one.chinese},
          {"parameters", Json::array()}});
      for (const auto& parameter : one.parameters) {
        entry["parameters"].push_back(
            {{"name", parameter.name}, {"type", parameter.type}, {"example", parameter.example}}
        );
      }
    }
    console.print(out.dump(2));
    return done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : odrl::policy_templates()) {
    std::string parameters;
    for (const auto& parameter : one.parameters) {
      parameters += (parameters.empty() ? "" : ", ") + parameter.name;
    }
    rows.push_back({one.name, parameters, console.lang == Lang::zh ? one.chinese : one.english});
  }
  console.table({"template", "parameters", "meaning"}, rows);
  return done;
}

int policy_terms(const Console& console) {
  if (console.json) {
    console.print(odrl::policy_terms().dump(2));
    return done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& term : odrl::known_operands()) {
    if (term.role == odrl::OperandRole::parameter) continue;
    const auto name = "odrl.operand-" + std::string(odrl::local_name(term.iri));
    rows.push_back(
        {std::string(odrl::as_written(term.iri)),
         std::string(odrl::to_string(term.kind)),
         std::string(term.vouchers.empty() ? "-" : term.vouchers),
         console.text({name, {}})}
    );
  }
  console.table({"operand", "type", "vouched", "meaning"}, rows);
  return done;
}

}  // namespace tally::cli
