"""Who is not who they should be gets nothing: refused in the handshake, recorded with the reason,
and in a flood at a bounded cost."""
import socket
import ssl
import threading
import time
import unittest

import connectors
import wires
from connectors import (BROKER, CITY, COHORT, HEALTH, HOSPITAL, INSTITUTE, Authority, Connector,
                        Pair, World, eventually)

CATALOG = "/dsp/2025-1/catalog/request"
REQUEST = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
           "@type": "CatalogRequestMessage"}


def setUpModule():
    global world, pair, provider, consumer, good, revoked
    world = World()
    unittest.addModuleCleanup(world.close)
    revoked = world.authority.issue(HEALTH, ["did:web:revoked.example"])
    world.authority.revoke(HEALTH, revoked[0])
    pair = Pair(world, provider_options={
        "prefixes": {HEALTH: [HOSPITAL, INSTITUTE, "did:web:revoked.example"], CITY: [BROKER]}})
    provider, consumer = pair.provider, pair.consumer
    provider.offer()
    provider.offer("urn:hospital:stream", name="stream", delivery="call",
                   content=b"0123456789abcdef" * (4 << 20))
    pair.start()
    good = world.authority.context(consumer.path("tls", "chain.pem"),
                                   consumer.path("tls", "key.pem"))


def catalogue(context):
    return wires.call(provider.peers_port, "POST", CATALOG, REQUEST, context=context)


def reasons():
    return [record["reason"]["code"] for record in provider.records("peer.refused")]


class Refused(unittest.TestCase):
    def assert_refused(self, context, reason):
        before = reasons().count(reason)
        connection = None
        received = b""
        # In TLS 1.3 a client is through before the server has judged its certificate: it learns of
        # the refusal when it reads. What it must not get is a byte.
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            connection = wires.connect(provider.peers_port, context)
            self.addCleanup(connection.close)
            connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % CATALOG.encode())
            received = connection.recv(1)
            if not received:
                raise EOFError
        self.assertEqual(received, b"")
        eventually(lambda: reasons().count(reason) > before, "a record with " + reason)

    def test_a_peer_without_a_certificate(self):
        self.assert_refused(world.authority.context(), "identity.no-certificate")

    def test_a_peer_with_an_expired_certificate(self):
        expired = world.authority.issue(HEALTH, [INSTITUTE], days=-1)
        self.assert_refused(world.authority.context(*expired), "identity.expired")

    def test_a_peer_under_another_anchor(self):
        other = Authority(world.path("other-pki"))
        chain, key = other.issue(HEALTH, [INSTITUTE])
        self.assert_refused(world.authority.context(chain, key), "identity.unknown-anchor")

    def test_a_peer_with_a_revoked_certificate(self):
        self.assert_refused(world.authority.context(*revoked), "identity.revoked")

    def test_a_peer_with_two_uris(self):
        two = world.authority.issue(HEALTH, [INSTITUTE, HOSPITAL])
        self.assert_refused(world.authority.context(*two), "identity.several-uris")

    def test_a_peer_without_a_uri(self):
        none = world.authority.issue(HEALTH, [])
        self.assert_refused(world.authority.context(*none), "identity.no-uri")

    def test_a_peer_with_the_uri_of_a_participant_of_another_domain(self):
        borrowed = world.authority.issue(CITY, [INSTITUTE])
        self.assert_refused(world.authority.context(*borrowed), "identity.uri-not-allowed")

    def test_a_peer_that_speaks_older_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(world.authority.anchor(HEALTH))
        context.load_cert_chain(consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assert_refused(context, "net.tls-version")

    def test_a_peer_that_speaks_plain_http(self):
        self.assert_refused(None, "net.not-tls")

    def test_the_log_names_no_address(self):
        for record in provider.records("peer.refused"):
            self.assertNotIn("127.0.0.1", repr(record))


class Impersonating(unittest.TestCase):
    def test_a_server_that_proves_to_be_somebody_else_is_not_asked(self):
        impostor = Connector(world, "impostor", BROKER, CITY)
        impostor.add_peer(consumer)
        impostor.start()
        self.addCleanup(impostor.stop)
        kept = "https://localhost:%d/dsp/2025-1" % impostor.peers_port

        def redirect(config):
            config["peers"].append(
                {"domain": HEALTH, "uri": "did:web:elsewhere.example", "url": kept})
        consumer.edit(redirect)
        consumer.reload()
        answer = consumer.api("POST", "/api/v1/catalog", {
            "peer": {"domain": HEALTH, "uri": "did:web:elsewhere.example"}})
        self.assertEqual(answer.code(), "net.peer-other-identity", answer)

    def test_somebody_elses_negotiation_is_like_one_that_does_not_exist(self):
        pid = consumer.negotiate(provider)["peerPid"]
        stranger = world.authority.context(*world.authority.issue(CITY, [BROKER]))
        path = "/dsp/2025-1/negotiations/"
        mine = wires.call(provider.peers_port, "GET", path + pid, context=good)
        self.assertEqual(mine.status, 200)
        unknown = "urn:uuid:00000000-0000-4000-8000-000000000000"
        answers = []
        for asked in (pid, unknown):
            answer = wires.call(provider.peers_port, "GET", path + asked, context=stranger)
            answers.append((answer.status, answer.body.replace(asked.encode(), b"PID")))
        self.assertEqual(answers[0][0], 404)
        self.assertEqual(*answers)


class Flood(unittest.TestCase):
    def test_bad_handshakes_by_the_thousand_add_few_records_and_good_peers_are_served(self):
        of_each = 12500 if connectors.options.long else 125
        before = len(provider.records("peer.refused"))
        counted = sum(record["count"] for record in provider.records("peer.refused"))
        nobody = world.authority.context()
        stop = threading.Event()
        served = []

        def ask():
            while not stop.is_set():
                served.append(catalogue(good).status)

        def flood():
            for number in range(of_each):
                try:
                    if number % 2:
                        with wires.connect(provider.peers_port, nobody) as connection:
                            connection.recv(1)
                    else:
                        with wires.connect(provider.peers_port) as connection:
                            connection.sendall(b"\x16\x03\x01garbage garbage garbage")
                            connection.recv(1)
                except OSError:
                    pass
        asking = threading.Thread(target=ask)
        asking.start()
        floods = [threading.Thread(target=flood) for _ in range(8)]
        began = time.monotonic()
        for thread in floods:
            thread.start()
        for thread in floods:
            thread.join()
        minutes = 1 + int((time.monotonic() - began) / 60)
        stop.set()
        asking.join()
        self.assertGreater(len(served), 5)
        self.assertEqual(set(served), {200})
        # A few for each of the reasons in each minute.
        self.assertLess(len(provider.records("peer.refused")) - before, 20 * (minutes + 1))
        # What was only counted is recorded as a number.
        provider.stop()
        refused = sum(record["count"] for record in provider.records("peer.refused"))
        self.assertGreaterEqual(refused - counted, 8 * of_each)
        provider.start()

    def test_silent_connections_keep_nobody_out(self):
        silent = [socket.create_connection(("127.0.0.1", provider.peers_port)) for _ in range(300)]
        try:
            self.assertEqual(catalogue(good).status, 200)
        finally:
            for connection in silent:
                connection.close()


class Revoked(unittest.TestCase):
    def test_revoking_a_certificate_cuts_its_running_stream_and_keeps_it_out(self):
        agreement = consumer.agree(provider, "urn:hospital:stream")
        pid = consumer.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
        address = eventually(lambda: self.address(pid), "the transfer is started")
        self.assertTrue(address["endpoint"].startswith("https://localhost:"))
        path = "/" + address["endpoint"].split("/", 3)[3]
        stream = wires.connect(provider.peers_port, good)
        self.addCleanup(stream.close)
        stream.sendall(("GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
                        % (path, address["authorization"])).encode())
        received = len(stream.recv(65536))
        self.assertGreater(received, 0)
        self.assertEqual(catalogue(good).status, 200)

        world.authority.revoke(HEALTH, consumer.path("tls", "chain.pem"))
        provider.take_revocations()
        began = time.monotonic()
        try:
            while True:
                piece = stream.recv(1 << 20)
                if not piece:
                    break
                received += len(piece)
                # A client that reads slowly: nothing but the server ends this stream.
                time.sleep(0.02)
                self.assertLess(time.monotonic() - began, 20)
        except (ssl.SSLError, ConnectionError):
            pass
        self.assertLess(received, 64 << 20)
        self.assertLess(time.monotonic() - began, 10)
        eventually(lambda: "identity.revoked" in reasons(), "the refusal is recorded")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            catalogue(good)

    def address(self, pid):
        answer = consumer.api("GET", "/api/v1/transfers/%s/address" % pid)
        return answer.json() if answer.status == 200 else None


if __name__ == "__main__":
    connectors.main()
