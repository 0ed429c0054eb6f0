"""Tessera's fsck reads a running daemon's /log/ and the static files of `tally audit tiles`, and
finds a byte that was changed."""
import os
import re
import subprocess

import connectors
from connectors import INSTITUTE, Connector, run
from judging import checkpoint_size, grow

MODULE = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
RECORDS = 600  # two full tiles, and one that is not


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
