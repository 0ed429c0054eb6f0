// Asks the other side of an agreement what has been used under it, and says what is wrong with the
// answer: signed statements, and the signed list of its records in their own sequence, so that a
// gap shows (docs/peer-api.md, "Statements"). What is stated is held as if it had come by itself.
// Home executor only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tally/audit/statement.hpp"
#include "tally/audit/use_list.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/store.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/transfer/transfer_service.hpp"

namespace tally::transfer {

// Most that one inquiry reads; what is behind it is read from where it ended.
constexpr std::size_t most_lines_asked = 20'000;

struct UseAccount {
  std::vector<audit::Statement> statements;  // in order of their numbers
  std::vector<audit::UseLine> lines;
  std::uint64_t from = 1;  // what was asked for
  std::uint64_t last = 0;  // of the agreement in the other side's log
  std::string origin;
  std::uint64_t size = 0;  // of that log
};

// What does not fit in what a side says: numbers and records that are missing, statements that are
// not what their records add up to, a list shorter than what was stated. Pure.
std::vector<Message> gaps_in(const UseAccount& account);
Json to_json(const UseAccount& account);

class StatementInquiry {
 public:
  StatementInquiry(
      Store& store,
      Peer& peer,
      Timers& timers,
      const negotiation::PeerDirectory& peers,
      TransferService& transfers
  )
      : store_(store), peer_(peer), timers_(timers), peers_(peers), transfers_(transfers) {}

  // Records from `from` on. Errors: not_found (api.unknown-agreement), conflict
  // (transfer.no-statements-there: the other side serves no /tally/v1, or signed nothing that its
  // notes could be checked with), invalid (those of verify_statement and verify_use_list),
  // unavailable.
  awaitable<Result<UseAccount>> ask(AgreementId agreement, std::uint64_t from) const;

 private:
  awaitable<Result<Json>> get(PartyId from, std::string url) const;

  Store& store_;
  Peer& peer_;
  Timers& timers_;
  const negotiation::PeerDirectory& peers_;
  TransferService& transfers_;
};

}  // namespace tally::transfer
