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
    READERS = 4
    ROUNDS = (10, 50)
    LIMITS = (400, 400)
    LONGEST = 0.3  # seconds of load before a kill

    def test_no_use_is_lost_and_none_is_had_twice_over_kills_under_load(self):
        self.limit = rounds(*self.LIMITS)
        self.provider.offer(count=self.limit, content=CONTENT)
        self.pair.start()
        self.agreement = self.pair.held()
        self.token = self.consumer.app("load", RESEARCH)
        self.acknowledged = set()  # uses whose data a client has
        self.lost = []             # keys whose answer did not come
        self.failures = []         # of the readers' assertions
        kills = number = 0
        while kills < rounds(*self.ROUNDS):
            readers = self.begin_to_read("%d" % number)
            time.sleep(self.random.uniform(0.02, self.LONGEST))
            # Now and then a clean stop, so that the next starts go on from its snapshot.
            if number % 3 == 1:
                self.consumer.stop()
            else:
                self.consumer.kill9()
                kills += 1
            number += 1
            self.end_of(readers)
            self.check_log()
            self.consumer.start()
            self.repeat_what_was_lost()
        left = self.consumer.agreement(self.agreement)["limits"][0]["left"]
        acknowledged = len(self.acknowledged)
        # What is left can be had, to the last use and no further.
        readers = self.begin_to_read("last")
        for reader in readers:
            reader.join()
        self.end_of(readers)
        self.assertEqual(len(self.acknowledged) - acknowledged, left)
        answer = self.consumer.read(self.token, self.agreement)
        self.assertEqual((answer.status, answer.code()), (403, "usage.limit-reached"))
        self.assertEqual(self.consumer.agreement(self.agreement)["limits"][0]["left"], 0)
        self.consumer.stop()
        self.check_log()
        self.assertEqual(self.permitted - self.aborted, self.limit)
        print("%d readers, %d kills, %d left of %d uses after them, %d acknowledged in all"
              % (self.READERS, kills, left, self.limit, len(self.acknowledged)), flush=True)

    def begin_to_read(self, name):
        self.stop = threading.Event()
        readers = [threading.Thread(target=self.read, args=("%s-%d" % (name, reader),))
                   for reader in range(self.READERS)]
        for reader in readers:
            reader.start()
        return readers

    def end_of(self, readers):
        self.stop.set()
        for reader in readers:
            reader.join()
        self.assertEqual(self.failures, [])

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
        self.assertLessEqual(self.permitted - self.aborted, self.limit)
        self.assertLessEqual(self.acknowledged, {record["event"] for record in permitted})


class ManyReaders(Uses):
    """The same with 64 threads on the one counter, and a hundred kills."""
    READERS = 64
    ROUNDS = (3, 100)
    LIMITS = (1500, 24000)
    LONGEST = 0.1


class Contracts(Crash):
    """Many negotiations, each with a transfer behind it, while both sides are killed at random."""
    WORKERS = 6

    def test_negotiations_and_transfers_end_alike_on_both_sides_over_kills(self):
        self.provider.offer(count=3, content=CONTENT)
        self.pair.start()
        sides = [self.provider, self.consumer]
        self.exchanges, kills = rounds((16, 8), (500, 200))
        self.taken = {"negotiations": set(), "transfers": set()}  # ids of orders that were taken
        self.begun = 0
        self.killed = False  # all kills are done
        self.failures = []
        workers = [threading.Thread(target=self.work) for _ in range(self.WORKERS)]
        for worker in workers:
            worker.start()
        for _ in range(kills):
            time.sleep(self.random.uniform(0.02, 0.6))
            self.kill_and_start(*self.random.choice([sides[:1], sides[1:], sides]))
        self.killed = True
        for worker in workers:
            worker.join()
        self.assertEqual(self.failures, [])
        agreements = self.settled("negotiations", "FINALIZED")
        held = self.settled("transfers", "COMPLETED")
        print("%d kills, %d negotiations with an agreement, %d transfers completed"
              % (kills, len(agreements), len(held)), flush=True)
        self.assertGreaterEqual(len(agreements), self.exchanges)
        self.assertGreaterEqual(len(held), self.exchanges)
        self.nothing_lost_or_doubled(agreements, held)
        self.nothing_half(len(held))
        for side in sides:
            self.assertEqual(side.stop(), 0)
            self.assertEqual(side.verify()[0], 0)

    def work(self):
        """Exchanges, one after the other, until there are enough of them and the kills are over."""
        try:
            while self.begun < self.exchanges or not self.killed:
                self.begun += 1
                agreement = self.ended("negotiations", {
                    "peer": self.provider.party_json, "asset": connectors.COHORT,
                    "purposes": [RESEARCH]}, "FINALIZED")["agreement"]
                self.ended("transfers", {"agreement": agreement}, "COMPLETED")
        except AssertionError as failure:
            self.failures.append(failure)

    def ended(self, kind, order, good):
        """Orders it as often as nobody answers, and waits until one that was taken has ended well."""
        while True:
            begun = self.asked("POST", "/api/v1/" + kind, order)
            if begun is None:
                continue  # not taken, or nobody heard that it was: settled() looks at that one too
            self.taken[kind].add(begun["id"])
            path = "/api/v1/%s/%s" % (kind, begun["id"])

            def look():
                shown = self.asked("GET", path)
                return shown if shown and shown["state"] in (good, "TERMINATED") else None
            shown = eventually(look, path, connectors.PATIENCE * 4)
            if shown["state"] != good:
                raise AssertionError("not ended well: %r" % shown)
            return shown

    def asked(self, method, path, body=None):
        """The answer; None where the connector was killed before it came, or does not serve yet."""
        try:
            answer = self.consumer.api(method, path, body)
        except (OSError, wires.http.client.HTTPException):
            time.sleep(0.02)
            return None
        if answer.status == 503:
            time.sleep(0.02)
            return None
        if answer.status >= 300:
            raise AssertionError("%s %s: %r" % (method, path, answer))
        return answer.json()

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

    def nothing_lost_or_doubled(self, agreements, held):
        for kind, taken in self.taken.items():
            self.same(taken & {item["id"] for item in self.consumer.items(kind)}, taken)
            peers = [item["peerPid"] for item in self.provider.items(kind)]
            self.assertEqual(len(set(peers)), len(peers))
        self.assertEqual(len(set(agreements)), len(agreements))
        for side in (self.provider, self.consumer):
            self.same({item["id"] for item in side.items("agreements")}, set(agreements))
            # In the log, too, each was concluded once, and each transfer completed once.
            concluded = [record["agreement"] for record in side.records("contract.finalized")]
            self.assertEqual(len(concluded), len(agreements))
            self.same(set(concluded), set(agreements))
            self.assertEqual(len(side.records("transfer.completed")), len(held))

    def same(self, found, wanted):
        # The first few: there may be hundreds.
        self.assertEqual(sorted(found ^ wanted)[:3], [])

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
