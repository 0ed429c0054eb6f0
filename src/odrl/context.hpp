// The "@context" of a policy: which prefixes stand for what. Only prefixes can be defined; a
// context that gives a known word another meaning is refused.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/odrl/policy.hpp"

namespace tally::odrl {

class Context {
 public:
  Context();
  void read(const Json& context, const std::string& at, std::vector<Problem>& problems);

  // vocabulary.hpp, meaning_of_word.
  [[nodiscard]] std::optional<std::string> fixed_meaning(std::string_view word) const;

  // An IRI with its prefix expanded; a word without ':' stays as it is.
  [[nodiscard]] std::string expand(std::string_view text) const;
  // "zz:word" where nothing says what zz stands for, and no scheme of that name is known.
  [[nodiscard]] bool is_unknown_prefix(std::string_view text) const;
  // A word of the vocabulary: a bare one is ODRL's.
  [[nodiscard]] std::string expand_term(std::string_view text) const;

 private:
  void read_definitions(const Json& object, const std::string& at, std::vector<Problem>& problems);
  std::map<std::string, std::string, std::less<>> prefixes_;
};

}  // namespace tally::odrl
