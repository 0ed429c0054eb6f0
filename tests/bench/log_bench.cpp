// What a large log costs: to check, to prove from, in bytes and in memory; each beside the bare
// work of the same run that bounds it.
//
// log_bench write FOLDER RECORDS [AGREEMENTS]   makes a log
// log_bench verify FOLDER [ROUNDS] [deep]       checks it; beside the bare hashing of its records
// log_bench prove FOLDER                        proofs of single records; beside their signatures
// log_bench heads                               the map of heads, as a `log.heads` needs it
// log_bench witness                             what a witness computes for one checkpoint
// log_bench transfer                            what the log adds to a transfer, on either side
#include <unordered_map>

#include "tally/audit/heads.hpp"
#include "tally/audit/log_proof.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/audit/posix.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/verify.hpp"
#include "tally/audit/witness_message.hpp"

#include "audit/segment_reader.hpp"
#include "bench_log.hpp"

namespace {

using namespace tally;
using namespace tally::audit;
using namespace tally::bench;

// The least that any check has to do: read every frame, hash every record, and grow the tree. Gives
// the CPU seconds a record.
double bare_hashing(LogStorage& storage) {
  const double start = cpu_seconds();
  Frontier tree;
  const auto segments = list_segments(storage);
  if (!segments) give_up("the log cannot be listed");
  Bytes segment;
  for (const SegmentName& name : *segments) {
    auto file = storage.open(name.name, false);
    const auto size = (*file)->size();
    segment.resize(*size);
    if (!(*file)->read_at(0, segment)) give_up("the log cannot be read");
    for (std::size_t at = 0; at < segment.size();) {
      const std::uint32_t length = frame_length(std::span(segment).subspan(at));
      if (length == 0) break;
      std::size_t record = at + frame_header_bytes;
      while (record + 4 < at + length) {
        std::uint32_t bytes = 0;
        for (std::size_t i = 0; i < 4; ++i) bytes = bytes << 8 | segment[record + i];
        if (bytes == 0) break;
        const auto* const text = reinterpret_cast<const char*>(segment.data()) + record + 4;
        tree.append(leaf_hash({text, bytes}));
        record += 4 + bytes;
      }
      at += length;
    }
  }
  return (cpu_seconds() - start) / static_cast<double>(tree.size());
}

int verify(const std::filesystem::path& folder, int rounds, Depth depth) {
  const auto storage = open_log(folder);
  HelperThread helper;  // as the tool has one
  std::vector<double> rate;
  std::vector<double> cpu;
  std::vector<double> ratio;
  VerifyReport report;
  for (int round = 0; round < rounds; ++round) {
    const double bare = bare_hashing(*storage);
    const double before = cpu_seconds();
    const auto start = Steady::now();
    report = verify_log(*storage, depth, &helper);
    if (report.verdict != Verdict::whole) give_up("the log is not whole");
    const auto records = static_cast<double>(report.records);
    rate.push_back(records / seconds_since(start));
    cpu.push_back((cpu_seconds() - before) / records);
    ratio.push_back(cpu.back() / bare);
  }
  std::printf(
      "verify%s: %.0f records/s; a record %.3f us of CPU, %.2f of bare hashing, %.0f bytes; "
      "at most %.0f MiB\n",
      depth == Depth::deep ? " --deep" : "",
      median(rate),
      median(cpu) * 1e6,
      median(ratio),
      static_cast<double>(report.bytes) / static_cast<double>(report.records),
      most_resident()
  );
  return 0;
}

const Key log_key = make_key(origin, 1);
const Key witness_key = make_key("witness.example/w", 2, cosignature_type);

std::string cosigned(const Checkpoint& checkpoint) {
  std::string note = sign_checkpoint(checkpoint, log_key.key, log_key.signer).value();
  note += cosign_checkpoint(note, witness_key.key, 1'772'352'000, witness_key.signer)->line();
  return note;
}

int prove(const std::filesystem::path& folder) {
  auto storage = open_log_folder(folder, FolderAccess::writable);
  if (!storage) give_up("the folder cannot be opened");
  const auto start = Steady::now();
  const auto recovered = recover(**storage, {});
  if (!recovered) give_up("the log cannot be opened");
  std::printf("recovered in %.2f s, %.0f MiB\n", seconds_since(start), resident_mebibytes());
  const LogTree tree(**storage, *recovered);
  const std::uint64_t size = tree.size();
  const std::string note = cosigned({origin, size, tree.root(size).value(), {}});
  const LogPolicy policy =
      parse_log_policy(
          "log " + log_key.key.text() + "\nwitness w " + witness_key.key.text() + "\nquorum w\n"
      )
          .value();
  std::string record;
  const std::uint64_t index = size / 3;
  (void)for_each_record(**storage, index, [&](const RecordView& view) {
    if (view.seq == index) record = view.text;
  });
  const auto make = [&] {
    return LogProof{std::nullopt, index, tree.inclusion_proof(index, size).value(), note}.print();
  };
  const std::string proof = make();
  const double make_us = microseconds([&] { (void)make(); });
  const double check_us = microseconds([&] {
    const auto parsed = parse_log_proof(proof);
    if (!verify_log_proof(*parsed, leaf_hash(record), policy)) give_up("the proof does not hold");
  });
  const Bytes message(200);
  const Bytes signature = *log_key.signer(message);
  const double verify_us =
      microseconds([&] { (void)ed25519_verify(log_key.key.public_key, message, signature); });
  std::printf(
      "a proof of %zu bytes in %llu records: made in %.1f us, checked in %.1f us; one Ed25519 "
      "verification %.1f us\n",
      proof.size(),
      static_cast<unsigned long long>(size),
      make_us,
      check_us,
      verify_us
  );
  return 0;
}

int heads() {
  for (const std::size_t count : {std::size_t{10'000}, std::size_t{100'000}}) {
    std::unordered_map<std::string, AgreementHead> agreements;
    std::uint64_t size = 0;
    const auto touch = [&](std::size_t number) {
      AgreementHead& head = agreements[agreement(number).value];
      ++size;
      head = {head.aseq + 1, sha256(std::to_string(size)), size};
    };
    for (std::size_t i = 0; i < count; ++i) touch(i);
    HeadsMap map;
    const double start = cpu_seconds();
    (void)map.follow(agreements);
    const double anew = (cpu_seconds() - start) * 1e3;
    std::size_t next = 0;
    const double changed = microseconds([&] {
      for (int i = 0; i < 100; ++i) touch(next = (next + 7919) % count);
      (void)map.follow(agreements);
    });
    std::size_t further = count;
    const double added = microseconds([&] {
      touch(further++);
      (void)map.follow(agreements);
    });
    const Digest left = sha256("left");
    const double node = microseconds([&] { (void)node_hash(left, left); });
    std::printf(
        "the map of %zu agreements: anew %.1f ms, after records of 100 of them %.2f ms, after a "
        "new "
        "one %.2f ms; one node hash %.3f us\n",
        count,
        anew,
        changed / 1e3,
        added / 1e3,
        node
    );
  }
  return 0;
}

int witness() {
  // The tree of a log that grows by one record between two checkpoints.
  const SubtreeHash any = [](unsigned level, std::uint64_t index) -> Result<Digest> {
    return sha256(std::to_string(level) + "/" + std::to_string(index));
  };
  constexpr std::uint64_t size = 10'000'000;
  AddCheckpoint request;
  request.old_size = size;
  request.checkpoint = {origin, size, tree_root(size, any).value(), {}};
  request.note =
      parse_note(sign_checkpoint(request.checkpoint, log_key.key, log_key.signer).value()).value();
  const std::string body = request.print();
  const WatchedLog watched{{log_key.key}, size, request.checkpoint.root};
  const double took = microseconds([&] {
    const auto parsed = parse_add_checkpoint(body);
    if (decide(*parsed, &watched).status != WitnessStatus::cosigned) give_up("not cosigned");
    (void)cosign_checkpoint(parsed->note.print(), witness_key.key, 1, witness_key.signer);
  });
  const Bytes message(200);
  const Bytes signature = *log_key.signer(message);
  const double signed_us = microseconds([&] { (void)log_key.signer(message); });
  const double verified_us =
      microseconds([&] { (void)ed25519_verify(log_key.key.public_key, message, signature); });
  std::printf(
      "a witness reads, checks and cosigns a checkpoint in %.1f us of CPU, without storing it; one "
      "Ed25519 signature %.1f us, verification %.1f us\n",
      took,
      signed_us,
      verified_us
  );
  return 0;
}

// What the log makes one side compute and send for one transfer: six records, a receipt of its own
// and one of the other side, a checkpoint with its proof, and the same of the other side cosigned.
int transfer() {
  CheapRandom random;
  const SubtreeHash any = [](unsigned level, std::uint64_t index) -> Result<Digest> {
    return sha256(std::to_string(level) + "/" + std::to_string(index));
  };
  constexpr std::uint64_t size = 10'000'000;
  const Key contract_key = make_key("did:web:bench.example", 3);
  const std::string receipt_text = "tally/receipt/v1\n" + std::string(700, 'x') + "\n";
  const std::string theirs = sign_note(receipt_text, contract_key.key, contract_key.signer).value();
  const Digest root = tree_root(size, any).value();
  const Proof proof = make_consistency_proof(size - 6, size, any).value();
  const WatchedLog watched{{log_key.key}, size, root};
  const auto request = [&](std::uint64_t old_size, Proof hashes) {
    const Checkpoint checkpoint{origin, size, root, {}};
    AddCheckpoint made{old_size, std::move(hashes), {}, checkpoint};
    made.note =
        parse_note(sign_checkpoint(checkpoint, log_key.key, log_key.signer).value()).value();
    return made;
  };
  const std::string their_request = request(size, {}).print();
  std::size_t sent = 0;
  const double took = microseconds([&] {
    for (int i = 0; i < 6; ++i) (void)leaf_hash(contract(agreement(1), random).to_text());
    const std::string ours = sign_note(receipt_text, contract_key.key, contract_key.signer).value();
    if (!verify_note(theirs, std::span(&contract_key.key, 1))) give_up("the receipt does not hold");
    const AddCheckpoint our_request = request(size - 6, proof);
    const auto parsed = parse_add_checkpoint(their_request);
    if (decide(*parsed, &watched).status != WitnessStatus::cosigned) give_up("not cosigned");
    const auto cosignature =
        cosign_checkpoint(parsed->note.print(), witness_key.key, 1, witness_key.signer);
    const auto kept = add_cosignatures(
        our_request.note, std::span(&*cosignature, 1), std::span(&witness_key.key, 1)
    );
    if (!kept) give_up("the cosignature does not hold");
    sent = ours.size() + our_request.print().size() + cosignature->line().size();
  });
  std::printf(
      "a transfer: %.0f us of CPU a side, %zu bytes sent by each, beside headers\n", took, sent
  );
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int at, const char* otherwise) {
    return argc > at ? std::string(argv[at]) : std::string(otherwise);
  };
  const std::string command = argument(1, "");
  const std::filesystem::path folder = argument(2, "log-bench");
  if (command == "write") {
    const auto records = std::stoull(argument(3, "1000000"));
    const auto start = Steady::now();
    write_log(folder, records, std::stoul(argument(4, "16")));
    const double took = seconds_since(start);
    std::printf("written: %.0f records/s\n", static_cast<double>(records) / took);
    return 0;
  }
  if (command == "verify") {
    const bool deep = argument(4, "") == "deep";
    return verify(folder, std::stoi(argument(3, "5")), deep ? Depth::deep : Depth::plain);
  }
  if (command == "prove") return prove(folder);
  if (command == "heads") return heads();
  if (command == "witness") return witness();
  if (command == "transfer") return transfer();
  give_up("log_bench write|verify|prove FOLDER …, or heads|witness|transfer");
}
