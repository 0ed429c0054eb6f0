"""What stops uses: an operator's hold, the other side's suspension and end of an agreement, a
regulator's order. At the next act, inside a running stream within a second, over kill -9, and told to
a peer that was off; and everything stays readable afterwards."""
import os
import random
import re
import signal
import threading
import time
import unittest

import connectors
import wires
from connectors import COHORT, RESEARCH, Pair, World, eventually, run

STREAM, SMALL, ANSWER = "urn:hospital:stream", "urn:hospital:small", "urn:hospital:answer"
LARGE = bytes(48 << 20)  # more than what the sockets of a connection hold
WORDS = "maintenance, says Dr. Who"

world = pair = provider = consumer = None


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(COHORT, content=LARGE)
    provider.offer(STREAM, name="stream", content=LARGE, delivery="call")
    provider.offer(SMALL, name="small")
    provider.offer(ANSWER, name="answer", delivery="call")
    for name in ("bureau", "stranger"):
        done = run(connectors.options.tally, "hold", "key", world.path(name + ".pem"), "--name",
                   name + ".example")
        if name == "bureau":
            vkey = done.stdout.strip()
    for side in (provider, consumer):
        side.edit(lambda config: config.update(regulators=[{"name": "bureau", "vkey": vkey}]))
    pair.start()


def order(to, hold, *arguments, key="bureau"):
    """A regulator's order, made with no connector."""
    return run(connectors.options.tally, "hold", "order", hold, "--key", world.path(key + ".pem"),
               "--name", key + ".example", "--to", to.uri, *arguments).stdout


def send(to, note):
    """As an operator hands it over: the status and the code of a refusal."""
    answer = to.api("POST", "/api/v1/holds/orders", {"order": note})
    return answer.status if answer.status == 200 else (answer.status, answer.code())


class Reading:
    """An application that reads what its connector holds and takes nothing after the first bytes."""

    def __init__(self, side, port, target, fields, context=None):
        self.side = side
        self.connection = wires.connect(port, context)
        lines = ["GET %s HTTP/1.1" % target, "Host: localhost"] + fields
        self.connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = self.connection.recv(4096).decode("latin-1")
        assert head.startswith("HTTP/1.1 200 "), head
        self.use = re.search(r"\r\nTally-Use: (\S+)\r\n", head).group(1)

    def drain(self):
        """How many bytes still come, and how long that takes."""
        began, total = time.monotonic(), 0
        while True:
            try:
                piece = self.connection.recv(1 << 20)
            except (ConnectionError, OSError):
                break
            if not piece:
                break
            total += len(piece)
        self.connection.close()
        return total, time.monotonic() - began

    def ended(self):
        found = [one for record in self.side.records("use.executed") for one in record["uses"]
                 if one["use"] == self.use]
        return found[0] if found else None


def at_consumer(agreement, token):
    return Reading(consumer, consumer.apps_port, "/api/v1/data/" + agreement,
                   ["Authorization: Bearer " + token])


class Streams(unittest.TestCase):
    """What is under way when the hold comes."""

    @classmethod
    def setUpClass(cls):
        cls.agreement = pair.held(COHORT)
        cls.token = consumer.app("reader", RESEARCH)
        cls.called = consumer.agree(provider, STREAM)
        pid = consumer.begin("transfers", {"agreement": cls.called, "format": "HttpData-QUERY"})
        address = eventually(
            lambda: [a for a in [consumer.api("GET", "/api/v1/transfers/%s/address" % pid)]
                     if a.status == 200], "it is started")[0].json()
        cls.data = "/data/" + consumer.get("/api/v1/transfers/" + pid)["peerPid"]
        cls.authorization = address["authorization"]

    def context(self):
        return world.authority.context(
            consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))

    def reading(self, side):
        if side is consumer:
            return at_consumer(self.agreement, self.token)
        return Reading(provider, provider.peers_port, self.data,
                       ["Authorization: Bearer " + self.authorization], self.context())

    def next_act(self, side):
        if side is consumer:
            answer = consumer.read(self.token, self.agreement)
        else:
            answer = wires.call(provider.peers_port, "GET", self.data,
                                headers={"Authorization": self.authorization},
                                context=self.context())
        return answer.status if answer.status == 200 else answer.code()

    def test_an_operators_stop_cuts_a_stream_within_a_second_on_either_side(self):
        for side in (provider, consumer):
            for stalled in (False, True):
                stream = self.reading(side)
                side.tally("stop", "--reason", "incident-17")
                if stalled:
                    # The client takes nothing: only the connector can end it.
                    time.sleep(1)
                total, seconds = stream.drain()
                self.assertLess(total, len(LARGE) - (1 << 20), side.name)
                self.assertLess(seconds, 1.0, side.name)
                ended = eventually(stream.ended, "its end is recorded", patience=5)
                self.assertEqual(ended.get("outcome"), "cut")
                self.assertEqual(self.next_act(side), "usage.held-by-operator")
                side.tally("go")
                self.assertEqual(self.next_act(side), 200)

    def test_each_scope_stops_what_it_names(self):
        cases = [
            (["--agreement", self.agreement], True),
            (["--asset", COHORT], True),
            (["--asset", SMALL], False),
            (["--party", provider.uri], True),
            (["--party", "health:" + provider.uri], True),
            (["--party", "city:" + provider.uri], False),
            (["--app", "reader"], True),
            (["--app", "another"], False),
        ]
        for arguments, stops in cases:
            placed = consumer.tally("--json", "hold", "place", *arguments).stdout
            hold = re.search(r'"id": "(.*)"', placed).group(1)
            expected = "usage.held-by-operator" if stops else 200
            self.assertEqual(self.next_act(consumer), expected, arguments)
            dry = consumer.api("POST", "/api/v1/decisions", {
                "agreement": self.agreement, "app": "reader", "purpose": RESEARCH}).json()
            if stops:
                self.assertEqual((dry["decision"], dry["reason"]), ("deny", "held"))
            consumer.tally("hold", "lift", hold)
            self.assertEqual(self.next_act(consumer), 200)

    def test_a_stop_that_comes_while_the_provider_is_asked_is_heeded(self):
        agreement = consumer.agree(provider, ANSWER)
        pid = consumer.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
        eventually(lambda: consumer.get("/api/v1/transfers/" + pid)["state"] == "STARTED", "it runs")
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(consumer.read(self.token, agreement)))
        self.assertEqual(consumer.read(self.token, agreement).status, 200)

        def uses(*types):
            return len([one for one in consumer.records(*types) if one["agreement"] == agreement])

        os.kill(provider.process.pid, signal.SIGSTOP)
        try:
            asking.start()
            eventually(lambda: uses("use.permitted") == 2, "it is permitted")
            consumer.tally("stop", "--reason", "incident-18")
        finally:
            os.kill(provider.process.pid, signal.SIGCONT)
        asking.join()
        consumer.tally("go")
        self.assertEqual((answers[0].status, answers[0].code()), (403, "usage.held-by-operator"))
        self.assertEqual([uses("use.aborted"), uses("use.denied")], [1, 1])

    def test_the_other_side_cuts_a_stream_too(self):
        stream = at_consumer(self.agreement, self.token)
        provider.tally("suspend", self.agreement, "--reason", WORDS)
        # It is told at once; then the second runs.
        eventually(lambda: consumer.agreement(self.agreement)["state"] == "suspended", patience=10)
        total, seconds = stream.drain()
        self.assertLess(total, len(LARGE) - (1 << 20))
        self.assertLess(seconds, 1.0)
        self.assertEqual(self.next_act(consumer), "usage.held-by-peer")
        shown = consumer.agreement(self.agreement)["hold"]
        self.assertEqual((shown["by"], shown["name"]), ("peer", provider.uri))
        # Why is told and shown, and stands in no log.
        told = [hold for hold in consumer.items("holds") if hold["by"] == "peer"]
        self.assertEqual(told[0]["reason"], WORDS)
        for side in (provider, consumer):
            self.assertFalse([entry for entry in side.entries() if WORDS.encode() in entry])
        # Nobody else lifts it.
        lifted = consumer.api("POST", "/api/v1/holds/%s/lift" % told[0]["id"], {})
        self.assertEqual((lifted.status, lifted.code()), (403, "usage.hold-of-another"))
        consumer.tally("resume", self.agreement)
        self.assertEqual(self.next_act(consumer), "usage.held-by-peer")
        provider.tally("resume", self.agreement)
        eventually(lambda: self.next_act(consumer) == 200, "it goes on", patience=10)

    def test_an_end_cuts_a_stream(self):
        agreement = pair.held(COHORT)
        stream = at_consumer(agreement, self.token)
        consumer.tally("terminate", agreement, "--reason", WORDS)
        total, seconds = stream.drain()
        self.assertLess(total, len(LARGE) - (1 << 20))
        self.assertLess(seconds, 1.0)
        eventually(lambda: provider.agreement(agreement)["state"] == "terminated", "it is told")
        ended = [record for record in provider.records("contract.terminated")
                 if record.get("agreement") == agreement]
        self.assertEqual([record["by"] for record in ended], ["peer"])
        for side in (provider, consumer):
            self.assertFalse([entry for entry in side.entries() if WORDS.encode() in entry])


class Regulator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.agreement = pair.held(SMALL)
        cls.token = consumer.app("regulated", RESEARCH)

    def use(self):
        answer = consumer.read(self.token, self.agreement)
        return answer.status if answer.status == 200 else answer.code()

    def refused(self):
        return [record["reason"]["code"] for record in consumer.records("hold.refused")]

    def test_a_signed_order_is_obeyed_and_an_old_one_is_not(self):
        place = order(consumer, "case-1", "--asset", SMALL, "--reference", "2026/17")
        self.assertEqual(send(consumer, place), 200)
        self.assertEqual(self.use(), "usage.held-by-regulator")
        self.assertIn("2026/17", consumer.read(self.token, self.agreement).json()["detail"])
        self.assertEqual(send(consumer, place), 200)  # the same again
        hold = [hold for hold in consumer.items("holds") if hold["by"] == "regulator"][0]
        answer = consumer.api("POST", "/api/v1/holds/%s/lift" % hold["id"], {})
        self.assertEqual((answer.status, answer.code()), (403, "usage.hold-of-another"))
        self.assertEqual(hold["order"], place)
        self.assertEqual(self.use(), "usage.held-by-regulator")
        lift = order(consumer, "case-1", "--lift")
        self.assertEqual(send(consumer, lift), 200)
        self.assertEqual(self.use(), 200)
        before = len(self.refused())
        self.assertEqual(send(consumer, place), (409, "usage.order-older"))
        self.assertEqual(self.use(), 200)
        self.assertEqual(self.refused()[before:], ["usage.order-older"])
        # They arrive the wrong way round.
        first = order(consumer, "case-2", "--everything")
        second = order(consumer, "case-2", "--lift")
        self.assertEqual(send(consumer, second), 200)
        self.assertEqual(send(consumer, first), (409, "usage.order-older"))
        self.assertEqual(self.use(), 200)

    def test_what_is_not_signed_rightly_is_refused_and_logged(self):
        good = order(consumer, "case-3", "--everything")
        changed = good.replace('"case-3"', '"case-4"')
        unsigned = good[:good.index("\n\n") + 2]
        for note, status, code in [
                (unsigned, 400, "audit.note-malformed"),
                (changed, 400, "audit.note-forged"),
                (order(consumer, "case-3", "--everything", key="stranger"), 400,
                 "audit.note-unsigned"),
                (order(provider, "case-3", "--everything"), 400, "usage.order-for-another"),
                (order(consumer, "case-3", "--agreement", "urn:none"), 404,
                 "usage.unknown-agreement")]:
            before = len(self.refused())
            self.assertEqual(send(consumer, note), (status, code))
            self.assertEqual(self.refused()[before:], [code])
            self.assertEqual(self.use(), 200)

    def test_a_peer_may_bring_one(self):
        context = world.authority.context(
            provider.path("tls", "chain.pem"), provider.path("tls", "key.pem"))

        def bring(note):
            return wires.call(consumer.peers_port, "POST", "/tally/v1/holds", {"order": note},
                              context=context)
        before = len(self.refused())
        self.assertEqual(bring("nothing").status, 400)
        self.assertEqual(self.refused()[before:], ["audit.note-malformed"])
        self.assertEqual(consumer.records("hold.refused")[-1]["counterparty"]["uri"], provider.uri)
        self.assertEqual(bring(order(consumer, "case-5", "--everything")).status, 200)
        self.assertEqual(self.use(), "usage.held-by-regulator")
        self.assertEqual(bring(order(consumer, "case-5", "--lift")).status, 200)
        self.assertEqual(self.use(), 200)

    def test_one_with_an_end_is_over_by_itself(self):
        now = time.time()
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 4000))
        consumer.tally("hold", "place", "--everything", "--id", "while", "--until", until)
        self.assertEqual(self.use(), "usage.held-by-operator")
        for side in (provider, consumer):
            side.clock(5000)
        self.assertEqual(self.use(), 200)
        shown = [hold for hold in consumer.items("holds") if hold["id"] == "while"]
        self.assertEqual(shown[0]["state"], "over")
        consumer.tally("hold", "lift", "while")


class Ends(unittest.TestCase):
    def test_a_peer_that_was_off_is_told_later_and_everything_stays_readable(self):
        agreement = pair.held(SMALL)
        token = consumer.app("ends", RESEARCH)
        self.assertEqual(consumer.read(token, agreement).status, 200)
        consumer.stop()
        provider.tally("terminate", agreement, "--reason", WORDS)
        provider.kill9()
        provider.start()
        self.assertEqual(provider.agreement(agreement)["state"], "terminated")
        consumer.start()
        eventually(lambda: consumer.agreement(agreement)["state"] == "terminated", "it is told")
        eventually(lambda: [a for a in consumer.items("artefacts")
                            if a["agreement"] == agreement and a["state"] == "destroyed"],
                   "it is destroyed")
        self.assertIn(consumer.read(token, agreement).status, (403, 410))
        eventually(lambda: [n for n in provider.items("deletion-records")
                            if n.get("agreement") == agreement], "the note of deletion comes")
        # The archive: policy, history, statements, bundle, log.
        for side in (provider, consumer):
            shown = side.agreement(agreement)
            self.assertEqual(shown["policy"]["@type"], "Agreement")
            types = [row["type"] for row in
                     side.get("/api/v1/agreements/%s/history" % agreement)["rows"]]
            self.assertIn("contract.terminated", types)
        eventually(lambda: [s for s in provider.items("statement-records")
                            if s.get("agreement") == agreement], "the statement comes")
        bundle = world.path("ended.tar")
        run(connectors.options.tally, "audit", "bundle", consumer.folder, "--agreement", agreement,
            "--out", bundle)
        run(connectors.options.tally, "audit", "check-bundle", bundle, "--anchors",
            world.authority.anchor(connectors.HEALTH), check=False)
        self.assertGreater(os.path.getsize(bundle), 1000)
        for side in (provider, consumer):
            self.assertEqual(side.verify()[0], 0)


class Kills(unittest.TestCase):
    """kill -9 around placing and lifting: what was answered is so, and log and store say the same."""

    def test_what_was_answered_stands_and_log_and_list_agree(self):
        agreement = pair.held(SMALL)
        token = consumer.app("kills", RESEARCH)
        chance = random.Random(7)
        held = False
        for turn in range(8):
            placing = not held
            answered = []

            def ask():
                path = "/api/v1/holds" if placing else "/api/v1/holds/kills/lift"
                body = {"id": "kills", "scope": "everything"} if placing else {}
                try:
                    answered.append(consumer.api("POST", path, body, timeout=5).status)
                except OSError:
                    pass
            thread = threading.Thread(target=ask)
            thread.start()
            time.sleep(chance.uniform(0, 0.02))
            consumer.kill9()
            thread.join()
            consumer.start()
            stands = bool([hold for hold in consumer.items("holds") if hold["id"] == "kills"])
            if answered and answered[0] in (200, 201):
                self.assertEqual(stands, placing, turn)
            changes = [record["type"] for record in consumer.records("hold.placed", "hold.lifted")
                       if record["hold"] == "kills"]
            self.assertEqual(stands, bool(changes) and changes[-1] == "hold.placed", changes)
            # Each is in the log once.
            self.assertEqual(changes, (["hold.placed", "hold.lifted"] * len(changes))[:len(changes)])
            answer = consumer.read(token, agreement)
            self.assertEqual(answer.status, 403 if stands else 200)
            held = stands
        if held:
            consumer.tally("hold", "lift", "kills")
        self.assertEqual(consumer.verify()[0], 0)


if __name__ == "__main__":
    connectors.main()
