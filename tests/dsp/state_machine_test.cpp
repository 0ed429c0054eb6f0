#include "tally/dsp/state_machine.hpp"

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace tally::dsp {

// The legal moves once more, written by hand as "FROM event sender" → state, apart from the tables
// of the program. '*' marks a move that is accepted and never sent.
const std::map<std::string, std::string> legal_negotiation{
    {"NONE request consumer", "REQUESTED"},
    {"NONE offer-initial provider", "OFFERED"},
    {"REQUESTED offer provider", "OFFERED"},
    {"REQUESTED agreement provider", "AGREED"},
    {"REQUESTED termination consumer", "TERMINATED"},
    {"REQUESTED termination provider", "TERMINATED"},
    {"OFFERED counter-request consumer", "REQUESTED"},
    {"OFFERED accepted consumer", "ACCEPTED"},
    {"OFFERED termination consumer", "TERMINATED"},
    {"OFFERED termination provider", "TERMINATED"},
    {"ACCEPTED agreement provider", "AGREED"},
    {"ACCEPTED termination provider", "TERMINATED"},
    {"ACCEPTED termination consumer", "TERMINATED*"},
    {"AGREED verification consumer", "VERIFIED"},
    {"AGREED termination consumer", "TERMINATED"},
    {"AGREED termination provider", "TERMINATED*"},
    {"VERIFIED finalized provider", "FINALIZED"},
    {"VERIFIED termination provider", "TERMINATED"},
    {"VERIFIED termination consumer", "TERMINATED*"},
};

const std::map<std::string, std::string> legal_transfer{
    {"NONE request consumer", "REQUESTED"},
    {"REQUESTED start provider", "STARTED"},
    {"REQUESTED termination consumer", "TERMINATED"},
    {"REQUESTED termination provider", "TERMINATED"},
    {"STARTED suspension consumer", "SUSPENDED"},
    {"STARTED suspension provider", "SUSPENDED"},
    {"STARTED completion consumer", "COMPLETED"},
    {"STARTED completion provider", "COMPLETED"},
    {"STARTED termination consumer", "TERMINATED"},
    {"STARTED termination provider", "TERMINATED"},
    {"SUSPENDED start consumer", "STARTED"},
    {"SUSPENDED start provider", "STARTED"},
    {"SUSPENDED termination consumer", "TERMINATED"},
    {"SUSPENDED termination provider", "TERMINATED"},
};

template <class State, class Event>
std::size_t check_every_move(
    State last_state, Event last_event, const std::map<std::string, std::string>& legal
) {
  std::size_t moves = 0;
  std::size_t legal_moves = 0;
  for (int s = 0; s <= static_cast<int>(last_state); ++s) {
    for (int e = 0; e <= static_cast<int>(last_event); ++e) {
      for (const Role sender : {Role::provider, Role::consumer}) {
        const auto state = static_cast<State>(s);
        const auto event = static_cast<Event>(e);
        const std::string move = std::string(to_string(state)) + " " +
                                 std::string(to_string(event)) + " " +
                                 std::string(to_string(sender));
        ++moves;
        const auto result = next(state, event, sender);
        const auto expected = legal.find(move);
        if (expected == legal.end()) {
          EXPECT_FALSE(result) << move;
          EXPECT_FALSE(may_send(state, event, sender)) << move;
          continue;
        }
        ++legal_moves;
        std::string target = expected->second;
        const bool only_accepted = target.back() == '*';
        if (only_accepted) target.pop_back();
        EXPECT_EQ(may_send(state, event, sender), !only_accepted) << move;
        EXPECT_FALSE(is_final(state)) << move;
        EXPECT_TRUE(result) << move;
        if (result) EXPECT_EQ(to_string(*result), target) << move;
      }
    }
  }
  EXPECT_EQ(legal_moves, legal.size());
  return moves;
}

TEST(StateMachine, EveryStateTimesEveryNegotiationMessageTimesEachSender) {
  const auto moves = check_every_move(
      NegotiationState::terminated, NegotiationEvent::termination, legal_negotiation
  );
  EXPECT_EQ(moves, 8U * 9U * 2U);
}

TEST(StateMachine, EveryStateTimesEveryTransferMessageTimesEachSender) {
  const auto moves =
      check_every_move(TransferState::terminated, TransferEvent::termination, legal_transfer);
  EXPECT_EQ(moves, 6U * 5U * 2U);
}

template <class Rows>
void expect_no_row_twice(const Rows& rows) {
  std::set<std::tuple<int, int, int>> seen;
  for (const auto& row : rows) {
    const auto key = std::tuple(
        static_cast<int>(row.from), static_cast<int>(row.event), static_cast<int>(row.sender)
    );
    EXPECT_TRUE(seen.insert(key).second) << to_string(row.from) << " " << to_string(row.event);
  }
}

TEST(StateMachine, NoMoveIsInATableTwice) {
  expect_no_row_twice(negotiation_transitions());
  expect_no_row_twice(transfer_transitions());
}

TEST(StateMachine, NamesAreReadAsTheyAreWritten) {
  for (int s = 1; s <= static_cast<int>(NegotiationState::terminated); ++s) {
    const auto state = static_cast<NegotiationState>(s);
    EXPECT_EQ(parse_negotiation_state(to_string(state)), state);
  }
  for (int s = 1; s <= static_cast<int>(TransferState::terminated); ++s) {
    const auto state = static_cast<TransferState>(s);
    EXPECT_EQ(parse_transfer_state(to_string(state)), state);
  }
  EXPECT_FALSE(parse_negotiation_state("NONE"));
  EXPECT_FALSE(parse_negotiation_state("requested"));
  EXPECT_FALSE(parse_negotiation_state("dspace:REQUESTED"));
  EXPECT_FALSE(parse_transfer_state(""));
}

}  // namespace tally::dsp
