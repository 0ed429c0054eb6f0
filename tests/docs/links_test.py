#!/usr/bin/env python3
"""Every file that a page names exists, and every code of a sentence."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
pages = sorted(root.glob("*.md")) + sorted((root / "docs").rglob("*.md")) + sorted(
    (root / "policies").glob("*.md"))
# Paths in backticks that look like files of this tree, and Markdown links that are no addresses.
NAMED = re.compile(r"`((?:src|include|tests|docs|policies|certs|cmake|\.ci)/[\w./-]+)`")
LINKED = re.compile(r"\]\((?!https?:|#)([^)#]+)")
# Codes as `module.some-words`; without a hyphen they could be members of documents.
CODE = re.compile(r"`([a-z]+\.[a-z]+(?:-[a-z]+)+)`")
tables = "".join(table.read_text(encoding="utf-8")
                 for table in (root / "src/core/sentences").glob("*.inc"))
codes = set(re.findall(r'^\{"([a-z]+\.[^"]+)"', tables, re.MULTILINE))
modules = {code.split(".")[0] for code in codes}
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
    for code in CODE.findall(text):
        count += 1
        if code.split(".")[0] in modules and code not in codes:
            faults.append(f"{page.relative_to(root)}: there is no sentence {code}")
for fault in faults:
    print(fault)
print(f"{count} names on {len(pages)} pages")
sys.exit(1 if faults or count < 20 else 0)
