#!/usr/bin/env python3
"""seeds.py TARGET OUT: what a fuzz target begins with, from the project's test data. A fuzzer that
has to find JSON by itself finds little else."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMBERS = {"odrl_policy_fuzz": ("policy", "policies"), "odrl_request_fuzz": ("request",),
           "odrl_world_fuzz": ("stateOfTheWorld",)}


def segment():
    """The vectors' segment, as audit_frame_fuzz.cpp wants it: two bytes with the length of the head
    file, the head file, the frames."""
    vectors = json.loads((ROOT / "tests/data/audit/vectors.json").read_text(encoding="utf-8"))
    head = vectors["head"].encode()
    return len(head).to_bytes(2, "big") + head + bytes.fromhex(vectors["segment_hex"])


def texts(target):
    if target == "audit_frame_fuzz":
        yield segment()
        return
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
    for count, text in enumerate(texts(target), 1):
        seed = text if isinstance(text, bytes) else text.encode()
        (folder / f"seed-{count}").write_bytes(seed)
    print(f"{target}: {count} seeds")


main(*sys.argv[1:])
