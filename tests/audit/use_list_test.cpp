// What a list of records adds up to is what the records do, counted here once more by hand.
#include "tally/audit/use_list.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"

namespace tally::audit {
namespace {

const Bytes seed(32, 4);
const VerifierKey key =
    make_verifier_key("did:web:institute.example", ed25519_public_key(seed).value());
Result<Bytes> signer(std::span<const std::uint8_t> bytes) {
  return ed25519_sign(seed, bytes);
}

// The records of an agreement: one of each kind that counts, and some that do not.
std::vector<Json> records() {
  const auto of = [](std::uint64_t aseq, const char* type, Json more) {
    more["agreement"] = "urn:test:a";
    more["aseq"] = aseq;
    more["type"] = type;
    more["time"] = "2026-03-01T08:00:0" + std::to_string(aseq) + ".000000Z";
    return more;
  };
  const auto refused = [](const char* code) {
    return Json{{"action", "read"}, {"reason", {{"code", code}, {"params", Json::object()}}}};
  };
  return {
      of(1, "contract.finalized", {}),
      of(2, "use.permitted", {{"action", "read"}}),
      of(3, "use.permitted", {{"action", "read"}}),
      of(4,
         "use.executed",
         {{"uses", {{{"bytes", 100}, {"rows", 4}, {"use", "a"}}, {{"bytes", 7}, {"use", "b"}}}}}),
      of(5, "use.denied", refused("usage.limit-reached")),
      of(6, "hold.placed", {}),
      of(7, "use.denied", refused("usage.held-by-peer")),
      of(8, "use.aborted", {{"use", "b"}}),
      of(9, "use.executed", {{"uses", {{{"bytes", 5}, {"rows", 2}, {"use", "c"}}}}}),
  };
}

template <class Each>
void each_view(const std::vector<Json>& all, const Each& each) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string text = to_jcs(all[i]);
    const std::string type = all[i]["type"];
    const std::string time = all[i]["time"];
    RecordView view;
    view.seq = 10 + i;
    view.leaf = leaf_hash(text);
    view.text = text;
    view.type = type;
    view.time = time;
    view.agreement = "urn:test:a";
    each(view);
  }
}

UseList list_of(const std::vector<Json>& all) {
  UseList list;
  list.agreement = AgreementId("urn:test:a");
  list.last = 9;
  list.origin = "did:web:institute.example/log/1";
  list.size = 30;
  each_view(all, [&](const RecordView& view) { list.lines.push_back(use_line(view)); });
  return list;
}

TEST(UseLists, WhatTheLinesAddUpToIsWhatTheRecordsDo) {
  const auto list = list_of(records());
  UseSums of_records;
  of_records.from = 1;
  each_view(records(), [&](const RecordView& view) { of_records.add(view); });
  of_records.from = 1;
  const auto of_lines = add_up(list.lines, 1, 9);
  EXPECT_EQ(of_lines, of_records);
  EXPECT_EQ(of_lines.uses, 1);
  EXPECT_EQ(of_lines.bytes, 112U);
  EXPECT_EQ(of_lines.rows, 6U);
  EXPECT_EQ(
      of_lines.refusals,
      (std::map<std::string, std::uint64_t>{{"usage.held-by-peer", 1}, {"usage.limit-reached", 1}})
  );
  EXPECT_EQ(of_lines.to, 9U);
  EXPECT_EQ(add_up(list.lines, 5, 8).bytes, 0U);
  EXPECT_EQ(add_up(list.lines, 5, 8).rows, std::nullopt);
}

TEST(UseLists, SumsWithRowsAreReadAndThoseWithoutToo) {
  const auto sums = add_up(list_of(records()).lines, 1, 9);
  EXPECT_EQ(parse_use_sums(sums.to_json()).value(), sums);
  auto before = sums;
  before.rows.reset();
  EXPECT_FALSE(before.to_json().contains("rows"));
  EXPECT_EQ(parse_use_sums(before.to_json()).value(), before);
  auto spoiled = sums.to_json();
  spoiled["rows"] = -1;
  EXPECT_FALSE(parse_use_sums(spoiled));
}

TEST(UseLists, WhatWasSignedIsRead) {
  const auto list = list_of(records());
  const auto note = sign_use_list(list, key, signer).value();
  const auto read = verify_use_list(note, key);
  ASSERT_TRUE(read) << read.error().message.code;
  EXPECT_EQ(*read, list);
  EXPECT_TRUE(read->is_whole());
  for (std::size_t i = 0; i < note.size(); i += 7) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(verify_use_list(changed, key)) << i;
  }
}

TEST(UseLists, WhatIsNoListIsRefused) {
  const auto content = Json::parse([] {
    const auto note = sign_use_list(list_of(records()), key, signer).value();
    const auto begin = note.find('\n') + 1;
    return note.substr(begin, note.find('\n', begin) - begin);
  }());
  const std::vector<std::function<void(Json&)>> faults = {
      [](Json& json) { json.erase("agreement"); },
      [](Json& json) { json["from"] = 0; },
      [](Json& json) { json["from"] = 2; },  // and begins with 1
      [](Json& json) { json["last"] = 8; },
      [](Json& json) { json["log"]["root"] = "sha256:00"; },
      [](Json& json) { json["records"][3]["aseq"] = 3; },
      [](Json& json) { json["records"][0].erase("leaf"); },
      [](Json& json) { json["records"] = Json::object(); },
      [](Json& json) {
        for (std::uint64_t i = 10; i < 220; ++i) {
          auto more = json["records"][0];
          more["aseq"] = i;
          json["records"].push_back(more);
        }
        json["last"] = 220;
      },
  };
  for (std::size_t i = 0; i < faults.size(); ++i) {
    Json json = content;
    faults[i](json);
    const auto note = sign_json("tally/use-list/v1", to_jcs(json), key, signer).value();
    EXPECT_FALSE(verify_use_list(note, key)) << i;
  }
}

}  // namespace
}  // namespace tally::audit
