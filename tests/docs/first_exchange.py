#!/usr/bin/env python3
"""Runs the commands of docs/first-exchange.md on two hosts, so that they cannot rot.

A block of the page is a ```sh block behind a line `<!-- on alpha -->` or `<!-- on beta -->`. It runs
in that host's shell: network namespaces with real addresses and a cable between them. A ```text block
that follows is what it prints, `…` standing for anything. Of the page alone `scp` is stood in for: it
copies from one host's folder to the other's. The Chinese page has to show the same blocks."""
import argparse
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading

import readme_session
import two_hosts

SKIPPED = 77
BLOCK = re.compile(
    r"^<!-- on (\w+) -->\n```sh\n(.*?)^```\n(?:\n*```text\n(.*?)^```\n)?", re.M | re.S)
SCP = """#!/bin/sh
# scp FILE HOST:[NAME], between the folders of the hosts of this test.
set -e
[ $# -eq 2 ]
host=${2%%%%:*} name=${2#*:}
[ -d "%(folder)s/${host%%%%.*}" ]
cp "$1" "%(folder)s/${host%%%%.*}/${name:-$(basename "$1")}"
"""


def blocks_of(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def play(folder, blocks, environment):
    """The faults of a run of the page."""
    hosts = two_hosts.TwoHosts(folder, ("alpha.example", "beta.example"), environment)
    shells = {host.folder.name: host for host in hosts.hosts}
    # A command that hangs ends with its host.
    watchdog = threading.Timer(120, hosts.close)
    watchdog.start()
    try:
        for number, (where, commands, expected) in enumerate(blocks, 1):
            printed, good = shells[where].run(commands)
            line = readme_session.missing(expected, printed)
            if good and line is None:
                continue
            for log in sorted(pathlib.Path(folder).glob("*/*.log")):
                printed += "--- %s\n%s" % (log.name, log.read_text(encoding="utf-8"))
            print(printed)
            return ["block %d, on %s, %s" % (
                number, where, "failed" if not good else "does not print: " + line)]
        return []
    finally:
        watchdog.cancel()
        hosts.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    source = arguments.source.resolve()
    blocks = blocks_of(source / "docs/first-exchange.md")
    assert len(blocks) >= 10, "only %d blocks found" % len(blocks)
    assert {where for where, _, _ in blocks} == {"alpha", "beta"}
    if blocks_of(source / "docs/first-exchange.zh.md") != blocks:
        print("first-exchange.zh.md does not show the commands of first-exchange.md")
        return 1
    try:
        two_hosts.enter_namespace()
        with tempfile.TemporaryDirectory(prefix="tally-first-") as folder:
            tools = os.path.join(folder, "tools")
            os.mkdir(tools)
            with open(os.path.join(tools, "scp"), "w") as out:
                out.write(SCP % {"folder": folder})
            os.chmod(os.path.join(tools, "scp"), 0o755)
            shutil.copy(source / "certs/tally-authority", tools)
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith(("TALLY_", "LC_")) and key != "LANG"}
            environment |= {"LANG": "C.UTF-8", "PATH": "%s:%s:%s" % (
                tools, arguments.bin.resolve(), os.environ["PATH"])}
            faults = play(folder, blocks, environment)
    except two_hosts.NotPermitted as why:
        print("skipped: first_exchange: %s" % why)
        return SKIPPED
    for fault in faults:
        print("first-exchange.md: " + fault)
    print("first-exchange.md: %d blocks on two hosts" % len(blocks))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
