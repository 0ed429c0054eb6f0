// Hands what applications made of held data to custody. Home executor.
#pragma once

#include "tally/api/data_routes.hpp"
#include "tally/custody/deriver.hpp"

namespace tally::daemon {

class DerivedData final : public api::DerivedKeeper {
 public:
  explicit DerivedData(custody::Deriver deriver) : deriver_(std::move(deriver)) {}

  awaitable<Result<Kept>> keep(api::Derived derived) override;
  // At start, after Keeper::start.
  awaitable<Result<void>> tidy() { return deriver_.tidy(); }

 private:
  custody::Deriver deriver_;
};

}  // namespace tally::daemon
