"""What the judges of tests/tlog share: how their programs are had, how checks are counted."""
import os
import re
import shutil
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

LEAST_GO = (1, 25)


def install(module, tools):
    """The path of the program of a Go module, and None; or None, and why it cannot be had."""
    name = module.split("@")[0].rsplit("/", 1)[1]
    program = os.path.join(os.path.abspath(tools), name)
    if os.path.exists(program):
        return program, None
    if shutil.which("go") is None:
        return None, "Go is not on the PATH"
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    if not found or tuple(map(int, found.groups())) < LEAST_GO:
        return None, "it needs Go %d.%d, this is %s" % (*LEAST_GO, version.strip())
    os.makedirs(tools, exist_ok=True)
    done = subprocess.run(["go", "install", module], capture_output=True, text=True, cwd=tools,
                          env=dict(os.environ, GOBIN=os.path.abspath(tools), GOFLAGS="-mod=mod"))
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or ["?"])[-1]
    return program, None


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, what, good, detail=""):
        print("%s  %s" % ("ok    " if good else "FAILED", what), flush=True)
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(detail)


def grow(connector, size):
    while connector.get("/api/v1/status")["log"]["size"] < size:
        connector.clock(1)


def checkpoint_size(note):
    return int(note.split("\n")[1])
