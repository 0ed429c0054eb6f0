// Requests and states of the world from JSON.
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "tally/odrl/exchange.hpp"

#include "context.hpp"
#include "literals.hpp"

namespace tally::odrl {
namespace {

constexpr std::size_t most_values = 4096;

constexpr auto request_members = std::to_array<std::string_view>(
    {"id", "ruleId", "description", "assignee", "action", "target", "context"}
);
constexpr auto world_members = std::to_array<std::string_view>({
    "id",
    "includes",
    "currentTime",
    "clock",
    "side",
    "lastContact",
    "memberships",
    "types",
    "taxonomy",
    "attributes",
    "operandValues",
    "usage",
    "usageSegmentsDays",
    "overdue",
    "performedActions",
    "priorReports",
    "events",
    "references",
});

// The first fault; everything after it is read for nothing.
class Reader {
 public:
  void fault(Message message, std::string at) {
    if (!error_) error_ = Error{ErrorKind::invalid, std::move(message), std::move(at)};
  }
  void wrong_type(std::string_view member, std::string_view expected, std::string at) {
    fault(
        {"odrl.member-type",
         {{"member", std::string(member)}, {"expected", std::string(expected)}}},
        std::move(at)
    );
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  bool is_object(const Json& value, const std::string& at, std::string_view name) {
    if (value.is_object()) return true;
    wrong_type(name, "object", at);
    return false;
  }

  void check_members(
      const Json& object, const std::string& at, std::span<const std::string_view> known
  ) {
    for (auto it = object.begin(); it != object.end(); ++it) {
      if (std::ranges::find(known, it.key()) != known.end()) continue;
      const auto near = closest_term(it.key(), {known.begin(), known.end()});
      std::string all;
      for (const auto word : known) all += (all.empty() ? "" : ", ") + std::string(word);
      fault(
          near.empty() ? Message{"odrl.unknown-member-listed", {{"term", it.key()}, {"known", all}}}
                       : Message{"odrl.unknown-member", {{"term", it.key()}, {"closest", near}}},
          child(at, it.key())
      );
    }
  }

  // An absent or null member is an empty text.
  std::string text(const Json& object, std::string_view key, const std::string& at) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return {};
    if (found->is_string()) return found->get<std::string>();
    wrong_type(key, "string", child(at, key));
    return {};
  }

  std::string iri(const Json& object, std::string_view key, const std::string& at) {
    return context_.expand(text(object, key, at));
  }

  std::optional<Instant> instant(const Json& object, std::string_view key, const std::string& at) {
    const auto written = text(object, key, at);
    if (written.empty()) return std::nullopt;
    const auto parsed = parse_date_time(written);
    if (!parsed) {
      fault(
          {"odrl.invalid-literal", {{"value", written}, {"expected", "xsd:dateTime"}}},
          child(at, key)
      );
      return std::nullopt;
    }
    return parsed->instant;
  }

  template <class Visit>
  void each(const Json& object, std::string_view key, const std::string& at, Visit visit) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return;
    const auto place = child(at, key);
    if (!found->is_array()) {
      wrong_type(key, "array", place);
      return;
    }
    for (std::size_t i = 0; i < found->size(); ++i) {
      const auto inner = child(place, i);
      if (is_object((*found)[i], inner, key)) visit((*found)[i], inner);
    }
  }

  // The values of an operand. One that is none stays as such: what looks at it is unknown.
  Fact fact(std::string operand, const Json& value, const std::string& at, Source source) {
    Fact out;
    out.operand = context_.expand_term(operand);
    out.source = source;
    const auto known = find_operand(out.operand);
    const auto kind = known ? known_operands()[*known].kind : ValueKind::any;
    if (value.is_array() && value.empty()) return out;  // no value
    std::vector<Literal> literals;
    std::vector<Problem> problems;
    Json plain = value;
    // Verified is what a certificate says; of several values, when it says each.
    bool verified = true;
    const auto strip = [&](Json& one) {
      const bool says = one.is_object() && one.contains("verified");
      verified = verified && says && one["verified"] == Json(true);
      if (says) one.erase("verified");
    };
    if (plain.is_array()) {
      for (auto& one : plain) strip(one);
    } else {
      strip(plain);
    }
    if (verified) out.source = Source::certificate;
    if (!read_literals(plain, at, context_, most_values, literals, problems)) {
      fault(problems.front().message, problems.front().pointer);
      return out;
    }
    for (const auto& literal : literals) {
      out.values.push_back(type_value(literal, kind, 0));
      if (!literal.unit.empty()) out.unit = literal.unit;
    }
    return out;
  }

  void facts(
      const Json& object,
      std::string_view key,
      const std::string& at,
      Source source,
      const std::string& entity,
      std::vector<Fact>& out
  ) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return;
    const auto place = child(at, key);
    if (!is_object(*found, place, key)) return;
    for (auto it = found->begin(); it != found->end(); ++it) {
      auto one = fact(it.key(), it.value(), child(place, it.key()), source);
      one.entity = entity;
      out.push_back(std::move(one));
    }
  }

  [[nodiscard]] const Context& context() const { return context_; }

 private:
  Context context_;
  std::optional<Error> error_;
};

void read_usage(Reader& in, const Json& document, WorldDocument& out) {
  const auto found = document.find("usage");
  if (found == document.end()) return;
  if (found->is_null()) {
    out.world.usage_known = false;
    return;
  }
  static constexpr auto known = std::to_array<std::string_view>(
      {"rule", "unit", "count", "firstUse", "lastUse", "metered", "uses"}
  );
  in.each(document, "usage", "", [&](const Json& one, const std::string& at) {
    in.check_members(one, at, known);
    UsageEntry entry;
    entry.rule = RuleId(in.text(one, "rule", at));
    entry.unit = in.text(one, "unit", at);
    if (const auto count = one.find("count"); count != one.end()) {
      if (count->is_number_integer() && count->get<std::int64_t>() >= 0) {
        entry.usage.count = count->get<std::int64_t>();
      } else {
        in.wrong_type("count", "xsd:nonNegativeInteger", child(at, "count"));
      }
    }
    entry.usage.first_use = in.instant(one, "firstUse", at);
    entry.usage.last_use = in.instant(one, "lastUse", at);
    if (const auto metered = in.text(one, "metered", at); !metered.empty()) {
      entry.usage.metered = parse_duration(metered);
      if (!entry.usage.metered) in.wrong_type("metered", "xsd:duration", child(at, "metered"));
    }
    if (const auto uses = one.find("uses"); uses != one.end() && uses->is_array()) {
      entry.usage.recent_uses.emplace();
      for (const auto& use : *uses) {
        const auto when = use.is_string() ? parse_date_time(use.get<std::string>()) : std::nullopt;
        if (when) entry.usage.recent_uses->push_back(when->instant);
        if (!when) in.wrong_type("uses", "xsd:dateTime", child(at, "uses"));
      }
    }
    out.usage.push_back(std::move(entry));
  });
}

void read_duty_states(Reader& in, const Json& document, WorldDocument& out) {
  in.each(document, "priorReports", "", [&](const Json& report, const std::string& at) {
    in.each(report, "rules", at, [&](const Json& rule, const std::string& place) {
      const auto state = in.text(rule, "deonticState", place);
      DutyState one;
      one.duty = RuleId(in.text(rule, "rule", place));
      one.fulfilled = state == "Fulfilled";
      one.violated = state == "Violated";
      out.duty_states.push_back(std::move(one));
    });
  });
  const auto overdue = document.find("overdue");
  if (overdue == document.end()) return;
  if (!overdue->is_array()) {
    in.wrong_type("overdue", "array", "/overdue");
    return;
  }
  out.tells_overdue = true;
  for (const auto& one : *overdue) {
    if (one.is_string()) {
      out.overdue.emplace_back(one.get<std::string>());
    } else {
      in.wrong_type("overdue", "array", "/overdue");
    }
  }
}

void read_performed(Reader& in, const Json& document, WorldDocument& out) {
  in.each(document, "performedActions", "", [&](const Json& one, const std::string& at) {
    PerformedAct act;
    act.action = in.context().expand_term(in.text(one, "action", at));
    act.party = in.iri(one, "party", at);
    act.target = in.iri(one, "target", at);
    act.at = in.instant(one, "at", at);
    in.facts(one, "values", at, Source::measured, {}, act.values);
    out.performed.push_back(std::move(act));
  });
}

void read_relations(Reader& in, const Json& document, WorldDocument& out) {
  const auto pairs = [&](const char* key, const char* first, const char* second, auto&& add) {
    const auto known = std::to_array<std::string_view>({first, second});
    in.each(document, key, "", [&](const Json& one, const std::string& at) {
      in.check_members(one, at, known);
      add(in.iri(one, first, at), in.iri(one, second, at));
    });
  };
  pairs("memberships", "member", "partOf", [&](std::string a, std::string b) {
    out.memberships.push_back({std::move(a), std::move(b)});
  });
  pairs("types", "entity", "type", [&](std::string a, std::string b) {
    out.types.push_back({std::move(a), std::move(b)});
  });
  pairs("taxonomy", "narrower", "broader", [&](std::string a, std::string b) {
    out.taxonomy.push_back({std::move(a), std::move(b)});
  });
}

void read_facts(Reader& in, const Json& document, WorldDocument& out) {
  in.facts(document, "operandValues", "", Source::measured, {}, out.facts);
  const auto attributes = document.find("attributes");
  if (attributes != document.end() && in.is_object(*attributes, "/attributes", "attributes")) {
    for (auto it = attributes->begin(); it != attributes->end(); ++it) {
      const auto entity = in.context().expand(it.key());
      in.facts(*attributes, it.key(), "/attributes", Source::registration, entity, out.facts);
    }
  }
  const auto references = document.find("references");
  if (references == document.end()) return;
  if (!in.is_object(*references, "/references", "references")) return;
  for (auto it = references->begin(); it != references->end(); ++it) {
    const auto at = child("/references", it.key());
    auto fact = in.fact("reference", it.value(), at, Source::measured);
    out.references.push_back({in.context().expand(it.key()), std::move(fact.values)});
  }
}

void lend(WorldDocument& out) {
  auto& world = out.world;
  world.usage = out.usage;
  if (out.tells_overdue) world.overdue = out.overdue;
  world.taxonomy = out.taxonomy;
  world.facts = out.facts;
  world.memberships = out.memberships;
  world.types = out.types;
  world.performed = out.performed;
  world.duty_states = out.duty_states;
  world.events = out.events;
  world.references = out.references;
}

}  // namespace

Result<Request> read_request(const Json& document, Source source) {
  Reader in;
  Request out;
  if (in.is_object(document, "", "request")) {
    in.check_members(document, "", request_members);
    out.assignee = in.iri(document, "assignee", "");
    const auto action = in.text(document, "action", "");
    if (!action.empty()) out.action = in.context().expand_term(action);
    out.target = in.iri(document, "target", "");
    in.facts(document, "context", "", source, {}, out.declared);
  }
  if (in.error()) return tl::unexpected(*in.error());
  return out;
}

Result<std::unique_ptr<WorldDocument>> read_world(const Json& document) {
  Reader in;
  auto out = std::make_unique<WorldDocument>();
  if (in.is_object(document, "", "stateOfTheWorld")) {
    in.check_members(document, "", world_members);
    const auto now = in.instant(document, "currentTime", "");
    if (now) out->world.now = *now;
    const auto clock = in.text(document, "clock", "");
    if (!clock.empty() && clock != "reliable" && clock != "unreliable") {
      in.wrong_type("clock", "reliable|unreliable", "/clock");
    }
    out->world.clock_reliable = now && clock != "unreliable";
    const auto side = in.text(document, "side", "");
    if (!side.empty() && side != "provider" && side != "consumer") {
      in.wrong_type("side", "provider|consumer", "/side");
    }
    out->world.here = side == "provider" ? Side::provider : Side::consumer;
    out->world.last_contact = in.instant(document, "lastContact", "");
    read_relations(in, document, *out);
    read_facts(in, document, *out);
    read_usage(in, document, *out);
    read_duty_states(in, document, *out);
    read_performed(in, document, *out);
    in.each(document, "events", "", [&](const Json& one, const std::string& at) {
      out->events.push_back(
          {in.iri(one, "event", at), in.instant(one, "start", at), in.instant(one, "end", at)}
      );
    });
  }
  if (in.error()) return tl::unexpected(*in.error());
  lend(*out);
  return out;
}

}  // namespace tally::odrl
