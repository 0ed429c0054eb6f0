#!/usr/bin/env python3
"""seeds.py TARGET OUT: what a fuzz target begins with, from the project's test data. A fuzzer that
has to find JSON by itself finds little else."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMBERS = {"odrl_policy_fuzz": ("policy", "policies"), "odrl_request_fuzz": ("request",),
           "odrl_world_fuzz": ("stateOfTheWorld",)}


def archives(target):
    """Bundles are bytes, and no JSON."""
    if target != "evidence_bundle_fuzz":
        return
    for file in sorted((ROOT / "tests/data/evidence").glob("*.tar")):
        # Without what is large and that nothing rests on: a seed is cut at 64 KiB.
        data, kept, at = file.read_bytes(), b"", 0
        while data[at]:
            end = at + 512 + -(-int(data[at + 124:at + 135], 8) // 512) * 512
            if not data[at:at + 100].startswith((b"VERIFY.txt", b"prov.jsonld", b"manifest.json")):
                kept += data[at:end]
            at = end
        yield kept + bytes(1024)


def texts(target):
    if target in MEMBERS:
        for file in sorted((ROOT / "tests/data/odrl").rglob("*.json")):
            case = json.loads(file.read_text(encoding="utf-8"))
            for member in MEMBERS[target]:
                found = case.get(member)
                for one in found if isinstance(found, list) else [found]:
                    if one:
                        yield json.dumps(one, ensure_ascii=False)
        return
    for file in sorted((ROOT / "tests/data" / target.split("_")[0]).rglob("*.json")):
        yield file.read_text(encoding="utf-8")


def main(target, out):
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    seeds = [text.encode() for text in texts(target)] + list(archives(target))
    for count, seed in enumerate(seeds, 1):
        (folder / f"seed-{count}").write_bytes(seed)
    print(f"{target}: {count} seeds")


main(*sys.argv[1:])
