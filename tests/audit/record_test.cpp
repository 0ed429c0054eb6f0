#include "tally/audit/record.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/record_types.hpp"
#include "tally/core/json.hpp"

#include "audit/chain.hpp"
#include "audit/json_rewrite.hpp"
#include "audit/record_scan.hpp"

namespace tally::audit {
namespace {

TEST(Record, ADraftIsCanonicalWhateverTheOrderOfItsMembers) {
  RecordDraft draft("use.permitted", EventId("01900000-0000-7000-8000-000000000001"));
  draft.set("purpose", "研究 \"1\"\n\x1f")
      .set("bytes", std::uint64_t{7})
      .set("action", "read")
      .set("reason", Message{"a.b", {{"x", "1"}, {"a", "2"}}})
      .set("counterparty", PartyId{"north", "did:web:a"})
      .about(AgreementId("urn:uuid:a"));
  const auto parsed = parse_json(draft.to_text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(to_jcs(*parsed), draft.to_text());
  EXPECT_EQ(draft.agreement(), "urn:uuid:a");
}

TEST(Record, ADraftComesBackFromTheOutboxAsItWas) {
  RecordDraft draft("transfer.sent", EventId("01900000-0000-7000-8000-000000000001"));
  draft.about(AgreementId("urn:\"quoted\"")).set("pid", "p").set("bytes", 12).set("last", true);
  draft.set_json("list", Json::parse(R"([{"b":1,"a":[null,false]}])"));
  const auto back = RecordDraft::parse(draft.to_text());
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, draft);
  EXPECT_EQ(back->agreement(), "urn:\"quoted\"");
  EXPECT_FALSE(RecordDraft::parse("{}"));
  EXPECT_FALSE(RecordDraft::parse("[1]"));
  EXPECT_FALSE(RecordDraft::parse(R"({"type": "a","event":"b"})"));
}

// Sixteen bytes are looked at at once: whatever ends a run of plain ones is found at every place.
TEST(Record, TheScannerFindsWhatIsNotPlainAtEveryPlace) {
  JsonRewriter rewriter;
  for (std::size_t size = 0; size < 70; ++size) {
    const std::string record = R"({"a":")" + std::string(size, 'x') + R"(","b":1})";
    ASSERT_TRUE(scan_record(record).canonical) << size;
    ASSERT_EQ(scan_record(record).value("b"), "1");
    for (std::size_t at = 6; at < 6 + size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = record;
        changed[at] = static_cast<char>(byte);
        // One byte of a longer character, a control, the end of the string or a lone escape.
        const bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
        const RecordScan scan = scan_record(changed);
        ASSERT_EQ(scan.canonical, plain) << size << " " << at << " " << byte;
        ASSERT_EQ(rewriter.rewrite(changed) == changed, plain) << size << " " << at << " " << byte;
        if (!plain && byte != '"' && byte != '\\') ASSERT_EQ(scan.fault, at);
      }
    }
  }
}

TEST(Record, SettingAMemberTwiceReplacesIt) {
  RecordDraft draft("log.opened", EventId("e"));
  draft.set("bytes", 1).set("bytes", 22);
  EXPECT_EQ(draft.to_text(), R"({"bytes":22,"event":"e","type":"log.opened"})");
  EXPECT_EQ(draft.bytes() + 1, draft.to_text().size());
}

TEST(Record, TheScannerAndTheRewriterAgreeWithTheCanonicalFormOfCore) {
  JsonRewriter rewriter;
  const std::vector<std::string> canonical = {
      R"({})",
      R"({"a":1,"b":[1,2,{"c":"d"}],"c":{"x":null,"y":true,"z":false}})",
      R"({"a":-9007199254740991,"b":9007199254740991,"c":0})",
      R"({"a":"\"\\\b\f\n\r\t\u001f\u0000/é研😀"})",
  };
  for (const std::string& text : canonical) {
    EXPECT_TRUE(scan_record(text).canonical) << text;
    const Json json = Json::parse(text);
    EXPECT_EQ(to_jcs(json), text);
    EXPECT_EQ(rewriter.rewrite(text), text);
  }
  const std::vector<std::string> not_canonical = {
      "",
      "1",
      "[]",
      R"({"a":1,})",
      R"({"a":1}x)",
      R"({ "a":1})",
      R"({"a": 1})",
      R"({"b":1,"a":2})",
      R"({"a":1,"a":2})",
      R"({"a":1.0})",
      R"({"a":1e3})",
      R"({"a":01})",
      R"({"a":-0})",
      R"({"a":9007199254740992})",
      R"({"a":"\/"})",
      R"({"a":"\u0041"})",
      R"({"a":"\u001F"})",
      R"({"a":"\u000a"})",
      R"({"é":1})",
      R"({"\u0001":1})",
      "{\"a\":\"\xff\"}",
      "{\"a\":\"\xc0\x80\"}",
      "{\"a\":\"\xed\xa0\x80\"}",
      "{\"a\":\"\n\"}",
      R"({"a":"x)",
      R"({"a":tru})",
      R"({"a":{"c":1,"b":2}})",
  };
  for (const std::string& text : not_canonical) {
    EXPECT_FALSE(scan_record(text).canonical) << text;
    // Keys beyond ASCII are the scanner's to refuse: the rewriter knows no order of UTF-16.
    if (text.find("é") == text.npos && text.find("\\u0001") == text.npos) {
      EXPECT_NE(rewriter.rewrite(text), text) << text;
    }
  }
  std::string deep = R"({"a":)" + std::string(40, '[') + std::string(40, ']') + "}";
  EXPECT_FALSE(scan_record(deep).canonical);
}

TEST(CanonicalValue, MembersAreFoundInOnePassAndBrokenTextIsNotLeft) {
  const std::string_view text = R"({"a":{"b":1},"c":[1,"]"],"e":"x,}","g":-7})";
  const std::array<std::string_view, 4> keys = {"a", "b", "e", "g"};
  std::array<std::string_view, 4> values;
  find_members(text, keys, values);
  EXPECT_EQ(values, (std::array<std::string_view, 4>{R"({"b":1})", "", R"("x,}")", "-7"}));
  EXPECT_EQ(integer_of(values[3]), -7);
  EXPECT_EQ(integer_of(values[2]), std::nullopt);
  EXPECT_EQ(integer_of(""), std::nullopt);
  // What is cut anywhere is not canonical; it is looked at all the same, and no further.
  for (std::size_t end = 0; end < text.size(); ++end) {
    const std::string cut(text.substr(0, end));
    find_members(cut, keys, values);
    for (ArrayValues list(find_member(cut, "c")); list.next();) {
    }
    (void)unquote(find_member(cut, "e"));
  }
}

TEST(Record, MembersAreFoundWithoutATree) {
  const std::string text =
      R"({"a":{"b":"x,\"}","c":[1]},"b":"é\"","c":12,"d":[{"a":1},"]"],"e":null})";
  EXPECT_EQ(find_member(text, "a"), R"({"b":"x,\"}","c":[1]})");
  EXPECT_EQ(find_member(text, "b"), R"("é\"")");
  EXPECT_EQ(unquote(find_member(text, "b")), "é\"");
  EXPECT_EQ(find_member(text, "c"), "12");
  EXPECT_EQ(find_member(text, "d"), R"([{"a":1},"]"])");
  EXPECT_EQ(find_member(text, "e"), "null");
  EXPECT_EQ(find_member(text, "bb"), "");
  EXPECT_EQ(find_member(text, "x"), "");
  EXPECT_EQ(find_member("{}", "x"), "");
}

TEST(Record, TheTableOfTypesIsSortedAndEachTypeIsFound) {
  const auto& types = record_types();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end(), [](const auto& a, const auto& b) {
    return a.name < b.name;
  }));
  for (const RecordType& type : types) {
    EXPECT_EQ(find_record_type(type.name), &type);
    for (const std::string_view member : type.required) EXPECT_FALSE(is_stamped(member));
  }
  EXPECT_EQ(find_record_type("use"), nullptr);
  EXPECT_EQ(find_record_type(""), nullptr);
  EXPECT_EQ(find_record_type("zzz"), nullptr);
}

TEST(Record, TheFormatDocumentListsEachTypeWithItsMembers) {
  std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/docs/audit-log-format.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  for (const RecordType& type : record_types()) {
    std::string line = "| `" + std::string(type.name) + "` | ";
    for (std::size_t i = 0; i < type.required.size(); ++i) {
      line += (i == 0 ? "`" : ", `") + std::string(type.required[i]) + "`";
    }
    if (type.required.empty() && type.also.empty()) line += "–";
    if (!type.also.empty()) line += type.required.empty() ? "new: " : "; new: ";
    for (std::size_t i = 0; i < type.also.size(); ++i) {
      line += (i == 0 ? "`" : ", `") + std::string(type.also[i]) + "`";
    }
    line += " |\n";
    EXPECT_NE(document.find(line), std::string::npos) << line;
  }
}

// A chain of two records whose hashes an independent implementation computed.
TEST(Record, TheLeafHashIsTheOneOfRfc6962) {
  const std::string key =
      "connector.example/log1+e4e9c3a0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
  const std::string head =
      R"({"actor":{"domain":"example","uri":"did:web:provider.example"},"event":"019b76da-)";
  const std::string first =
      head + R"(a800-7000-8000-000000000000","log":"connector.example/log1","prev":")" +
      std::string(64, '0') +
      R"(","seq":0,"suite":"sha256-ed25519","test":false,"time":"2026-01-01T00:00:00.000000Z",)" +
      R"("type":"log.genesis","v":1,"vkey":")" + key + "\"}";
  const std::string h0 = to_hex(leaf_hash(first));
  EXPECT_EQ(h0, "ff321d31b07fcdf58d1711f1c39583cd083c5f985629c1ad9cdb0d0261eaa4fe");
  const std::string second =
      head + R"(abe8-7000-8000-000000000000","log":"connector.example/log1","prev":")" + h0 +
      R"(","private":"sha256:ccb0695ab19246af6fbc39aecdf3b99425e7da941fdaf02d8580572e1b01ebe7",)" +
      R"("seq":1,"time":"2026-01-01T00:00:01.000000Z","type":"admin.action","v":1})";
  EXPECT_EQ(
      to_hex(leaf_hash(second)), "e9b750f1fc7bc2f78b81044883430d4a2ce7e490a53ec3eac5bac1b5f24de6d6"
  );
  Chain chain;
  RecordView view;
  EXPECT_FALSE(chain.take(first, "f", 0, view));
  EXPECT_TRUE(view.commitment.empty());
  EXPECT_FALSE(chain.take(second, "f", 0, view));
  EXPECT_EQ(
      view.commitment, "sha256:ccb0695ab19246af6fbc39aecdf3b99425e7da941fdaf02d8580572e1b01ebe7"
  );
  EXPECT_EQ(chain.size(), 2U);
  EXPECT_EQ(
      to_hex(leaf_hash("")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
  );
}

TEST(Record, EveryLinkAndEveryTypeHasItsSentence) {
  const auto known = [](const std::string& code) {
    const auto& table = sentence_table();
    return std::any_of(table.begin(), table.end(), [&code](const Sentence& sentence) {
      return sentence.code == code;
    });
  };
  for (const RecordType& type : record_types()) {
    EXPECT_TRUE(known("audit.story-" + std::string(type.name))) << type.name;
  }
  for (const char* link :
       {"frame",
        "canonical",
        "member",
        "type",
        "seq",
        "prev",
        "time",
        "event",
        "aseq",
        "aprev",
        "log",
        "clock",
        "genesis",
        "head",
        "heads",
        "short",
        "tail",
        "segment"}) {
    EXPECT_TRUE(known(std::string("audit.link-") + link)) << link;
  }
}

}  // namespace
}  // namespace tally::audit
