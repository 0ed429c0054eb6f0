#!/usr/bin/env python3
"""seeds.py TARGET OUT: what a fuzz target begins with, from the project's test data. A fuzzer that
has to find JSON by itself finds little else."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMBERS = {"odrl_policy_fuzz": ("policy", "policies"), "odrl_request_fuzz": ("request",),
           "odrl_world_fuzz": ("stateOfTheWorld",)}


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
    for count, text in enumerate(texts(target), 1):
        (folder / f"seed-{count}").write_text(text, encoding="utf-8")
    print(f"{target}: {count} seeds")


main(*sys.argv[1:])
