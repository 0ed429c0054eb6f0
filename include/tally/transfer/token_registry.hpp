// The tokens with which a peer fetches the data of a running transfer. 32 random bytes, stored as
// SHA-256, good only on a connection with the certificate that asked for the transfer; where the
// peer is known by a credential, good for that party.
//
// `find` and `holder` from any thread (an immutable snapshot is swapped); the rest on the home
// executor.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/store.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::transfer {

// What a token opened may go on while this says so; a body under way is cut when it no longer does.
// Any thread.
class DataAccess {
 public:
  [[nodiscard]] bool open() const { return open_.load(std::memory_order_relaxed); }
  void set_open(bool open) { open_.store(open, std::memory_order_relaxed); }
  // A request came, or bytes went out: the transfer is not idle.
  void moved() { moves_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t moves() const { return moves_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> open_{true};
  std::atomic<std::uint64_t> moves_{0};
};

struct TokenGrant {
  Pid transfer;  // our own pid: the provider's
  AgreementId agreement;
  AssetId asset;
  PartyId consumer;
  std::string action;                  // odrl archive (a pull into custody) or read
  std::shared_ptr<DataAccess> access;  // of what `find` found; rows have none
};
using TokenGrantPtr = std::shared_ptr<const TokenGrant>;

enum class TokenRefusal {
  unknown,              // 401: no such token, or it is another party's, or it was revoked
  certificate_changed,  // 401 certificate-changed: the same party may ask for a fresh one
};

class TokenRegistry {
 public:
  TokenRegistry();
  ~TokenRegistry();

  // The use of a fresh token for the first time ends the one it replaces; what that one opened goes
  // on.
  [[nodiscard]] std::variant<TokenGrantPtr, TokenRefusal> find(
      std::string_view token, const identity::PeerIdentity& peer
  ) const;

  // Whose token this is, if it is bound to a party that is known by a credential; nullopt:
  // nobody's, or one that needs its certificate.
  [[nodiscard]] std::optional<PartyId> holder(std::string_view token) const;

  // --- home, by TransferService ---
  Result<void> load(Store& store);
  // The row to store for `token`; `add` publishes it once the commit and its record are durable.
  static Row row_of(
      std::string_view token,
      const TokenGrant& grant,
      std::string_view certificate_sha256,
      Instant issued
  );
  void add(const Row& row);
  // While a transfer is suspended its tokens open nothing, and what they opened is cut.
  void rest(const Pid& transfer, bool resting);
  // For good; what they opened is cut. The rows go with the commit that calls for it.
  void revoke(const Pid& transfer);
  // A number that changes whenever something is asked for or goes out under the transfer.
  [[nodiscard]] std::uint64_t moves(const Pid& transfer) const;
  [[nodiscard]] static Result<std::vector<Row>> rows_of(Store& store, const Pid& transfer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::transfer
