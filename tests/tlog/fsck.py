#!/usr/bin/env python3
"""The log under the eyes of somebody else's program: Tessera's fsck reads a running daemon's /log/
and the static files of `tally audit tiles`, and finds a byte that was changed.

fsck is installed with Go; without Go or its modules this says in a line that it skips. The last line
counts."""
import argparse
import os
import re
import shutil
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
import connectors  # noqa: E402
from connectors import INSTITUTE, Connector, World, run  # noqa: E402

FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
LEAST_GO = (1, 25)
RECORDS = 600  # two full tiles, and one that is not


def skip(why):
    print("skipped: " + why)
    sys.exit(0)


def install(tools):
    """The path of fsck; skips where it cannot be had."""
    program = os.path.join(tools, "fsck")
    if os.path.exists(program):
        return program
    if shutil.which("go") is None:
        skip("Go is not on the PATH")
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    if not found or tuple(map(int, found.groups())) < LEAST_GO:
        skip("fsck needs Go %d.%d, this is %s" % (*LEAST_GO, version.strip()))
    os.makedirs(tools, exist_ok=True)
    done = subprocess.run(["go", "install", FSCK], capture_output=True, text=True, cwd=tools,
                          env=dict(os.environ, GOBIN=os.path.abspath(tools), GOFLAGS="-mod=mod"))
    if done.returncode != 0:
        skip("fsck could not be installed: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    return program


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, what, good, detail=""):
        print("%s  %s" % ("ok    " if good else "FAILED", what))
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(detail)


class Fsck:
    def __init__(self, program, key_file):
        self.program, self.key_file = program, key_file

    def __call__(self, url, *more, key_file=None):
        """Size and root as fsck computed them, or None and what it says. Its exit code means
        nothing."""
        done = subprocess.run(
            [self.program, "--storage_url=" + url, "--public_key=" + (key_file or self.key_file),
             "--ui=false", "-v=1", *more], capture_output=True, text=True, timeout=connectors.PATIENCE)
        said = done.stdout + done.stderr
        found = re.search(r"Successfully fsck'd log with size (\d+) and root (\S+)", said)
        if found is None or "fsck failed" in said:
            return None, said
        return int(found.group(1)), said


def flip(path):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[len(data) // 2] ^= 1
        file.seek(0)
        file.write(data)


def grow(connector, size):
    while connector.get("/api/v1/status")["log"]["size"] < size:
        connector.clock(1)


def checkpoint_size(note):
    return int(note.split("\n")[1])


def judge(check, program, world):
    connector = Connector(world, "logged", INSTITUTE).start()
    key_file = world.path("log.vkey")
    with open(key_file, "w") as file:
        file.write(connector.tally("audit", "key", connector.folder).stdout)
    fsck = Fsck(program, key_file)
    url = "http://127.0.0.1:%d/log/" % connector.management_port
    token = "--bearer_token=" + connector.add_token("auditor", "auditor")
    connector.stop()
    connector.start()  # tokens are read at the start

    size, said = fsck(url, token)
    check("a young log", size is not None, said)
    grow(connector, RECORDS)
    first = connector.api("GET", "/log/checkpoint").body.decode()
    size, said = fsck(url, token)
    check("a running log with full and partial tiles",
          size == checkpoint_size(first) and size >= RECORDS, said)
    again = connector.api("GET", "/log/checkpoint").body.decode()
    check("the checkpoint of a quiet log stays as it is", first == again, first + again)
    size, said = fsck(url)
    check("without a token nothing is read", size is None, said)
    connector.kill9()
    connector.start()
    size, said = fsck(url, token)
    check("after a kill", size is not None and size >= RECORDS, said)

    other = Connector(world, "other", INSTITUTE).start()
    other_key = world.path("other.vkey")
    with open(other_key, "w") as file:
        file.write(other.tally("audit", "key", other.folder).stdout)
    size, said = fsck(url, token, key_file=other_key)
    check("with the key of another log of that name", size is None, said)
    other.stop()

    running = world.path("tiles-running")
    connector.api("GET", "/log/checkpoint")
    connector.tally("audit", "tiles", connector.folder, running)
    size, said = fsck("file://%s/" % running)
    check("static files beside the running daemon", size is not None, said)
    connector.stop()
    tiles = world.path("tiles")
    run(connectors.options.tally, "audit", "tiles", connector.folder, tiles)
    size, said = fsck("file://%s/" % tiles)
    check("static files of a stopped one, over all of its records",
          size == len(connector.records()), said)

    # An entry only: at a wrong hash in a tile this version of fsck waits for itself for ever.
    flip(os.path.join(tiles, "tile/entries/001"))
    size, said = fsck("file://%s/" % tiles)
    check("one changed byte of an entry is found", size is None and "fsck failed" in said, said)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="folder of tallyd and tally")
    parser.add_argument("--tools", required=True, help="where fsck is, or is put")
    arguments = parser.parse_args()
    program = install(arguments.tools)
    connectors.options.tallyd = os.path.join(arguments.bin, "tallyd")
    connectors.options.tally = os.path.join(arguments.bin, "tally")
    check = Checks()
    world = World()
    try:
        judge(check, program, world)
    finally:
        world.close()
    print("%d passed, %d failed" % (check.passed, check.failed))
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
