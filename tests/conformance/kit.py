"""The conformance kit: fetched with Maven, compiled with our main class, run on some of its tests."""
import hashlib
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

LEAST_JAVA = 17
TEST_SECONDS = 120  # one test of the kit
WAIT_SECONDS = 15   # one step of a test: what it waits for has to come in so long
START_SECONDS = 60
# As Maven says that nobody answers. That something is not there is another matter, and a failure.
UNREACHABLE = ("Could not transfer", "Unknown host", "Connection refused", "Network is unreachable",
               "timed out")

RESULT = re.compile(r"^(PASS|FAIL) (\S+)")
COUNTED = re.compile(r"^\d+ passed, \d+ failed$")


class Skipped(Exception):
    """The kit cannot be had on this machine; the text says why."""


def _sources():
    for folder, _, files in sorted(os.walk(os.path.join(HERE, "kit"))):
        for name in sorted(files):
            yield os.path.join(folder, name)
    yield os.path.join(HERE, "pom.xml")


def _stamp():
    digest = hashlib.sha256()
    for path in _sources():
        with open(path, "rb") as file:
            digest.update(path[len(HERE):].encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()


def _java_version():
    said = subprocess.run(["javac", "-version"], capture_output=True, text=True)
    found = re.search(r"(\d+)", said.stdout + said.stderr)
    return int(found.group(1)) if found else 0


def install(tools):
    """The class path of the kit, which is put into `tools`; what is there already is taken."""
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            raise Skipped("%s is not on the PATH; it needs a JDK from %d on and Maven" % (
                program, LEAST_JAVA))
    if _java_version() < LEAST_JAVA:
        raise Skipped("it needs a JDK from %d on" % LEAST_JAVA)
    tools = os.path.abspath(tools)
    stamp_file = os.path.join(tools, "stamp")
    try:
        with open(stamp_file) as file:
            there = file.read() == _stamp()
    except FileNotFoundError:
        there = False
    if not there:
        shutil.rmtree(tools, ignore_errors=True)
        os.makedirs(tools)
        done = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", "--file", os.path.join(HERE, "pom.xml"),
             "-Dout=" + tools, "compile"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            said = re.sub(r"\x1b\[\d*m|\[ERROR\] ", "", done.stdout + done.stderr)
            for line in said.splitlines():
                if any(word in line for word in UNREACHABLE):
                    raise Skipped("Maven cannot fetch it: " + line)
            raise AssertionError(said)
        with open(stamp_file, "w") as file:
            file.write(_stamp())
    return os.pathsep.join((os.path.join(tools, "classes"), os.path.join(tools, "lib", "*")))


class Kit:
    """The kit at one port of this machine."""

    def __init__(self, class_path, port, properties):
        self.class_path, self.port = class_path, port
        self.properties = {
            "host": "127.0.0.1", "port": port, "callback.address": self.address,
            "dsp.default.wait": WAIT_SECONDS, **properties}

    @property
    def address(self):
        return "http://127.0.0.1:%d" % self.port

    def run(self, cases, named, say=print):
        """Runs the tests; returns those that passed. `named` are the names that it is told to use."""
        told = {"dataspacetck." + name: value for name, value in self.properties.items()}
        told["junit.jupiter.execution.timeout.testable.method.default"] = "%d s" % TEST_SECONDS
        told.update(named)
        command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m",
                   "-Dslf4j.internal.verbosity=ERROR"]
        command += ["-D%s=%s" % item for item in sorted(told.items())]
        command += ["-cp", self.class_path, "RunKit", *cases]
        passed = set()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as process:
            try:
                for line in process.stdout:
                    line = line.rstrip("\n")
                    if COUNTED.match(line):
                        continue  # the last line counts all groups
                    say(line)
                    result = RESULT.match(line)
                    if result and result.group(1) == "PASS":
                        passed.add(result.group(2))
                code = process.wait()
            finally:
                process.kill()
        if (code == 0) != (passed == set(cases)):
            say("FAIL the kit ended with exit code %d" % code)
            return set()
        return passed
