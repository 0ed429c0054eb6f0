"""The conformance kit: fetched with Maven, compiled with our main class, run on some of its tests."""
import os
import re
import subprocess

import maven

HERE = os.path.dirname(os.path.abspath(__file__))

TEST_SECONDS = 120  # one test of the kit
WAIT_SECONDS = 15   # one step of a test: what it waits for has to come in so long

RESULT = re.compile(r"^(PASS|FAIL) (\S+)")
COUNTED = re.compile(r"^\d+ passed, \d+ failed$")


def install(tools):
    """The class path of the kit, which is put into `tools`."""
    return maven.install(os.path.join(HERE, "pom.xml"), os.path.join(HERE, "kit"), tools)


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
