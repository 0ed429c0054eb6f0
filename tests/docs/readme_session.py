#!/usr/bin/env python3
"""Runs the copy-and-paste session of a README, so that it cannot rot.

A session is every ```sh block that follows a line `<!-- session -->`, run in order by one bash in an
empty folder. A ```text block that follows at once is what the block before it prints: its lines have
to come in that order, `…` standing for anything. The README's ports are replaced by free ones.
"""
import argparse
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^<!-- session -->\n```sh\n(.*?)^```\n(?:\n*```text\n(.*?)^```\n)?", re.M | re.S)
PORT = re.compile(r"\b(?:localhost:|127\.0\.0\.1:|-port )(\d{4,5})\b")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def mark(number):
    return f"@@ block {number} @@"


def missing(expected, printed):
    """The first expected line that is not printed, in order, or None."""
    at = 0
    lines = printed.splitlines()
    for line in expected.splitlines():
        pattern = re.compile(r"\s*" + r"\s+".join(
            ".*".join(map(re.escape, word.split("…"))) for word in line.split()) + r"\s*")
        while at < len(lines) and not pattern.fullmatch(lines[at]):
            at += 1
        if at == len(lines):
            return line
        at += 1
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("page")
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    source = arguments.source.resolve()
    blocks = BLOCK.findall((source / arguments.page).read_text(encoding="utf-8"))
    assert len(blocks) >= 5, f"only {len(blocks)} blocks found"
    assert any(expected for _, expected in blocks), "the session shows nothing of what it prints"

    ports = sorted({port for block, _ in blocks for port in PORT.findall(block)})
    script = "set -eu\n"
    for number, (block, _) in enumerate(blocks):
        script += f"echo '{mark(number)}'\n{block}"
    script += f"echo '{mark(len(blocks))}'\n"
    for port, free in zip(ports, free_ports(len(ports))):
        script = re.sub(rf"\b{port}\b", str(free), script)

    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("TALLY_", "LC_")) and key != "LANG"}
    environment |= {"LANG": "C.UTF-8", "TALLY_SOURCE": str(source),
                    "PATH": f"{arguments.bin.resolve()}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory(prefix="tally-session-") as folder:
        with open(os.path.join(folder, "out"), "w+", encoding="utf-8") as out:
            shell = subprocess.Popen(
                ["bash", "-c", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                code = shell.wait(timeout=240)
            except subprocess.TimeoutExpired:
                code = -1
            finally:
                # The daemons of the session are of its own process group.
                try:
                    os.killpg(shell.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                shell.wait()
            out.seek(0)
            printed = out.read()
        for log in sorted(pathlib.Path(folder).glob("*.log")) if code else []:
            printed += f"--- {log.name}\n{log.read_text(encoding='utf-8')}"

    faults = [] if code == 0 else [f"the session ended with {code}"]
    for number, (_, expected) in enumerate(blocks):
        if not expected or mark(number + 1) not in printed:
            continue
        part = printed.split(mark(number))[1].split(mark(number + 1))[0]
        line = missing(expected, part)
        if line is not None:
            faults.append(f"block {number + 1} does not print: {line}")
    if faults:
        print(printed)
    for fault in faults:
        print(f"{arguments.page}: {fault}")
    print(f"{arguments.page}: {len(blocks)} blocks")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
