"""The operational log says codes and ids only: canaries in tokens, keys, bodies, queries, names and
values of header fields, in good requests and bad ones, at every listener and in both languages, are
found in the log of neither side, nor in the clear in what they record. The same search over what was
sent finds every one of them."""
import os
import random
import unittest

import connectors
import wires
from connectors import RESEARCH, Pair, World, free_port
from raw_scan_test import forms

DSP = "/dsp/2025-1"


class Canaries:
    """Words that stand nowhere else, each for the place where it is planted."""

    def __init__(self):
        self.words = {}
        self.sent = []

    def __call__(self, place):
        word = "canary%016x" % random.SystemRandom().getrandbits(64)
        self.words.setdefault(place, []).append(word)
        return word

    def found_in(self, data):
        """Where what stands in these bytes was planted."""
        data = data.lower()
        return {place for place, words in self.words.items() for word in words
                if any(form.lower() in data for form in forms(word.encode()))}


def setUpModule():
    global world, provider, consumer, credential_port
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    credential_port = free_port()
    provider.edit(lambda config: config["listeners"].update(credentialPeers={
        "port": credential_port, "publicUrl": "https://localhost:%d" % credential_port}))
    provider.offer(count=50)
    for side in (provider, consumer):
        side.let_tokens_be_tried()


class Canary(unittest.TestCase):
    def setUp(self):
        self.canaries = Canaries()
        self.statuses = set()

    def send(self, port, method, path, body=None, *, fields=(), context=None):
        """One request as it is, whatever is wrong with it."""
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: localhost", "Connection: close"]
        lines += ["%s: %s" % field for field in fields]
        body = body.encode() if isinstance(body, str) else body
        if body is not None:
            lines.append("Content-Length: %d" % len(body))
        raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")
        self.canaries.sent.append(raw)
        answer = wires.send_raw(port, [raw], context=context)
        if answer:
            self.statuses.add(answer.status)
        return answer

    def fields(self, language, token=None, kind="application/json"):
        plant = self.canaries
        fields = [("X-%s" % plant("field name"), "1"), ("X-Value", plant("field value")),
                  ("Cookie", "session=" + plant("cookie")), ("Accept-Language", language)]
        if token:
            fields.append(("Authorization", token))
        if kind:
            fields.append(("Content-Type", kind))
        return fields

    def bodies(self):
        plant = self.canaries
        yield '{"%s": "%s"}' % (plant("member name"), plant("member value"))
        yield '{"x": "%s' % plant("broken JSON")
        yield '{"x": {"%s": 1, "x": 2, "x": 3}}' % plant("member twice")
        yield plant("no JSON")
        yield b'{"x": "\xff' + plant("no UTF-8").encode() + b'"}'

    def everywhere(self, port, paths, tokens, language, context=None):
        plant = self.canaries
        for method, path in paths:
            for token in tokens:
                at = path + "?%s=%s" % (plant("query name"), plant("query value"))
                self.send(port, method, at, fields=self.fields(language, token), context=context)
                if method != "GET":
                    for body in self.bodies():
                        self.send(port, method, at, body, fields=self.fields(language, token),
                                  context=context)
                    self.send(port, method, path, plant("another media type"), context=context,
                              fields=self.fields(language, token, "text/" + plant("media type")))
        # What no route ever sees.
        for line in ("GET /%s HTTP/9.9" % plant("version"), "%s\r\n" % plant("no request"),
                     "GET /%%zz%s HTTP/1.1" % plant("broken escape")):
            raw = ("%s\r\nHost: a\r\nX-Y: %s\r\n\r\n" % (line, plant("malformed"))).encode()
            self.canaries.sent.append(raw)
            wires.send_raw(port, [raw], context=context)

    def plant_all(self, language):
        plant = self.canaries
        mine = world.authority.context(consumer.path("tls", "chain.pem"),
                                       consumer.path("tls", "key.pem"))
        nobody = world.authority.context()
        wrong = "Bearer " + plant("token")
        good = "Bearer " + consumer.token
        self.canaries.words.setdefault("operator token", []).append(consumer.token)
        self.canaries.sent.append(consumer.token.encode())
        app = consumer.app("reader-" + language, RESEARCH)
        self.canaries.words.setdefault("application token", []).append(app)
        self.canaries.sent.append(app.encode())
        self.everywhere(consumer.management_port, [
            ("GET", "/api/v1/status"), ("GET", "/api/v1/agreements"), ("POST", "/api/v1/catalog"),
            ("POST", "/api/v1/negotiations"), ("POST", "/api/v1/transfers"),
            ("POST", "/api/v1/agreements"), ("POST", "/api/v1/holds"),
            ("POST", "/api/v1/holds/orders"), ("POST", "/api/v1/apps"),
            ("POST", "/api/v1/decisions"), ("PUT", "/api/v1/assets/urn%3Ax"),
            ("PUT", "/api/v1/policies/urn%3Ax"), ("POST", "/api/v1/clock"),
            ("POST", "/api/v1/private/erasures"), ("POST", "/api/v1/reload"),
        ], (wrong, good), language)
        self.everywhere(consumer.apps_port, [
            ("GET", "/api/v1/data/urn%3Anone"), ("GET", "/api/v1/exports/urn%3Anone"),
            ("POST", "/api/v1/derivations"), ("POST", "/api/v1/aggregates/urn%3Anone"),
            ("GET", "/api/v1/my-agreements"),
        ], (wrong, "Bearer " + app), language)
        peer_paths = [
            ("POST", DSP + "/catalog/request"), ("POST", DSP + "/negotiations/request"),
            ("POST", DSP + "/negotiations/offers"), ("POST", DSP + "/transfers/request"),
            ("GET", "/data/urn%3Anone"), ("POST", "/tally/v1/witness/add-checkpoint"),
            ("POST", "/tally/v1/use-notices"), ("POST", "/tally/v1/holds"),
        ]
        self.everywhere(provider.peers_port, peer_paths, (wrong,), language, mine)
        self.everywhere(credential_port, peer_paths, (wrong,), language, nobody)
        self.use(language, app)

    def use(self, language, app):
        """Good requests that lead to a contract and a use."""
        plant = self.canaries
        agreement = consumer.agree(provider)
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        read = self.send(
            consumer.apps_port, "GET", "/api/v1/data/%s?x=%s" % (agreement, plant("query of a use")),
            fields=[("Authorization", "Bearer " + app), ("Idempotency-Key", plant("key of a use")),
                    ("Tally-Subject", plant("subject")), ("Accept-Language", language)])
        self.assertEqual(read.status, 200, read)
        ended = self.send(
            consumer.management_port, "POST", "/api/v1/agreements/%s/termination" % agreement,
            '{"reason": "%s"}' % plant("reason of an end"),
            fields=self.fields(language, "Bearer " + consumer.token))
        self.assertEqual(ended.status, 200, ended)
        for kind, peer in (("catalog", {"peer": provider.party_json}),):
            body = '{"peer": {"domain": "%(domain)s", "uri": "%(uri)s"}' % peer["peer"]
            self.send(consumer.management_port, "POST", "/api/v1/" + kind,
                      body + ', "filter": [{"keyword": "%s"}]}' % plant("filter"),
                      fields=self.fields(language, "Bearer " + consumer.token))

    def keys(self):
        """Lines of the private keys, as they stand in the files."""
        found = []
        for side in (provider, consumer):
            for kind in ("tls", "contract", "log-key", "witness-key"):
                with open(side.path(kind, "key.pem")) as file:
                    found += [line for line in file.read().split("\n")[1:-2] if len(line) > 20]
        self.canaries.words["private key"] = found
        self.canaries.sent.append("\n".join(found).encode())

    def check(self, language):
        for side in (provider, consumer):
            side.start("--lang", language)
        self.keys()
        self.plant_all(language)
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
        self.assertEqual(self.canaries.found_in(b"\n".join(self.canaries.sent)),
                         set(self.canaries.words))
        self.assertGreater(len(self.canaries.words), 20)
        # Some of it was taken, some not, and none of it broke anything.
        self.assertLessEqual({200, 400, 401, 404, 415}, self.statuses)
        self.assertNotIn(500, self.statuses)
        for side in (provider, consumer):
            log = side.text().encode()
            self.assertTrue(side.notices("daemon.serving") and side.notices("daemon.stopping"))
            self.assertEqual(self.canaries.found_in(log), set(), side.name)
            self.assertEqual(self.canaries.found_in(b"\n".join(side.entries())), set(), side.name)
            os.truncate(side.log_file, 0)

    def test_in_english(self):
        self.check("en")

    def test_in_chinese(self):
        self.check("zh")


if __name__ == "__main__":
    connectors.main()
