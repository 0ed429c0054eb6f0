#include "guide.hpp"

#include <cstdlib>

#include "tally/core/message.hpp"

#include "names.hpp"

namespace tally::evidence {

std::string numbered(std::string_view folder, std::uint64_t number, std::string_view ending) {
  constexpr std::size_t digits = 20;
  const std::string text = std::to_string(number);
  return std::string(folder) + std::string(digits - text.size(), '0') + text + std::string(ending);
}

std::optional<std::uint64_t> number_of(
    std::string_view name, std::string_view folder, std::string_view ending
) {
  if (!name.starts_with(folder) || !name.ends_with(ending) ||
      name.size() < folder.size() + ending.size()) {
    return std::nullopt;
  }
  name.remove_prefix(folder.size());
  const std::string digits(name.substr(0, name.size() - ending.size()));
  const std::uint64_t number = std::strtoull(digits.c_str(), nullptr, 10);
  if (numbered("", number, "") != digits) return std::nullopt;
  return number;
}

std::string guide_text(const Bundle& bundle) {
  const Message guide{
      "evidence.guide",
      {{"agreement", bundle.agreement},
       {"origin", bundle.origin},
       {"size", std::to_string(bundle.size)}}};
  return render(guide, Lang::en) + "\n\n" + render(guide, Lang::zh) + "\n";
}

}  // namespace tally::evidence
