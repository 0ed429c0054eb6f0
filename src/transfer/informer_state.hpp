// The inside of Informer, shared by its source files: what is read of the log and made into notices
// (informer_notices.cpp), who was told and who waits too long (informer_delivery.cpp), what the
// store has and the loop (informer.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/log_tail.hpp"
#include "tally/odrl/informing.hpp"
#include "tally/transfer/informer.hpp"
#include "tally/transfer/use_notice.hpp"

#include "note_delivery.hpp"
#include "transfer_process.hpp"

namespace tally::transfer {

// The states of a notice's row.
namespace notice_state {
constexpr std::string_view sending = "sending";
constexpr std::string_view refused = "refused";
constexpr std::string_view delivered = "delivered";
}  // namespace notice_state

// What a record says of a use, as far as it matters here.
struct UseRecord {
  std::string type;
  AgreementId agreement;
  ToldUse permitted;               // of use.permitted
  std::vector<std::string> rules;  // likewise
  std::vector<std::string> uses;   // of the others: what ended
  std::string time;
};

// Whom one duty wants told of uses here.
struct Target {
  odrl::Informing duty;
  std::string party;
  bool is_peer = false;  // the other side of the agreement; else somebody whom a program tells
};

// A use that is not over yet, and the duties under which it is told.
struct Pending {
  AgreementId agreement;
  ToldUse use;
  std::vector<std::string> duties;
};

// A notice that was not taken yet.
struct Owed {
  AgreementId agreement;
  std::string duty;
  std::string party;
  bool is_peer = false;
  bool queued = false;         // a message of Delivery is under way
  std::optional<Instant> due;  // nullopt: without a term
  bool violated = false;
  std::uint32_t failed = 0;  // attempts in a row, of a program
  std::optional<Instant> next_attempt;
};

struct Informer::State : std::enable_shared_from_this<Informer::State> {
  class Notes final : public NoteDelivery {
   public:
    explicit Notes(State& state)
        : NoteDelivery(
              std::string(use_notice_kind),
              "transfer.use-notice-refused",
              state.parts.store,
              state.parts.journal,
              state.parts.delivery,
              state.parts.notices
          ),
          state_(state) {}

   protected:
    std::vector<audit::RecordDraft> records_of(const Row& row) const override {
      return state_.fulfilled(row);
    }
    void settled(const Row& row) override { state_.on_settled(row); }

   private:
    State& state_;
  };

  State(InformerParts with, PartyId party, std::string origin)
      : parts(std::move(with)),
        self(std::move(party)),
        log_origin(std::move(origin)),
        notes(*this) {}

  InformerParts parts;
  PartyId self;
  std::string log_origin;
  Notes notes;

  // Where the log was read to, as in memory and as the store has it.
  std::unique_ptr<audit::LogTail> tail;
  Row place;
  std::uint64_t next = 0;
  std::uint64_t saved = 0;
  bool loaded = false;
  std::map<std::string, Pending> pending;  // by use

  std::map<std::string, std::vector<Target>> known;  // by agreement
  std::map<std::string, Owed> owed;                  // by row
  std::set<std::string> overdue;                     // agreements of which the ledger knows it
  std::set<std::string> telling;                     // parties that are being called

  Result<void> load_place();
  Result<void> load_owed();
  Row place_row() const;
  Result<std::vector<Target>> targets_of(const AgreementId& agreement);
  Result<std::vector<UseRecord>> read_some(std::uint64_t end);

  struct Ended {
    AgreementId agreement;
    std::string duty;
    std::vector<ToldUse> uses;
    std::string time;  // when the first of them was over
  };
  Result<void> take(const UseRecord& record, std::vector<Ended>& ended);
  struct Made {
    Row row;
    Owed owed;
    std::optional<OutgoingMessage> message;
    audit::RecordDraft record;
  };
  Result<std::optional<Made>> make(Ended ended);
  Result<std::string> signed_note(const AgreementId& agreement, const Ended& ended) const;
  std::optional<OutgoingMessage> message_of(const std::string& row, const Json& body) const;

  awaitable<Result<void>> save_place();
  awaitable<Result<void>> follow();
  awaitable<Result<void>> follow_some(std::uint64_t end);
  awaitable<Result<void>> mark_overdue(ClockReading reading);
  void refresh(const AgreementId& agreement);
  std::vector<audit::RecordDraft> fulfilled(const Row& row) const;
  void on_settled(const Row& row);
  awaitable<Result<void>> send_waiting(Instant now);
  awaitable<Result<void>> queue_again(std::string id);
  awaitable<void> tell_other(std::string id);
  awaitable<Result<void>> settle_other(std::string id);
};

}  // namespace tally::transfer
