#!/usr/bin/env python3
"""Every file that a page names exists."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
pages = sorted(root.glob("*.md")) + sorted((root / "docs").rglob("*.md")) + sorted(
    (root / "policies").glob("*.md"))
# Paths in backticks that look like files of this tree, and Markdown links that are no addresses.
NAMED = re.compile(r"`((?:src|include|tests|docs|policies|certs|cmake|\.ci)/[\w./-]+)`")
LINKED = re.compile(r"\]\((?!https?:|#)([^)#]+)")
faults = []
count = 0
for page in pages:
    text = page.read_text(encoding="utf-8")
    for name in NAMED.findall(text):
        count += 1
        if not (root / name).exists():
            faults.append(f"{page.relative_to(root)}: there is no {name}")
    for name in LINKED.findall(text):
        count += 1
        if not (page.parent / name).exists():
            faults.append(f"{page.relative_to(root)}: there is no {name}")
for fault in faults:
    print(fault)
print(f"{count} names on {len(pages)} pages")
sys.exit(1 if faults or count < 20 else 0)
