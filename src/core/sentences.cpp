#include <algorithm>

#include "tally/core/message.hpp"

namespace tally {
namespace {

std::vector<Sentence> sorted_table() {
  std::vector<Sentence> table = {
// clang-format off: one module a line, in dependency order.
#include "sentences/aggregates.inc"
#include "sentences/api.inc"
#include "sentences/audit.inc"
#include "sentences/catalog.inc"
#include "sentences/cli.inc"
#include "sentences/core.inc"
#include "sentences/custody.inc"
#include "sentences/daemon.inc"
#include "sentences/dataplane.inc"
#include "sentences/dsp.inc"
#include "sentences/events.inc"
#include "sentences/evidence.inc"
#include "sentences/identity.inc"
#include "sentences/negotiation.inc"
#include "sentences/net.inc"
#include "sentences/odrl.inc"
#include "sentences/sources.inc"
#include "sentences/store.inc"
#include "sentences/transfer.inc"
#include "sentences/usage.inc"
      // clang-format on
  };
  std::sort(table.begin(), table.end(), [](const Sentence& a, const Sentence& b) {
    return a.code < b.code;
  });
  return table;
}

}  // namespace

const std::vector<Sentence>& sentence_table() {
  static const std::vector<Sentence> table = sorted_table();
  return table;
}

}  // namespace tally
