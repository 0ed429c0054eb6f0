// What the enforcement point knows of an act beyond its policy, as facts with whoever vouches for
// them. Made only where a policy asks. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tally/odrl/evaluate.hpp"
#include "tally/usage/enforcer.hpp"
#include "tally/usage/surroundings.hpp"

namespace tally::usage {

// Several words of policies ask for one thing.
enum class Subject : std::uint8_t {
  application,
  role,
  connector,
  place,
  network,
  security_level,
  jurisdiction,
  environment,
  artefact,
  classification,
  recipient,
};

// What an operand is about; nullopt: nothing that is told by facts of ours.
std::optional<Subject> subject_of(std::string_view operand);

// What a policy asks for, found once.
class Asked {
 public:
  Asked() = default;
  explicit Asked(const odrl::CompiledPolicy& policy);

  [[nodiscard]] bool facts() const { return !operands_.empty(); }
  [[nodiscard]] bool contact() const { return contact_; }
  [[nodiscard]] bool metered() const { return metered_; }

  // Of the agreement and the site of whoever uses: the same for every act.
  [[nodiscard]] std::vector<odrl::Fact> lasting_facts(
      const AgreementTerms& terms, const Surroundings& around
  ) const;
  // Of this act alone; they go before the lasting ones.
  void add_act_facts(const Act& act, const AgreementTerms& terms, std::vector<odrl::Fact>& facts)
      const;

 private:
  struct Operand {
    std::string_view iri;
    Subject subject;
  };
  std::vector<Operand> operands_;
  bool contact_ = false;
  bool metered_ = false;
};

}  // namespace tally::usage
