// Two simulated connectors with an agreement, a transfer and uses, each witnessed by the other, and
// what a bundle is made of: a folder with a log and a store.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/checkpoint.hpp"
#include "tally/audit/key_rotation.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/statement.hpp"
#include "tally/audit/tree.hpp"
#include "tally/evidence/collect.hpp"
#include "tally/transfer/duty_note.hpp"
#include "tally/transfer/use_notice.hpp"

#include "audit/known_keys.hpp"
#include "transfer/connector.hpp"

namespace tally::evidence {

using transfer::test::Connector;
using transfer::test::hospital;
using transfer::test::institute;
using transfer::test::research;

struct Side {
  std::string log_seed;
  std::string witness_seed;
};
inline const Side hospital_keys{audit::log_seed, audit::witness_seed};
inline const Side institute_keys{audit::third_seed, std::string(64, 'b')};

class Sample {
 public:
  explicit Sample(bool with_statements = true) {
    provider.offer(institute);
    prepare(provider, hospital_keys, with_statements);
    prepare(consumer, institute_keys, with_statements);
    provider.start();
    consumer.start();
    other = agree();
    agreement = agree();
    const auto pid = consumer.await(consumer.transfers->request({agreement, "HttpData-PULL"}));
    if (!pid) throw std::runtime_error(pid.error().message.code);
    world.run_for(seconds(30));
    const auto token = consumer.add_app("reader", research);
    for (int use = 0; use < 2; ++use) consumer.read(agreement, token);
    world.run_for(seconds(5));
  }

  // Releases a checkpoint over all, with a log.heads record first; and has the other side cosign
  // it.
  void release(Connector& of, const Side& keys, const Side* witness, bool heads = true) {
    if (heads) append(of, "log.heads");
    audit::Frontier tree;
    Digest last{};
    const auto each = [&](const audit::RecordView& record) {
      tree.append(record.leaf);
      last = record.leaf;
    };
    if (!audit::for_each_record(*of.storage, 0, each)) throw std::runtime_error("unread");
    const audit::Checkpoint checkpoint{of.log_key.name, tree.size(), tree.root(), {}};
    const auto note =
        audit::sign_checkpoint(checkpoint, of.log_key, audit::signer_of(keys.log_seed)).value();
    const std::string head = "tally/head/v1\n" + of.log_key.name + "\n" +
                             std::to_string(tree.size()) + "\n" + to_hex(last) + "\n\n" + note;
    if (!of.storage->replace_small("head", head)) throw std::runtime_error("head");
    if (witness == nullptr) return;
    const PartyId& peer = &of == &provider ? institute : hospital;
    const auto key = witness_key(peer, *witness);
    audit::Note cosigned = audit::parse_note(note).value();
    cosigned.signatures.push_back(audit::cosign_checkpoint(
                                      note,
                                      key,
                                      static_cast<std::uint64_t>(world.now().seconds),
                                      audit::signer_of(witness->witness_seed)
    )
                                      .value());
    const Json body = {
        {"size", tree.size()}, {"note", cosigned.print()}, {"failingSince", 0}, {"missing", false}};
    Transaction change;
    Row row;
    row.kind = "cosigned";
    row.id = to_string(peer);
    row.owner = row.id;
    if (const auto known = of.store->row(row.kind, row.id).value()) row.version = known->version;
    row.body = body.dump();
    change.puts.push_back(row);
    of.await(of.journal->commit(std::move(change), {})).value();
  }

  void append(Connector& of, const std::string& type) {
    append(of, audit::RecordDraft(type, new_event(of.node->random(), world.now())));
  }

  // A record that names a note, which the store keeps.
  void append_note(Connector& of, audit::RecordDraft draft, const std::string& note) {
    Row row;
    row.kind = "signed-note";
    row.id = to_hex(sha256(note));
    row.owner = agreement.value;
    row.state = "held";
    row.body = Json{{"note", note}}.dump();
    Transaction change;
    change.puts.push_back(std::move(row));
    draft.about(agreement).set("content", sha256(note));
    std::vector<audit::RecordDraft> drafts;
    drafts.push_back(std::move(draft));
    of.await(of.journal->commit(std::move(change), std::move(drafts))).value();
  }

  // Beside receipts: the consumer states its uses and tells of one, and the provider confirms a
  // duty.
  void sign_notes() {
    const auto institute_signs = negotiation::test::signer_of(institute);
    const auto key = audit::make_verifier_key(institute.uri, institute_signs->public_key());
    const audit::Signer signs = [&](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
      const auto signature = institute_signs->sign(bytes);
      return Bytes(signature.begin(), signature.end());
    };
    const auto draft = [this](const char* type) {
      return audit::RecordDraft(type, new_event(provider.node->random(), world.now()));
    };
    audit::Statement statement;
    statement.agreement = agreement;
    statement.number = 1;
    statement.sums.from = 1;
    statement.sums.to = 9;
    statement.sums.uses = 2;
    statement.origin = consumer.log_key.name;
    statement.size = 9;
    audit::RecordDraft stated = draft("statement.held");
    stated.set("number", statement.number).set_json("sums", statement.sums.to_json());
    append_note(provider, std::move(stated), audit::sign_statement(statement, key, signs).value());

    const std::string leaf = to_hex(Digest{});
    const transfer::UseNotice notice{
        agreement,
        RuleId("urn:test:inform"),
        consumer.log_key.name,
        "2026-01-01T00:00:00.000000Z",
        {{UseId("use-1"), "read", "2026-01-01T00:00:00.000000Z", 7, leaf}}};
    audit::RecordDraft told = draft("inform.held");
    told.set("use", "use-1").set("rule", notice.duty.value);
    told.set_json("peer", {{"origin", notice.origin}, {"seq", 7}, {"leaf", leaf}});
    append_note(provider, std::move(told), transfer::sign_use_notice(notice, key, signs).value());

    transfer::DutyNote duty;
    duty.agreement = agreement;
    duty.to = institute.uri;
    duty.number = 1;
    duty.duty = RuleId("urn:test:pay");
    duty.time = duty.at = {1'767'225'600, 0};
    duty.confirmation = digest_text(sha256("paid"));
    const auto hospital_signs = negotiation::test::signer_of(hospital);
    const auto word = transfer::sign_duty_note(duty, hospital.uri, *hospital_signs).value();
    for (Connector* const of : {&provider, &consumer}) {
      audit::RecordDraft confirmed = draft("duty.confirmed");
      confirmed.set("action", "compensate").set("rule", duty.duty.value);
      confirmed.set("confirmation", duty.confirmation);
      append_note(*of, std::move(confirmed), word);
    }
  }

  // The log's key is that of `next` from here on.
  void rotate(Connector& of, const Side& now, const Side& next) {
    const auto after = audit::key_of(of.log_key.name, next.log_seed);
    const auto note = audit::sign_rotation(
        {of.log_key.name, of.log_key, after, {world.now().seconds, 0}},
        audit::signer_of(now.log_seed),
        audit::signer_of(next.log_seed)
    );
    audit::RecordDraft draft("key.rotated", new_event(of.node->random(), world.now()));
    draft.set("vkey", after.text()).set("note", note.value());
    append(of, std::move(draft));
    of.log_key = after;
  }

  Collected collected(Connector& of) {
    auto made = collect(*of.storage, *of.store, agreement);
    if (!made) throw std::runtime_error(render(made.error().message, Lang::en));
    return *std::move(made);
  }

  static std::string anchors() { return negotiation::test::pki().health.pem(); }

  sim::World world{11};
  sim::SimNetwork network{world};
  Connector provider{world, network, hospital};
  Connector consumer{world, network, institute};
  AgreementId agreement;
  AgreementId other;

 private:
  static void append(Connector& of, audit::RecordDraft draft) {
    std::vector<audit::RecordDraft> drafts;
    drafts.push_back(std::move(draft));
    of.await(of.journal->commit(Transaction{}, std::move(drafts))).value();
  }

  static audit::VerifierKey witness_key(const PartyId& party, const Side& keys) {
    return audit::key_of(party.uri + "/witness", keys.witness_seed, audit::cosignature_type);
  }

  static void prepare(Connector& of, const Side& keys, bool with_statement) {
    of.log_key = audit::key_of(of.self.uri + "/log/1", keys.log_seed);
    if (!with_statement) return;
    identity::KeyStatement statement;
    statement.party = of.self.uri;
    statement.log_origin = of.log_key.name;
    statement.first_log_vkey = of.log_key.text();
    statement.witness_vkey = witness_key(of.self, keys).text();
    statement.not_before = {1'700'000'000, 0};
    statement.not_after = {2'000'000'000, 0};
    of.key_statement = statement;
  }

  AgreementId agree() {
    const auto before = consumer.agreements();
    const auto begun = consumer.negotiate(hospital, {research});
    if (!begun) throw std::runtime_error(begun.error().message.code);
    world.run_for(seconds(10));
    for (const auto& one : consumer.agreements()) {
      const auto same = [&one](const auto& old) { return old.id == one.id; };
      if (std::none_of(before.begin(), before.end(), same)) return one.id;
    }
    throw std::runtime_error("no agreement");
  }
};

}  // namespace tally::evidence
