"""Receipt before key: what goes over the wire, who gets the key and when, and what a crash between
two steps leaves. Two daemons over mutual TLS with a listener in the middle."""
import base64
import json
import os
import sys
import threading
import unittest
import urllib.parse

import connectors
import wires
from connectors import (BROKER, HEALTH, SOURCE, Connector, Pair, RESEARCH, World, eventually,
                        policy, run)

sys.path.insert(0, os.path.join(SOURCE, "tests/audit"))
import bundle_verifier  # noqa: E402

SEALED = "urn:hospital:sealed"
CANARY = b"canary-9f31;patient 4711;"
CONTENT = b"id,value\n" + CANARY * 20000  # several chunks
TERM = "urn:tally:profile:1#receiptBeforeKey"


class Listener(wires.Proxy):
    """Passes everything on, and answers what asks for a key with 503 until `open` is set."""

    def __init__(self, *arguments):
        self.open = threading.Event()
        self.held = {}  # what was asked, by the provider's id of the transfer
        super().__init__(*arguments)

    def answer(self, method, path, fields, body):
        if path.startswith("/tally/v1/keys/") and not self.open.is_set():
            self.held[urllib.parse.unquote(path).rsplit("/", 1)[1]] = (path, body)
            return wires.Answer(503, [("content-type", "application/json")], b"{}")
        return super().answer(method, path, fields, body)


def sealed_policy(asset=SEALED):
    document = policy(asset, count=3, until="2030-01-01T00:00:00Z")
    document["permission"][0]["constraint"].append(
        {"leftOperand": TERM, "operator": "eq", "rightOperand": "required"})
    document["profile"] = "urn:tally:profile:1"
    return {"visibleTo": [{"domain": HEALTH}], "policy": document}


def peer_context(connector):
    return world.authority.context(connector.path("tls", "chain.pem"),
                                   connector.path("tls", "key.pem"))


def setUpModule():
    global world, provider, consumer, listener
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    port = connectors.free_port()
    provider.edit(lambda config: config.update(
        dataUrl="https://localhost:%d" % port, receipts={"missingSeconds": 600}))
    # The consumer reaches the provider through the listener.
    direct = provider.peers_port
    provider.peers_port = port
    consumer.add_peer(provider, "localhost:%d" % port, "localhost:%d" % direct)
    provider.peers_port = direct
    listener = Listener(port, direct, provider.path("tls", "chain.pem"),
                        provider.path("tls", "key.pem"), peer_context(consumer))
    unittest.addModuleCleanup(listener.close)
    provider.offer(SEALED, name="sealed", content=CONTENT)
    provider.drop("policies", "sealed", sealed_policy())
    pair.start()


def waiting_transfer():
    """A transfer whose consumer has signed for what it cannot read. Its agreement, its id, and what
    the consumer asked with."""
    listener.open.clear()
    agreement = consumer.agree(provider, SEALED)
    pid = consumer.begin("transfers", {"agreement": agreement})
    asked = eventually(
        lambda: listener.held.get(consumer.get("/api/v1/transfers/" + pid)["peerPid"]),
        "the consumer asks for the key")
    return agreement, pid, asked


def ask(path, body, connector=None, context=None):
    return wires.call(provider.peers_port, "POST", path, body,
                      headers={"Content-Type": "application/json"},
                      context=context or peer_context(connector or consumer))


def of(connector, agreement, *types):
    return [r for r in connector.records(*types) if r.get("agreement") == agreement]


class ReceiptBeforeKey(unittest.TestCase):
    def finish(self, pid):
        listener.open.set()
        process = consumer.ended_process("transfers", pid, ("COMPLETED", "TERMINATED"))
        self.assertEqual(process["state"], "COMPLETED", process)
        return process

    def test_the_wire_carries_nothing_to_read_and_the_logs_tell_the_order(self):
        agreement, pid, _ = waiting_transfer()
        # No key before the receipt is held, and nothing to read at the consumer.
        self.assertEqual(of(provider, agreement, "receipt.held", "key.released"), [])
        self.assertEqual(consumer.items("artefacts") and [
            a for a in consumer.items("artefacts") if a["agreement"] == agreement
            and a["state"] == "held"], [])
        key_file = provider.path("payload-keys", "keys", consumer.get(
            "/api/v1/transfers/" + pid)["peerPid"].rsplit(":", 1)[1] + ".key")
        self.assertEqual(os.path.getsize(key_file), 100)
        process = self.finish(pid)
        for method, path, body, answer in listener.seen:
            self.assertNotIn(CANARY, answer.body, path)
        data = [a.body for _, path, _, a in listener.seen if path.startswith("/data/")]
        self.assertGreater(len(b"".join(data)), len(CONTENT))
        token = consumer.app("reader-1", RESEARCH, agreements=[agreement])
        answer = consumer.read(token, agreement)
        self.assertEqual((answer.status, answer.body), (200, CONTENT))
        self.assertEqual(answer.headers["content-type"], "text/csv")

        eventually(lambda: of(provider, agreement, "transfer.completed"), "completed there too")
        told = [r["type"] for r in of(provider, agreement)]
        order = [told.index(kind) for kind in (
            "use.permitted", "transfer.sent", "receipt.issued", "receipt.held", "key.released",
            "transfer.completed")]
        self.assertEqual(order, sorted(order))
        told = [r["type"] for r in of(consumer, agreement)]
        order = [told.index(kind) for kind in (
            "transfer.received", "receipt.issued", "key.received", "transfer.completed")]
        self.assertEqual(order, sorted(order))
        self.assertEqual(told.count("use.permitted"), 1)
        eventually(lambda: not os.path.exists(key_file), "the key is destroyed")
        self.assertTrue(process["sealed"])
        # Both receipts say that it was ciphertext, and which key is owed.
        whole = consumer.get("/api/v1/transfers/" + pid)
        receipts = [json.loads(whole[name].split("\n")[1])
                    for name in ("sentReceipt", "receivedReceipt")]
        for said in receipts:
            self.assertEqual((said["chunks"], said["content"]),
                             (-(-len(CONTENT) // 65536), process["content"]))
        self.assertEqual(receipts[0]["key"], receipts[1]["key"])

        for connector in (provider, consumer):
            connector.stop()
        try:
            tally = connectors.options.tally
            for connector in (provider, consumer):
                deep = run(tally, "audit", "verify", connector.folder, "--deep", check=False)
                self.assertEqual(deep.returncode, 0, deep.stdout + deep.stderr)
            both = run(tally, "--json", "audit", "reconcile", provider.folder, consumer.folder,
                       check=False)
            lines = [line for line in json.loads(both.stdout)["lines"]
                     if line["agreement"] == agreement]
            self.assertEqual({line["result"] for line in lines}, {"MATCH"}, lines)
            self.assertIn("key.released", [line["about"] for line in lines])
            anchors = world.authority.anchor(HEALTH)
            for connector in (provider, consumer):
                bundle = world.path(connector.name + ".tar")
                run(tally, "audit", "bundle", connector.folder, "--agreement", agreement,
                    "--out", bundle)
                shown = run(tally, "audit", "check-bundle", bundle, "--json", "--anchors", anchors)
                receipts = [one["params"] for one in json.loads(shown.stdout)["shown"]
                            if one["code"] == "evidence.receipts"]
                self.assertEqual(receipts, [{"held": "1", "issued": "1"}])
                self.assertGreater(bundle_verifier.check(bundle, anchors), 10)
        finally:
            for connector in (provider, consumer):
                connector.start()

    def test_nothing_but_the_receipt_of_this_transfer_by_this_party_gets_the_key(self):
        first, first_pid, (first_path, first_body) = waiting_transfer()
        second, second_pid, (path, body) = waiting_transfer()
        note = json.loads(body)["note"]
        wrong = [b"{}", b"not json", json.dumps({"note": ""}).encode(), first_body,
                 json.dumps({"note": note.replace("bytes", "bites")}).encode(),
                 json.dumps({"note": note.replace('"chunks":8', '"chunks":7')}).encode(),
                 json.dumps({"note": consumer.get("/api/v1/transfers/" + second_pid)
                             ["sentReceipt"]}).encode()]
        for one in wrong:
            answer = ask(path, one)
            self.assertEqual(answer.status, 400, (one[:80], answer))
            self.assertNotIn(b'"key"', answer.body)
        # Another party brings the right one; and nobody without a certificate gets that far.
        certificate, key = world.authority.issue(HEALTH, [BROKER])
        stranger = world.authority.context(certificate, key)
        try:
            self.assertEqual(ask(path, body, context=stranger).status, 404)
        except OSError:
            pass  # refused at the door
        self.assertEqual(of(provider, second, "receipt.held", "key.released"), [])

        # The right one, again and again: one record of each, and the same key.
        answers = [ask(path, body) for _ in range(3)]
        self.assertEqual([a.status for a in answers], [200] * 3)
        self.assertEqual(len({a.body for a in answers}), 1)
        self.assertEqual(len(of(provider, second, "receipt.held")), 1)
        self.assertEqual(len(of(provider, second, "key.released")), 1)
        key = base64.b64decode(answers[0].json()["key"])
        self.assertEqual(len(key), 16)
        self.finish(first_pid)
        self.finish(second_pid)
        self.assertEqual(len(of(provider, second, "key.released")), 1)
        eventually(lambda: ask(path, body).status == 400, "no key after the end")
        # The key was at no time in clear in either folder.
        for folder in (provider.folder, consumer.folder):
            for where, _, files in os.walk(folder):
                for name in files:
                    with open(os.path.join(where, name), "rb") as file:
                        held = file.read()
                    self.assertNotIn(key, held, name)
                    self.assertNotIn(base64.b64encode(key), held, name)

    def test_a_provider_killed_between_receipt_and_key_gives_it_once(self):
        agreement, pid, (path, body) = waiting_transfer()
        held = ask(path.replace("/keys/", "/receipts/"), body)
        self.assertEqual(held.status, 200, held)
        provider.kill9()
        provider.start()
        self.assertEqual(of(provider, agreement, "key.released"), [])
        self.finish(pid)
        self.assertEqual(len(of(provider, agreement, "receipt.held")), 1)
        self.assertEqual(len(of(provider, agreement, "key.released")), 1)

    def test_a_provider_killed_after_the_key_and_a_consumer_before_it_opens(self):
        agreement, pid, (path, body) = waiting_transfer()
        first = ask(path, body)
        self.assertEqual(first.status, 200, first)
        for connector in (provider, consumer):
            connector.kill9()
        for connector in (provider, consumer):
            connector.start()
        self.assertEqual(ask(path, body).body, first.body)
        self.finish(pid)
        self.assertEqual(len(of(provider, agreement, "key.released")), 1)
        self.assertEqual(len(of(consumer, agreement, "key.received")), 1)

    def test_a_receipt_that_does_not_come_is_missed_and_no_key_leaves(self):
        agreement, pid, _ = waiting_transfer()
        for connector in (provider, consumer):
            connector.clock(700)
        eventually(lambda: of(provider, agreement, "receipt.missing"), "it is missed")
        self.assertEqual(of(provider, agreement, "key.released"), [])
        consumer.tally("terminate", agreement, "--reason", "test")
        eventually(lambda: not [a for a in consumer.items("artefacts")
                                if a["agreement"] == agreement
                                and a["state"] in ("staged", "held")], "nothing is left")

    def test_without_a_wrapping_key_such_an_offer_is_not_loaded(self):
        poor = Connector(world, "poor", "did:web:poor.example")
        poor.edit(lambda config: config.pop("custody"))
        poor.offer(SEALED, name="sealed", content=CONTENT)
        poor.drop("policies", "sealed", sealed_policy())
        poor.start()
        eventually(lambda: "custody.wrappingKey" in poor.text(), "it says what to configure")
        self.assertEqual(poor.get("/api/v1/status")["offers"], 0)
        poor.stop()


if __name__ == "__main__":
    connectors.main()
