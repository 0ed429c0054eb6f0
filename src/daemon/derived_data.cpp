#include "derived_data.hpp"

#include <utility>

namespace tally::daemon {

awaitable<Result<api::DerivedKeeper::Kept>> DerivedData::keep(api::Derived derived) {
  custody::Derivation order;
  for (auto& input : derived.inputs) {
    order.inputs.push_back(
        {std::move(input.agreement),
         std::move(input.asset),
         std::move(input.provider),
         std::move(input.content),
         std::move(input.use)}
    );
  }
  order.app = std::move(derived.app);
  order.media_type = std::move(derived.media_type);
  order.bytes = std::move(derived.bytes);
  auto kept = co_await deriver_.keep(std::move(order));
  if (!kept) co_return fail(std::move(kept));
  co_return Kept{kept->row.id, kept->row.content, std::move(kept->unreadable)};
}

}  // namespace tally::daemon
