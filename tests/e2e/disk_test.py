"""A full disk: nothing moves that cannot be recorded, what ends things still is, and with space and
a restart everything works again."""
import os
import subprocess
import unittest

import connectors
from connectors import HOSPITAL, INSTITUTE, RESEARCH, Pair, World, eventually

DISK_MIB = 40
# So much is kept free for what ends things. The log zero-fills up to 8 MiB ahead, which counts as
# free; a reserve above that is reached as soon as the disk is full.
RESERVE_MIB = 16


class SmallDisk:
    """A file system of a few MiB, or a skipped test where that is not permitted."""

    def __init__(self, test, path):
        self.path = path
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "tmpfs", path],
                              capture_output=True)
        if done.returncode != 0:
            test.skipTest("no permission to mount a small file system: the disk test did not run")
        test.addCleanup(subprocess.run, ["umount", "-l", path])

    def fill(self):
        with open(os.path.join(self.path, "filler"), "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        os.remove(os.path.join(self.path, "filler"))


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.disk = SmallDisk(self, self.world.path("disk"))

    def pair(self, small):
        """A pair of which the side with this name lives on the small disk."""
        place = {"folder": self.world.path("disk", "connector")}
        pair = Pair(self.world, provider_options=place if small == "provider" else None,
                    consumer_options=place if small == "consumer" else None)
        getattr(pair, small).edit(
            lambda config: config.update(limits={"logReserveMiB": RESERVE_MIB}))
        pair.provider.offer(count=100)
        pair.start()
        return pair

    def red(self, connector):
        """The checks that are red."""
        answer = connector.ready()
        red = {check["check"] for check in answer.json()["checks"] if not check["good"]}
        self.assertEqual(answer.status, 503 if red else 200)
        self.assertTrue(all(check["text"] for check in answer.json()["checks"]))
        return red

    def test_the_consumers_disk_is_full(self):
        pair = self.pair("consumer")
        consumer = pair.consumer
        agreement, other = pair.held(), pair.held()
        token = consumer.app("study", RESEARCH)
        self.assertEqual(consumer.read(token, agreement).status, 200)
        self.assertEqual(self.red(consumer), set())

        self.disk.fill()
        refused = consumer.read(token, agreement)
        self.assertEqual((refused.status, refused.code()), (503, "audit.disk-reserve"))
        self.assertIn("log", self.red(consumer))
        used = len(consumer.records("use.permitted"))
        for _ in range(5):
            self.assertEqual(consumer.read(token, agreement).status, 503)
        self.assertEqual(len(consumer.records("use.permitted")), used)
        # New work is not begun; a reason is given.
        kinds = ("negotiations", "transfers", "apps")
        before = [len(consumer.items(kind)) for kind in kinds]
        for path, order in (
                ("/api/v1/negotiations", {"peer": pair.provider.party_json,
                                          "asset": connectors.COHORT, "purposes": [RESEARCH]}),
                ("/api/v1/transfers", {"agreement": agreement}),
                ("/api/v1/apps", {"id": "new", "purposes": [RESEARCH]})):
            answer = consumer.api("POST", path, order)
            self.assertEqual((answer.status, answer.code()), (503, "daemon.disk-reserve"), path)
        # Looking is not forbidden.
        self.assertEqual(consumer.agreement(agreement)["state"], "active")

        # The reserve: an end is recorded and the data goes.
        files = len(consumer.custody_files())
        answer = consumer.api("POST", "/api/v1/agreements/%s/termination" % other,
                              {"reason": "test"})
        self.assertEqual(answer.status, 200, answer)
        eventually(lambda: len(consumer.custody_files()) == files - 2, "key and blob are gone")
        for kind in ("contract.terminated", "data.destroyed"):
            eventually(lambda: [r for r in consumer.records(kind) if r.get("agreement") == other],
                       kind + " is recorded")
        self.assertEqual(consumer.read(token, agreement).status, 503)

        self.disk.free()
        self.assertEqual(consumer.stop(), 0)
        code, report = consumer.verify()
        self.assertEqual(code, 0, report)
        consumer.start()
        self.assertEqual(self.red(consumer), set())
        self.assertEqual([len(consumer.items(kind)) for kind in kinds], before)
        self.assertEqual(consumer.read(token, agreement).status, 200)
        self.assertEqual(consumer.agreement(agreement)["uses"], 2)
        pair.held()

    def test_a_log_that_only_refused_goes_on_without_a_restart(self):
        pair = self.pair("consumer")
        agreement = pair.held()
        token = pair.consumer.app("study", RESEARCH)
        self.disk.fill()
        self.assertEqual(pair.consumer.read(token, agreement).status, 503)
        self.assertEqual(self.red(pair.consumer), {"log"})
        self.disk.free()
        eventually(lambda: self.red(pair.consumer) == set(), "ready is green again")
        self.assertEqual(pair.consumer.read(token, agreement).status, 200)
        self.assertEqual(pair.consumer.agreement(agreement)["uses"], 1)

    def test_the_providers_disk_is_full(self):
        pair = self.pair("provider")
        provider, consumer = pair.provider, pair.consumer
        agreement = consumer.agree(provider)
        self.disk.fill()
        # The first record that finds no room tells.
        pid = consumer.begin("negotiations", {
            "peer": provider.party_json, "asset": connectors.COHORT, "purposes": [RESEARCH]})
        # Which one that is depends on whether the store's journal has room that it used before: the
        # store's row comes before the record.
        eventually(lambda: self.red(provider) & {"log", "store"}, "ready is red")
        agreed = len(provider.records("contract.agreed"))
        consumer.begin("transfers", {"agreement": agreement})
        eventually(lambda: consumer.notices("negotiation.delivery-retry") or
                   consumer.get("/api/v1/negotiations/" + pid)["history"][-1]["note"],
                   "the consumer tries again")
        self.assertEqual(len(provider.records("contract.agreed")), agreed)
        self.assertEqual(provider.records("transfer.sent"), [])

        # What waits goes on by itself after space and a restart.
        self.disk.free()
        self.assertEqual(provider.stop(), 0)
        self.assertEqual(provider.verify()[0], 0)
        provider.start()
        self.assertEqual(self.red(provider), set())
        process = consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
        self.assertEqual(process["state"], "FINALIZED")
        eventually(lambda: [item for item in consumer.items("transfers")
                            if item["state"] == "COMPLETED"], "the transfer completes")


if __name__ == "__main__":
    connectors.main()
