#include "distance.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tally::aggregates {

namespace {

// Exact numbers grow without bound, so ranks are found modulo a prime. A rank modulo a prime is
// never larger than the true one: a hand of full rank here has full rank there, as long as the rank
// of all rows is the same in both. It is, but where the prime divides every minor of that size,
// which for 2^61 − 1 takes dozens of sets laid out for it.
constexpr std::uint64_t prime = (std::uint64_t{1} << 61) - 1;

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  const auto low = static_cast<std::uint64_t>(product & prime);
  const auto high = static_cast<std::uint64_t>(product >> 61);
  const auto sum = low + high;
  return sum >= prime ? sum - prime : sum;
}

std::uint64_t minus(std::uint64_t a, std::uint64_t b) {
  return a >= b ? a - b : a + prime - b;
}

std::uint64_t inverse(std::uint64_t a) {
  std::uint64_t out = 1;
  for (std::uint64_t power = prime - 2; power > 0; power >>= 1) {
    if ((power & 1) != 0) out = times(out, a);
    a = times(a, a);
  }
  return out;
}

// Rows that are in the same sets.
struct Atom {
  std::vector<std::uint32_t> sets;
  std::size_t rows = 0;
};

// In no order that depends on anything but the sets. What is in no set is left out: nothing was
// told of it.
std::vector<Atom> atoms_of(std::span<const RowSet> sets, std::size_t rows) {
  std::vector<std::uint32_t> atom_of(rows, 0);
  std::vector<Atom> atoms(1);
  for (std::size_t s = 0; s < sets.size(); ++s) {
    std::map<std::uint32_t, std::uint32_t> inside;  // of an atom, the part within this set
    for (const auto row : sets[s]) {
      const auto from = atom_of[row];
      auto part = inside.find(from);
      if (part == inside.end()) {
        part = inside.emplace(from, static_cast<std::uint32_t>(atoms.size())).first;
        Atom fresh{atoms[from].sets, 0};
        fresh.sets.push_back(static_cast<std::uint32_t>(s));
        atoms.push_back(std::move(fresh));
      }
      atom_of[row] = part->second;
    }
  }
  for (const auto atom : atom_of) ++atoms[atom].rows;
  std::erase_if(atoms, [](const Atom& one) { return one.rows == 0 || one.sets.empty(); });
  return atoms;
}

// Vectors in echelon form.
class Span {
 public:
  Span(std::size_t width, std::uint64_t& steps) : width_(width), steps_(steps), at_(width) {}

  // False: it is in the span already.
  bool add(const Atom& atom) {
    std::vector<std::uint64_t> vector(width_, 0);
    for (const auto set : atom.sets) vector[set] = 1;
    for (std::size_t i = 0; i < width_; ++i) {
      if (vector[i] == 0) continue;
      if (at_[i].empty()) {
        const auto factor = inverse(vector[i]);
        for (std::size_t j = i; j < width_; ++j) vector[j] = times(vector[j], factor);
        take(width_ - i);
        at_[i] = std::move(vector);
        ++rank_;
        return true;
      }
      const auto factor = vector[i];
      const auto& with = at_[i];
      for (std::size_t j = i; j < width_; ++j) {
        if (with[j] != 0) vector[j] = minus(vector[j], times(factor, with[j]));
      }
      take(width_ - i);
    }
    return false;
  }
  [[nodiscard]] std::size_t rank() const { return rank_; }

 private:
  void take(std::uint64_t steps) { steps_ -= std::min(steps_, steps); }

  std::size_t width_;
  std::uint64_t& steps_;                        // left
  std::vector<std::vector<std::uint64_t>> at_;  // by the place of their first entry, which is 1
  std::size_t rank_ = 0;
};

// Deals atoms out into hands of full rank.
class Dealer {
 public:
  Dealer(std::vector<Atom> atoms, std::size_t sets, std::uint64_t steps)
      : atoms_(std::move(atoms)), left_(sets, 0), sets_(sets), steps_(steps) {
    for (const auto& atom : atoms_) {
      for (const auto set : atom.sets) left_[set] += atom.rows;
    }
  }

  Distance deal(std::size_t hands) {
    Span all(sets_, steps_);
    for (const auto& atom : atoms_) {
      all.add(atom);
      if (steps_ == 0) return Distance::too_much;
    }
    for (std::size_t i = 0; i < hands; ++i) {
      Span hand(sets_, steps_);
      for (const auto place : order()) {
        auto& atom = atoms_[place];
        if (atom.rows == 0 || !hand.add(atom)) {
          if (steps_ == 0) return Distance::too_much;
          continue;
        }
        --atom.rows;
        for (const auto set : atom.sets) --left_[set];
        if (hand.rank() == all.rank()) break;
      }
      if (hand.rank() < all.rank()) return Distance::broken;
    }
    return Distance::kept;
  }

 private:
  // What is plenty first, so that no hand takes more of what is scarce than it has to.
  [[nodiscard]] std::vector<std::size_t> order() const {
    std::vector<std::pair<double, std::size_t>> by;
    for (std::size_t i = 0; i < atoms_.size(); ++i) {
      if (atoms_[i].rows == 0) continue;
      double scarce = 1.0 / static_cast<double>(atoms_[i].rows);
      for (const auto set : atoms_[i].sets) scarce += 1.0 / static_cast<double>(left_[set]);
      by.emplace_back(scarce, i);
    }
    std::ranges::sort(by);
    std::vector<std::size_t> out;
    out.reserve(by.size());
    for (const auto& [scarce, place] : by) out.push_back(place);
    return out;
  }

  std::vector<Atom> atoms_;        // with the rows that are left
  std::vector<std::size_t> left_;  // of each set
  std::size_t sets_;
  std::uint64_t steps_;
};

}  // namespace

Distance distance_of(
    std::span<const RowSet> sets, std::size_t rows, std::size_t least, std::uint64_t steps
) {
  std::vector<RowSet> distinct(sets.begin(), sets.end());
  std::erase_if(distinct, [](const RowSet& one) { return one.empty(); });
  std::ranges::sort(distinct);
  const auto twice = std::ranges::unique(distinct);
  distinct.erase(twice.begin(), twice.end());
  if (distinct.empty()) return Distance::kept;
  return Dealer(atoms_of(distinct, rows), distinct.size(), steps).deal(least);
}

}  // namespace tally::aggregates
