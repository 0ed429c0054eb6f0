#!/usr/bin/env python3
"""The systemd unit: as exposed as it has to be and no more, and good enough for tallyd to work in it."""
import os
import re
import shutil
import socket
import sys
import tempfile
import time

import packaging

EXPOSURE = 2.0
# Directives that `systemd-analyze security` does not weigh, or weighs little, and that we promise.
PROMISED = {
    "User": "tally", "LimitCORE": "0", "UMask": "0077", "Type": "notify", "StateDirectoryMode": "0700",
    "ProtectSystem": "strict", "NoNewPrivileges": "yes", "MemoryDenyWriteExecute": "yes",
    "CapabilityBoundingSet": "", "ExecReload": "/bin/kill -HUP $MAINPID"}


def directives(text):
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
        found.setdefault(name, []).append(value)
    return found


def exposure(unit):
    printed = packaging.run("systemd-analyze", "security", "--offline=true", "--no-pager", unit).stdout
    return float(re.search(r"exposure level for \S+: ([\d.]+)", printed).group(1))


def permitted_calls(filters):
    """The system calls that the filter lets through, and a function that opens a set like @process."""
    def calls(word):
        if not word.startswith("@"):
            return {word}
        listed = packaging.run("systemd-analyze", "syscall-filter", word).stdout.splitlines()[1:]
        names = [line.strip() for line in listed if line.strip() and not line.strip().startswith("#")]
        return set().union(*map(calls, names)) if names else set()
    permitted = set()
    for line in filters:
        takes_away = line.startswith("~")
        for word in line.lstrip("~").split():
            permitted = permitted - calls(word) if takes_away else permitted | calls(word)
    return permitted


def used_calls(source, build):
    """The system calls of a tallyd from its start to a clean stop."""
    with tempfile.TemporaryDirectory(prefix="tally-unit-") as folder:
        authority = packaging.Authority(source, folder)
        connector = authority.enrol(
            build / "bin/tally", folder, "one", "https://localhost:%d" % packaging.free_port(),
            "--apps-port", packaging.free_port(), "--management-port", packaging.free_port())
        trace = folder + "/trace"
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(folder + "/notify")
        told.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = folder + "/notify"
        # -D: what is started is tallyd itself, which signals reach.
        daemon = packaging.Daemon(
            ["strace", "-D", "-f", "-qq", "-o", trace, build / "bin/tallyd"], connector)
        said = [told.recv(100)]
        daemon.await_text('"daemon.serving"')
        if daemon.stop() != 0:
            sys.exit("tallyd did not end cleanly:\n" + daemon.text())
        said.append(told.recv(100))
        if said != [b"READY=1", b"STOPPING=1"]:
            sys.exit("the service manager was told %s" % said)
        time.sleep(0.2)
        with open(trace, encoding="utf-8", errors="replace") as lines:
            return set(re.findall(r"^\d+ +(\w+)\(", lines.read(), re.M))


def main():
    arguments = packaging.arguments()
    unit = arguments.source / "packaging/tallyd@.service"
    found = directives(unit.read_text(encoding="utf-8"))
    faults = ["%s is %s, not %s" % (name, found.get(name), value)
              for name, value in PROMISED.items() if found.get(name) != [value]]
    for line in ("ExecStart", "ExecStartPre"):
        if not found[line][0].startswith("/usr/bin/tallyd "):
            faults.append(line + " starts something else")
    packaging.need("systemd-analyze")
    level = exposure(unit)
    print("exposure %.1f" % level)
    if level > EXPOSURE:
        faults.append("the unit is exposed by %.1f, more than %.1f" % (level, EXPOSURE))
    # The measure measures: without its protections the unit is beyond it.
    with tempfile.TemporaryDirectory() as folder:
        bare = folder + "/bare@.service"
        with open(bare, "w") as out:
            out.write("[Service]\nExecStart=/usr/bin/tallyd /var/lib/tally/%i\n")
        if exposure(bare) <= EXPOSURE:
            faults.append("a unit without protections passes too")
    if shutil.which("strace") and not packaging.sanitized(arguments.build):
        used = used_calls(arguments.source, arguments.build)
        print("%d system calls" % len(used))
        # SQLite gives files to the owner of its database only where it runs as root.
        used.discard("fchown")
        missing = used - permitted_calls(found["SystemCallFilter"])
        if missing:
            faults.append("the filter forbids what tallyd calls: " + ", ".join(sorted(missing)))
    packaging.finish("unit", faults)


if __name__ == "__main__":
    sys.exit(main())
