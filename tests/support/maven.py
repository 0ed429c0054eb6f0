"""Programs of others that Maven fetches when a test is run, compiled with what little is ours."""
import hashlib
import os
import re
import shutil
import subprocess

LEAST_JAVA = 17
# As Maven says that nobody answers. That something is not there is another matter, and a failure.
UNREACHABLE = ("Could not transfer", "Unknown host", "Connection refused", "Network is unreachable",
               "timed out")


class Skipped(Exception):
    """The program cannot be had on this machine; the text says why."""


def _stamp(pom, sources):
    digest = hashlib.sha256()
    base = os.path.dirname(pom)
    paths = [os.path.join(folder, name) for folder, _, files in os.walk(sources) for name in files]
    for path in sorted(paths) + [pom]:
        with open(path, "rb") as file:
            digest.update(path[len(base):].encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()


def _java_version():
    said = subprocess.run(["javac", "-version"], capture_output=True, text=True)
    found = re.search(r"(\d+)", said.stdout + said.stderr)
    return int(found.group(1)) if found else 0


def install(pom, sources, tools):
    """The class path of what the pom names and of our sources, which is put into `tools`; what is
    there already is taken. The pom takes the folder as its property `out`."""
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            raise Skipped("%s is not on the PATH; it needs a JDK from %d on and Maven" % (
                program, LEAST_JAVA))
    if _java_version() < LEAST_JAVA:
        raise Skipped("it needs a JDK from %d on" % LEAST_JAVA)
    tools = os.path.abspath(tools)
    stamp, stamp_file = _stamp(pom, sources), os.path.join(tools, "stamp")
    try:
        with open(stamp_file) as file:
            there = file.read() == stamp
    except FileNotFoundError:
        there = False
    if not there:
        shutil.rmtree(tools, ignore_errors=True)
        os.makedirs(tools)
        done = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", "--file", pom, "-Dout=" + tools, "compile"],
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            said = re.sub(r"\x1b\[\d*m|\[ERROR\] ", "", done.stdout + done.stderr)
            for line in said.splitlines():
                if any(word in line for word in UNREACHABLE):
                    raise Skipped("Maven cannot fetch it: " + line)
            raise AssertionError(said)
        with open(stamp_file, "w") as file:
            file.write(stamp)
    return os.pathsep.join((os.path.join(tools, "classes"), os.path.join(tools, "lib", "*")))
