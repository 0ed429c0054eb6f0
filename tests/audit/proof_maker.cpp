// Writes a folder of random proofs, tiles and signed checkpoints for tests/audit/verifier.py, which
// judges them without knowing this program: proof_maker FOLDER SEED.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "tally/audit/heads.hpp"
#include "tally/audit/log_proof.hpp"
#include "tally/audit/witness_message.hpp"

#include "audit/flat_levels.hpp"
#include "audit/known_keys.hpp"

namespace tally::audit {
namespace {
namespace fs = std::filesystem;

void write(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}
std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Maker {
 public:
  Maker(fs::path folder, std::uint64_t seed) : folder_(std::move(folder)), random_(seed) {}

  void make() {
    // Sizes from one record to three tile levels' worth, small ones as often as large ones.
    const std::uint64_t most = std::uint64_t{2} << below(11);
    const std::uint64_t size = 1 + below(most);
    for (std::uint64_t i = 0; i < size; ++i) add(random_text(below(40)));
    write(folder_ / "policy", policy());
    make_tiles();
    for (int i = 0; i < 5; ++i) make_proof(std::to_string(i));
    for (int i = 0; i < 5; ++i) make_consistency(std::to_string(i));
    make_heads();
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  std::string random_text(std::uint64_t size) {
    std::string text;
    for (std::uint64_t i = 0; i < size; ++i) text += static_cast<char>(random_());
    return text;
  }

  void add(std::string entry) {
    levels_.add(entry);
    entries_.push_back(std::move(entry));
  }

  [[nodiscard]] std::string policy() const {
    return "log " + log_key().text() + "\nwitness w1 " + witness_key().text() + "\nwitness w2 " +
           second_witness().text() + "\ngroup both 2 w1 w2\nquorum both\n";
  }
  static VerifierKey second_witness() {
    return key_of("third.example/witness", third_seed, cosignature_type);
  }

  // Of the first `size` records.
  std::string checkpoint(std::uint64_t size) {
    const Checkpoint at{known_origin, size, tree_root(size, stored_).value(), {}};
    const std::string note = sign_checkpoint(at, log_key(), signer_of(log_seed)).value();
    const auto cosign = [&](const VerifierKey& key, const std::string& seed) {
      return cosign_checkpoint(note, key, 1'700'000'000 + below(1000), signer_of(seed))->line();
    };
    const std::string first = cosign(witness_key(), witness_seed);
    return note + first + cosign(second_witness(), third_seed);
  }

  void make_tiles() {
    const fs::path log = folder_ / "log";
    write(log / "checkpoint", checkpoint(entries_.size()));
    for (unsigned level = 0; level < tile_levels; ++level) {
      for (std::uint64_t index = 0;; ++index) {
        auto tile = tile_at(level, index, entries_.size());
        if (!tile) break;
        write(log / tile_path(*tile), text_of(tile_content(*tile, source_).value()));
        if (level > 0) continue;
        tile->entries = true;
        std::vector<std::string_view> entries;
        for (std::uint64_t i = tile->begin(); i < tile->end(); ++i)
          entries.emplace_back(entries_[i]);
        write(log / tile_path(*tile), text_of(encode_bundle(entries).value()));
      }
    }
  }

  void make_proof(const std::string& name) {
    const std::uint64_t size = 1 + below(entries_.size());
    const std::uint64_t index = below(size);
    const LogProof proof{
        std::nullopt, index, make_inclusion_proof(index, size, stored_).value(), checkpoint(size)};
    write(folder_ / "proofs" / (name + ".tlog-proof"), proof.print());
    write(folder_ / "proofs" / (name + ".record"), entries_[index]);
  }

  void make_consistency(const std::string& name) {
    const std::uint64_t second = 1 + below(entries_.size());
    const std::uint64_t first = below(second + 1);
    AddCheckpoint request;
    request.old_size = first;
    request.proof = make_consistency_proof(first, second, stored_).value();
    request.note = parse_note(checkpoint(second)).value();
    request.note.signatures.resize(1);  // the log's own: cosignatures are what is asked for
    write(folder_ / "consistency" / (name + ".request"), request.print());
    write(folder_ / "consistency" / (name + ".root"), text_of(tree_root(first, stored_).value()));
  }

  void make_heads() {
    std::vector<std::pair<AgreementId, AgreementHead>> heads;
    const std::uint64_t count = below(30);
    for (std::uint64_t i = 0; i < count; ++i) {
      const AgreementHead head{1 + below(1000), leaf_hash(random_text(9)), 1 + below(1'000'000)};
      heads.emplace_back(AgreementId("urn:uuid:" + std::to_string(i)), head);
    }
    const HeadsMap map = HeadsMap::make(heads).value();
    write(folder_ / "heads" / "root", text_of(map.root()));
    for (std::uint64_t i = 0; i < count + 8; i += 1 + below(6)) {
      const AgreementId agreement("urn:uuid:" + std::to_string(i));
      const std::string name = std::to_string(i);
      write(folder_ / "heads" / (name + ".proof"), map.prove(agreement).print());
      write(folder_ / "heads" / (name + ".agreement"), agreement.value);
      const auto head = map.find(agreement);
      write(
          folder_ / "heads" / (name + ".said"),
          head ? std::to_string(head->aseq) + " " + to_hex(head->leaf) + " " +
                     std::to_string(head->size)
               : "none"
      );
    }
  }

  fs::path folder_;
  std::mt19937_64 random_;
  std::vector<std::string> entries_;
  FlatLevels levels_;
  LevelHashes source_ = levels_.source();
  SubtreeHash stored_ = stored_in_tiles(source_);
};

}  // namespace
}  // namespace tally::audit

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "proof_maker FOLDER SEED\n";
    return 3;
  }
  tally::audit::Maker(argv[1], std::stoull(argv[2])).make();
  return 0;
}
