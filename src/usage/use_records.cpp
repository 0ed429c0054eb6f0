#include "use_records.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/canonical_value.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::usage {
namespace {

constexpr std::string_view ledger_member = "ledger";

// The members of a record are written where they stand: a use has twenty, and a tree or a string
// for each of them would be felt.

void put_text(std::string& out, std::string_view text) {
  // Ids and purposes hardly ever need an escape.
  const bool plain = std::none_of(text.begin(), text.end(), [](char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
  });
  if (!plain) {
    out += to_jcs(Json(text));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

template <class Number>
void put_number(std::string& out, Number number) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void put_rules(std::string& out, const Session& session) {
  out += '[';
  for (const auto& rule : session.rules) {
    if (out.back() != '[') out += ',';
    put_text(out, rule.value);
  }
  out += ']';
}

// Absent: nobody asked how long it took. nullopt: not as it must be.
std::optional<Session> read_session(std::string_view micros, std::string_view rules) {
  Session session;
  if (micros.empty()) return session;
  const auto taken = audit::integer_of(micros);
  if (!taken || *taken < 0 || !audit::is_list(rules)) return std::nullopt;
  session.micros = *taken;
  for (audit::ArrayValues each(rules); const auto rule = each.next();) {
    if (!audit::is_text(*rule)) return std::nullopt;
    session.rules.emplace_back(audit::unquote(*rule));
  }
  return session;
}

void set_act(audit::RecordDraft& draft, const Act& act) {
  draft.about(act.agreement).set("action", short_action(act.action));
  if (!act.app.empty()) draft.set("app", act.app.value);
  if (act.fact) draft.set("private", *act.fact);
  if (act.purposes.size() == 1) {
    draft.set("purpose", act.purposes.front());
  } else if (!act.purposes.empty()) {
    draft.set_json("purpose", Json(act.purposes));
  }
  // The clock is always vouched for in the same way, and a party by its certificate or
  // registration; what is otherwise is said.
  std::string sources;
  if (act.by_credential) sources = "\"party\":\"credential\"";
  if (!act.purposes.empty()) {
    if (!sources.empty()) sources += ',';
    sources += "\"purpose\":";
    put_text(sources, odrl::to_string(act.purpose_source));
  }
  if (!sources.empty()) draft.set_canonical("sources", "{" + sources + "}");
}

}  // namespace

std::string_view to_string(Closed state) {
  switch (state) {
    case Closed::open:
      return "open";
    case Closed::suspended:
      return "suspended";
    case Closed::expired:
      return "expired";
    case Closed::terminated:
      return "terminated";
  }
  return "terminated";
}

std::optional<Closed> parse_closed(std::string_view text) {
  for (const auto state : {Closed::open, Closed::suspended, Closed::expired, Closed::terminated}) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

void mark_ledger(audit::RecordDraft& record, Closed state) {
  record.set(ledger_member, to_string(state));
}

tl::unexpected<Error> unreadable(const audit::RecordView& record, std::string_view member) {
  return fail(
      ErrorKind::internal,
      {"usage.record-unreadable",
       {{"seq", std::to_string(record.seq)},
        {"type", std::string(record.type)},
        {"member", std::string(member)},
        {"file", std::string(record.file)}}}
  );
}

std::string short_action(std::string_view action) {
  if (action.starts_with(odrl::iri::odrl)) action.remove_prefix(odrl::iri::odrl.size());
  return std::string(action);
}

std::string key_digest(const Act& act, std::string_view name) {
  // Lengths before texts: two different lists never give the same bytes.
  Sha256 hash;
  const auto add = [&hash](std::string_view text) {
    hash.update(std::to_string(text.size()));
    hash.update(":");
    hash.update(text);
  };
  add(act.party.domain);
  add(act.party.uri);
  add(act.app.value);
  add(act.action);
  auto purposes = act.purposes;
  std::sort(purposes.begin(), purposes.end());
  hash.update(std::to_string(purposes.size()));
  for (const auto& purpose : purposes) add(purpose);
  add(act.agreement.value);
  add(name);
  const Digest digest = hash.finish();
  return to_base64url(std::span(digest).first(12));
}

audit::RecordDraft permit_draft(
    const Act& act, const EventId& event, Instant at, const std::string& key
) {
  audit::RecordDraft draft("use.permitted", event);
  set_act(draft, act);
  // The outcome and its reason are the type of the record.
  draft.set_canonical("decision", "{\"at\":\"" + format_micros(at) + "\"}");
  if (!key.empty()) draft.set("key", key);
  if (act.repeats) draft.set("repeats", act.repeats->use.value);
  return draft;
}

void set_rules(audit::RecordDraft& draft, const std::vector<odrl::Consume>& adds) {
  std::string text = "[";
  for (const auto& add : adds) {
    text += text.size() > 1 ? ",{\"id\":" : "{\"id\":";
    put_text(text, add.rule.value);
    if (add.metered) text += ",\"metered\":true";
    text += ",\"n\":";
    put_number(text, add.n);
    if (!add.unit.empty()) {
      text += ",\"unit\":";
      put_text(text, add.unit);
    }
    if (add.window > 0) {
      text += ",\"window\":";
      put_number(text, add.window);
    }
    text += '}';
  }
  text += ']';
  draft.set_canonical("rules", text);
}

audit::RecordDraft denied_draft(
    const Act& act,
    const EventId& event,
    Instant at,
    const odrl::Decision& decision,
    const Message& code
) {
  audit::RecordDraft draft("use.denied", event);
  set_act(draft, act);
  std::string why = "{\"at\":\"" + format_micros(at) + "\",\"outcome\":\"deny\",\"reason\":";
  put_text(why, odrl::to_string(decision.reason));
  why += '}';
  draft.set_canonical("decision", why);
  Message reason = code;
  reason.params.erase("agreement");  // a member of its own
  draft.set("reason", reason);
  if (!decision.decisive_rule.empty()) draft.set("rule", decision.decisive_rule.value);
  if (!act.process.empty()) draft.set("pid", act.process.value);
  return draft;
}

audit::RecordDraft executed_draft(
    const AgreementId& agreement, const EventId& event, const std::vector<Completion>& uses
) {
  audit::RecordDraft draft("use.executed", event);
  draft.about(agreement);
  std::string text = "[";
  for (const auto& done : uses) {
    text += text.size() > 1 ? ",{\"bytes\":" : "{\"bytes\":";
    put_number(text, done.outcome.bytes);
    if (!done.outcome.content.empty()) {
      text += ",\"content\":";
      put_text(text, done.outcome.content);
    }
    if (!done.session.rules.empty()) {
      text += ",\"micros\":";
      put_number(text, done.session.micros);
    }
    if (!done.outcome.complete) text += ",\"outcome\":\"cut\"";  // absent: all of it went out
    if (done.outcome.rows) {
      text += ",\"rows\":";
      put_number(text, *done.outcome.rows);
    }
    if (!done.session.rules.empty()) {
      text += ",\"rules\":";
      put_rules(text, done.session);
    }
    text += ",\"use\":";
    put_text(text, done.use);
    text += '}';
  }
  text += ']';
  draft.set_canonical("uses", text);
  return draft;
}

audit::RecordDraft aborted_draft(
    const AgreementId& agreement, const EventId& event, const std::string& use
) {
  audit::RecordDraft draft("use.aborted", event);
  draft.about(agreement).set("use", use);
  return draft;
}

audit::RecordDraft interrupted_draft(
    const AgreementId& agreement,
    const EventId& event,
    const std::string& use,
    const Session& session
) {
  audit::RecordDraft draft("use.interrupted", event);
  draft.about(agreement).set("use", use);
  if (!session.rules.empty()) {
    std::string rules;
    put_rules(rules, session);
    draft.set_canonical("micros", std::to_string(session.micros));
    draft.set_canonical("rules", rules);
  }
  return draft;
}

// The chain has taken the record, so its text is canonical: a start reads a hundred thousand of
// them, and a tree for each member would be most of its time.

Result<UsePtr> read_permit(const audit::RecordView& record) {
  auto use = std::make_shared<Use>();
  use->id = std::string(record.event);
  use->seq = record.seq;
  use->leaf = record.leaf;

  static constexpr std::array<std::string_view, 3> members = {"decision", "key", "rules"};
  std::array<std::string_view, members.size()> values;
  audit::find_members(record.text, members, values);
  const auto& [decision, key, rules] = values;
  if (!audit::is_object(decision)) return unreadable(record, "decision");
  // No time has an escape.
  const auto at = parse_date_time(audit::plain_content(audit::find_member(decision, "at")));
  if (!at) return unreadable(record, "decision");
  use->at = at->instant;

  if (!audit::is_list(rules)) return unreadable(record, "rules");
  for (audit::ArrayValues each(rules); const auto rule = each.next();) {
    if (!audit::is_object(*rule)) return unreadable(record, "rules");
    const auto id = audit::find_member(*rule, "id");
    const auto n = audit::integer_of(audit::find_member(*rule, "n"));
    if (!audit::is_text(id) || !n || *n <= 0) return unreadable(record, "rules");
    odrl::Consume add;
    add.rule = RuleId(audit::unquote(id));
    add.n = *n;
    add.unit = audit::unquote(audit::find_member(*rule, "unit"));
    add.metered = audit::find_member(*rule, "metered") == "true";
    const auto window = audit::find_member(*rule, "window");
    if (!window.empty()) {
      const auto seconds = audit::integer_of(window);
      if (!seconds || *seconds <= 0) return unreadable(record, "rules");
      add.window = *seconds;
    }
    use->adds.push_back(std::move(add));
  }

  if (!key.empty()) {
    if (!audit::is_text(key)) return unreadable(record, "key");
    use->key = audit::unquote(key);
  }
  return use;
}

Result<std::vector<EndedUse>> read_uses(const audit::RecordView& record) {
  std::vector<EndedUse> found;
  if (record.type != "use.executed") {
    const auto use = record.raw("use");
    if (!audit::is_text(use)) return unreadable(record, "use");
    auto session = read_session(record.raw("micros"), record.raw("rules"));
    if (!session) return unreadable(record, "rules");
    found.push_back({audit::unquote(use), *std::move(session)});
    return found;
  }
  const auto uses = record.raw("uses");
  if (!audit::is_list(uses)) return unreadable(record, "uses");
  for (audit::ArrayValues each(uses); const auto done = each.next();) {
    const auto use =
        audit::is_object(*done) ? audit::find_member(*done, "use") : std::string_view();
    if (!audit::is_text(use)) return unreadable(record, "uses");
    auto session =
        read_session(audit::find_member(*done, "micros"), audit::find_member(*done, "rules"));
    if (!session) return unreadable(record, "uses");
    found.push_back({audit::unquote(use), *std::move(session)});
  }
  return found;
}

Result<std::optional<Closed>> read_ledger(const audit::RecordView& record) {
  if (const auto raw = record.raw(ledger_member); !raw.empty()) {
    const auto state = parse_closed(audit::plain_content(raw));  // none has an escape
    if (!state) return unreadable(record, ledger_member);
    return state;
  }
  if (record.type == "contract.terminated" || record.type == "policy.revoked") {
    return std::optional(Closed::terminated);
  }
  if (record.type == "policy.expired") return std::optional(Closed::expired);
  return std::optional<Closed>();
}

}  // namespace tally::usage
