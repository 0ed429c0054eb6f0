// A state of the world as people read it: values that lie where the search found them to.
#include <algorithm>
#include <compare>

#include "compare_space.hpp"

namespace tally::odrl {
namespace {

constexpr std::int64_t seconds_per_day = 86400;

Value instant(Instant at) {
  return TimeSpan{at, at + 1};
}

std::string digits_between(const Decimal& low, const Decimal& high) {
  // One digit more than either has: above low by less than they differ.
  const auto behind = [](const Decimal& one) {
    return one.digits.size() - std::min<std::size_t>(one.whole, one.digits.size());
  };
  const auto extend = [&](const Decimal& one, std::size_t digits) {
    std::string text = to_text(one);
    if (text.find('.') == std::string::npos) text += '.';
    text.append(digits - behind(one), '0');
    return text + "1";
  };
  const auto digits = std::max(behind(low), behind(high));
  if (!low.negative) {
    const auto next = integral(low);
    if (next && std::is_lt(compare(decimal(*next + 1), high))) return std::to_string(*next + 1);
    return extend(low, digits);
  }
  return high.negative || high.digits.empty() ? extend(high.digits.empty() ? low : high, digits)
                                              : "0";
}

std::string value_between(const Value* low, const Value* high) {
  if (const auto* a = low ? std::get_if<Decimal>(low) : nullptr) {
    if (high) return digits_between(*a, std::get<Decimal>(*high));
    const auto dot = to_text(*a).substr(0, to_text(*a).find('.'));
    const auto whole = integral(*parse_decimal(dot));
    return std::to_string(whole.value_or(0) + 1);
  }
  if (const auto* b = high ? std::get_if<Decimal>(high) : nullptr) {
    const auto dot = to_text(*b).substr(0, to_text(*b).find('.'));
    const auto whole = integral(*parse_decimal(dot));
    return std::to_string(whole.value_or(0) - 1);
  }
  const auto middle = [](const Instant& a, const Instant& b) { return a + (b - a) / 2; };
  constexpr Nanos day = seconds_per_day * nanos_per_second;
  if (const auto* a = low ? std::get_if<TimeSpan>(low) : nullptr) {
    const auto at = high ? middle(a->start, std::get<TimeSpan>(*high).start) : a->start + day;
    return to_text(instant(at));
  }
  if (const auto* b = high ? std::get_if<TimeSpan>(high) : nullptr) {
    return to_text(instant(b->start + -day));
  }
  const auto* a = low ? std::get_if<XsdDuration>(low) : nullptr;
  const auto* b = high ? std::get_if<XsdDuration>(high) : nullptr;
  XsdDuration out = a ? *a : XsdDuration{};
  if (!b) {
    out.seconds += seconds_per_day;
  } else if (out.months == b->months) {
    out.seconds += (b->seconds - out.seconds) / 2;
    if (a && out == *a) out.nanos += 1;
  } else {
    out.seconds += 1;  // a month and more above: one second is less
  }
  return format_duration(out);
}

}  // namespace

std::string Space::witness_text(const Axis& axis, std::int64_t candidate) const {
  if (axis.kind == Axis::Kind::names) {
    const auto& one = axis.names[static_cast<std::size_t>(candidate)];
    if (!one.fresh) return one.name;
    return one.name.empty() ? "*" : "* < " + one.name;
  }
  if (axis.kind == Axis::Kind::periodic) {
    return format_seconds({candidate * seconds_per_day, 0});
  }
  if (axis.kind == Axis::Kind::equality) {
    const auto position = static_cast<std::size_t>(candidate);
    return position < axis.constants.size() ? to_text(axis.constants[position]) : "*";
  }
  const auto gap = static_cast<std::size_t>(candidate / 2);
  if (candidate % 2 == 1) return to_text(axis.constants[gap]);
  return value_between(
      gap > 0 ? &axis.constants[gap - 1] : nullptr,
      gap < axis.constants.size() ? &axis.constants[gap] : nullptr
  );
}

std::vector<WitnessValue> Space::witness(const State& state) const {
  std::vector<WitnessValue> out;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    if (state[i] < 0) continue;
    const auto candidate = axes_[i].candidates[static_cast<std::size_t>(state[i])];
    out.push_back({axes_[i].operand, witness_text(axes_[i], candidate)});
  }
  return out;
}

}  // namespace tally::odrl
