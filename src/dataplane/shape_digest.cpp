#include "shape_digest.hpp"

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::dataplane {

namespace {

// Counted up whenever the same shape would be written or masked otherwise than before.
constexpr int version = 1;

struct Describe {
  Json operator()(const Keep& mask) const { return {"keep", mask.head, mask.tail}; }
  Json operator()(const Pseudonym& mask) const { return {"pseudonym", to_hex(sha256(mask.key))}; }
  Json operator()(Calendar level) const { return {"calendar", static_cast<int>(level)}; }
  Json operator()(const Round& mask) const { return {"round", std::to_string(mask.step)}; }
  Json operator()(const Replace& mask) const {
    return {"replace", static_cast<int>(mask.with.kind), mask.with.text};
  }
};

}  // namespace

Digest digest_of(const Shape::Parts& parts) {
  const auto& schema = parts.input;
  Json rows = Json::array();
  for (const auto& clause : parts.filter) {
    Json any = Json::array();
    for (const auto& one : clause) {
      any.push_back({one.column, odrl::operator_word(one.op), odrl::to_text(one.value)});
    }
    rows.push_back(std::move(any));
  }
  Json columns = Json::array();
  for (const auto& column : schema.columns) {
    columns.push_back({column.name, to_string(column.type)});
  }
  Json out = Json::array();
  for (const auto& one : parts.columns) {
    out.push_back({one.from, one.mask ? std::visit(Describe{}, *one.mask) : Json()});
  }
  Json all{
      {"version", version},
      {"form", to_string(schema.form)},
      {"encoding", to_string(schema.encoding)},
      {"delimiter", std::string(1, schema.delimiter)},
      {"header", schema.header},
      {"columns", std::move(columns)},
      {"rows", std::move(rows)},
      {"out", std::move(out)}};
  if (parts.most_rows) all["most"] = std::to_string(*parts.most_rows);
  return sha256(to_jcs(all));
}

}  // namespace tally::dataplane
