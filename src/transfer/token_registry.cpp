#include "tally/transfer/token_registry.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/negotiation/exchange.hpp"

namespace tally::transfer {

namespace {

constexpr std::string_view kind = "token";

struct Entry {
  TokenGrant grant;
  std::string certificate;  // hex SHA-256, or identity::by_credential
  std::string issued;
  std::vector<std::shared_ptr<Entry>> replaces;  // end when this one is first presented
  std::atomic<bool> dead{false};                 // another took its place
};

using Snapshot = std::unordered_map<std::string, std::shared_ptr<Entry>>;  // by hex of SHA-256

}  // namespace

struct TokenRegistry::State {
  // Swapped whole: readers copy the pointer under the lock, for nanoseconds.
  mutable std::mutex mutex;
  std::shared_ptr<const Snapshot> snapshot = std::make_shared<const Snapshot>();

  std::shared_ptr<const Snapshot> current() const {
    const std::lock_guard lock(mutex);
    return snapshot;
  }
  template <class Change>
  void change(Change apply) {
    auto next = std::make_shared<Snapshot>(*current());
    apply(*next);
    const std::lock_guard lock(mutex);
    snapshot = std::move(next);
  }
};

TokenRegistry::TokenRegistry() : state_(std::make_unique<State>()) {}
TokenRegistry::~TokenRegistry() = default;

std::variant<TokenGrantPtr, TokenRefusal> TokenRegistry::find(
    std::string_view token, const identity::PeerIdentity& peer
) const {
  const auto snapshot = state_->current();
  const auto found = snapshot->find(to_hex(sha256(token)));
  if (found == snapshot->end()) return TokenRefusal::unknown;
  const Entry& entry = *found->second;
  // Another party's token looks like none at all.
  if (entry.dead || !entry.grant.access->open() || entry.grant.consumer != peer.party) {
    return TokenRefusal::unknown;
  }
  if (!equal_secret(entry.certificate, peer.certificate_sha256)) {
    return TokenRefusal::certificate_changed;
  }
  for (const auto& old : entry.replaces) old->dead = true;
  entry.grant.access->moved();
  return TokenGrantPtr(found->second, &entry.grant);
}

std::optional<PartyId> TokenRegistry::holder(std::string_view token) const {
  const auto snapshot = state_->current();
  const auto found = snapshot->find(to_hex(sha256(token)));
  if (found == snapshot->end()) return std::nullopt;
  const Entry& entry = *found->second;
  if (entry.dead || !entry.grant.access->open() || entry.certificate != identity::by_credential) {
    return std::nullopt;
  }
  return entry.grant.consumer;
}

Row TokenRegistry::row_of(
    std::string_view token,
    const TokenGrant& grant,
    std::string_view certificate_sha256,
    Instant issued
) {
  Row row;
  row.kind = kind;
  row.id = to_hex(sha256(token));
  row.owner = grant.transfer.value;
  row.state = "live";
  const Json body = {
      {"transfer", grant.transfer.value},
      {"agreement", grant.agreement.value},
      {"asset", grant.asset.value},
      {"consumer", negotiation::to_json(grant.consumer)},
      {"action", grant.action},
      {"certificate", certificate_sha256},
      {"issued", format_micros(issued)},
  };
  row.body = body.dump();
  return row;
}

Result<void> TokenRegistry::load(Store& store) {
  // In the order in which they were issued, so that each replaces those before it.
  std::multimap<std::string, Row> tokens;
  auto rows = all_rows(store, kind);
  if (!rows) return fail(std::move(rows));
  for (auto& row : *rows) {
    const auto json = negotiation::parse_row(row);
    if (json) tokens.emplace(negotiation::text_of(*json, "issued"), std::move(row));
  }
  for (const auto& [issued, row] : tokens) add(row);
  return {};
}

void TokenRegistry::add(const Row& row) {
  const auto json = negotiation::parse_row(row);
  if (!json) return;  // a token that cannot be read opens nothing
  auto entry = std::make_shared<Entry>();
  entry->grant.transfer = Pid(negotiation::text_of(*json, "transfer"));
  entry->grant.agreement = AgreementId(negotiation::text_of(*json, "agreement"));
  entry->grant.asset = AssetId(negotiation::text_of(*json, "asset"));
  entry->grant.consumer = negotiation::party_from_json(json->value("consumer", Json::object()));
  entry->grant.action = negotiation::text_of(*json, "action");
  entry->grant.access = std::make_shared<DataAccess>();
  entry->certificate = negotiation::text_of(*json, "certificate");
  state_->change([&](Snapshot& next) {
    for (const auto& [id, other] : next) {
      if (other->grant.transfer == entry->grant.transfer) entry->replaces.push_back(other);
    }
    next.insert_or_assign(row.id, entry);
  });
}

void TokenRegistry::revoke(const Pid& transfer) {
  state_->change([&](Snapshot& next) {
    std::erase_if(next, [&](const auto& one) {
      const TokenGrant& grant = one.second->grant;
      if (grant.transfer != transfer) return false;
      grant.access->set_open(false);
      return true;
    });
  });
}

void TokenRegistry::rest(const Pid& transfer, bool resting) {
  const auto snapshot = state_->current();
  for (const auto& [id, entry] : *snapshot) {
    if (entry->grant.transfer == transfer) entry->grant.access->set_open(!resting);
  }
}

std::uint64_t TokenRegistry::moves(const Pid& transfer) const {
  std::uint64_t sum = 0;
  const auto snapshot = state_->current();
  for (const auto& [id, entry] : *snapshot) {
    if (entry->grant.transfer == transfer) sum += 1 + entry->grant.access->moves();
  }
  return sum;
}

Result<std::vector<Row>> TokenRegistry::rows_of(Store& store, const Pid& transfer) {
  Store::Query query;
  query.kind = kind;
  query.owner = transfer.value;
  return store.rows(query);
}

}  // namespace tally::transfer
