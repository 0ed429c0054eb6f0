// Rules as an operator writes them (docs/reactions.md), read from documents and asked in order: the
// first that matches decides. Reading is strict; a document with a fault is left out whole. Pure; a
// built RuleBook may be shared between threads.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/catalog/catalog.hpp"
#include "tally/core/limits.hpp"
#include "tally/negotiation/reactions.hpp"

namespace tally::negotiation {

struct Rule {
  ProcessKind process = ProcessKind::negotiation;
  dsp::Role role = dsp::Role::provider;
  std::string state;
  int occurrence = 0;           // 0: any
  std::optional<PartyId> peer;  // an empty uri: every party of the domain
  // An id, or a beginning with '*' behind it. Empty: any.
  std::string asset;
  std::string agreement;
  std::string offer;
  Reaction reaction;

  [[nodiscard]] bool matches(const Situation& situation) const;
};

// More rules than this are a mistake; every one of them is looked at in every state.
inline constexpr std::size_t most_rules = 10'000;

class RuleBook final : public Reactions {
 public:
  RuleBook() = default;
  explicit RuleBook(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  [[nodiscard]] bool empty() const override { return rules_.empty(); }
  [[nodiscard]] std::optional<Reaction> find(const Situation& situation) const override;
  [[nodiscard]] const std::vector<Rule>& rules() const { return rules_; }

 private:
  std::vector<Rule> rules_;
};

struct RulesRead {
  std::shared_ptr<const RuleBook> book;
  std::vector<catalog::Problem> problems;  // in the order of the documents
};
// `domains`: the configured trust domains; a rule for another one could never match. Empty: not
// checked.
RulesRead read_rules(
    const std::vector<catalog::Document>& documents,
    const Limits& limits,
    const std::vector<std::string>& domains = {}
);

}  // namespace tally::negotiation
