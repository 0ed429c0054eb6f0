#include "custody_desk.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace {

using custody::Holding;
using custody::HoldingState;

Json or_null(const std::optional<std::uint64_t>& number) {
  return number ? Json(*number) : Json();
}
Json or_null(const std::optional<Instant>& at) {
  return at ? Json(format_micros(*at)) : Json();
}

Json ring_json(const std::vector<custody::RingKey>& keys) {
  Json out = Json::array();
  for (const auto& key : keys) {
    out.push_back(
        {{"key", custody::to_text(key.name)},
         {"current", key.current},
         {"made", key.made ? Json(format_seconds(*key.made)) : Json()}}
    );
  }
  return out;
}

}  // namespace

custody::QuotaSettings quota_of(const Config& config, const std::vector<PeerEntry>& peers) {
  custody::QuotaSettings settings;
  if (config.custody_quota > 0) settings.total = config.custody_quota;
  for (const auto& peer : peers) {
    if (peer.custody_quota > 0) settings.peers[peer.party] = peer.custody_quota;
  }
  return settings;
}

std::optional<Message> CustodyDesk::problem() const {
  if (const auto altered = custody::unreadable(holdings_); !altered.empty()) {
    return Message{
        "daemon.custody-altered",
        {{"agreement", altered.front().agreement.value},
         {"artefact", altered.front().id.value},
         {"count", std::to_string(altered.size())}}};
  }
  return rotation_.problem();
}

Json CustodyDesk::custody(Lang lang) const {
  std::uint64_t artefacts = 0;
  std::uint64_t never = 0;
  std::optional<Instant> oldest;
  std::optional<Instant> newest;
  Json altered = Json::array();
  holdings_.each([&](const Holding& one) {
    if (one.state != HoldingState::held) return;
    ++artefacts;
    if (one.checked) {
      oldest = oldest ? std::min(*oldest, *one.checked) : *one.checked;
      newest = newest ? std::max(*newest, *one.checked) : *one.checked;
    } else {
      ++never;
    }
    if (one.altered.code.empty()) return;
    altered.push_back(
        {{"artefact", one.id.value},
         {"agreement", one.agreement.value},
         {"reason", api::shown_message(one.altered, lang)}}
    );
  });
  Json held;
  Json providers = Json::array();
  for (const auto& line : quota_.lines()) {
    Json shown = {
        {"bytes", line.bytes},
        {"quota", or_null(line.quota)},
        {"left", line.quota ? Json(*line.quota - std::min(*line.quota, line.bytes)) : Json()}};
    if (!line.provider) {
      shown["artefacts"] = artefacts;
      held = std::move(shown);
      continue;
    }
    shown["provider"] = {{"domain", line.provider->domain}, {"uri", line.provider->uri}};
    providers.push_back(std::move(shown));
  }
  const auto checking = rechecker_.state();
  return {
      {"held", std::move(held)},
      {"providers", std::move(providers)},
      {"ring", ring_json(ring_.keys())},
      {"checks",
       {{"everyHours", recheck_every_ / seconds(3600)},
        {"never", never},
        {"oldest", or_null(oldest)},
        {"newest", or_null(newest)},
        {"ordered", checking.ordered},
        {"checking", checking.checking ? Json(checking.checking->value) : Json()}}},
      {"altered", std::move(altered)}};
}

Result<void> CustodyDesk::check(const std::string& artefact) {
  if (!artefact.empty()) return rechecker_.order(ArtefactId(artefact));
  rechecker_.order_all();
  return {};
}

awaitable<Result<Json>> CustodyDesk::rotate_wrapping_key() {
  const auto before = ring_.keys().front();
  auto made = co_await rotation_.begin();
  if (!made) co_return fail(std::move(made));
  Json begun = {{"key", custody::to_text(*made)}, {"before", custody::to_text(before.name)}};
  co_return begun;
}

}  // namespace tally::daemon
