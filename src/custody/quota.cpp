#include "tally/custody/quota.hpp"

#include <set>

#include "tally/custody/puller.hpp"

namespace tally::custody {

// By provider, without what is of the process `but`. What is encrypted and waits for its key is
// counted twice until it has been opened: then it lies there in both forms.
std::map<PartyId, std::uint64_t> Quota::occupied(const Pid* but) const {
  std::map<PartyId, std::uint64_t> bytes;
  std::set<std::string> opened;
  std::vector<std::pair<std::string, std::pair<PartyId, std::uint64_t>>> sealed;
  holdings_.each([&](const Holding& one) {
    if (one.state == HoldingState::destroyed) return;
    if (but != nullptr && one.process == *but) return;
    bytes[one.provider] += one.bytes;
    if (one.id == payload_of(one.process)) {
      sealed.push_back({one.process.value, {one.provider, one.bytes}});
    } else {
      opened.insert(one.process.value);
    }
  });
  for (const auto& [process, of] : sealed) {
    if (!opened.contains(process)) bytes[of.first] += of.second;
  }
  for (const auto& [process, reserved] : reserved_) {
    if (but == nullptr || process != but->value) bytes[reserved.provider] += reserved.bytes;
  }
  return bytes;
}

Result<void> Quota::reserve(const Pid& process, const PartyId& provider, std::uint64_t bytes) {
  const auto by_provider = occupied(&process);
  std::uint64_t all = 0;
  for (const auto& [party, held] : by_provider) all += held;
  const auto refuse = [&](const std::string& whose, std::uint64_t held, std::uint64_t quota) {
    notices_.note(
        Severity::warning,
        {"custody.quota-reached",
         {{"process", process.value},
          {"whose", whose},
          {"bytes", std::to_string(bytes)},
          {"held", std::to_string(held)},
          {"quota", std::to_string(quota)}}}
    );
    return fail(
        ErrorKind::conflict,
        {"custody.quota-exceeded", {{"process", process.value}, {"bytes", std::to_string(bytes)}}}
    );
  };
  const auto fits = [bytes](std::uint64_t held, std::uint64_t quota) {
    return held <= quota && bytes <= quota - held;
  };
  if (const auto own = settings_.peers.find(provider); own != settings_.peers.end()) {
    const auto found = by_provider.find(provider);
    const std::uint64_t held = found == by_provider.end() ? 0 : found->second;
    if (!fits(held, own->second)) return refuse(provider.uri, held, own->second);
  }
  if (settings_.total && !fits(all, *settings_.total)) return refuse("*", all, *settings_.total);
  reserved_[process.value] = {provider, bytes};
  return {};
}

std::vector<Quota::Line> Quota::lines() const {
  auto by_provider = occupied(nullptr);
  for (const auto& [party, quota] : settings_.peers) by_provider.try_emplace(party, 0);
  std::vector<Line> lines{{std::nullopt, 0, settings_.total}};
  for (const auto& [party, bytes] : by_provider) {
    lines.front().bytes += bytes;
    Line line{party, bytes, std::nullopt};
    if (const auto own = settings_.peers.find(party); own != settings_.peers.end()) {
      line.quota = own->second;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace tally::custody
