#!/usr/bin/env python3
"""docs/configuration.md and the reader of tally.json name the same settings."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])


def strip(text):
    """Without comments; literals stay."""
    return re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda found: found.group(1) or "", text)


source = "".join(strip((root / "src/daemon" / name).read_text(encoding="utf-8"))
                 for name in ("config.cpp", "config_programs.cpp", "config_regulators.cpp", "config_site.cpp"))
coded = set(re.findall(r'\{\s*"(\w+)",\s*(?:read[._]|\[|key_pair\(|names\(|time\()', source))
coded |= set(re.findall(r'\.emplace\(\s*"(\w+)"', source))
assert len(coded) > 40, sorted(coded)  # a pattern that fits nothing would always pass

page = (root / "docs/configuration.md").read_text(encoding="utf-8")
written = set()
for line in page.splitlines():
    found = re.match(r"\| `([\w.\[\]]+)` \|", line)
    if found:
        # listeners.peers.port: each step is a name of its own
        written |= {re.sub(r"\[\]$", "", step) for step in found.group(1).split(".")}

faults = [f"{name} is not on the page" for name in sorted(coded - written)]
faults += [f"{name} is on the page and not in the code" for name in sorted(written - coded)]

# The defaults of the limits stand in two headers; the page has to repeat them rightly.
limits = "".join(strip((root / "include/tally/core" / name).read_text(encoding="utf-8"))
                 for name in ("limits.hpp", "call_rates.hpp"))
members = dict(re.findall(r"\b(\w+) = ([^;]+);", limits))
UNITS = {"seconds": 1, "": 1}


def value_of(text):
    found = re.fullmatch(r"(?:(seconds)\()?([\dL' <*]+)\)?", text.strip())
    return eval(found.group(2).replace("'", "").replace("L", "")) if found else None  # digits, *, << alone


for name, member, unit in re.findall(
        r'\{"(\w+)",\s*read\.number\((?:limits|rates)\.(\w+), [\d\'* ]+, [\d\'* ]+(?:, ([^)]+\)?))?\)\}', source):
    value = value_of(members[member])
    if value is None:
        faults.append(f"{name}: the default {members[member]} is not understood")
        continue
    if "<<" in (unit or ""):
        value //= 1 << 20
    row = re.search(rf"^\| `limits\.{name}` \| [^|]* \| ([^|]*) \|", page, re.M)
    if not row or row.group(1).strip().replace(",", "") != str(value):
        faults.append(f"limits.{name}: the default is {value}, the page says {row and row.group(1)}")

for fault in faults:
    print("docs/configuration.md:", fault)
print(f"{len(coded)} settings")
sys.exit(1 if faults else 0)
