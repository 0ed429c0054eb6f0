#include "tally/negotiation/rule_book.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tally/catalog/strict_object.hpp"
#include "tally/negotiation/own_offer.hpp"

namespace tally::negotiation {

namespace {

using catalog::Document;
using catalog::Problem;
using catalog::StrictObject;
using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;

constexpr std::array<std::pair<Act, std::string_view>, 12> act_names{{
    {Act::offer, "offer"},
    {Act::agree, "agree"},
    {Act::finalize, "finalize"},
    {Act::accept, "accept"},
    {Act::counter, "counter"},
    {Act::verify, "verify"},
    {Act::start, "start"},
    {Act::resume, "resume"},
    {Act::suspend, "suspend"},
    {Act::complete, "complete"},
    {Act::terminate, "terminate"},
    {Act::wait, "wait"},
}};

constexpr std::array negotiation_states{
    NegotiationState::requested,
    NegotiationState::offered,
    NegotiationState::accepted,
    NegotiationState::agreed,
    NegotiationState::verified,
};
constexpr std::array transfer_states{
    TransferState::requested,
    TransferState::started,
    TransferState::suspended,
};

constexpr Nanos longest_delay = seconds(24L * 3600);
constexpr int highest_occurrence = 1'000;
constexpr std::size_t longest_reason = 400;

bool may_act(NegotiationState state, Act act, Role role) {
  const auto may = [&](NegotiationEvent event) { return dsp::may_send(state, event, role); };
  switch (act) {
    case Act::offer:
      return may(NegotiationEvent::offer);
    case Act::agree:
      return may(NegotiationEvent::agreement);
    case Act::finalize:
      return may(NegotiationEvent::finalized);
    case Act::accept:
      return may(NegotiationEvent::accepted);
    case Act::counter:
      return may(NegotiationEvent::counter_request);
    case Act::verify:
      return may(NegotiationEvent::verification);
    case Act::terminate:
      return may(NegotiationEvent::termination);
    case Act::wait:
      return true;
    case Act::start:
    case Act::resume:
    case Act::suspend:
    case Act::complete:
      break;
  }
  return false;
}

bool may_act(TransferState state, Act act, Role role) {
  const auto may = [&](TransferEvent event) { return dsp::may_send(state, event, role); };
  switch (act) {
    case Act::start:
      return state == TransferState::requested && may(TransferEvent::start);
    case Act::resume:
      return state == TransferState::suspended && may(TransferEvent::start);
    case Act::suspend:
      return may(TransferEvent::suspension);
    case Act::complete:
      return may(TransferEvent::completion);
    case Act::terminate:
      return may(TransferEvent::termination);
    case Act::wait:
      return true;
    case Act::offer:
    case Act::agree:
    case Act::finalize:
    case Act::accept:
    case Act::counter:
    case Act::verify:
      break;
  }
  return false;
}

template <class States>
std::vector<std::string_view> names_of(const States& states) {
  std::vector<std::string_view> names;
  for (const auto state : states) names.push_back(dsp::to_string(state));
  return names;
}

template <class States>
std::vector<std::string_view> acts_in(const States& states, std::string_view state, Role role) {
  std::vector<std::string_view> names;
  for (const auto one : states) {
    if (dsp::to_string(one) != state) continue;
    for (const auto& [act, name] : act_names) {
      if (may_act(one, act, role)) names.push_back(name);
    }
  }
  return names;
}

bool fits(const std::string& pattern, const std::string& value) {
  if (pattern.empty()) return true;
  if (!pattern.ends_with('*')) return pattern == value;
  return value.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
}

class RuleReader {
 public:
  RuleReader(
      const Document& document,
      const Limits& limits,
      const std::vector<std::string>& domains,
      std::vector<Problem>& faults
  )
      : document_(document), limits_(limits), domains_(domains), faults_(faults) {}

  Rule read(const Json& value, const std::string& at) {
    StrictObject in(value, at, document_, faults_);
    Rule rule;
    const auto process =
        in.word("process", in.required_text("process"), {"negotiation", "transfer"});
    rule.process = process == "transfer" ? ProcessKind::transfer : ProcessKind::negotiation;
    const auto role = in.word("role", in.required_text("role"), {"provider", "consumer"});
    rule.role = role == "consumer" ? Role::consumer : Role::provider;
    const bool transfer = rule.process == ProcessKind::transfer;
    rule.state = in.word(
        "state",
        in.required_text("state"),
        transfer ? names_of(transfer_states) : names_of(negotiation_states)
    );
    if (in.member("occurrence")) rule.occurrence = occurrence(in);
    if (const Json* peer = in.member("peer")) rule.peer = party(*peer, in.at("peer"));
    rule.asset = pattern(in, "asset");
    rule.agreement = pattern(in, "agreement");
    rule.offer = pattern(in, "offer");
    rule.reaction.after = delay(in);
    read_act(in, rule);
    in.refuse_others();
    rule.reaction.rule = document_.name + "#" + at;
    return rule;
  }

 private:
  static int occurrence(StrictObject& in) {
    const int found = in.number("occurrence", 1, highest_occurrence);
    if (found == 0) in.wrong_type("occurrence", "1…" + std::to_string(highest_occurrence));
    return found;
  }

  std::optional<PartyId> party(const Json& value, std::string at) {
    StrictObject in(value, std::move(at), document_, faults_);
    PartyId party;
    party.domain = in.required_text("domain");
    party.uri = in.text("uri");
    in.refuse_others();
    // An empty member would widen the rule to everybody.
    if (value.is_object() && value.contains("uri") && party.uri.empty()) {
      in.wrong_type("uri", "string");
    }
    if (!domains_.empty() && !party.domain.empty()) {
      in.word("domain", party.domain, {domains_.begin(), domains_.end()});
    }
    return party;
  }

  static std::string pattern(StrictObject& in, std::string_view key) {
    const Json* value = in.member(key);
    if (!value) return {};
    auto text = in.text(key);
    const auto star = text.find('*');
    const bool good = !text.empty() && (star == std::string::npos || star + 1 == text.size());
    if (!good) in.wrong_type(key, "id, prefix*");
    return text;
  }

  static Nanos delay(StrictObject& in) {
    const auto text = in.text("after", "PT0S");
    const auto span = parse_duration(text);
    if (!span || span->months != 0 || span->seconds < 0 || span->nanos < 0 ||
        span->seconds > longest_delay / nanos_per_second) {
      in.wrong_type("after", "PT0S…P1D");
      return 0;
    }
    const Nanos found = seconds(span->seconds) + span->nanos;
    if (found > longest_delay) in.wrong_type("after", "PT0S…P1D");
    return found;
  }

  void read_act(StrictObject& in, Rule& rule) {
    const auto word = in.required_text("do");
    if (!rule.state.empty() && !word.empty()) {
      const auto possible = rule.process == ProcessKind::transfer
                                ? acts_in(transfer_states, rule.state, rule.role)
                                : acts_in(negotiation_states, rule.state, rule.role);
      const auto known = std::find_if(act_names.begin(), act_names.end(), [&](const auto& act) {
        return act.second == word;
      });
      if (known == act_names.end()) {
        in.word("do", word, possible);
      } else if (std::find(possible.begin(), possible.end(), word) == possible.end()) {
        std::string list;
        for (const auto one : possible) list += (list.empty() ? "" : ", ") + std::string(one);
        const Message impossible{
            "negotiation.rule-act-impossible",
            {{"act", word},
             {"role", std::string(dsp::to_string(rule.role))},
             {"process", std::string(to_string(rule.process))},
             {"state", rule.state},
             {"possible", std::move(list)}}};
        in.fault(impossible, in.at("do"));
      } else {
        rule.reaction.act = known->first;
      }
    }
    const Act act = rule.reaction.act;
    rule.reaction.reason = in.text("reason");
    if (rule.reaction.reason.size() > longest_reason) {
      in.wrong_type("reason", "0…" + std::to_string(longest_reason));
    }
    if (!rule.reaction.reason.empty() && act != Act::terminate && act != Act::suspend) {
      in.fault(
          {"negotiation.rule-member-idle", {{"member", "reason"}, {"act", word}}}, in.at("reason")
      );
    }
    const Json* policy = in.member("policy");
    if (!policy) return;
    if (act != Act::offer && act != Act::counter) {
      return in.fault(
          {"negotiation.rule-member-idle", {{"member", "policy"}, {"act", word}}}, in.at("policy")
      );
    }
    // What it is an offer of shows only when the rule is used.
    const auto offer = own_offer(
        *policy, OfferId("urn:tally:rule"), AssetId("urn:tally:rule"), limits_, in.at("policy")
    );
    if (!offer) return in.fault(offer.error().message, offer.error().pointer);
    rule.reaction.policy = *policy;
  }

  const Document& document_;
  const Limits& limits_;
  const std::vector<std::string>& domains_;
  std::vector<Problem>& faults_;
};

}  // namespace

std::string_view to_string(ProcessKind kind) {
  return kind == ProcessKind::negotiation ? "negotiation" : "transfer";
}

std::string_view to_string(Act act) {
  for (const auto& [known, name] : act_names) {
    if (known == act) return name;
  }
  return "?";
}

bool Rule::matches(const Situation& situation) const {
  if (process != situation.kind || role != situation.role || state != situation.state) return false;
  if (occurrence != 0 && occurrence != situation.occurrence) return false;
  if (peer && (peer->domain != situation.peer.domain ||
               (!peer->uri.empty() && peer->uri != situation.peer.uri))) {
    return false;
  }
  return fits(asset, situation.asset.value) && fits(agreement, situation.agreement.value) &&
         fits(offer, situation.offer.value);
}

std::optional<Reaction> RuleBook::find(const Situation& situation) const {
  for (const auto& rule : rules_) {
    if (rule.matches(situation)) return rule.reaction;
  }
  return std::nullopt;
}

RulesRead read_rules(
    const std::vector<Document>& documents,
    const Limits& limits,
    const std::vector<std::string>& domains
) {
  RulesRead out;
  std::vector<Rule> rules;
  for (const auto& document : documents) {
    std::vector<Problem> faults;
    std::vector<Rule> read;
    if (const auto value = catalog::parse_document(document, limits, faults)) {
      StrictObject in(*value, {}, document, faults);
      const Json* list = in.required("rules");
      if (list && !list->is_array()) in.wrong_type("rules", "list");
      in.refuse_others();
      if (list && list->is_array()) {
        RuleReader reader(document, limits, domains, faults);
        for (std::size_t i = 0; i < list->size() && faults.size() < 100; ++i) {
          read.push_back(reader.read((*list)[i], child("/rules", i)));
        }
      }
      if (rules.size() + read.size() > most_rules) {
        in.fault(
            {"negotiation.too-many-rules", {{"most", std::to_string(most_rules)}}}, in.at("rules")
        );
      }
    }
    if (faults.empty()) {
      std::move(read.begin(), read.end(), std::back_inserter(rules));
    } else {
      std::move(faults.begin(), faults.end(), std::back_inserter(out.problems));
    }
  }
  out.book = std::make_shared<const RuleBook>(std::move(rules));
  return out;
}

}  // namespace tally::negotiation
