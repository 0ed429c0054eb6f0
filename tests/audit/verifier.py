#!/usr/bin/env python3
"""A second verifier of what a transparency log hands out, written from docs/audit-log-format.md and not
from the C++: notes, checkpoints, cosignatures, proofs, tiles, the map of heads. Standard library, and
the `openssl` command for Ed25519.

verifier.py DIR    checks a folder as tests/audit/proof_maker.cpp writes it; exit 0 when all holds."""
import base64
import functools
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile


class Refused(Exception):
    pass


def require(holds, why):
    if not holds:
        raise Refused(why)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def b64(text, size=None):
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("base64") from error
    require(base64.b64encode(raw) == bytes(text), "base64 is not canonical")
    require(size is None or len(raw) == size, "wrong number of bytes")
    return raw


def number(text):
    require(re.fullmatch(rb"0|[1-9][0-9]*", text) and int(text) < 2**63, "not a number")
    return int(text)


# --- The tree: recursive, as RFC 6962 has it ----------------------------------------------------

def node(left, right, prefix=b"\x01"):
    return sha(prefix, left, right)


def split(n):
    return 1 << (n - 1).bit_length() - 1


def tree_root(hashes):
    if len(hashes) <= 1:
        return hashes[0] if hashes else sha()
    k = split(len(hashes))
    return node(tree_root(hashes[:k]), tree_root(hashes[k:]))


def inclusion_root(leaf, index, size, proof, prefix=b"\x01"):
    require(index < size, "index outside the tree")
    if size == 1:
        require(not proof, "proof too long")
        return leaf
    require(proof, "proof too short")
    k = split(size)
    if index < k:
        return node(inclusion_root(leaf, index, k, proof[:-1], prefix), proof[-1], prefix)
    return node(proof[-1], inclusion_root(leaf, index - k, size - k, proof[:-1], prefix), prefix)


def consistency_roots(m, n, proof, old_root, whole=True):
    """The roots of the first m and of all n leaves."""
    if m == n:
        if whole:
            require(not proof, "proof too long")
            return old_root, old_root
        require(len(proof) == 1, "wrong length of proof")
        return proof[0], proof[0]
    require(proof, "proof too short")
    k, last = split(n), proof[-1]
    if m <= k:
        old, new = consistency_roots(m, k, proof[:-1], old_root, whole)
        return old, node(new, last)
    old, new = consistency_roots(m - k, n - k, proof[:-1], old_root, False)
    return node(last, old), node(last, new)


def check_consistency(m, n, proof, old_root, new_root):
    require(m <= n, "the log shrank")
    if m == 0:
        require(not proof and old_root == sha(), "nothing to prove")
    else:
        require(consistency_roots(m, n, proof, old_root) == (old_root, new_root), "not consistent")


# --- Notes --------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def ed25519(public_key, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, name) for name in ("key", "message", "signature")]
        spki = bytes.fromhex("302a300506032b6570032100") + public_key
        for path, content in zip(paths, (spki, message, signature)):
            path.write_bytes(content)
        run = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0],
             "-rawin", "-in", paths[1], "-sigfile", paths[2]], capture_output=True, check=False)
        return run.returncode == 0


def parse_vkey(text):
    name, _, rest = text.partition(b"+")
    key_id, _, key = rest.partition(b"+")
    raw = b64(key, 33)
    require(sha(name, b"\n", raw)[:4].hex().encode() == key_id, "id of a key")
    return name, raw[0], raw[1:]


def verify_note(note, vkeys):
    """The text, and {vkey: time} of those that signed."""
    note.decode("utf-8")
    require(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", note), "control character")
    require(note.endswith(b"\n"), "unended line")
    text, gap, lines = note.rpartition(b"\n\n")
    require(gap, "no signatures")
    text, signers = text + b"\n", {}
    for line in lines[:-1].split(b"\n"):
        match = re.fullmatch("— ".encode() + rb"([^ +]+) ([^ ]+)", line)
        require(match, "not a signature line")
        blob = b64(match[2])
        for vkey in vkeys:
            name, kind, key = parse_vkey(vkey)
            if (name, sha(name, b"\n", bytes([kind]), key)[:4]) != (match[1], blob[:4]):
                continue
            message, signature, time = text, blob[4:], 0
            if kind == 4:
                time, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
                message = b"cosignature/v1\ntime %d\n" % time + text
            require(len(signature) == 64 and ed25519(key, message, signature), "forged")
            signers[vkey] = time
    return text, signers


def parse_policy(text):
    logs, witnesses, groups, quorum = [], {}, [], None
    require(text.endswith(b"\n"), "unended line")
    for words in (line.split() for line in text.split(b"\n")):
        if not words or words[0].startswith(b"#"):
            continue
        if words[0] == b"log":
            logs.append(words[1])
        elif words[0] == b"witness":
            witnesses[words[1]] = words[2]
        elif words[0] == b"group":
            least = {b"any": 1, b"all": len(words) - 3}.get(words[2]) or number(words[2])
            groups.append((words[1], least, words[3:]))
        else:
            require(words[0] == b"quorum" and quorum is None, "line of a policy")
            quorum = words[1]
    require(quorum == b"none" or quorum in {*witnesses, *(g[0] for g in groups)}, "no quorum")
    return logs, witnesses, groups, quorum


def verify_checkpoint(note, policy, quorum_needed=True):
    logs, witnesses, groups, quorum = policy
    text, signers = verify_note(note, logs + list(witnesses.values()))
    lines = text[:-1].split(b"\n")
    require(len(lines) >= 3 and all(lines), "not a checkpoint")
    origin, size, root = lines[0], number(lines[1]), b64(lines[2], 32)
    require(any(v in signers for v in logs if parse_vkey(v)[0] == origin), "its log did not sign")
    holding = {b"none"} | {name for name, vkey in witnesses.items() if vkey in signers}
    for name, least, members in groups:
        if len(holding.intersection(members)) >= least:
            holding.add(name)
    require(quorum in holding or not quorum_needed, "quorum missed")
    return size, root


# --- Files --------------------------------------------------------------------------------------

def hashes_and_note(text, *heads):
    """The lines before the first empty one, without their words, and what comes after it."""
    top, gap, note = text.partition(b"\n\n")
    lines = top.split(b"\n")
    require(gap and len(lines) >= len(heads), "cut off")
    for line, head in zip(lines, heads):
        require(line.startswith(head), "another line was expected")
    values = [line[len(head):] for line, head in zip(lines, heads)]
    return values, [b64(line, 32) for line in lines[len(heads):]], note


def check_log_proof(text, record, policy):
    values, proof, note = hashes_and_note(text, b"c2sp.org/tlog-proof@v1", b"index ")
    require(not values[0], "first line")
    size, root = verify_checkpoint(note, policy)
    leaf = sha(b"\0", record)
    require(inclusion_root(leaf, number(values[1]), size, proof) == root, "not included")


def check_request(text, old_root, policy):
    values, proof, note = hashes_and_note(text, b"old ")
    size, root = verify_checkpoint(note, policy, quorum_needed=False)
    check_consistency(number(values[0]), size, proof, old_root, root)


def tile_path(level, index, width):
    path = "%03d" % (index % 1000)
    while index >= 1000:
        index //= 1000
        path = "x%03d/" % (index % 1000) + path
    return "tile/%s/%s" % (level, path) + (".p/%d" % width if width < 256 else "")


def bundle(raw):
    while raw:
        length = int.from_bytes(raw[:2], "big")
        require(len(raw) >= 2 + length, "entry cut off")
        yield raw[2:2 + length]
        raw = raw[2 + length:]


def check_tiles(folder, policy):
    """Every tile that the checkpoint asks for, from the entries up, and no other."""
    size, root = verify_checkpoint((folder / "checkpoint").read_bytes(), policy)
    wanted, hashes, level = {"checkpoint"}, None, 0
    while size >> 8 * level:
        below, hashes = hashes, []
        for index in range(((size >> 8 * level) + 255) // 256):
            width = min(256, (size >> 8 * level) - 256 * index)
            path = tile_path(level, index, width)
            raw = (folder / path).read_bytes()
            wanted.add(path)
            if level == 0:
                entries_path = tile_path("entries", index, width)
                wanted.add(entries_path)
                entries = bundle((folder / entries_path).read_bytes())
                expected = [sha(b"\0", entry) for entry in entries]
            else:
                first = 256 * index
                expected = [tree_root(below[256 * (first + i):256 * (first + i + 1)])
                            for i in range(width)]
            require(raw == b"".join(expected) and len(expected) == width, path)
            hashes += expected
        if level == 0:
            require(tree_root(hashes) == root, "the root")
        level += 1
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    require(found == wanted, "other files")


def check_heads(text, root, agreement):
    """What the proof says of the agreement: (aseq, leaf, size) or None."""
    lines = text.split(b"\n")
    require(lines[0] == b"tally/heads-proof/v1" and lines.pop() == b"", "first or last line")
    require(lines[1].startswith(b"count "), "count")
    count, entries = number(lines[1][6:]), []
    for line in lines[2:]:
        if line.startswith(b"entry "):
            i, key, aseq, leaf, size = line[6:].split(b" ")
            head = (number(aseq), b64(leaf, 32), number(size))
            entries.append((number(i), b64(key, 32), head, []))
        else:
            entries[-1][3].append(b64(line, 32))
    top = functools.partial(sha, b"\x04", count.to_bytes(8, "big"))
    for i, key, (aseq, leaf, size), path in entries:
        entry = sha(b"\x02", key, aseq.to_bytes(8, "big"), leaf, size.to_bytes(8, "big"))
        require(top(inclusion_root(entry, i, count, path, b"\x03")) == root, "not in the map")
    wanted = sha(agreement)
    if len(entries) == 1 and entries[0][1] == wanted:
        return entries[0][2]
    before, behind = (-1, b""), (count, b"\xff" * 33)
    around = [before] + [(i, key) for i, key, _, _ in entries] + [behind]
    gaps = [a for a, b in zip(around, around[1:]) if a[1] < wanted < b[1] and a[0] + 1 == b[0]]
    require(gaps and (entries or top(sha()) == root), "absence is not shown")
    return None


def check(folder, only=None):
    """Checks what is in `folder`, or the one file of it that is named; gives the number of checks."""
    policy = parse_policy((folder / "policy").read_bytes())
    count = 0

    def each(pattern):
        nonlocal count
        for path in sorted(folder.glob(pattern)):
            if only in (None, str(path.relative_to(folder)), str(path.relative_to(folder).parent)):
                count += 1
                yield path

    for path in each("proofs/*.tlog-proof"):
        check_log_proof(path.read_bytes(), path.with_suffix(".record").read_bytes(), policy)
    for path in each("consistency/*.request"):
        check_request(path.read_bytes(), path.with_suffix(".root").read_bytes(), policy)
    for path in each("heads/*.proof"):
        root = (folder / "heads" / "root").read_bytes()
        said = check_heads(path.read_bytes(), root, path.with_suffix(".agreement").read_bytes())
        text = "none" if said is None else "%d %s %d" % (said[0], said[1].hex(), said[2])
        require(path.with_suffix(".said").read_text() == text, "the wrong head")
    if only is None or only.startswith("log"):
        count += 1
        check_tiles(folder / "log", policy)
    return count


if __name__ == "__main__":
    print("%d checks" % check(pathlib.Path(sys.argv[1])))
