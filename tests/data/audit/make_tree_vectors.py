#!/usr/bin/env python3
"""Prints tree_vectors.json: the tree, proofs, notes, tiles and map of heads of docs/audit-log-format.md,
made by the second implementation (tests/audit/verifier.py) and openssl. The tests compare what the
program writes with it, byte for byte."""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "audit"))
from verifier import node, sha, split, tile_path, tree_root  # noqa: E402

ORIGIN = "clinic.example/log/1"
WITNESS = "lab.example/witness"
LOG_SEED = bytes(range(32))
WITNESS_SEED = bytes(range(32, 64))
TIME = 1772352000


def b64(raw):
    return base64.b64encode(raw).decode()


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def key_file(folder, seed):
    path = pathlib.Path(folder, "key")
    path.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + seed)
    return path


def public_key(seed):
    with tempfile.TemporaryDirectory() as folder:
        key = key_file(folder, seed)
        return openssl("pkey", "-inform", "DER", "-in", key, "-pubout", "-outform", "DER")[-32:]


def sign(seed, message):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "message")
        path.write_bytes(message)
        return openssl("pkeyutl", "-sign", "-keyform", "DER", "-inkey", key_file(folder, seed),
                       "-rawin", "-in", path)


def key_id(name, kind, key):
    return sha(name.encode(), b"\n", bytes([kind]), key)[:4]


def vkey(name, kind, key):
    return "%s+%s+%s" % (name, key_id(name, kind, key).hex(), b64(bytes([kind]) + key))


def path(hashes, m):
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if m < k:
        return path(hashes[:k], m) + [tree_root(hashes[k:])]
    return path(hashes[k:], m - k) + [tree_root(hashes[:k])]


def subproof(hashes, m, whole=True):
    if m == len(hashes):
        return [] if whole else [tree_root(hashes)]
    k = split(len(hashes))
    if m <= k:
        return subproof(hashes[:k], m, whole) + [tree_root(hashes[k:])]
    return subproof(hashes[k:], m - k, False) + [tree_root(hashes[:k])]


def hexes(hashes):
    return [h.hex() for h in hashes]


entries = [b"record %d" % i for i in range(300)]
leaves = [sha(b"\0", entry) for entry in entries]
seven = leaves[:7]

log_key, witness_key = public_key(LOG_SEED), public_key(WITNESS_SEED)
text = "%s\n7\n%s\n" % (ORIGIN, b64(tree_root(seven)))
log_line = "\u2014 %s %s\n" % (
    ORIGIN, b64(key_id(ORIGIN, 1, log_key) + sign(LOG_SEED, text.encode())))
cosigned = "cosignature/v1\ntime %d\n%s" % (TIME, text)
witness_line = "\u2014 %s %s\n" % (
    WITNESS, b64(key_id(WITNESS, 4, witness_key) + TIME.to_bytes(8, "big") +
                 sign(WITNESS_SEED, cosigned.encode())))
note = text + "\n" + log_line
request = "old 3\n" + "".join(b64(h) + "\n" for h in subproof(seven, 3)) + "\n" + note
proof = "c2sp.org/tlog-proof@v1\nindex 4\n" + "".join(
    b64(h) + "\n" for h in path(seven, 4)) + "\n" + note + witness_line
policy = "log %s\nwitness lab %s\nquorum lab\n" % (
    vkey(ORIGIN, 1, log_key), vkey(WITNESS, 4, witness_key))

tiles = {}
for index, width in ((0, 256), (1, 44)):
    part = range(256 * index, 256 * index + width)
    tiles[tile_path(0, index, width)] = b"".join(leaves[i] for i in part)
    tiles[tile_path("entries", index, width)] = b"".join(
        len(entries[i]).to_bytes(2, "big") + entries[i] for i in part)
tiles[tile_path(1, 0, 1)] = tree_root(leaves[:256])


def u64(value):
    return value.to_bytes(8, "big")


heads = [("urn:uuid:a", 3, leaves[2], 3), ("urn:uuid:b", 1, leaves[4], 5),
         ("urn:uuid:c", 2, leaves[6], 7)]
in_order = sorted((sha(a.encode()), aseq, leaf, size) for a, aseq, leaf, size in heads)
map_leaves = [sha(b"\x02", key, u64(aseq), leaf, u64(size)) for key, aseq, leaf, size in in_order]
top = node(node(map_leaves[0], map_leaves[1], b"\x03"), map_leaves[2], b"\x03")
map_root = sha(b"\x04", u64(3), top)


def entry_text(i, hashes):
    key, aseq, leaf, size = in_order[i]
    return "entry %d %s %d %s %d\n" % (i, b64(key), aseq, b64(leaf), size) + "".join(
        b64(h) + "\n" for h in hashes)


first = entry_text(0, [map_leaves[1], map_leaves[2]])
second = entry_text(1, [map_leaves[0], map_leaves[2]])
third = entry_text(2, [node(map_leaves[0], map_leaves[1], b"\x03")])
begin = "tally/heads-proof/v1\ncount 3\n"

print(json.dumps({
    "leaf_0": leaves[0].hex(),
    "roots": {str(n): tree_root(leaves[:n]).hex() for n in (0, 1, 2, 3, 5, 7, 256, 300)},
    "inclusion": {"4 of 7": hexes(path(seven, 4)), "6 of 7": hexes(path(seven, 6))},
    "consistency": {"3 to 7": hexes(subproof(seven, 3)), "4 to 7": hexes(subproof(seven, 4))},
    "log_seed": LOG_SEED.hex(), "log_vkey": vkey(ORIGIN, 1, log_key),
    "witness_seed": WITNESS_SEED.hex(), "witness_vkey": vkey(WITNESS, 4, witness_key),
    "time": TIME, "note": note, "witness_line": witness_line,
    "request": request, "proof": proof, "policy": policy,
    "tiles_300": {name: sha(content).hex() for name, content in tiles.items()},
    "heads": [{"agreement": a, "aseq": aseq, "leaf": leaf.hex(), "size": size}
              for a, aseq, leaf, size in heads],
    "heads_leaves": hexes(map_leaves), "heads_root": map_root.hex(),
    "heads_root_empty": sha(b"\x04", u64(0), sha()).hex(),
    # a is there; d would stand between a and b; f before all; e behind all.
    "heads_proofs": {"urn:uuid:a": begin + second, "urn:uuid:d": begin + second + third,
                     "urn:uuid:f": begin + first, "urn:uuid:e": begin + third},
}, indent=1, ensure_ascii=False))
