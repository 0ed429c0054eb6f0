// Negotiations that are moving, as their rows say them, so that each step need not read and parse
// what the one before has written. The store remains what counts: a step whose negotiation is not
// the row's latest is refused there, and then what is kept here is forgotten. Home only.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "tally/negotiation/agreement.hpp"

#include "negotiation_process.hpp"

namespace tally::negotiation {

class UnderWay {
 public:
  struct One {
    Process process;
    std::optional<Agreement> agreement;  // until it is in force: then others change it, too
  };

  [[nodiscard]] const One* find(const Pid& pid) const {
    const auto found = kept_.find(pid.value);
    return found == kept_.end() ? nullptr : &found->second;
  }

  // As they were committed. One that has ended, or waits for somebody, is not kept.
  void keep(Process process, std::optional<Agreement> agreement) {
    const auto key = process.pid.value;
    const auto found = kept_.find(key);
    const bool moves = !dsp::is_final(process.state) && !process.approval;
    if (!moves) {
      if (found != kept_.end()) kept_.erase(found);
      return;
    }
    // Which one makes room does not matter: pids are random.
    if (found == kept_.end() && kept_.size() >= most) kept_.erase(kept_.begin());
    if (agreement && agreement->status != AgreementStatus::agreed) agreement.reset();
    kept_.insert_or_assign(key, One{std::move(process), std::move(agreement)});
  }

  void forget(const Pid& pid) { kept_.erase(pid.value); }

 private:
  // About 16 KiB each.
  static constexpr std::size_t most = 512;
  std::map<std::string, One> kept_;
};

}  // namespace tally::negotiation
