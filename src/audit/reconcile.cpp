#include "tally/audit/reconcile.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tally/core/instant.hpp"

#include "log_side.hpp"

namespace tally::audit {
namespace {

// What a connector takes for a jump of its clock (docs/operations.md, "clock").
constexpr Nanos most_skew = seconds(300);

using Events = std::vector<const Event*>;
using Sums = std::map<std::string, std::map<std::uint64_t, std::string>>;

// One transfer process as both logs tell it: [0] here, [1] there.
struct Process {
  std::string pid;
  std::array<Events, 2> of;
};

// Each side has a pid of its own for a process, and names the other's once it knows it.
std::vector<Process> processes_of(const std::array<const std::vector<Event>*, 2>& events) {
  std::vector<Process> all;
  std::map<std::string, std::size_t> by_pid;
  for (std::size_t side = 0; side < 2; ++side) {
    for (const Event& event : *events[side]) {
      if (event.of_deletion || event.pid.empty()) continue;
      auto known = by_pid.find(event.pid);
      if (known == by_pid.end() && !event.peer_pid.empty()) known = by_pid.find(event.peer_pid);
      const std::size_t at = known == by_pid.end() ? all.size() : known->second;
      if (at == all.size()) all.push_back({event.pid, {}});
      by_pid.emplace(event.pid, at);
      if (!event.peer_pid.empty()) by_pid.emplace(event.peer_pid, at);
      if (event.type == "transfer.sent") all[at].pid = event.pid;
      all[at].of[side].push_back(&event);
    }
  }
  return all;
}

Events select(const Events& events, std::initializer_list<std::string_view> types) {
  Events found;
  for (const Event* event : events) {
    if (std::find(types.begin(), types.end(), event->type) != types.end()) found.push_back(event);
  }
  return found;
}

// Compares one agreement; `lines` grows.
class Agreement {
 public:
  // `sums`: what the records of each side's own statements add up to.
  Agreement(
      std::string id,
      const LogSide& here,
      const LogSide& there,
      const std::array<Sums, 2>& sums,
      std::vector<ReconciledLine>& lines
  )
      : id_(std::move(id)), sides_{&here, &there}, sums_(sums), lines_(lines) {}

  void compare() {
    contract();
    static const std::vector<Event> none;
    std::array<const std::vector<Event>*, 2> events{&none, &none};
    for (std::size_t side = 0; side < 2; ++side) {
      const auto found = sides_[side]->events.find(id_);
      if (found != sides_[side]->events.end()) events[side] = &found->second;
    }
    for (const Process& process : processes_of(events)) transfer(process);
    deletions(events);
    for (std::size_t side = 0; side < 2; ++side) statements(side);
    for (std::size_t side = 0; side < 2; ++side) {
      const auto gaps = sides_[side]->gaps.find(id_);
      if (gaps == sides_[side]->gaps.end()) continue;
      for (const auto& gap : gaps->second) of_one(Reconciled::aseq_gap, "aseq", "", side, gap);
    }
  }

 private:
  void add(
      Reconciled kind,
      std::string_view about,
      const std::string& pid,
      std::string here,
      std::string there
  ) {
    lines_.push_back({kind, std::string(about), id_, pid, std::move(here), std::move(there)});
  }
  // `first` is what `side` says, `second` what the other one does.
  void of_both(
      Reconciled kind,
      std::string_view about,
      const std::string& pid,
      std::size_t side,
      std::string first,
      std::string second
  ) {
    if (side == 1) std::swap(first, second);
    add(kind, about, pid, std::move(first), std::move(second));
  }
  void of_one(
      Reconciled kind,
      std::string_view about,
      const std::string& pid,
      std::size_t side,
      std::string value
  ) {
    of_both(kind, about, pid, side, std::move(value), {});
  }
  static Reconciled missing_at(std::size_t side) {
    return side == 0 ? Reconciled::missing_here : Reconciled::missing_there;
  }

  void contract() {
    constexpr std::string_view about = "contract.finalized";
    std::array<const ContractFacts*, 2> found{};
    for (std::size_t side = 0; side < 2; ++side) {
      const auto contract = sides_[side]->contracts.find(id_);
      if (contract != sides_[side]->contracts.end()) found[side] = &contract->second;
    }
    if (found[0] == nullptr && found[1] == nullptr) return;
    for (std::size_t side = 0; side < 2; ++side) {
      if (found[side] != nullptr) continue;
      const ContractFacts& other = *found[1 - side];
      of_one(missing_at(side), about, other.pid, 1 - side, other.policy);
      return;
    }
    const bool same = found[0]->policy == found[1]->policy;
    add(same ? Reconciled::match : Reconciled::hash_mismatch,
        about,
        found[0]->pid,
        found[0]->policy,
        found[1]->policy);
  }

  void transfer(const Process& process) {
    order(process);
    bool compared = false;
    for (std::size_t sender = 0; sender < 2; ++sender) {
      const Events sent = select(process.of[sender], {"transfer.sent"});
      const Events got = select(process.of[1 - sender], {"transfer.received", "transfer.rejected"});
      if (sent.empty() && got.empty()) continue;
      compared = true;
      contents(process, sender, sent, got);
    }
    if (compared) return;
    // Nothing has gone over; that there is such a transfer must still be known to both.
    for (std::size_t side = 0; side < 2; ++side) {
      if (!process.of[side].empty()) continue;
      const Event& other = *process.of[1 - side].front();
      of_one(missing_at(side), other.type, process.pid, 1 - side, std::to_string(other.seq));
      return;
    }
    const Event& mine = *process.of[0].front();
    const Event& theirs = *process.of[1].front();
    add(Reconciled::match,
        mine.type,
        process.pid,
        std::to_string(mine.seq),
        std::to_string(theirs.seq));
  }

  // A transfer may be sent again with another content, so pairs are looked for by content first;
  // what is left on both sides is the same transfer with different contents.
  void contents(const Process& process, std::size_t sender, Events sent, Events got) {
    std::vector<std::pair<const Event*, const Event*>> pairs;
    for (auto one = sent.begin(); one != sent.end();) {
      const auto same = std::find_if(got.begin(), got.end(), [&](const Event* other) {
        return other->content == (*one)->content;
      });
      if (same == got.end()) {
        ++one;
        continue;
      }
      pairs.emplace_back(*one, *same);
      got.erase(same);
      one = sent.erase(one);
    }
    while (!sent.empty() && !got.empty()) {
      pairs.emplace_back(sent.back(), got.back());
      sent.pop_back();
      got.pop_back();
    }
    bool received = false;
    for (const auto& [mine, theirs] : pairs) {
      received = received || theirs->type == "transfer.received";
      pair(process, sender, *mine, *theirs);
    }
    for (const Event* one : sent) {
      of_one(missing_at(1 - sender), one->type, process.pid, sender, one->content);
    }
    for (const Event* one : got) {
      of_one(missing_at(sender), one->type, process.pid, 1 - sender, one->content);
    }
    if (pairs.empty()) return;
    receipts(process, sender, true);
    receipts(process, 1 - sender, received);
    keys(process, sender);
  }

  void pair(const Process& process, std::size_t sender, const Event& sent, const Event& got) {
    const auto say = [&](Reconciled kind, const std::string& mine, const std::string& theirs) {
      of_both(kind, got.type, process.pid, sender, mine, theirs);
    };
    if (sent.content != got.content) {
      say(Reconciled::hash_mismatch, sent.content, got.content);
    } else if (sent.bytes != got.bytes) {
      say(Reconciled::bytes_mismatch, sent.bytes, got.bytes);
    } else {
      say(Reconciled::match, sent.content, got.content);
    }
    const auto at = parse_date_time(sent.time);
    const auto then = parse_date_time(got.time);
    if (!at || !then) return;
    const Nanos apart = then->instant - at->instant;
    if (apart > most_skew || apart < -most_skew) say(Reconciled::time_skew, sent.time, got.time);
  }

  // Receipts that `issuer` signs and the other side holds.
  void receipts(const Process& process, std::size_t issuer, bool expected) {
    std::set<std::string> issued;
    std::set<std::string> held;
    for (const Event* event : select(process.of[issuer], {"receipt.issued"})) {
      issued.insert(event->receipt);
    }
    // The receiver names the sender's receipt in its own record of the data, too.
    for (const Event* event :
         select(process.of[1 - issuer], {"receipt.held", "transfer.received"})) {
      if (!event->receipt.empty()) held.insert(event->receipt);
    }
    if (issued.empty() && held.empty() && expected) {
      add(Reconciled::unsigned_, "receipt.issued", process.pid, {}, {});
    }
    notes("receipt.issued", process.pid, issuer, issued, held);
  }

  // Keys of payloads that went out encrypted: what `sender` gave, and what opened at the other
  // side.
  void keys(const Process& process, std::size_t sender) {
    std::set<std::string> released;
    std::set<std::string> opened;
    for (const Event* event : select(process.of[sender], {"key.released"})) {
      released.insert(event->content);
    }
    for (const Event* event : select(process.of[1 - sender], {"key.received"})) {
      opened.insert(event->content);
    }
    for (const auto& content : released) {
      if (opened.contains(content)) {
        add(Reconciled::match, "key.released", process.pid, content, content);
      } else {
        of_one(missing_at(1 - sender), "key.released", process.pid, sender, content);
      }
    }
    for (const auto& content : opened) {
      if (released.contains(content)) continue;
      of_one(missing_at(sender), "key.received", process.pid, 1 - sender, content);
    }
  }

  void notes(
      std::string_view about,
      const std::string& pid,
      std::size_t issuer,
      const std::set<std::string>& issued,
      const std::set<std::string>& held
  ) {
    std::set<std::string> all = issued;
    all.insert(held.begin(), held.end());
    for (const auto& note : all) {
      const bool mine = issued.contains(note);
      const bool theirs = held.contains(note);
      of_both(
          mine && theirs ? Reconciled::match : Reconciled::unsigned_,
          about,
          pid,
          issuer,
          mine ? note : std::string(),
          theirs ? note : std::string()
      );
    }
  }

  // Notes of deletion; the two sides file them under different processes, so their hash joins them.
  void deletions(const std::array<const std::vector<Event>*, 2>& events) {
    for (std::size_t issuer = 0; issuer < 2; ++issuer) {
      std::set<std::string> issued;
      std::set<std::string> held;
      std::string pid;
      for (const Event& event : *events[issuer]) {
        if (!event.of_deletion || event.type != "receipt.issued") continue;
        issued.insert(event.receipt);
        pid = event.pid;
      }
      for (const Event& event : *events[1 - issuer]) {
        if (!event.of_deletion || event.type != "receipt.held") continue;
        held.insert(event.receipt);
        pid = event.pid;
      }
      notes("data.destroyed", pid, issuer, issued, held);
    }
  }

  // What `issuer` stated of its uses, with what its records add up to and what the other holds.
  void statements(std::size_t issuer) {
    constexpr std::string_view about = "statement.issued";
    std::map<std::uint64_t, std::array<const StatementEvent*, 2>> by_number;  // issued, held
    for (std::size_t side = 0; side < 2; ++side) {
      const auto found = sides_[side]->statements.find(id_);
      if (found == sides_[side]->statements.end()) continue;
      for (const StatementEvent& event : found->second) {
        if (event.held == (side == issuer)) continue;
        by_number[event.number][event.held ? 1 : 0] = &event;
      }
    }
    std::uint64_t expected = 1;
    for (const auto& [number, events] : by_number) {
      // Numbers have no gap: what neither log knows was never signed.
      for (; expected < number; ++expected) {
        add(Reconciled::unsigned_, about, std::to_string(expected), {}, {});
      }
      expected = number + 1;
      const std::string pid = std::to_string(number);
      const auto& [issued, held] = events;
      if (issued == nullptr) {
        of_one(Reconciled::unsigned_, about, pid, 1 - issuer, held->content);
        continue;
      }
      if (const std::string added = added_up(issuer, number); added != issued->sums) {
        of_one(Reconciled::count_mismatch, about, pid, issuer, issued->sums + " log " + added);
      }
      if (held == nullptr) {
        of_one(missing_at(1 - issuer), about, pid, issuer, issued->content);
      } else if (issued->sums != held->sums) {
        of_both(Reconciled::count_mismatch, about, pid, issuer, issued->sums, held->sums);
      } else {
        const bool same = issued->content == held->content;
        const auto kind = same ? Reconciled::match : Reconciled::hash_mismatch;
        of_both(kind, about, pid, issuer, issued->content, held->content);
      }
    }
  }
  [[nodiscard]] std::string added_up(std::size_t side, std::uint64_t number) const {
    const auto of = sums_[side].find(id_);
    if (of == sums_[side].end()) return {};
    const auto found = of->second.find(number);
    return found == of->second.end() ? std::string() : found->second;
  }

  // Each log by itself: the first of each step comes after the first of the step before.
  void order(const Process& process) {
    static constexpr std::array<std::string_view, 4> steps = {
        "transfer.requested", "transfer.started", "data", "transfer.completed"};
    for (std::size_t side = 0; side < 2; ++side) {
      std::array<const Event*, steps.size()> first{};
      for (const Event* event : process.of[side]) {
        const bool is_data = event->type == "transfer.sent" || event->type == "transfer.received" ||
                             event->type == "transfer.rejected";
        const auto step = std::find(
            steps.begin(), steps.end(), is_data ? steps[2] : std::string_view(event->type)
        );
        if (step == steps.end()) continue;
        auto& slot = first[static_cast<std::size_t>(step - steps.begin())];
        if (slot == nullptr) slot = event;
      }
      const Event* before = nullptr;
      const auto contract = sides_[side]->contracts.find(id_);
      for (const Event* event : first) {
        if (event == nullptr) continue;
        if (before == nullptr) {
          if (contract != sides_[side]->contracts.end() && contract->second.seq > event->seq) {
            of_one(
                Reconciled::order,
                event->type,
                process.pid,
                side,
                std::to_string(event->seq) + " contract.finalized " +
                    std::to_string(contract->second.seq)
            );
          }
        } else if (event->seq < before->seq) {
          of_one(
              Reconciled::order,
              event->type,
              process.pid,
              side,
              std::to_string(event->seq) + " " + before->type + " " + std::to_string(before->seq)
          );
        }
        if (before == nullptr || event->seq > before->seq) before = event;
      }
    }
  }

  std::string id_;
  std::array<const LogSide*, 2> sides_;
  const std::array<Sums, 2>& sums_;
  std::vector<ReconciledLine>& lines_;
};

// Whether the records of `log` that the other side says it saw stand where it saw them.
Result<void> look_up(
    const RecordSource& log,
    std::vector<Seen> seen,
    bool log_is_here,
    const std::set<std::string>& agreements,
    std::vector<ReconciledLine>& lines
) {
  std::erase_if(seen, [&](const Seen& one) { return !agreements.contains(one.agreement); });
  const auto leaves = leaves_at(log, seen);
  if (!leaves) return tl::unexpected(leaves.error());
  for (const Seen& one : seen) {
    const std::string& leaf = leaves->at(one.seq);
    const auto kind = leaf.empty()       ? Reconciled::cut
                      : leaf == one.leaf ? Reconciled::match
                                         : Reconciled::other_leaf;
    const std::string at = std::to_string(one.seq) + " ";
    ReconciledLine line{kind, "peer", one.agreement, one.pid, {}, {}};
    line.here = leaf.empty() ? leaf : at + leaf;
    line.there = at + one.leaf;
    if (!log_is_here) std::swap(line.here, line.there);
    lines.push_back(std::move(line));
  }
  return {};
}

}  // namespace

std::string_view to_string(Reconciled kind) {
  switch (kind) {
    case Reconciled::match:
      return "MATCH";
    case Reconciled::missing_here:
      return "MISSING_HERE";
    case Reconciled::missing_there:
      return "MISSING_THERE";
    case Reconciled::hash_mismatch:
      return "HASH_MISMATCH";
    case Reconciled::bytes_mismatch:
      return "BYTES_MISMATCH";
    case Reconciled::count_mismatch:
      return "COUNT_MISMATCH";
    case Reconciled::unsigned_:
      return "UNSIGNED";
    case Reconciled::aseq_gap:
      return "ASEQ_GAP";
    case Reconciled::order:
      return "ORDER";
    case Reconciled::time_skew:
      return "TIME_SKEW";
    case Reconciled::other_leaf:
      return "FORK";
    case Reconciled::cut:
      break;
  }
  return "TRUNCATED";
}

bool Reconciliation::all_match() const {
  return std::all_of(lines.begin(), lines.end(), [](const ReconciledLine& line) {
    return line.kind == Reconciled::match;
  });
}

Result<Reconciliation> reconcile(
    const RecordSource& here, const RecordSource& there, const std::string& only
) {
  const auto mine = read_side(here);
  if (!mine) return tl::unexpected(mine.error());
  const auto theirs = read_side(there);
  if (!theirs) return tl::unexpected(theirs.error());
  if (mine->origin == theirs->origin) {
    return fail(ErrorKind::invalid, {"audit.reconcile-same", {{"origin", mine->origin}}});
  }
  std::set<std::string> agreements;
  const auto with = [&agreements](const LogSide& side, const LogSide& other) {
    for (const auto& [id, contract] : side.contracts) {
      if (contract.counterparty.uri == other.uri) agreements.insert(id);
    }
    // One that never came into force, or whose contract only one log still has.
    for (const auto& [id, last] : side.aseq) {
      if (other.aseq.contains(id)) agreements.insert(id);
    }
  };
  with(*mine, *theirs);
  with(*theirs, *mine);
  if (!only.empty()) std::erase_if(agreements, [&only](const auto& id) { return id != only; });
  if (agreements.empty()) {
    return fail(
        ErrorKind::not_found,
        {"audit.reconcile-nothing", {{"here", mine->origin}, {"there", theirs->origin}}}
    );
  }
  Reconciliation result{mine->origin, theirs->origin, {}};
  auto our_sums = sums_of_statements(here, *mine);
  if (!our_sums) return fail(std::move(our_sums));
  auto their_sums = sums_of_statements(there, *theirs);
  if (!their_sums) return fail(std::move(their_sums));
  const std::array<Sums, 2> sums{*std::move(our_sums), *std::move(their_sums)};
  for (const auto& id : agreements) Agreement(id, *mine, *theirs, sums, result.lines).compare();
  // After both were read: what a running connector wrote meanwhile is there by now.
  const auto seen_in = [](const LogSide& side, const std::string& origin) {
    const auto found = side.seen.find(origin);
    return found == side.seen.end() ? std::vector<Seen>() : found->second;
  };
  auto looked = look_up(here, seen_in(*theirs, mine->origin), true, agreements, result.lines);
  if (!looked) return fail(std::move(looked));
  looked = look_up(there, seen_in(*mine, theirs->origin), false, agreements, result.lines);
  if (!looked) return fail(std::move(looked));
  std::stable_sort(
      result.lines.begin(),
      result.lines.end(),
      [](const ReconciledLine& a, const ReconciledLine& b) { return a.agreement < b.agreement; }
  );
  return result;
}

}  // namespace tally::audit
