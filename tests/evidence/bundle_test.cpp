// Bundles: what a whole one shows, and that nothing can be changed, left out or put in unseen.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>

#include <gtest/gtest.h>

#include "tally/audit/shown_heads.hpp"
#include "tally/audit/ustar.hpp"
#include "tally/evidence/check.hpp"
#include "tally/identity/message_signature.hpp"

#include "evidence/sample.hpp"

namespace tally::evidence {
namespace {

using audit::Verdict;

Belief anchored() {
  return {Sample::anchors(), std::nullopt};
}

std::string said(const BundleReport& report) {
  std::string text;
  if (report.finding) {
    text = report.finding->file + " " + report.finding->link + " " +
           render(report.finding->message, Lang::en) + "\n";
  }
  for (const auto* list : {&report.missing, &report.trusted, &report.shown}) {
    for (const Message& message : *list) text += render(message, Lang::en) + "\n";
  }
  return text;
}

bool has(const std::vector<Message>& list, const std::string& code) {
  return std::any_of(list.begin(), list.end(), [&](const Message& m) { return m.code == code; });
}

// Made once: it takes a second.
struct Made {
  Made() {
    sample.sign_notes();
    sample.release(sample.provider, hospital_keys, &institute_keys);
    sample.release(sample.consumer, institute_keys, &hospital_keys);
    provider = sample.collected(sample.provider).bundle;
    consumer = sample.collected(sample.consumer).bundle;
  }
  Sample sample;
  Bundle provider;
  Bundle consumer;
};
Made& made() {
  static Made one;
  return one;
}

TEST(Bundle, OfEachSideIsWholeWithTheAnchorsAlone) {
  for (const Bundle* bundle : {&made().provider, &made().consumer}) {
    const auto report = check_bundle(bundle->print(), anchored());
    EXPECT_EQ(report.verdict, Verdict::whole) << said(report);
    EXPECT_TRUE(has(report.shown, "evidence.all-records"));
    EXPECT_TRUE(has(report.shown, "evidence.signed"));
    EXPECT_TRUE(has(report.shown, "evidence.rules-confirmed"));
    EXPECT_TRUE(has(report.shown, "evidence.log-key-stated"));
    EXPECT_TRUE(has(report.trusted, "evidence.revocation-listed"));
    EXPECT_TRUE(has(report.trusted, "evidence.time-witnessed")) << said(report);
    EXPECT_FALSE(has(report.trusted, "evidence.chain-unjudged"));
    EXPECT_TRUE(has(report.shown, "evidence.notes")) << said(report);
    EXPECT_GT(report.records, 5U);
  }
}

TEST(Bundle, TheSameInputGivesTheSameBytes) {
  auto& sample = made().sample;
  EXPECT_EQ(sample.collected(sample.provider).bundle.print(), made().provider.print());
  const auto read = parse_bundle(made().provider.print());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->print(), made().provider.print());
}

TEST(Bundle, NamesNoOtherAgreement) {
  for (const Bundle* bundle : {&made().provider, &made().consumer}) {
    const std::string bytes = bundle->print();
    EXPECT_NE(bytes.find(made().sample.agreement.value), std::string::npos);
    EXPECT_EQ(bytes.find(made().sample.other.value), std::string::npos);
  }
}

TEST(Bundle, WithoutAnchorsSaysWhatWasTakenOnTrust) {
  const auto report = check_bundle(made().provider.print(), {});
  EXPECT_EQ(report.verdict, Verdict::whole) << said(report);
  EXPECT_TRUE(has(report.trusted, "evidence.chain-unjudged"));
  EXPECT_TRUE(has(report.trusted, "evidence.log-key-unjudged"));
}

TEST(Bundle, IsHeldAgainstTheKeyThatTheReaderHas) {
  Belief belief;
  belief.policy.emplace();
  belief.policy->logs.push_back(
      {audit::key_of("did:web:hospital.example/log/1", audit::log_seed), {}}
  );
  EXPECT_EQ(check_bundle(made().provider.print(), belief).verdict, Verdict::whole);
  belief.policy->logs[0].key = audit::key_of("did:web:hospital.example/log/1", audit::witness_seed);
  EXPECT_EQ(check_bundle(made().provider.print(), belief).verdict, Verdict::changed);
}

TEST(Bundle, OfOtherAnchorsIsRefused) {
  const Belief other{negotiation::test::pki().city.pem(), std::nullopt};
  const auto report = check_bundle(made().provider.print(), other);
  ASSERT_TRUE(report.finding);
  EXPECT_EQ(report.finding->link, "chain");
}

// Every byte, with one bit turned; every seventh bit in turn.
TEST(Bundle, EveryChangedByteIsSeen) {
  const std::string bytes = made().provider.print();
  const std::size_t step = std::getenv("TALLY_LONG") != nullptr ? 1 : 7;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] ^ (1 << (at % 8)));
    EXPECT_NE(check_bundle(other, {}).verdict, Verdict::whole) << at;
  }
}

TEST(Bundle, ACutOneIsSeen) {
  const std::string bytes = made().provider.print();
  for (std::size_t size = 0; size < bytes.size(); size += 509) {
    EXPECT_NE(check_bundle(bytes.substr(0, size), {}).verdict, Verdict::whole) << size;
  }
}

// As somebody would who makes the manifest anew.
BundleReport check_again(const Bundle& bundle) {
  return check_bundle(bundle.print(), anchored());
}

// Without these less is shown, and nothing else says that there was more.
bool may_be_left_out(const std::string& name) {
  return name == "witness/theirs.note";
}

TEST(Bundle, EveryFileThatIsLeftOutIsMissed) {
  for (const Bundle* whole : {&made().provider, &made().consumer}) {
    for (const auto& [name, bytes] : whole->files) {
      if (may_be_left_out(name)) continue;
      Bundle other = *whole;
      other.files.erase(name);
      EXPECT_NE(check_again(other).verdict, Verdict::whole) << name;
    }
  }
}

TEST(Bundle, EveryFileWithOneChangedByteAndANewManifestIsSeen) {
  const Bundle& whole = made().provider;
  for (const auto& [name, bytes] : whole.files) {
    // Nothing rests on the guide.
    if (name == "VERIFY.txt") continue;
    for (std::size_t part = 0; part < 16; ++part) {
      Bundle other = whole;
      std::string& text = other.files[name];
      const std::size_t at = text.size() * part / 16;
      text[at] = static_cast<char>(text[at] ^ 0x01);
      // A digit of what somebody else signed beside us is an unknown signature, and ignored.
      EXPECT_NE(check_again(other).verdict, Verdict::whole) << name << " " << at;
    }
  }
}

TEST(Bundle, FilesThatChangePlacesAreSeen) {
  const Bundle& whole = made().provider;
  std::vector<std::string> names;
  for (const auto& [name, bytes] : whole.files) names.push_back(name);
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = i + 1; j < names.size(); j += 5) {
      Bundle other = whole;
      std::swap(other.files[names[i]], other.files[names[j]]);
      EXPECT_NE(check_again(other).verdict, Verdict::whole) << names[i] << " " << names[j];
    }
  }
}

TEST(Bundle, WhatBelongsToNothingIsRefused) {
  for (const char* name : {"a", "records/x.json", "receipts/ff.note", "zz/secret"}) {
    Bundle other = made().provider;
    other.files[name] = "x";
    EXPECT_EQ(check_again(other).verdict, Verdict::changed) << name;
  }
}

TEST(Bundle, AFileThatTheManifestDoesNotListIsRefused) {
  Bundle listed = made().provider;
  listed.files.erase("VERIFY.txt");
  const std::string archive = listed.print();
  const auto parsed = audit::parse_ustar(archive);
  ASSERT_TRUE(parsed);
  auto files = *parsed;
  files.insert(files.begin(), {"VERIFY.txt", "anything"});
  const auto report = check_bundle(audit::write_ustar(files), {});
  ASSERT_TRUE(report.finding);
  EXPECT_EQ(report.finding->link, "manifest");
}

TEST(Bundle, ANoteOfTheOtherPartyThatIsNotThereIsNotShown) {
  Bundle other = made().consumer;
  const auto gone =
      std::erase_if(other.files, [](const auto& file) { return file.first.starts_with("notes/"); });
  ASSERT_EQ(gone, 1U);
  const auto report = check_again(other);
  EXPECT_EQ(report.verdict, Verdict::incomplete);
  EXPECT_TRUE(has(report.missing, "evidence.file-missing")) << said(report);
}

// What an owner can do that has its log key: other records at the same places, a new tree over
// them, new proofs and heads. Without cosignatures, which it cannot make.
Bundle forged(const Bundle& whole, const std::function<void(Json& record)>& change) {
  Bundle out = whole;
  const auto key = audit::key_of(whole.origin, audit::log_seed);
  std::map<std::uint64_t, std::string> texts;
  std::string before(64, '0');
  audit::AgreementHead head;
  std::optional<audit::HeadsMap> map;
  std::uint64_t heads_seq = 0;
  for (const auto& [name, bytes] : whole.files) {
    if (!name.starts_with("records/")) continue;
    Json record = parse_json(bytes).value();
    const std::uint64_t seq = record.at("seq");
    if (record.contains("agreement")) record["aprev"] = before;
    if (record.at("type") == "log.heads") {
      heads_seq = seq;
      map = audit::HeadsMap::make({{AgreementId(whole.agreement), head}}).value();
      record["root"] = digest_text(map->root());
    }
    change(record);
    texts[seq] = to_jcs(record);
    if (!record.contains("agreement")) continue;
    const Digest leaf = audit::leaf_hash(texts[seq]);
    before = to_hex(leaf);
    head = {head.aseq + 1, leaf, seq + 1};
  }
  std::map<std::pair<unsigned, std::uint64_t>, Digest> hashes;
  audit::Frontier tree;
  for (std::uint64_t seq = 0; seq < whole.size; ++seq) {
    const auto text = texts.find(seq);
    const Digest leaf = text == texts.end() ? Digest{} : audit::leaf_hash(text->second);
    tree.append(leaf, [&](const audit::Subtree& s) { hashes[{s.level, s.index}] = s.hash; });
  }
  const audit::SubtreeHash stored = [&](unsigned level, std::uint64_t index) -> Result<Digest> {
    return hashes.at({level, index});
  };
  const std::string note =
      audit::sign_checkpoint(
          {whole.origin, whole.size, tree.root(), {}}, key, audit::signer_of(audit::log_seed)
      )
          .value();
  for (const auto& [seq, text] : texts) {
    const std::string number =
        std::string(20 - std::to_string(seq).size(), '0') + std::to_string(seq);
    const audit::LogProof proof{
        std::nullopt, seq, audit::make_inclusion_proof(seq, whole.size, stored).value(), note};
    out.files["records/" + number + ".json"] = text;
    out.files["proofs/" + number + ".tlog-proof"] = proof.print();
    if (seq != heads_seq) continue;
    out.files["heads/agreement.heads"] =
        audit::ShownHeads{text, map->prove(AgreementId(whole.agreement)), proof}.print();
  }
  auto policy = audit::parse_log_policy(whole.files.at("policy.txt")).value();
  policy.quorum.clear();
  out.files["policy.txt"] = policy.print();
  return out;
}

TEST(Bundle, WhatAnOwnerRewritesWithItsKeyIsSeen) {
  const Bundle& whole = made().provider;
  const auto untouched = check_again(forged(whole, [](Json&) {}));
  EXPECT_FALSE(untouched.finding) << said(untouched);

  const auto of = [](const char* type, const std::function<void(Json&)>& change) {
    return [type, change](Json& record) {
      if (record.at("type") == type) change(record);
    };
  };
  struct Case {
    const char* name;
    std::function<void(Json&)> change;
    const char* link;
  };
  const std::vector<Case> table = {
      {"another before",
       of("transfer.sent", [](Json& r) { r["aprev"] = std::string(64, '0'); }),
       "aprev"},
      {"a gap", of("transfer.sent", [](Json& r) { r["aseq"] = 90; }), "aseq"},
      {"back in time",
       of("transfer.completed", [](Json& r) { r["time"] = "2020-01-01T00:00:00.000000Z"; }),
       "time"},
      {"another log",
       of("transfer.sent", [](Json& r) { r["log"] = "did:web:other/log/1"; }),
       "log"},
      {"another agreement",
       of("transfer.completed", [](Json& r) { r["agreement"] = "urn:uuid:b"; }),
       "record"},
      {"another kind of record",
       of("log.heads", [](Json& r) { r["type"] = "log.heartbeat"; }),
       "record"},
      {"another key",
       of("log.genesis",
          [](Json& r) {
            r["vkey"] = audit::key_of("did:web:hospital.example/log/1", audit::third_seed).text();
          }),
       "key"},
      {"another signature of the provider",
       of("contract.agreed", [](Json& r) { r["signature"] = digest_text(Digest{}); }),
       "signature"},
      {"another signature of the consumer",
       of("contract.finalized",
          [](Json& r) { r["signatures"]["consumer"] = digest_text(Digest{}); }),
       "signature"},
      {"signed a year before the log says so",
       [](Json& r) {
         if (r.at("seq") == 0) return;
         std::string time = r["time"];
         r["time"] = time.replace(0, 4, std::to_string(std::stoi(time.substr(0, 4)) + 1));
       },
       "time"},
      {"another policy",
       of("contract.finalized", [](Json& r) { r["policy"] = digest_text(Digest{}); }),
       "agreement"},
      // Here the other party's receipt convicts: it names the record as it was.
      {"more bytes sent", of("transfer.sent", [](Json& r) { r["bytes"] = 1; }), "receipt"},
      // And here what it signed beside receipts.
      {"more uses stated", of("statement.held", [](Json& r) { r["sums"]["uses"] = 3; }), "note"},
      {"another statement", of("statement.held", [](Json& r) { r["number"] = 2; }), "note"},
      {"another use told", of("inform.held", [](Json& r) { r["use"] = "use-2"; }), "note"},
      {"told for another duty", of("inform.held", [](Json& r) { r["rule"] = "urn:b"; }), "note"},
      {"another duty confirmed",
       of("duty.confirmed", [](Json& r) { r["rule"] = "urn:b"; }),
       "note"},
      {"another confirmation",
       of("duty.confirmed", [](Json& r) { r["confirmation"] = digest_text(Digest{}); }),
       "note"},
      {"no hash of a note", of("inform.held", [](Json& r) { r["content"] = 7; }), "note"},
      {"another receipt",
       of("receipt.held", [](Json& r) { r["receipt"] = digest_text(Digest{}); }),
       "file"},
  };
  for (const Case& one : table) {
    const auto report = check_again(forged(whole, one.change));
    ASSERT_TRUE(report.finding) << one.name << "\n" << said(report);
    EXPECT_EQ(report.finding->link, one.link) << one.name << "\n" << said(report);
  }
}

// A genuine receipt in the place of another one by the same party.
TEST(Bundle, AReceiptIsTheOneThatTheRecordNames) {
  const Bundle& whole = made().provider;
  for (const auto& [name, bytes] : whole.files) {
    if (!name.starts_with("receipts/")) continue;
    const bool held = bytes.find("— did:web:institute.example") != std::string::npos;
    const PartyId& party = held ? institute : hospital;
    const auto signer = negotiation::test::signer_of(party);
    auto receipt = transfer::verify_receipt(bytes, party.uri, signer->public_key());
    ASSERT_TRUE(receipt);
    receipt->time = "2026-01-01T00:00:01.000000Z";
    Bundle other = whole;
    other.files[name] = transfer::sign_receipt(*receipt, party.uri, *signer).value();
    const auto report = check_again(other);
    ASSERT_TRUE(report.finding) << name;
    EXPECT_EQ(report.finding->link, "receipt");
  }
}

// The newest records of the agreement left out with everything that they need.
TEST(Bundle, ASelectionIsNotAll) {
  Bundle other = made().provider;
  std::string last;
  for (const auto& [name, bytes] : other.files) {
    if (name.starts_with("records/") && bytes.find("\"aseq\"") != std::string::npos) last = name;
  }
  const std::string seq = last.substr(8, 20);
  other.files.erase(last);
  other.files.erase("proofs/" + seq + ".tlog-proof");
  const auto report = check_again(other);
  ASSERT_TRUE(report.finding) << said(report);
  EXPECT_EQ(report.finding->link, "heads");
}

TEST(Bundle, TheOtherSidesEvidenceDoesNotFit) {
  for (const char* name :
       {"contract/agreement.json",
        "contract/provider-signature.json",
        "heads/agreement.heads",
        "policy.txt"}) {
    Bundle other = made().provider;
    if (other.files[name] == made().consumer.files.at(name)) continue;
    other.files[name] = made().consumer.files.at(name);
    EXPECT_NE(check_again(other).verdict, Verdict::whole) << name;
  }
}

TEST(Bundle, WithoutAWitnessSaysSoAndWithoutHeadsIsIncomplete) {
  Sample sample;
  sample.release(sample.provider, hospital_keys, nullptr);
  auto report = check_again(sample.collected(sample.provider).bundle);
  EXPECT_EQ(report.verdict, Verdict::whole) << said(report);
  EXPECT_TRUE(has(report.trusted, "evidence.unwitnessed"));
  EXPECT_TRUE(has(report.trusted, "evidence.time-own-word"));
  sample.release(sample.consumer, institute_keys, nullptr, false);
  report = check_again(sample.collected(sample.consumer).bundle);
  EXPECT_EQ(report.verdict, Verdict::incomplete);
  EXPECT_TRUE(has(report.missing, "evidence.no-heads"));
}

// A witness saw less than the bundle's checkpoint: the bundle shows that the log went on from
// there.
TEST(Bundle, AnEarlierCosignatureIsContinued) {
  Sample sample;
  sample.release(sample.provider, hospital_keys, &institute_keys);
  const auto token = sample.consumer.add_app("again", research);
  const auto pid =
      sample.consumer.await(sample.consumer.transfers->request({sample.agreement, "HttpData-PULL"})
      );
  ASSERT_TRUE(pid);
  sample.world.run_for(seconds(30));
  sample.release(sample.provider, hospital_keys, nullptr);
  const Bundle bundle = sample.collected(sample.provider).bundle;
  const auto report = check_again(bundle);
  EXPECT_EQ(report.verdict, Verdict::whole) << said(report);
  EXPECT_TRUE(has(report.shown, "evidence.cosigned"));
  EXPECT_TRUE(has(report.trusted, "evidence.time-witnessed"));
  const auto continued = std::find_if(bundle.files.begin(), bundle.files.end(), [](const auto& f) {
    return f.first.ends_with(".continued");
  });
  ASSERT_NE(continued, bundle.files.end());
  Bundle other = bundle;
  std::string& proof = other.files[continued->first];
  // Another hash of the consistency proof.
  const auto line = proof.find('\n') + 1;
  proof.replace(line, 43, to_base64(Bytes(32, 1)).substr(0, 43));
  EXPECT_EQ(check_again(other).verdict, Verdict::changed);
}

// The partner cosigned under the old key, and the bundle's checkpoint is signed by the new one.
TEST(Bundle, FollowsTheLogsKey) {
  Sample sample;
  sample.release(sample.provider, hospital_keys, &institute_keys);
  const Side next{std::string(64, 'c'), hospital_keys.witness_seed};
  sample.rotate(sample.provider, hospital_keys, next);
  const auto pid =
      sample.consumer.await(sample.consumer.transfers->request({sample.agreement, "HttpData-PULL"})
      );
  ASSERT_TRUE(pid);
  sample.world.run_for(seconds(30));
  sample.release(sample.provider, next, nullptr);
  const Bundle bundle = sample.collected(sample.provider).bundle;
  const auto report = check_again(bundle);
  EXPECT_EQ(report.verdict, Verdict::whole) << said(report);
  EXPECT_TRUE(has(report.shown, "evidence.cosigned"));
  // Without the record, or with another note, the new key is nobody's.
  const auto rotation =
      std::find_if(bundle.files.begin(), bundle.files.end(), [](const auto& file) {
        return file.second.find("key.rotated") != std::string::npos &&
               file.first.starts_with("records/");
      });
  ASSERT_NE(rotation, bundle.files.end());
  Bundle without = bundle;
  without.files.erase(rotation->first);
  EXPECT_EQ(check_again(without).verdict, Verdict::changed);
  Bundle other = bundle;
  std::string& record = other.files[rotation->first];
  const auto at = record.find("tally/key-rotation/v1") + 30;
  record[at] = record[at] == 'a' ? 'b' : 'a';
  const auto said_of_other = check_again(other);
  EXPECT_EQ(said_of_other.verdict, Verdict::changed);

  // The other side's bundle holds no checkpoint of a key that its agreement does not name.
  sample.release(sample.consumer, institute_keys, nullptr);
  const auto theirs = check_again(sample.collected(sample.consumer).bundle);
  EXPECT_NE(theirs.verdict, Verdict::changed) << said(theirs);
}

TEST(Bundle, WithoutAKeyStatementIsIncomplete) {
  Sample sample(false);
  sample.release(sample.provider, hospital_keys, nullptr);
  const auto report = check_again(sample.collected(sample.provider).bundle);
  EXPECT_EQ(report.verdict, Verdict::incomplete) << said(report);
  EXPECT_TRUE(has(report.missing, "evidence.no-statement"));
}

// One that this program wrote once: later versions read it all the same.
TEST(Bundle, OfTheFirstFormIsStillWhole) {
  const auto read = [](const std::string& name) {
    std::ifstream in(std::string(TALLY_SOURCE_DIR) + "/tests/data/evidence/" + name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const auto report = check_bundle(read("provider.tar"), {read("anchors.pem"), std::nullopt});
  EXPECT_EQ(report.verdict, Verdict::whole) << said(report);
}

// Agreements from before the lists were archived.
TEST(Bundle, OfAnOldArchiveSaysWhatIsMissing) {
  auto archive = parse_json(made().provider.files.at("contract/provider-signature.json")).value();
  ASSERT_TRUE(archive.contains("lists"));
  archive.erase("lists");
  archive["crlState"] = "";
  const auto read = identity::verify_archive(to_jcs(archive));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->lists.empty());
  EXPECT_TRUE(read->crl_state.empty());
}

}  // namespace
}  // namespace tally::evidence
