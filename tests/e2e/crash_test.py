"""kill -9 under load, again and again: what was acknowledged is in the log, no limit is passed, the
chain verifies, and both sides end in states that agree."""
import hashlib
import os
import random
import threading
import time
import unittest

import connectors
import wires
from connectors import RESEARCH, Pair, World, eventually

CONTENT = os.urandom(200_000)
DIGEST = hashlib.sha256(CONTENT).digest()


def setUpModule():
    global seed
    seed = int(os.environ.get("TALLY_E2E_SEED", random.SystemRandom().randrange(1 << 32)))
    print("TALLY_E2E_SEED=%d" % seed, flush=True)


def rounds(quick, long):
    return long if connectors.options.long else quick


class Crash(unittest.TestCase):
    def setUp(self):
        self.random = random.Random("%d %s" % (seed, self.id()))
        self.world = World()
        self.addCleanup(self.world.close)
        self.pair = Pair(self.world)
        self.provider, self.consumer = self.pair.provider, self.pair.consumer

    def kill_and_start(self, *victims):
        for victim in victims:
            victim.kill9()
            # With nobody there to repair anything.
            code, report = victim.verify()
            self.assertEqual(code, 0, report)
        for victim in victims:
            victim.start()


class Uses(Crash):
    LIMIT = 400

    def test_no_use_is_lost_and_none_is_had_twice_over_kills_under_load(self):
        self.provider.offer(count=self.LIMIT, content=CONTENT)
        self.pair.start()
        self.agreement = self.pair.held()
        self.token = self.consumer.app("load", RESEARCH)
        self.acknowledged = set()  # uses whose data a client has
        self.lost = []             # keys whose answer did not come
        self.failures = []         # of the readers' assertions
        for number in range(rounds(10, 50)):
            self.stop = threading.Event()
            readers = [threading.Thread(target=self.read, args=("%d-%d" % (number, reader),))
                       for reader in range(4)]
            for reader in readers:
                reader.start()
            time.sleep(self.random.uniform(0.02, 0.3))
            # Now and then a clean stop, so that the next starts go on from its snapshot.
            if number % 3 == 1:
                self.consumer.stop()
            else:
                self.consumer.kill9()
            self.stop.set()
            for reader in readers:
                reader.join()
            self.assertEqual(self.failures, [])
            self.check_log()
            self.consumer.start()
            self.repeat_what_was_lost()
        # What is left can be had, to the last use and no further.
        for number in range(self.LIMIT + 1):
            answer = self.consumer.read(self.token, self.agreement, key="last-%d" % number)
            if answer.status == 403:
                break
            self.take(answer)
        self.assertEqual((answer.status, answer.code()), (403, "usage.limit-reached"))
        self.assertEqual(self.consumer.agreement(self.agreement)["limits"][0]["left"], 0)
        self.consumer.stop()
        self.check_log()
        self.assertEqual(self.permitted - self.aborted, self.LIMIT)

    def take(self, answer):
        self.assertEqual(answer.status, 200, answer)
        # All of the data or no answer at all: never half of it.
        self.assertEqual(hashlib.sha256(answer.body).digest(), DIGEST)
        self.acknowledged.add(answer.headers["tally-use"])

    def read(self, name):
        number = 0
        while not self.stop.is_set():
            key = "%s-%d" % (name, number)
            number += 1
            try:
                answer = self.consumer.read(self.token, self.agreement, key=key)
            except (OSError, wires.http.client.HTTPException):
                self.lost.append(key)
                time.sleep(0.01)
                continue
            if answer.status == 403:
                return
            try:
                self.take(answer)
            except AssertionError as failure:
                self.failures.append(failure)

    def repeat_what_was_lost(self):
        lost, self.lost = self.lost[:20], []
        for key in lost:
            answer = self.consumer.read(self.token, self.agreement, key=key)
            if answer.status != 403:
                self.take(answer)

    def check_log(self):
        code, report = self.consumer.verify()
        self.assertEqual(code, 0, report)
        permitted = [r for r in self.consumer.records("use.permitted")
                     if r["agreement"] == self.agreement and r["action"] == "read"]
        self.permitted = len(permitted)
        self.aborted = len(self.consumer.records("use.aborted"))
        self.assertLessEqual(self.permitted - self.aborted, self.LIMIT)
        self.assertLessEqual(self.acknowledged, {record["event"] for record in permitted})


class Contracts(Crash):
    def test_negotiations_and_transfers_end_alike_on_both_sides_over_kills(self):
        self.provider.offer(count=3, content=CONTENT)
        self.pair.start()
        sides = [self.provider, self.consumer]
        for _ in range(rounds(5, 25)):
            self.try_begin("negotiations", {
                "peer": self.provider.party_json, "asset": connectors.COHORT,
                "purposes": [RESEARCH]})
            self.hit(sides)
            for agreement in self.settled("negotiations", "FINALIZED"):
                self.try_begin("transfers", {"agreement": agreement})
                self.hit(sides)
                break
            self.settled("transfers", "COMPLETED")
        agreements = self.settled("negotiations", "FINALIZED")
        held = self.settled("transfers", "COMPLETED")
        self.assertGreater(len(agreements), 0)
        self.nothing_half(len(held))
        for side in sides:
            self.assertEqual(side.stop(), 0)
            self.assertEqual(side.verify()[0], 0)

    def try_begin(self, kind, order):
        def begin():
            try:
                self.consumer.api("POST", "/api/v1/" + kind, order)
            except (OSError, wires.http.client.HTTPException):
                pass  # killed before it answered
        self.asking = threading.Thread(target=begin)
        self.asking.start()

    def hit(self, sides):
        time.sleep(self.random.uniform(0, 0.25))
        self.kill_and_start(*self.random.choice([sides[:1], sides[1:], sides]))
        self.asking.join()

    def settled(self, kind, good):
        """Waits until every process of the kind has ended and both sides say the same. Returns the
        agreements of those that ended well."""
        def look():
            ours = {item["id"]: item for item in self.consumer.items(kind)}
            theirs = {item["peerPid"]: item for item in self.provider.items(kind)}
            for pid, item in ours.items():
                if item["state"] not in (good, "TERMINATED"):
                    return None
                other = theirs.pop(pid, None)
                # One that never reached the provider has no counterpart.
                if (other["state"] if other else "TERMINATED") != item["state"]:
                    return None
            # And none that only the provider knows goes on.
            if any(item["state"] not in (good, "TERMINATED") for item in theirs.values()):
                return None
            return [list(ours.values())]
        ended = eventually(look, kind + " end alike", connectors.PATIENCE * 2)[0]
        return [item["agreement"] for item in ended if item["state"] == good]

    def nothing_half(self, complete):
        files = self.consumer.custody_files()
        self.assertEqual([name for name in files if not name.endswith((".blob", ".key"))], [])
        artefacts = self.consumer.items("artefacts")
        held = [item for item in artefacts if item["state"] == "held"]
        self.assertEqual(len([name for name in files if name.endswith(".blob")]), len(held))
        self.assertEqual(len([name for name in files if name.endswith(".key")]), len(held))
        self.assertGreaterEqual(len(held), complete)
        token = self.consumer.app("whole", RESEARCH)
        for agreement in {item["agreement"] for item in held}:
            answer = self.consumer.read(token, agreement)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(hashlib.sha256(answer.body).digest(), DIGEST)


if __name__ == "__main__":
    connectors.main()
