"""Receipts of uses: with every answer, and later with the proof; checked with `tally` alone."""
import base64
import concurrent.futures
import json
import os
import threading
import unittest
import urllib.parse

import connectors
import wires
from connectors import BROKER, CITY, INSTITUTE, Pair, RESEARCH, World, run

CALLED = "urn:hospital:called"
MANY = "urn:hospital:many"


def setUpModule():
    global world, pair, provider, consumer, agreement, called, many, reader, other
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=9)
    provider.offer(CALLED, name="called", count=9, delivery="call")
    provider.offer(MANY, name="many", count=9)
    pair.start()
    agreement = pair.held()
    called = consumer.agree(provider, CALLED)
    many = pair.held(MANY)
    reader = consumer.app("reader", RESEARCH)
    other = consumer.app("other", RESEARCH)


def as_peer(method, path, body=None, **more):
    context = world.authority.context(
        consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))
    return wires.call(provider.peers_port, method, path, body, context=context, **more)


def call_provider():
    """A single call that the provider serves and counts."""
    pid = consumer.begin("transfers", {"agreement": called, "format": "HttpData-QUERY"})
    consumer.ended_process("transfers", pid, ("STARTED",))
    address = consumer.get("/api/v1/transfers/%s/address" % pid)
    path = urllib.parse.urlsplit(address["endpoint"]).path
    answer = as_peer("GET", path, token=address["authorization"])
    assert answer.status == 200, repr(answer)
    return answer


def kept(name, content):
    path = world.path(name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def check(path, *arguments):
    return run(connectors.options.tally, "--json", "audit", "check-receipt", path, *arguments,
               check=False)


def content(header):
    """What a receipt says; the signature may be one for several."""
    return base64.b64decode(header).split(b"\n")[1]


def receipt_key(connector):
    return connector.get("/api/v1/status")["receiptKey"]


def log_key(connector):
    return run(connectors.options.tally, "audit", "key", connector.folder).stdout.strip()


class Receipts(unittest.TestCase):
    def shown(self, answer, server, ask):
        """Everything about one answer of `server`; `ask` gets a path of the asker's own listener."""
        header = answer.headers["tally-use-receipt"]
        path = kept("receipt", header)
        signed = check(path, "--key", receipt_key(server))
        self.assertEqual(signed.returncode, 0, signed.stderr)
        said = json.loads(signed.stdout)
        self.assertEqual((said["use"], said["proven"]), (answer.headers["tally-use"], False))
        # The record that it names is the permit, in the log of whoever served.
        record = server.records()[said["seq"]]
        self.assertEqual((record["type"], record["event"]), ("use.permitted", said["use"]))
        self.assertEqual(said["agreement"], record["agreement"])

        proven = ask(said["seq"])
        self.assertEqual(proven.status, 200, repr(proven))
        self.assertEqual(content(proven.body.decode().split("\n")[1]), content(header))
        path = kept("proven", proven.body)
        believed = ("--key", receipt_key(server), "--vkey", log_key(server))
        good = check(path, *believed)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertTrue(json.loads(good.stdout)["proven"])
        self.assertEqual(check(path, "--key", receipt_key(server)).returncode, 3)
        self.assertEqual(check(kept("receipt", header), *believed).returncode, 1)
        for at in range(0, len(proven.body), 97):
            changed = bytearray(proven.body)
            changed[at] ^= 1
            self.assertEqual(check(kept("changed", bytes(changed)), *believed).returncode, 1, at)
        note = bytearray(base64.b64decode(header))
        note[40] ^= 1
        self.assertEqual(check(kept("changed", bytes(note)), "--key", receipt_key(server))
                         .returncode, 1)
        return said

    def test_a_local_read(self):
        answer = consumer.read(reader, agreement)
        self.assertEqual(answer.status, 200)

        def ask(seq, token=reader):
            return wires.call(consumer.apps_port, "GET", "/api/v1/use-receipts/%s" % seq,
                              token=token)
        said = self.shown(answer, consumer, ask)
        # Another application's use, a record of another type, and nothing at all look the same.
        self.assertEqual(ask(said["seq"], other).status, 404)
        for seq in (0, said["seq"] - 1, 10 ** 9, "x", "-1", "18446744073709551616"):
            self.assertEqual(ask(seq).status, 404, seq)
        # The consumer's own uses are not its partner's to ask for.
        self.assertEqual(ask(said["seq"], "wrong").status, 401)

    def test_a_call_that_the_provider_serves(self):
        answer = call_provider()
        path = "/tally/v1/use-receipts/%s"
        said = self.shown(answer, provider, lambda seq: as_peer("GET", path % seq))
        self.assertEqual(said["signer"], provider.uri)
        certificate, key = world.authority.issue(CITY, [BROKER])
        context = world.authority.context(certificate, key)
        try:
            stranger = wires.call(provider.peers_port, "GET", path % said["seq"], context=context)
        except OSError:
            return  # refused at the door
        self.assertEqual(stranger.status, 404)

    def test_a_repeat_has_the_receipt_of_its_use_also_after_a_crash(self):
        first = consumer.read(reader, agreement, key="once")
        consumer.kill9()
        consumer.start()
        again = consumer.read(reader, agreement, key="once")
        self.assertEqual(again.headers.get("tally-use-repeated"), "true")
        self.assertEqual(content(again.headers["tally-use-receipt"]),
                         content(first.headers["tally-use-receipt"]))
        signed = check(kept("receipt", again.headers["tally-use-receipt"]),
                       "--key", receipt_key(consumer))
        self.assertEqual(signed.returncode, 0, signed.stderr)

    def test_reads_at_the_same_time_have_each_their_own(self):
        begin = threading.Barrier(9)

        def read(_):
            begin.wait()
            return consumer.read(reader, many)
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            answers = list(pool.map(read, range(9)))
        for answer in answers:
            signed = check(kept("receipt", answer.headers["tally-use-receipt"]),
                           "--key", receipt_key(consumer))
            self.assertEqual(signed.returncode, 0, signed.stderr)
            self.assertEqual(json.loads(signed.stdout)["use"], answer.headers["tally-use"])


def by_hand(records, agreement, first, last):
    """What the records of an agreement from `first` to `last` add up to, counted here."""
    mine = [record for record in records if record.get("agreement") == agreement
            and first <= record["aseq"] <= last]
    of = lambda kind: [record for record in mine if record["type"] == "use." + kind]
    refusals = {}
    for record in of("denied"):
        code = record["reason"]["code"]
        refusals[code] = refusals.get(code, 0) + 1
    return {"uses": len(of("permitted")) - len(of("aborted")), "refusals": refusals,
            "bytes": sum(use["bytes"] for record in of("executed") for use in record["uses"])}


class Statements(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(world, provider_options={"name": "stating"},
                        consumer_options={"name": "stated"})
        cls.pair.provider.offer(count=3)
        for connector in (cls.pair.provider, cls.pair.consumer):
            connector.edit(lambda config: config.update(receipts={"statementSeconds": 86400}))
        cls.pair.start()
        cls.agreement = cls.pair.held()
        cls.token = cls.pair.consumer.app("reader", RESEARCH)

    def day(self):
        for connector in (self.pair.provider, self.pair.consumer):
            connector.clock(86400)

    def check(self, server, holder):
        """Every statement equals the count by hand, numbers and ranges have no gap, both logs
        know it, once."""
        issued = server.records("statement.issued")
        connectors.eventually(
            lambda: len(holder.records("statement.held")) == len(issued),
            "all are held: %r" % server.items("statements"))
        held = holder.records("statement.held")
        issued = [one for one in issued if one["agreement"] == self.agreement]
        # They are delivered apart from each other, so in any order.
        held = sorted((one for one in held if one["agreement"] == self.agreement),
                      key=lambda one: one["number"])
        self.assertEqual([one["number"] for one in issued], list(range(1, len(issued) + 1)))
        self.assertEqual([(one["number"], one["content"], one["sums"]) for one in issued],
                         [(one["number"], one["content"], one["sums"]) for one in held])
        after = 0
        for one in issued:
            aseq = one["sums"]["aseq"]
            self.assertEqual(aseq["from"], after + 1)
            after = aseq["to"]
            found = by_hand(server.records(), self.agreement, aseq["from"], after)
            self.assertEqual({key: one["sums"][key] for key in found}, found)
        for note in server.items("statements"):
            self.assertTrue(note["note"].startswith("tally/statement/v1\n"))
        return issued

    def test_each_day_with_uses_is_stated_once_over_crashes(self):
        provider, consumer = self.pair.provider, self.pair.consumer
        for _ in range(5):  # two more than are permitted
            consumer.read(self.token, self.agreement)
        connectors.eventually(lambda: consumer.records("use.executed"), "the uses are closed")
        self.day()
        connectors.eventually(lambda: consumer.records("statement.issued"), "it is stated")
        issued = self.check(consumer, provider)
        self.assertEqual(issued[0]["sums"]["uses"], 3)
        self.assertEqual(sum(issued[0]["sums"]["refusals"].values()), 2)
        self.check(provider, consumer)  # the pull

        # Killed at some moment of the next statement, again and again; the holder is off.
        provider.kill9()
        for attempt in range(4):
            consumer.read(self.token, self.agreement)  # refused, and counted as that
            consumer.clock(86400)
            if attempt % 2:
                connectors.eventually(
                    lambda: len(consumer.records("statement.issued")) > len(issued), "stated")
            consumer.kill9()
            consumer.start()
            consumer.clock(86400 * (attempt + 3))  # a test clock forgets how far it was moved
            connectors.eventually(
                lambda: sum(sum(one["sums"]["refusals"].values())
                            for one in consumer.records("statement.issued")
                            if one["agreement"] == self.agreement) == 3 + attempt,
                "each refusal is in one statement")
            issued = consumer.records("statement.issued")
        provider.start()
        self.check(consumer, provider)
        for connector in (provider, consumer):
            connector.stop()
            self.assertEqual(connector.verify()[0], 0)
            connector.start()

    def test_nobody_else_states_anything(self):
        answer = as_peer("POST", "/tally/v1/statements", {"agreement": "x", "note": "y"})
        self.assertEqual(answer.status, 404)
        answer = as_peer("POST", "/tally/v1/statements", {"agreement": agreement, "note": "y"})
        self.assertEqual(answer.status, 400)

    def test_the_end_of_an_agreement_is_stated_at_once(self):
        consumer, provider = self.pair.consumer, self.pair.provider
        provider.offer("urn:hospital:ended", name="ended", count=3)
        connectors.eventually(lambda: provider.get("/api/v1/status")["offers"] == 2, "offered")
        agreement = self.pair.held("urn:hospital:ended")
        consumer.read(self.token, agreement)
        connectors.eventually(
            lambda: [one for one in consumer.records("use.executed")
                     if one["agreement"] == agreement], "the use is closed")
        consumer.tally("terminate", agreement, "--reason", "test")
        connectors.eventually(
            lambda: [one for one in provider.records("statement.held")
                     if one["agreement"] == agreement], "stated without waiting for the day")
        # The round at the end of the day does not state the same again. When the second has begun,
        # the first is whole.
        for _ in range(2):
            before = len(self.of(self.agreement))
            consumer.read(self.token, self.agreement)
            consumer.clock(86400 * 10)
            connectors.eventually(lambda: len(self.of(self.agreement)) > before, "a day is stated")
        self.assertEqual(sum(one["sums"]["uses"] for one in self.of(agreement)), 1)

    def of(self, agreement):
        return [one for one in self.pair.consumer.records("statement.issued")
                if one["agreement"] == agreement]


if __name__ == "__main__":
    connectors.main()
