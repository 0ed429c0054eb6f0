#include "tally/usage/holds.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::usage {
namespace {

std::string place_of(HoldScope scope, std::string_view target) {
  std::string place(to_string(scope));
  place += ' ';
  place += target;
  return place;
}

}  // namespace

std::string_view to_string(HoldBy by) {
  switch (by) {
    case HoldBy::operator_:
      return "operator";
    case HoldBy::peer:
      return "peer";
    case HoldBy::regulator:
      break;
  }
  return "regulator";
}

Json to_json(const Hold& hold) {
  Json json = {
      {"id", hold.id},
      {"by", to_string(hold.by)},
      {"scope", to_string(hold.on.scope)},
      {"since", format_micros(hold.since)}};
  if (!hold.name.empty()) json["name"] = hold.name;
  if (!hold.on.target.empty()) json["target"] = hold.on.target;
  if (hold.until) json["until"] = format_micros(*hold.until);
  if (!hold.reference.empty()) json["reference"] = hold.reference;
  return json;
}

Message explain(const Hold& hold, const AgreementId& agreement) {
  Message message{
      "usage.held-by-" + std::string(to_string(hold.by)),
      {{"agreement", agreement.value},
       {"hold", hold.id},
       {"since", format_seconds(hold.since)},
       {"until", hold.until ? format_seconds(*hold.until) : std::string("–")}}};
  if (hold.by != HoldBy::operator_) message.params["name"] = hold.name;
  if (hold.by == HoldBy::regulator) message.params["reference"] = hold.reference;
  return message;
}

HoldSet::HoldSet(std::vector<Hold> holds) : holds_(std::move(holds)) {
  std::ranges::sort(holds_, [](const Hold& a, const Hold& b) {
    return std::tie(a.since, a.id) < std::tie(b.since, b.id);
  });
  for (std::size_t i = 0; i < holds_.size(); ++i) {
    places_[place_of(holds_[i].on.scope, holds_[i].on.target)].push_back(i);
  }
}

const Hold* HoldSet::stopping(const HeldAct& act, const ClockReading& now) const {
  std::optional<std::size_t> first;
  const auto look = [&](HoldScope scope, std::string_view target) {
    const auto found = places_.find(place_of(scope, target));
    if (found == places_.end()) return;
    for (const std::size_t i : found->second) {
      if (!holds_[i].in_force(now)) continue;
      if (!first || i < *first) first = i;
    }
  };
  look(HoldScope::everything, "");
  look(HoldScope::agreement, act.agreement.value);
  look(HoldScope::asset, act.asset.value);
  for (const PartyId* party : {&act.provider, &act.consumer}) {
    look(HoldScope::party, party->uri);
    look(HoldScope::party, party->domain + ":" + party->uri);
  }
  if (!act.app.empty()) look(HoldScope::application, act.app.value);
  return first ? &holds_[*first] : nullptr;
}

}  // namespace tally::usage
