"""What the tests of this folder share: where things are, and how a missing tool is told."""
import argparse
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

SKIPPED = 77


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parsed = parser.parse_args()
    parsed.source = parsed.source.resolve()
    parsed.build = parsed.build.resolve()
    return parsed


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            skip("there is no %s" % tool)


def skip(why):
    print("skipped: %s: %s" % (pathlib.Path(sys.argv[0]).stem, why))
    sys.exit(SKIPPED)


def run(*command, check=True, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          **{"timeout": 240, **more})
    if check and done.returncode != 0:
        sys.exit("%s: exit %d\n%s%s" % (
            " ".join(map(str, command)), done.returncode, done.stdout, done.stderr))
    return done


def sanitized(build):
    """Programs under a sanitizer call more of the system than the ones that are installed."""
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    return "TALLY_SANITIZE:STRING=\n" not in cache


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Authority:
    """One of certs/tally-authority."""

    def __init__(self, source, folder):
        self.program = source / "certs/tally-authority"
        self.folder = pathlib.Path(folder) / "authority"
        run(self.program, "new", self.folder, "Test")

    def enrol(self, tally, folder, name, public_url, *options):
        """A connector of did:web:NAME.example in the domain `trial`, ready to start."""
        folder = pathlib.Path(folder)
        connector, issued = folder / name, folder / (name + ".issued.pem")
        uri = "did:web:%s.example" % name
        run(tally, "init", connector, "--participant", "trial:" + uri, "--public-url", public_url,
            "--wrapping-key", folder / (name + ".key"), *options)
        run(self.program, "sign", self.folder, uri, connector / "requests.pem", issued)
        run(tally, "import", connector, issued)
        return connector


class Daemon:
    """tallyd over a folder, until `stop`."""

    def __init__(self, command, folder):
        self.log = pathlib.Path(str(folder) + ".log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*map(str, command), str(folder)], stderr=out,
                                            stdout=out, env=dict(os.environ, LANG="C.UTF-8"))

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def await_text(self, text, patience=60):
        deadline = time.monotonic() + patience
        while text not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                sys.exit("tallyd did not say %s:\n%s" % (text, self.text()))
            time.sleep(0.05)
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def finish(what, faults):
    for fault in faults:
        print(fault)
    print("%s: %d faults" % (what, len(faults)))
    sys.exit(1 if faults else 0)
