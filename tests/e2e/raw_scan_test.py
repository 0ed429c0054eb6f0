"""What lies on a consumer's disk, byte by byte: the data nowhere, and after its destruction no byte
of its wrapped key. The same scan of a connector without encryption, whose keys stay, finds both."""
import base64
import os
import unittest

import connectors
from connectors import Pair, World, eventually

CANARY = b"canary-7f3a91-patient-\xe5\xbc\xa0\xe4\xb8\x89-diagnosis-C50.9"


def forms(canary):
    """The ways in which a program may have written it down without hiding it."""
    yield canary
    yield canary.hex().encode()
    # Base64 of it at each of the three places where it may begin, without the ends that depend on
    # what stands beside it.
    for before in range(3):
        text = base64.b64encode(b"\0" * before + canary)
        yield text[4 if before else 0:-4]


def holds(folders, *needles):
    """The files below these folders that hold one of the needles, in any form."""
    wanted = [form for needle in needles for form in forms(needle)]
    found = set()
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                file = os.path.join(path, name)
                if os.path.islink(file) or not os.path.isfile(file):
                    continue
                with open(file, "rb") as data:
                    content = data.read()
                if any(form in content for form in wanted):
                    found.add(os.path.relpath(file, folder))
    return found


class RawScan(unittest.TestCase):
    def life(self, program):
        """Data is received, read, fetched again and destroyed; gives what a scan finds before and
        after: (files with the data, files with the wrapped key) each."""
        world = World()
        self.addCleanup(world.close)
        pair = Pair(world)
        consumer = pair.consumer
        temporary = world.path("temporary")
        os.mkdir(temporary)
        consumer.program = program
        consumer.env = {"TMPDIR": temporary, "SQLITE_TMPDIR": temporary}
        # Several chunks, the data at the start, in the middle and at the end of them.
        rows = b"".join(b"%06d,%s\n" % (number, CANARY) for number in range(4000))
        pair.provider.offer(count=100, content=rows)
        pair.start()
        agreement = pair.held()
        token = consumer.app("scan", connectors.RESEARCH)
        answer = consumer.read(token, agreement)
        self.assertEqual((answer.status, answer.body), (200, rows))
        folders = (consumer.folder, temporary, os.path.dirname(consumer.log_file) + "/logs")
        os.mkdir(folders[2])
        keys = consumer.path("custody", "keys")
        wrapped = []
        for name in os.listdir(keys):
            with open(os.path.join(keys, name), "rb") as file:
                wrapped.append(file.read()[36:])  # behind magic, name and nonce
        self.assertEqual(len(wrapped), 1)

        def scan():
            with open(consumer.log_file, "rb") as said, \
                    open(os.path.join(folders[2], "stderr"), "wb") as copy:
                copy.write(said.read())
            return holds(folders, CANARY), holds(folders, wrapped[0])

        before = scan()
        ended = consumer.api("POST", "/api/v1/agreements/%s/termination" % agreement,
                             {"reason": "over"})
        self.assertEqual(ended.status, 200, ended)
        eventually(lambda: consumer.records("data.destroyed"), "destroyed")
        running = scan()
        self.assertEqual(consumer.stop(), 0)
        after = scan()
        return before, running, after

    def test_the_data_is_nowhere_and_after_its_destruction_its_key_is_nowhere(self):
        before, running, after = self.life(connectors.options.tallyd)
        # The scan finds what is there: the key while it is needed.
        self.assertEqual(len(before[1]), 1)
        self.assertEqual(before[0], set())
        for found in (running, after):
            self.assertEqual(found, (set(), set()))

    def test_without_encryption_the_same_scan_finds_both(self):
        before, running, after = self.life(connectors.options.encryption_off)
        self.assertTrue([file for file in before[0] if file.endswith(".blob")])
        for found in (running, after):
            self.assertTrue([file for file in found[1] if file.endswith(".key")])


if __name__ == "__main__":
    connectors.main()
