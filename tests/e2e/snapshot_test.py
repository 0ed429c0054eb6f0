"""Starts from a snapshot of the log: the same counts, the same ends, nothing twice, whatever becomes
of the snapshot."""
import contextlib
import os
import shutil
import sqlite3
import unittest

import connectors
from connectors import Pair, World

STORE = "tally.db"


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=6)
    pair.start()


class Snapshots(unittest.TestCase):
    def setUp(self):
        if consumer.ended():
            consumer.start()
        self.agreement = pair.held()
        name = "app-" + self.agreement.rsplit(":", 1)[-1]
        self.app = consumer.app(name, connectors.RESEARCH, agreements=[self.agreement])
        self.left(6)

    def read(self, key=None):
        answer = consumer.read(self.app, self.agreement, key=key)
        self.assertEqual(answer.status, 200, answer)
        return answer.headers["tally-use"]

    def left(self, number):
        self.assertEqual(consumer.agreement(self.agreement)["limits"][0]["left"], number)

    def started_from(self):
        """How many records the last start took from the snapshot."""
        with open(consumer.log_file) as log:
            started = log.read().rsplit('"daemon.serving"', 2)[-2]
        notices = [notice for notice in consumer.notices("daemon.log-read")
                   if '"from":"%s"' % notice["params"]["from"] in started.replace(" ", "")]
        return int(notices[-1]["params"]["from"]) if notices else 0

    def size(self):
        return consumer.get("/api/v1/status")["log"]["size"]

    def test_a_start_reads_only_what_follows_the_last_clean_stop(self):
        use = self.read("a")
        self.assertEqual(consumer.stop(), 0)
        records = len(consumer.entries())
        consumer.start()
        # The last records of a stop may stand behind it.
        self.assertGreater(self.started_from(), records - 3)
        self.left(5)
        # A repeat with its key is the same use, although its permit was not read.
        self.assertEqual(self.read("a"), use)
        self.left(5)
        for round in range(3):
            self.read()
            consumer.kill9()
            consumer.start()
            self.assertGreater(self.started_from(), records - 3)
            self.left(4 - round)
        self.assertEqual(consumer.stop(), 0)
        self.assertEqual(consumer.verify()[0], 0)
        consumer.start()
        self.left(2)
        self.read()
        self.read()
        self.assertEqual(consumer.read(self.app, self.agreement).status, 403)

    def spoil(self, statement):
        self.assertEqual(consumer.stop(), 0)
        with contextlib.closing(sqlite3.connect(consumer.path(STORE))) as store, store:
            self.assertGreater(store.execute(statement).rowcount, 0)
        consumer.start()

    def refused(self, code, before):
        self.assertEqual(len(consumer.notices(code)), before + 1)
        self.left(5)
        # And a good one follows.
        consumer.stop()
        consumer.start()
        self.assertGreater(self.started_from(), 0)
        self.left(5)

    def test_one_that_was_changed_is_not_used(self):
        self.read()
        before = len(consumer.notices("audit.snapshot-malformed"))
        # The count of a use that was had.
        self.spoil("""UPDATE row SET body = replace(body, '"count":1', '"count":0')
                      WHERE kind = 'snapshot' AND owner = 'ledger'""")
        self.refused("audit.snapshot-malformed", before)

    def test_one_without_a_part_is_not_used(self):
        self.read()
        before = len(consumer.notices("audit.snapshot-malformed"))
        self.spoil("DELETE FROM row WHERE kind = 'snapshot' AND owner = 'ledger'")
        self.refused("audit.snapshot-malformed", before)

    def test_a_store_from_before_there_were_any(self):
        self.read()
        self.spoil("DELETE FROM row WHERE kind = 'snapshot'")
        self.left(5)
        self.read()
        consumer.kill9()
        consumer.start()
        self.left(4)

    def test_without_the_hash_files_all_is_read_and_they_are_made_again(self):
        while self.size() < 300:
            consumer.read("no such token", self.agreement)
            consumer.api("POST", "/api/v1/agreements/none/termination", {"reason": "x"})
        self.read()
        self.assertEqual(consumer.stop(), 0)
        before = len(consumer.notices("audit.snapshot-unfit"))
        os.remove(consumer.path("log", "L0"))
        consumer.start()
        self.refused("audit.snapshot-unfit", before)
        self.assertEqual(consumer.stop(), 0)
        self.assertEqual(consumer.verify()[0], 0)

    def test_an_older_store_goes_on_from_its_older_snapshot(self):
        self.assertEqual(consumer.stop(), 0)
        kept = world.path("kept.db")
        shutil.copy2(consumer.path(STORE), kept)
        consumer.start()
        for _ in range(6):
            self.read()
        self.assertEqual(consumer.stop(), 0)
        shutil.copy2(kept, consumer.path(STORE))
        consumer.start()
        self.assertGreater(self.started_from(), 0)
        self.left(0)
        self.assertEqual(consumer.read(self.app, self.agreement).status, 403)


if __name__ == "__main__":
    connectors.main()
