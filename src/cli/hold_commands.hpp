// Holds: an operator's, told to a running connector, and a regulator's orders, which are made and
// signed with no connector at all.
#pragma once

#include <filesystem>
#include <string>

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

// What a hold is on; exactly one is set.
struct HoldTarget {
  bool everything = false;
  std::string agreement;
  std::string asset;
  std::string party;
  std::string app;
};
struct HoldOptions {
  HoldTarget on;
  std::string id;      // of the hold
  std::string until;   // xsd:dateTime
  std::string reason;  // a code
};

int hold_list(const Console& console, Management& api, bool lifted);
int hold_place(const Console& console, Management& api, const HoldOptions& options);
int hold_lift(
    const Console& console, Management& api, const std::string& id, const std::string& reason
);
// Hands the order of a regulator to the connector.
int hold_send(const Console& console, Management& api, const std::filesystem::path& order);
// The hold on everything, and its end.
int stop_all(const Console& console, Management& api, const std::string& reason);
int go_on(const Console& console, Management& api);

// `move`: suspension or resumption of an agreement.
int move_agreement(
    const Console& console,
    Management& api,
    const std::string& agreement,
    const std::string& move,
    const std::string& reason
);

// A regulator's key, into a new file that only its owner reads; prints what connectors configure.
int hold_key(const Console& console, const std::filesystem::path& file, const std::string& name);
struct OrderOptions {
  std::filesystem::path key;
  std::string name;  // of the key
  std::string to;    // URI of the participant
  std::string hold;
  bool lifts = false;
  HoldTarget on;
  std::string until;
  std::string reference;
};
// Prints the signed order.
int hold_order(const Console& console, const OrderOptions& options);

// What the other side says was used under an agreement, and what does not fit in it. Exit: 0, 1
// something does not.
int ask_statements(
    const Console& console, Management& api, const std::string& agreement, std::uint64_t from
);

}  // namespace tally::cli
