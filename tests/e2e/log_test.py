"""The log as others see it: /log/ for auditors and for partners, and the commands on files."""
import hashlib
import json
import os
import unittest

import connectors
import wires
from connectors import BROKER, CITY, COHORT, Pair, World, eventually, run


def setUpModule():
    global world, pair, provider, consumer, auditor, agreement
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    auditor = provider.add_token("auditor", "auditor")
    pair.start()
    # Before there is an agreement.
    unittest.TestCase().assertEqual(as_peer(consumer, "/log/checkpoint").status, 404)
    agreement = consumer.agree(provider)
    while provider.get("/api/v1/status")["log"]["size"] < 520:
        provider.clock(1)


def as_peer(connector, path):
    context = world.authority.context(
        connector.path("tls", "chain.pem"), connector.path("tls", "key.pem"))
    return wires.call(provider.peers_port, "GET", path, context=context)


def leaf_hash(record):
    return hashlib.sha256(b"\0" + record).digest()


def entries(bundle):
    found = []
    while bundle:
        size = int.from_bytes(bundle[:2], "big")
        found.append(bundle[2:2 + size])
        bundle = bundle[2 + size:]
    return found


class Auditor(unittest.TestCase):
    def get(self, path, token=None):
        return provider.api("GET", path, token=auditor if token is None else token)

    def test_nobody_reads_without_a_token(self):
        for path in ("/log/checkpoint", "/log/tile/0/000", "/log/tile/entries/000"):
            self.assertEqual(self.get(path, token="").status, 401)
            self.assertEqual(self.get(path, token="wrong").status, 401)

    def test_hashes_are_those_of_the_entries(self):
        tile, bundle = self.get("/log/tile/0/001"), self.get("/log/tile/entries/001")
        self.assertEqual((tile.status, bundle.status), (200, 200))
        self.assertEqual(len(tile.body), 8192)
        found = entries(bundle.body)
        self.assertEqual(b"".join(map(leaf_hash, found)), tile.body)
        self.assertEqual([json.loads(entry)["seq"] for entry in found], list(range(256, 512)))
        self.assertEqual(self.get("/log/tile/1/000.p/2").status, 200)
        for answer in (tile, bundle):
            self.assertEqual(answer.headers["content-type"], "application/octet-stream")
            self.assertIn("immutable", answer.headers["cache-control"])
            self.assertIn("private", answer.headers["cache-control"])
        partial = self.get("/log/tile/0/002.p/3")
        self.assertEqual(len(partial.body), 96)
        self.assertNotIn("immutable", partial.headers["cache-control"])

    def test_a_checkpoint_is_a_text_that_is_never_cached(self):
        answer = self.get("/log/checkpoint")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        origin, size = answer.body.decode().split("\n")[:2]
        self.assertEqual(origin, provider.uri + "/log/1")
        with open(provider.path("log", "head")) as head:
            self.assertGreaterEqual(int(head.read().split("\n")[2]), int(size))

    def test_what_is_not_there_is_404(self):
        for path in ("tile/0/003", "tile/0/002.p/255", "tile/2/000.p/1", "tile/entries/002",
                     "tile/8/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/0", "tile/0/x000/000",
                     "tile/0/%30%30%30", "tile/0/000/", "tile/entries/../0/000", "tile/", "tile",
                     "tile/0/" + "x999/" * 40 + "999", "nothing"):
            self.assertEqual(self.get("/log/" + path).status, 404, path)
        self.assertEqual(provider.api("POST", "/log/checkpoint", {}, token=auditor).status, 405)


class Partner(unittest.TestCase):
    def test_a_partner_reads_checkpoint_and_hashes_and_no_entries(self):
        self.assertEqual(as_peer(consumer, "/log/checkpoint").status, 200)
        self.assertEqual(as_peer(consumer, "/log/tile/0/000").body,
                         provider.api("GET", "/log/tile/0/000").body)
        self.assertEqual(as_peer(consumer, "/log/tile/1/000.p/2").status, 200)
        for path in ("/log/tile/entries/000", "/log/tile/entries/002.p/1",
                     "/log/tile/%65ntries/000"):
            answer = as_peer(consumer, path)
            self.assertEqual(answer.status, 404)
            self.assertNotIn(b"log.genesis", answer.body)

    def test_for_anybody_else_there_is_no_log(self):
        certificate, key = world.authority.issue(CITY, [BROKER])
        context = world.authority.context(certificate, key)
        for path in ("/log/checkpoint", "/log/tile/0/000", "/log/tile/entries/000"):
            try:
                answer = wires.call(provider.peers_port, "GET", path, context=context)
            except OSError:
                continue  # not known at all: refused at the door
            self.assertEqual(answer.status, 404, path)


class Files(unittest.TestCase):
    def audit(self, *arguments, check=True):
        return run(connectors.options.tally, "audit", *arguments, check=check)

    def test_a_record_is_proved_to_whoever_has_the_key(self):
        provider.api("GET", "/log/checkpoint")
        key = self.audit("key", provider.folder).stdout.strip()
        self.assertTrue(key.startswith(provider.uri + "/log/1+"))
        proof, record = world.path("17.proof"), world.path("17.json")

        def same_twice():
            # A partner may cosign between the two, and the second proof is the better one then.
            self.audit("prove", provider.folder, 17, "--out", proof, "--record", record)
            printed = self.audit("prove", provider.folder, 17).stdout
            with open(proof) as file:
                return file.read() == printed
        eventually(same_twice, "a file has what is printed")
        good = self.audit("check-proof", proof, record, "--vkey", key)
        self.assertIn("17", good.stdout)
        policy = world.path("policy.txt")
        with open(policy, "w") as file:
            file.write("log %s\nquorum none\n" % key)
        self.audit("check-proof", proof, record, "--policy", policy)

        with open(record, "rb") as file:
            text = file.read()
        other = world.path("other.json")
        with open(other, "wb") as file:
            file.write(text.replace(b'"seq":17', b'"seq":18'))
        self.assertEqual(self.audit("check-proof", proof, other, "--vkey", key, check=False)
                         .returncode, 1)
        foreign = self.audit("key", consumer.folder).stdout.strip()
        self.assertEqual(self.audit("check-proof", proof, record, "--vkey", foreign, check=False)
                         .returncode, 1)
        self.assertEqual(self.audit("check-proof", proof, record, check=False).returncode, 3)
        beyond = self.audit("prove", provider.folder, 10 ** 6, check=False)
        self.assertEqual(beyond.returncode, 1)
        self.assertEqual(self.audit("prove", provider.folder, "x", check=False).returncode, 3)

    def test_static_files_are_those_that_the_daemon_serves(self):
        checkpoint = provider.api("GET", "/log/checkpoint").body
        out = world.path("static")
        self.audit("tiles", provider.folder, out)
        with open(os.path.join(out, "checkpoint"), "rb") as file:
            self.assertEqual(file.read(), checkpoint)
        seen = 0
        for folder, _, files in os.walk(os.path.join(out, "tile")):
            for name in files:
                path = os.path.join(folder, name)
                served = provider.api("GET", "/log/" + os.path.relpath(path, out))
                with open(path, "rb") as file:
                    self.assertEqual(file.read(), served.body, path)
                seen += 1
        self.assertGreaterEqual(seen, 7)
        self.assertEqual(self.audit("tiles", provider.folder, out, check=False).returncode, 3)

    def test_verify_says_the_root_and_finds_a_changed_hash(self):
        consumer.stop()
        code, report = consumer.verify()
        self.assertEqual(code, 0, report)
        # A clean stop leaves a checkpoint over everything.
        self.assertEqual(report["checkpoint"], {"size": report["records"], "root": report["root"]})
        with open(consumer.path("log", "L0"), "r+b") as file:
            file.seek(40)
            file.write(b"\0\1\2\3")
        code, report = consumer.verify()
        self.assertEqual((code, report["finding"]["link"], report["finding"]["seq"]),
                         (2, "tile", 1))
        consumer.start()
        self.assertEqual(consumer.verify()[0], 0)


if __name__ == "__main__":
    connectors.main()
