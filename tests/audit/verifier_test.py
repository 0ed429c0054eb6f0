#!/usr/bin/env python3
"""What proof_maker writes is accepted by the independent verifier, and refused after one changed byte.

verifier_test.py PROOF_MAKER [SEEDS]"""
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import verifier

if shutil.which("openssl") is None:
    print("skipped: openssl is not on the path")
    sys.exit(0)


def refused(folder, only):
    try:
        verifier.check(folder, only)
    except (verifier.Refused, ValueError, IndexError, OSError):
        return True
    return False


def flipped(folder, path, chance):
    """The file with one bit changed at a place of its own; then as it was."""
    good = path.read_bytes()
    at = chance.randrange(len(good))
    path.write_bytes(good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1:])
    name = path.relative_to(folder)
    # Beside a proof stands what it is about; both are judged by the check of that proof.
    proof = {".record": ".tlog-proof", ".root": ".request", ".agreement": ".proof",
             ".said": ".proof"}
    judged = name.with_suffix(proof.get(name.suffix, name.suffix))
    only = "heads" if name.name == "root" else "log" if name.parts[0] == "log" else str(judged)
    ok = refused(folder, None if name.name == "policy" else only)
    path.write_bytes(good)
    return ok, at


def rewritten(folder):
    """One entry of the last bundle changed, and its tile with it: only the root tells."""
    log = folder / "log"
    bundles = sorted(log.glob("tile/entries/**/*.p/*")) or sorted(log.glob("tile/entries/*"))
    path = bundles[-1]
    tile = log / "tile" / "0" / path.relative_to(log / "tile" / "entries")
    before = path.read_bytes(), tile.read_bytes()
    entries = list(verifier.bundle(before[0]))
    entries[0] += b"x"
    path.write_bytes(b"".join(len(e).to_bytes(2, "big") + e for e in entries))
    tile.write_bytes(b"".join(verifier.sha(b"\0", e) for e in entries))
    ok = refused(folder, "log")
    path.write_bytes(before[0])
    tile.write_bytes(before[1])
    return ok


checks, changes, faults = 0, 0, []
for seed in range(1, int(sys.argv[2] if len(sys.argv) > 2 else 8) + 1):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.argv[1], name, str(seed)], check=True)
        checks += verifier.check(folder)
        chance = random.Random(seed)
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 0)
        for path in files:
            # An agreement that is absent stays so under most other names.
            if path.suffix == ".agreement" and path.with_suffix(".said").read_text() == "none":
                continue
            ok, at = flipped(folder, path, chance)
            changes += 1
            if not ok:
                faults.append("seed %d: %s with byte %d changed was accepted" % (seed, path, at))
        if not rewritten(folder):
            faults.append("seed %d: another log under the same checkpoint was accepted" % seed)
        verifier.check(folder)
for fault in faults:
    print(fault)
print("%d checks held, %d changed files, %d of them accepted" % (checks, changes, len(faults)))
sys.exit(1 if faults or checks < 50 else 0)
