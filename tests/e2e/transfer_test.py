"""A transfer between its start and its end, by the command line of two daemons: suspension cuts what is
under way, a resume gives a fresh token, completion and termination end it on both sides."""
import hashlib
import re
import unittest

import connectors
import wires
from connectors import Pair, World, eventually

STREAM, SMALL = "urn:hospital:stream", "urn:hospital:small"
LARGE = bytes(48 << 20)
WORDS = "maintenance, says Dr. Who"

world = pair = provider = consumer = None


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(STREAM, name="stream", content=LARGE, delivery="call")
    provider.offer(SMALL, name="small", content=b"id\n1\n", delivery="call")
    pair.start()


def tearDownModule():
    world.close()


class Transfer:
    """One in HttpData-QUERY that runs, seen from both sides."""

    def __init__(self, asset=SMALL):
        self.agreement = consumer.agree(provider, asset)
        self.pid = consumer.begin(
            "transfers", {"agreement": self.agreement, "format": "HttpData-QUERY"})
        eventually(lambda: self.address(), "it is started")
        self.provider_pid = self.mine()["peerPid"]

    def mine(self):
        return consumer.get("/api/v1/transfers/" + self.pid)

    def theirs(self):
        return provider.get("/api/v1/transfers/" + self.provider_pid)

    def both(self, state):
        eventually(lambda: (self.mine()["state"], self.theirs()["state"]) == (state, state)
                   and not self.mine().get("sending") and not self.theirs().get("sending"),
                   "both sides are " + state)

    def address(self):
        answer = consumer.api("GET", "/api/v1/transfers/%s/address" % self.pid)
        return answer.json() if answer.status == 200 else None

    def fetch(self, authorization):
        context = world.authority.context(
            consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))
        return wires.call(provider.peers_port, "GET", "/data/" + self.provider_pid,
                          headers={"Authorization": authorization}, context=context).status


class Moves(unittest.TestCase):
    def test_a_suspension_cuts_a_stream_that_stands_still(self):
        transfer = Transfer(STREAM)
        token = transfer.address()["authorization"]
        stream = wires.connect(provider.peers_port, world.authority.context(
            consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem")))
        self.addCleanup(stream.close)
        stream.sendall(("GET /data/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
                        % (transfer.provider_pid, token)).encode())
        head = stream.recv(4096).decode("latin-1")
        self.assertTrue(head.startswith("HTTP/1.1 200 "), head)
        use = re.search(r"\r\nTally-Use: (\S+)\r\n", head).group(1)
        provider.tally("transfer", "suspend", transfer.provider_pid, "--reason", WORDS)
        # The client takes nothing: only the server can end this, and does long before a write to it
        # times out. Its record is written a second later, with those of others.
        ended = eventually(lambda: self.executed(use), "it is cut", patience=4)
        self.assertEqual(ended.get("outcome"), "cut")
        transfer.both("SUSPENDED")
        self.assertEqual(transfer.fetch("Bearer " + token), 401)
        self.assertIsNone(transfer.address())

    def executed(self, use):
        found = [one for record in provider.records("use.executed") for one in record["uses"]
                 if one["use"] == use]
        return found[0] if found else None

    def test_the_reason_is_told_and_shown_and_in_no_log(self):
        transfer = Transfer()
        provider.tally("transfer", "suspend", transfer.provider_pid, "--reason", WORDS)
        transfer.both("SUSPENDED")
        for side in (transfer.mine(), transfer.theirs()):
            self.assertEqual(side["reason"]["code"], "transfer.suspended-because")
            self.assertIn(WORDS, side["reason"]["text"])
        consumer.tally("transfer", "terminate", transfer.pid, "--reason", WORDS)
        transfer.both("TERMINATED")
        self.assertIn(WORDS, transfer.theirs()["reason"]["text"])
        self.assertEqual(transfer.theirs()["endedBy"], "peer")
        for side in (provider, consumer):
            self.assertFalse([entry for entry in side.entries() if WORDS.encode() in entry])
            self.assertEqual(side.verify()[0], 0)

    def test_either_side_resumes_with_a_fresh_token(self):
        for suspending in (provider, consumer):
            for resuming in (provider, consumer):
                transfer = Transfer()
                pids = {provider: transfer.provider_pid, consumer: transfer.pid}
                old = transfer.address()["authorization"]
                self.assertEqual(transfer.fetch("Bearer " + old), 200)
                suspending.tally("transfer", "suspend", pids[suspending])
                transfer.both("SUSPENDED")
                self.assertEqual(transfer.fetch("Bearer " + old), 401)
                resuming.tally("transfer", "resume", pids[resuming])
                transfer.both("STARTED")
                fresh = eventually(
                    lambda: [a for a in [transfer.address()] if a and a["authorization"] != old],
                    "a fresh token")[0]["authorization"]
                self.assertEqual(transfer.fetch("Bearer " + old), 401)
                self.assertEqual(transfer.fetch("Bearer " + fresh), 200)
                self.assertEqual(transfer.fetch(fresh), 200)  # as it came
                resuming.tally("transfer", "complete", pids[resuming])
                transfer.both("COMPLETED")
                self.assertEqual(transfer.fetch("Bearer " + fresh), 401)

    def test_what_the_state_does_not_allow_is_refused_and_says_so(self):
        transfer = Transfer()
        for move in ("resume",):
            done = consumer.tally("transfer", move, transfer.pid, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("transfer.cannot", done.stderr)
        consumer.tally("transfer", "complete", transfer.pid)
        transfer.both("COMPLETED")
        for move in ("suspend", "resume", "complete", "terminate"):
            done = consumer.tally("transfer", move, transfer.pid, check=False)
            self.assertIn("transfer.cannot", done.stderr)
        unknown = provider.api("POST", "/api/v1/transfers/urn:uuid:none/suspension", {})
        self.assertEqual((unknown.status, unknown.code()), (404, "transfer.unknown-process"))
        long = provider.api("POST", "/api/v1/transfers/x/suspension", {"reason": "x" * 401})
        self.assertEqual((long.status, long.code()), (400, "api.reason-too-long"))

    def test_a_resumed_pull_brings_all_of_the_data(self):
        asset = "urn:hospital:pulled"
        content = hashlib.sha256(b"x").digest() * (1 << 20)
        provider.offer(asset, name="pulled", content=content)
        agreement = eventually(lambda: self.agreed(asset), "it is offered")
        pid = consumer.begin("transfers", {"agreement": agreement})
        eventually(lambda: consumer.get("/api/v1/transfers/" + pid)["state"] == "STARTED")
        done = consumer.tally("transfer", "suspend", pid, check=False)
        if done.returncode == 0:  # it was not quicker than we are
            eventually(lambda: consumer.get("/api/v1/transfers/" + pid)["state"] == "SUSPENDED")
            consumer.tally("transfer", "resume", pid)
        ended = consumer.ended_process("transfers", pid, ("COMPLETED", "TERMINATED"))
        self.assertEqual(ended["state"], "COMPLETED")
        self.assertEqual(ended["content"], "sha256:" + hashlib.sha256(content).hexdigest())

    def agreed(self, asset):
        try:
            return consumer.agree(provider, asset)
        except AssertionError:
            return None

    def test_each_attempt_to_tell_the_peer_is_shown(self):
        transfer = Transfer()
        consumer.kill9()
        try:
            provider.tally("transfer", "suspend", transfer.provider_pid)

            def tried():
                shown = transfer.theirs()
                sent = [entry for entry in shown["history"]
                        if entry["message"] == "TransferSuspensionMessage"]
                return shown if sent and sent[0].get("attempts", {}).get("count", 0) >= 2 else None

            shown = eventually(tried, "it was tried twice")
            self.assertTrue(shown["waiting"][0]["nextAttempt"])
            sent = [entry for entry in shown["history"] if entry.get("attempts")]
            self.assertEqual(sent[0]["attempts"]["first"][0]["answer"], "net.peer-unreachable")
        finally:
            consumer.start()
        transfer.both("SUSPENDED")


class Idle(unittest.TestCase):
    def test_a_transfer_that_nobody_uses_is_completed_after_the_configured_time(self):
        provider.stop()
        provider.edit(lambda config: config.update(transfers={"longestIdleSeconds": 3}))
        provider.start()
        self.addCleanup(self.forget)
        transfer = Transfer()
        self.assertEqual(transfer.fetch("Bearer " + transfer.address()["authorization"]), 200)
        transfer.both("COMPLETED")

    def forget(self):
        provider.stop()
        provider.edit(lambda config: config.pop("transfers"))
        provider.start()


if __name__ == "__main__":
    connectors.main()
