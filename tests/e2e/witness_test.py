"""One connector witnesses the log of another, over mutual TLS. The log is that of a stopped connector,
which this test goes on with by its key; everything is checked by the verifier that shares no code."""
import hashlib
import unittest

import connectors
import wires
from connectors import BROKER, CITY, COHORT, INSTITUTE, Pair, World, eventually
from signed_log import Log, verifier

ORIGIN = INSTITUTE + "/log/1"
INVENTED = [verifier.sha(b"\x00record %d" % number) for number in range(40)]


def setUpModule():
    global world, provider, consumer, log, contexts
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    pair.start()
    contexts = {
        "owner": world.authority.context(consumer.path("tls", "issued.pem"),
                                         consumer.path("tls", "key.pem")),
        "stranger": world.authority.context(*world.authority.issue(CITY, [BROKER])),
    }
    log = Log(consumer.path("log-key", "key.pem"), ORIGIN)


def post(body, who="owner"):
    return wires.call(provider.peers_port, "POST", "/tally/v1/witness/add-checkpoint", body,
                      context=contexts[who])


def read(who="owner", origin=ORIGIN):
    path = "/tally/v1/witness/%s/checkpoint" % hashlib.sha256(origin.encode()).hexdigest()
    return wires.call(provider.peers_port, "GET", path, context=contexts[who])


class Witnessing(unittest.TestCase):
    """In the order of the names: one log, told on. `real` is how long it was when its connector
    stopped."""

    def test_1_without_an_agreement_nothing_is_watched(self):
        self.assertEqual(post(log.request(INVENTED[:3], 0)).status, 404)

    def test_2_with_one_the_log_is_cosigned_by_the_key_of_the_statement(self):
        consumer.agree(provider)
        consumer.stop()
        leaves = [verifier.sha(b"\x00", entry) for entry in consumer.entries()]
        cls = type(self)
        cls.real, cls.leaves = len(leaves), leaves + INVENTED
        # The connector may have had some of it cosigned itself.
        kept = read()
        cosigned = int(kept.body.split(b"\n")[1]) if kept.status == 200 else 0
        leaves = self.leaves[:self.real]
        answer = post(log.request(leaves, cosigned))
        self.assertEqual(answer.status, 200, answer)
        witness = Log(provider.path("witness-key", "key.pem"), provider.uri + "/witness", 4)
        keys = [log.vkey.encode(), witness.vkey.encode()]
        _, signers = verifier.verify_note(log.checkpoint(leaves).encode() + answer.body, keys)
        self.assertEqual(set(signers), set(keys))
        kept = read()
        self.assertEqual(kept.status, 200, kept)
        self.assertTrue(kept.headers["content-type"].startswith("text/plain"))
        self.assertEqual(set(verifier.verify_note(kept.body, keys)[1]), set(keys))
        witnessed = provider.records("checkpoint.witnessed")
        self.assertEqual(witnessed[-1]["peer"], {
            "origin": ORIGIN, "size": self.real,
            "root": "sha256:" + verifier.tree_root(leaves).hex()})

    def request(self, more, old, by=None):
        """As the log posts it: sizes beyond those that are real."""
        return (by or log).request(self.leaves[:self.real + more], self.real + old)

    def test_3_others_do_not_learn_that_there_is_an_agreement(self):
        self.assertEqual(post(self.request(2, 0), "stranger").status, 404)
        self.assertEqual(read("stranger").status, 404)

    def test_4_each_status_of_the_standard(self):
        self.assertEqual(post(b"rubbish").status, 400)
        self.assertEqual(post(b"old 5\n\n" + b"A" * (512 << 10)).status, 400)
        self.assertEqual(post(self.request(2, 0).replace(
            b"old %d" % self.real, b"old %d" % (self.real + 3))).status, 400)
        other = Log(consumer.path("contract", "key.pem"), ORIGIN)
        self.assertEqual(post(self.request(2, 0, other)).status, 403)
        elsewhere = Log(consumer.path("log-key", "key.pem"), INSTITUTE + "/log/2")
        self.assertEqual(post(self.request(2, 0, elsewhere)).status, 404)
        answer = post(self.request(2, -1))
        self.assertEqual((answer.status, answer.body), (409, b"%d\n" % self.real))
        self.assertEqual(answer.headers["content-type"], "text/x.tlog.size")
        self.assertEqual(post(self.request(2, 0)).status, 200)

    def test_5_a_kill_forgets_nothing(self):
        provider.kill9()
        provider.start()
        answer = post(self.request(7, 0))
        self.assertEqual((answer.status, answer.body), (409, b"%d\n" % (self.real + 2)))
        self.assertEqual(post(self.request(7, 2)).status, 200)

    def request_a_contract(self, pid):
        offer = connectors.policy(COHORT)
        offer.pop("@context")
        return wires.call(
            provider.peers_port, "POST", "/dsp/2025-1/negotiations/request", {
                "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
                "@type": "ContractRequestMessage", "consumerPid": pid,
                "callbackAddress": consumer.base_url, "offer": offer},
            context=contexts["owner"])

    def test_5b_a_partner_that_did_not_say_what_it_witnessed_gets_no_new_contract(self):
        # The provider was killed and started again with the consumer stopped.
        answer = self.request_a_contract("urn:uuid:before-the-answer")
        self.assertEqual(answer.status, 503, answer)
        self.assertIn("negotiation.not-asked-yet", str(answer.json()["reason"]))

    def test_6_a_fork_is_kept_as_proof_and_ends_the_next_negotiation(self):
        size = self.real + 7
        fork = self.leaves[:3] + [verifier.sha(b"\x00another record")] + self.leaves[4:]
        answer = post(log.request(fork[:size], size))
        self.assertEqual(answer.status, 422, answer)
        self.assertEqual(answer.code(), "audit.witness-inconsistent")
        found = provider.records("equivocation.found")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0]["proven"])
        roots = set()
        for note in found[0]["notes"]:
            text, signers = verifier.verify_note(note.encode(), [log.vkey.encode()])
            self.assertTrue(signers)
            origin, text_size, root = text.decode().splitlines()
            self.assertEqual((origin, text_size), (ORIGIN, str(size)))
            roots.add(root)
        self.assertEqual(len(roots), 2)

        answer = self.request_a_contract("urn:uuid:after-the-fork")
        self.assertEqual(answer.status, 201, answer)

        def ended():
            return [record for record in provider.records("contract.terminated")
                    if record["pid"] == answer.json()["providerPid"]]
        self.assertEqual(eventually(ended, "it ends")[0]["reason"]["code"],
                         "negotiation.log-contradicts")

    def test_7_the_log_that_says_so_is_whole(self):
        self.assertEqual(provider.stop(), 0)
        code, report = provider.verify()
        self.assertEqual(code, 0, report)


if __name__ == "__main__":
    connectors.main()
