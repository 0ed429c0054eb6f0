#include "mask.hpp"

#include <charconv>
#include <optional>
#include <span>

#include "typed_cell.hpp"
#include "utf8.hpp"

namespace tally::dataplane {

namespace {

constexpr std::size_t pseudonym_bytes = 16;
constexpr std::size_t most_whole_digits = 18;  // of what fits 64 bits, with room for a step

void clear(Cell& cell) {
  cell.kind = CellKind::absent;
  cell.text.clear();
}

void set_text(Cell& cell, std::string text) {
  cell.kind = CellKind::text;
  cell.text = std::move(text);
}

void keep(const Keep& mask, Cell& cell) {
  std::size_t characters = 0;
  for (std::string_view rest = cell.text; !rest.empty(); ++characters) {
    rest.remove_prefix(character_bytes(rest));
  }
  const bool all = characters <= mask.head || characters - mask.head <= mask.tail;
  std::string out;
  std::string_view rest = cell.text;
  for (std::size_t i = 0; i < characters; ++i) {
    const bool stays = !all && (i < mask.head || i >= characters - mask.tail);
    const std::size_t bytes = character_bytes(rest);
    out += stays ? rest.substr(0, bytes) : std::string_view("*");
    rest.remove_prefix(bytes);
  }
  set_text(cell, std::move(out));
}

void pseudonym(const Pseudonym& mask, Cell& cell) {
  const Digest mac = hmac_sha256(mask.key, as_bytes(cell.text));
  set_text(cell, to_hex(std::span(mac).first(pseudonym_bytes)));
}

// "2026-11-27T08:00:00Z" → "2026-11". A year may have more than four digits, and a sign.
void generalize(Calendar level, Cell& cell) {
  const auto year = cell.text.find('-', 1);
  const std::size_t more = level == Calendar::year ? 0 : level == Calendar::month ? 3 : 6;
  set_text(cell, cell.text.substr(0, year + more));
}

void round(const Round& mask, const odrl::Decimal& value, Cell& cell) {
  if (value.whole > most_whole_digits) return clear(cell);
  std::int64_t whole = 0;
  std::from_chars(value.digits.data(), value.digits.data() + value.whole, whole);
  const bool fraction = value.digits.size() > value.whole;
  std::int64_t floor = whole / mask.step * mask.step;
  if (value.negative) {
    const std::int64_t up = whole + (fraction ? 1 : 0) + mask.step - 1;
    floor = -(up / mask.step * mask.step);
  }
  cell.text = std::to_string(floor);  // the kind stays: a number is one still
}

}  // namespace

void apply(const Mask& mask, catalog::ColumnType type, catalog::DataForm form, Cell& cell) {
  if (const auto* replace = std::get_if<Replace>(&mask)) {
    cell = replace->with;
    return;
  }
  if (cell.kind == CellKind::absent) return;
  if (const auto* one = std::get_if<Keep>(&mask)) return keep(*one, cell);
  if (const auto* one = std::get_if<Pseudonym>(&mask)) return pseudonym(*one, cell);
  const auto value = typed_cell(cell, type, form);
  if (const auto* level = std::get_if<Calendar>(&mask)) {
    if (!std::holds_alternative<odrl::TimeSpan>(value)) return clear(cell);
    return generalize(*level, cell);
  }
  const auto* number = std::get_if<odrl::Decimal>(&value);
  if (number == nullptr) return clear(cell);
  round(std::get<Round>(mask), *number, cell);
}

}  // namespace tally::dataplane
