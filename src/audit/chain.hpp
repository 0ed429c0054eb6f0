// The rules that tie each record to the ones before it. Recovery and the verifier apply the same.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tally/audit/pruned.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/record_types.hpp"
#include "tally/audit/recovery.hpp"

namespace tally::audit {

// What of a record is not as it must be: the link that fails, and the sentence.
struct ChainFault {
  std::string link;
  Message message;
};

class Chain {
 public:
  // All that the next record is held against.
  struct State {
    std::uint64_t size = 0;
    Digest leaf{};
    std::string time;
    std::optional<Genesis> genesis;
    LogKeys keys;
    std::unordered_map<std::string, AgreementHead> agreements;
    bool heads_due = false;
    std::optional<Pruned> pruned;  // what the last `retention.pruned` says
  };

  Chain() = default;
  explicit Chain(State state);

  // Takes the next record, which stands at `offset` of `file`; `view` becomes the record even when
  // a link fails, as far as it could be read. Nothing is taken then. One view for all records
  // spares an allocation for each.
  std::optional<ChainFault> take(
      std::string_view text, std::string_view file, std::uint64_t offset, RecordView& view
  );
  // The same with its leaf hash, where somebody has hashed it already.
  std::optional<ChainFault> take(
      std::string_view text,
      const Digest& leaf,
      std::string_view file,
      std::uint64_t offset,
      RecordView& view
  );

  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] std::uint64_t size() const { return state_.size; }
  [[nodiscard]] const Digest& leaf() const { return state_.leaf; }
  [[nodiscard]] const std::string& time() const { return state_.time; }
  [[nodiscard]] const std::optional<Genesis>& genesis() const { return state_.genesis; }
  [[nodiscard]] const LogKeys& keys() const { return state_.keys; }
  [[nodiscard]] bool heads_due() const { return state_.heads_due; }
  [[nodiscard]] std::unordered_map<std::string, AgreementHead>& agreements() {
    return state_.agreements;
  }

 private:
  State state_;
  std::string log_;                   // its origin as records have it, a canonical string
  const RecordType* type_ = nullptr;  // of the last record: mostly the next one's too
};

// Fixed length, fixed places, so that texts order as times do.
bool is_record_time(std::string_view text);
bool is_uuid(std::string_view text);

}  // namespace tally::audit
