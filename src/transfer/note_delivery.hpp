// What becomes of a signed note on its way to the other side: its row says `sending`, then
// `delivered` or `refused`. It is tried for as long as it takes. Home executor only.
#pragma once

#include <string>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/negotiation/delivery.hpp"

namespace tally::transfer {

class NoteDelivery : public negotiation::ProcessOwner {
 public:
  // `kind`: of the rows, and of the processes that messages name. `refused_code`: the sentence
  // {peer, status} for the operator.
  NoteDelivery(
      std::string kind,
      std::string refused_code,
      Store& store,
      audit::Journal& journal,
      negotiation::Delivery& delivery,
      Notices& notices
  );

  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override;
  awaitable<Result<void>> on_refused(OutgoingMessage message, negotiation::Refused refused)
      override;
  std::string state_url(const OutgoingMessage& message) override;
  negotiation::Standing compare(const OutgoingMessage& message, const std::string& state) override;
  [[nodiscard]] std::optional<Nanos> deadline() const override;

 protected:
  // What is recorded, and done, when a row has come to `state`.
  virtual std::vector<audit::RecordDraft> records_of(const Row& row) const;
  virtual void settled(const Row& row);

 private:
  // Takes the message out of the store and leaves the row in `state`.
  awaitable<Result<void>> settle(OutgoingMessage message, std::string state, std::string answer);

  std::string kind_;
  std::string refused_code_;
  Store& store_;
  audit::Journal& journal_;
  Notices& notices_;
};

}  // namespace tally::transfer
