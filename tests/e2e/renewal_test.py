"""Certificates of both sides are renewed in the middle of a pull: what runs goes on, over its own
connection or with a fresh token, without a new negotiation or a second use. What a reload changed
and what it did not is said. A peer that is revoked is cut within a second."""
import hashlib
import os
import ssl
import time
import unittest

import connectors
import wires
from connectors import COHORT, HEALTH, Pair, World, eventually, free_port, run

CATALOG = "/dsp/2025-1/catalog/request"
REQUEST = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
           "@type": "CatalogRequestMessage"}
STREAM = 64 << 20  # far more than sockets hold


def setUpModule():
    global world, pair, provider, consumer, gate, size
    size = (1 << 30) if connectors.options.long else (32 << 20)
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    # Peers reach the provider by way of the gate.
    behind = free_port()
    provider.edit(lambda config: config["listeners"]["peers"].update(port=behind))
    gate = wires.Gate(provider.peers_port, behind)
    unittest.addModuleCleanup(gate.close)
    with open(provider.path("source", "large.bin"), "wb") as file:
        file.truncate(size)
    provider.offer(source="large.bin")
    provider.offer("urn:hospital:stream", name="stream", delivery="call",
                   content=bytes(STREAM))
    pair.start()


def certificate(connector):
    with open(connector.path("tls", "chain.pem")) as file:
        return file.read()


def lay_down(connector):
    """A renewed certificate in the folder of a connector that knows nothing of it yet."""
    before = certificate(connector)
    chain = world.path(connector.name + "-renewed.pem")
    world.authority.sign(HEALTH, connector.path("tls", "request.pem"), chain)
    run(connectors.options.tally, "import", connector.folder, chain)
    assert certificate(connector) != before


def context_of(connector):
    return world.authority.context(connector.path("tls", "chain.pem"),
                                   connector.path("tls", "key.pem"))


class Renewal(unittest.TestCase):
    def pulled(self, in_the_middle):
        """A pull that stands still in its middle until that was done. Returns the process."""
        agreement = consumer.agree(provider)
        for side in (provider, consumer):
            lay_down(side)
        negotiated = [len(side.items("negotiations")) for side in (provider, consumer)]
        self.addCleanup(gate.let_go)
        gate.hold_after(size // 2)
        pid = consumer.begin("transfers", {"agreement": agreement})
        eventually(gate.is_holding, "half of it has passed")
        self.assertEqual(consumer.get("/api/v1/transfers/" + pid)["state"], "STARTED")
        in_the_middle()
        gate.let_go()
        process = consumer.ended_process("transfers", pid, ("COMPLETED", "TERMINATED"))
        self.assertEqual(process["state"], "COMPLETED", process)
        self.assertEqual(process["bytes"], size)
        self.assertEqual(negotiated,
                         [len(side.items("negotiations")) for side in (provider, consumer)])
        used = [one for one in provider.records("use.permitted") if one["agreement"] == agreement]
        self.assertEqual(len(used), 1)
        return process

    def renew(self):
        for side in (provider, consumer):
            before = len(side.records("config.changed"))
            said = side.tally("--json", "reload").stdout
            self.assertIn('"certificate"', said)
            self.assertIn("certificate", side.records("config.changed")[before]["changed"])

    def test_1_what_runs_goes_on_over_its_connection(self):
        self.pulled(self.renew)

    def test_2_what_is_cut_goes_on_with_a_fresh_token(self):
        def renew_and_cut():
            self.renew()
            gate.cut()
        self.pulled(renew_and_cut)
        met = [one for one in provider.records("peer.enrolled") if one["renewed"]]
        self.assertTrue(met)

    def test_3_what_is_served_from_then_on_is_the_renewed_one(self):
        with wires.connect(provider.peers_port, context_of(consumer)) as connection:
            shown = connection.getpeercert(binary_form=True)
        leaf = certificate(provider).split("-----END CERTIFICATE-----")[0] \
            + "-----END CERTIFICATE-----\n"
        self.assertEqual(shown, ssl.PEM_cert_to_DER_cert(leaf))

    def test_4_a_source_that_was_replaced_is_not_gone_on_with(self):
        agreement = consumer.agree(provider)
        self.addCleanup(gate.let_go)
        gate.hold_after(size // 2)
        pid = consumer.begin("transfers", {"agreement": agreement})
        eventually(gate.is_holding, "half of it has passed")
        other = provider.path("source", "other.bin")
        with open(other, "wb") as file:
            file.write(b"other")
            file.truncate(size)
        os.rename(other, provider.path("source", "large.bin"))
        gate.cut()
        gate.let_go()
        process = consumer.ended_process("transfers", pid, ("COMPLETED", "TERMINATED"))
        # Its rest is refused to whoever has the beginning of another; fetched anew it is one of both.
        whole = hashlib.sha256(b"other")
        for at in range(0, size, 1 << 20):
            whole.update(bytes((1 << 20) - (0 if at else 5)))
        self.assertEqual((process["state"], process["content"]),
                         ("COMPLETED", "sha256:" + whole.hexdigest()))
        used = [one for one in provider.records("use.permitted") if one["agreement"] == agreement]
        self.assertEqual(len(used), 1)


class Said(unittest.TestCase):
    def reload(self):
        answer = consumer.api("POST", "/api/v1/reload")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_what_changed_and_what_waits_for_a_restart(self):
        # The peers again: a change of theirs that means nothing.
        consumer.edit(lambda config: config["peers"][0].update(jurisdiction="DE"))
        consumer.edit(lambda config: config.update(limits={"drainSeconds": 3}))
        consumer.offer("urn:institute:own", name="own", content=b"a\n1\n")
        said = self.reload()
        self.assertEqual((said["changed"], said["restart"]), (["peers"], ["limits.drainSeconds"]))
        told = [one["code"] for one in said["documents"]]
        if told:  # the folder may have been looked at in this very second
            self.assertEqual(told, ["daemon.offer-published"])
        self.assertIn("limits.drainSeconds", said["text"])
        # Taken up, it is no change any more; what waits still does.
        again = self.reload()
        self.assertEqual((again["changed"], again["restart"]), ([], ["limits.drainSeconds"]))
        self.assertEqual(consumer.notices("daemon.reloaded")[-1]["params"],
                         {"changed": "–", "restart": "limits.drainSeconds"})
        in_words = consumer.tally("reload").stdout
        self.assertIn("limits.drainSeconds", in_words)

    def test_a_fault_changes_nothing_and_is_named(self):
        records = len(consumer.records("config.changed"))
        with open(consumer.path("tls", "chain.pem")) as file:
            good = file.read()
        with open(consumer.path("tls", "chain.pem"), "w") as file:
            file.write(certificate(provider))
        try:
            answer = consumer.api("POST", "/api/v1/reload")
            self.assertEqual((answer.status, answer.code()),
                             (409, "identity.key-not-of-certificate"))
        finally:
            with open(consumer.path("tls", "chain.pem"), "w") as file:
                file.write(good)
        self.assertEqual(len(consumer.records("config.changed")), records)
        self.assertEqual(consumer.api("POST", "/api/v1/reload").status, 200)

    def test_only_an_admin_orders_it_and_the_order_is_a_record(self):
        token = provider.add_token("desk", "operator")
        self.assertEqual(provider.stop(), 0)
        provider.start()
        self.assertEqual(provider.api("POST", "/api/v1/reload", token=token).status, 403)
        self.assertEqual(provider.api("POST", "/api/v1/reload").status, 200)
        self.assertEqual(provider.records("admin.action")[-1]["action"], "reload")

    def test_policies_say_their_digest_and_since_when(self):
        first, = [one for one in provider.get("/api/v1/policies")["items"]
                  if one["asset"] == COHORT]
        self.assertRegex(first["since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        published = [one for one in provider.records("offer.published")
                     if one["asset"] == COHORT][-1]
        self.assertEqual(first["since"], published["time"][:19] + "Z")
        self.assertEqual(provider.stop(), 0)
        provider.start()
        again, = [one for one in provider.get("/api/v1/policies")["items"]
                  if one["asset"] == COHORT]
        self.assertEqual(again, first)


class WhoIsRevoked(unittest.TestCase):
    def test_1_what_is_pulled_from_a_revoked_provider_is_left_within_a_second(self):
        agreement = consumer.agree(provider)
        self.addCleanup(gate.let_go)
        gate.hold_after(size // 2)
        pid = consumer.begin("transfers", {"agreement": agreement})
        eventually(gate.is_holding, "half of it has passed")
        with gate.lock:
            connections = set(gate.clients)
        self.assertTrue(connections)
        world.authority.revoke(HEALTH, provider.path("tls", "chain.pem"))
        consumer.take_revocations()
        eventually(lambda: not connections & gate.clients, "they are left", patience=1)
        gate.let_go()
        refused = consumer.api("POST", "/api/v1/catalog", {"peer": provider.party_json})
        self.assertEqual(refused.code(), "net.peer-certificate-refused", refused)
        # With another certificate it is a partner again, and the pull goes on.
        lay_down(provider)
        provider.reload()
        process = consumer.ended_process("transfers", pid, ("COMPLETED", "TERMINATED"))
        self.assertEqual(process["state"], "COMPLETED", process)

    def test_2_a_revoked_peer_is_gone_within_a_second(self):
        # Past the gate, whose buffers would show it late.
        port = gate.target
        idle = wires.connect(port, context_of(consumer))
        self.addCleanup(idle.close)
        agreement = consumer.agree(provider, "urn:hospital:stream")
        pid = consumer.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
        address = eventually(lambda: self.address(pid), "the transfer is started")
        stream = wires.connect(port, context_of(consumer))
        self.addCleanup(stream.close)
        path = "/" + address["endpoint"].split("/", 3)[3]
        stream.sendall(("GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
                        % (path, address["authorization"])).encode())
        self.assertTrue(stream.recv(65536))
        idle.sendall(b"GET /.well-known/dspace-version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(idle.recv(65536).startswith(b"HTTP/1.1 200"))

        world.authority.revoke(HEALTH, consumer.path("tls", "chain.pem"))
        provider.take_revocations()
        began = time.monotonic()
        received = 0
        for connection in (idle, stream):
            connection.settimeout(5)
            try:
                while piece := connection.recv(1 << 20):
                    received += len(piece)
            except (ssl.SSLError, ConnectionError):
                pass
        self.assertLess(time.monotonic() - began, 1)
        # Not to its end: what had left before was on its way, and no more.
        self.assertLess(received, STREAM // 2)

    def address(self, pid):
        answer = consumer.api("GET", "/api/v1/transfers/%s/address" % pid)
        return answer.json() if answer.status == 200 else None


if __name__ == "__main__":
    connectors.main()
