"""Peers that are known by a credential instead of a certificate: who is let in where, what is told
to strangers, and that nothing of it weakens the listener for certificates."""
import http.server
import hashlib
import json
import os
import threading
import unittest

import wires
from connectors import (BROKER, COHORT, HOSPITAL, INSTITUTE, Connector, World, eventually,
                        free_port, main, options, run)

# As one connector of the field has it: JSON, no scheme before it.
FROM_INSTITUTE = '{"region":"eu","audience":"hospital","clientId":"institute"}'
FROM_HOSPITAL = "Bearer hospital's word"
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
CATALOG = {"@context": CONTEXT, "@type": "CatalogRequestMessage"}
UNKNOWN_PID = "/negotiations/urn:uuid:00000000-0000-4000-8000-000000000000"


class Side:
    """A connector with a listener for credentials beside its own."""

    def __init__(self, connector, scheme="https", address="127.0.0.1"):
        self.connector, self.scheme = connector, scheme
        self.port = free_port()
        self.url = "%s://localhost:%d" % (scheme, self.port)

        def listen(config):
            config["listeners"]["credentialPeers"] = {
                "address": address, "port": self.port, "publicUrl": self.url}
            if scheme == "http":
                config["insecureLoopback"] = True
        connector.edit(listen)

    def knows(self, other, expects, sends):
        files = []
        for name, value in (("expects", expects), ("sends", sends)):
            files.append(self.connector.world.path("%s-%s" % (self.connector.name, name)))
            with open(files[-1], "w") as file:
                file.write(value + "\n")
        anchors = self.connector.world.authority.anchor("health")
        more = ["--tls-anchors", anchors] if self.scheme == "https" else []
        run(options.tally, "peer", self.connector.folder, other.connector.party,
            other.url + "/dsp/2025-1", "--expects", files[0], "--sends", files[1], *more)

    def ask(self, method, path, body=None, authorization=None, **more):
        context = more.pop("context", None)
        if context is None and self.scheme == "https":
            context = self.connector.world.authority.context()
        headers = {"Authorization": authorization} if authorization else None
        return wires.call(self.port, method, path, body, headers=headers, context=context, **more)


def two_sides(world, scheme="https"):
    hospital = Connector(world, "hospital", HOSPITAL)
    institute = Connector(world, "institute", INSTITUTE)
    here, there = Side(hospital, scheme), Side(institute, scheme)
    here.knows(there, FROM_INSTITUTE, FROM_HOSPITAL)
    there.knows(here, FROM_HOSPITAL, FROM_INSTITUTE)
    return here, there


class ByCredential(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)
        cls.here, cls.there = two_sides(cls.world)
        cls.hospital, cls.institute = cls.here.connector, cls.there.connector
        cls.hospital.offer(count=5)
        cls.hospital.let_tokens_be_tried()
        # A third that is known by its certificate, at the other listener of the same connector.
        cls.broker = Connector(cls.world, "broker", BROKER)
        cls.broker.add_peer(cls.hospital)
        cls.hospital.add_peer(cls.broker)
        for connector in (cls.hospital, cls.institute, cls.broker):
            connector.start()

    def certificate_of(self, connector):
        return self.world.authority.context(connector.path("tls", "chain.pem"),
                                            connector.path("tls", "key.pem"))

    def test_contract_and_data(self):
        agreement = self.institute.agree(self.hospital)
        transfer = self.institute.transfer(agreement)
        self.assertEqual(transfer["state"], "COMPLETED", transfer)
        used = [record for record in self.hospital.records("use.permitted")
                if record["agreement"] == agreement]
        self.assertEqual([record["sources"]["party"] for record in used], ["credential"])
        # The other listener of the same connector works beside it.
        other = self.broker.agree(self.hospital)
        self.assertEqual(self.broker.transfer(other)["state"], "COMPLETED")
        used = [record for record in self.hospital.records("use.permitted")
                if record["agreement"] == other]
        self.assertEqual([record["sources"].get("party") for record in used], [None])
        # A peer reads the addresses of the listener where it is known, and of no other.
        mine = self.here.ask("POST", "/dsp/2025-1/catalog/request", CATALOG, FROM_INSTITUTE)
        self.assertEqual(mine.json()["service"][0]["endpointURL"], self.here.url + "/dsp/2025-1")
        theirs = wires.call(self.hospital.peers_port, "POST", "/dsp/2025-1/catalog/request",
                            CATALOG, context=self.certificate_of(self.broker))
        self.assertEqual(theirs.json()["service"][0]["endpointURL"], self.hospital.base_url)
        for record in self.institute.items("negotiations"):
            self.assertNotIn(str(self.hospital.peers_port), json.dumps(record))
        self.strangers_learn_nothing(self.institute_pid())

    def test_another_secret_is_a_change_of_the_configuration(self):
        world = World()
        self.addCleanup(world.close)
        here, there = two_sides(world)
        hospital = here.connector
        hospital.start()
        before = hospital.records("config.changed")[-1]["digests"]
        self.assertEqual(hospital.stop(), 0)
        # While nothing runs, and with the same tally.json.
        with open(hospital.path("tally.json")) as file:
            entry = next(peer for peer in json.load(file)["peers"] if peer["uri"] == INSTITUTE)
        with open(hospital.path(entry["credential"]["expectsFile"]), "w") as file:
            file.write("Bearer another one\n")
        hospital.start()
        record = hospital.records("config.changed")[-1]
        self.assertEqual((record["change"], record["changed"]), ("start", ["peerCredentials"]))
        # What the secrets are cannot be tried out.
        plain = hashlib.sha256(b"19:Bearer another one\n").hexdigest()
        self.assertNotIn(plain, json.dumps(record))
        with open(hospital.path(entry["tlsAnchors"]), "a") as file:
            file.write("\n")
        self.assertEqual(hospital.stop(), 0)
        hospital.start()
        record = hospital.records("config.changed")[-1]
        self.assertEqual(record["changed"], ["peerAnchors"])
        self.assertEqual(record["digests"]["configuration"], before["configuration"])

    def institute_pid(self):
        """A negotiation of the hospital's with the institute."""
        return next(item["id"] for item in self.hospital.items("negotiations")
                    if item["peer"]["uri"] == INSTITUTE)

    def strangers_learn_nothing(self, pid):
        known = self.here.ask("GET", "/dsp/2025-1/negotiations/" + pid, None, FROM_INSTITUTE)
        self.assertEqual(known.status, 200)
        unknown = self.here.ask("GET", "/dsp/2025-1" + UNKNOWN_PID, None, FROM_INSTITUTE)
        self.assertEqual(unknown.status, 404)
        for authorization in (None, "Bearer wrong", FROM_INSTITUTE + " ", FROM_INSTITUTE[:-1],
                              FROM_HOSPITAL, "Bearer " + FROM_INSTITUTE):
            # Blanks at an end are not part of a field: that one is the credential itself.
            if authorization and authorization.strip() == FROM_INSTITUTE:
                continue
            found = self.here.ask("GET", "/dsp/2025-1/negotiations/" + pid, None, authorization)
            missing = self.here.ask("GET", "/dsp/2025-1" + UNKNOWN_PID, None, authorization)
            self.assertEqual((found.status, missing.status), (404, 404), authorization)
            self.assertEqual(missing.body, unknown.body)
            self.assertEqual(found.body.replace(pid.encode(), b"?"),
                             missing.body.replace(UNKNOWN_PID.split("/")[-1].encode(), b"?"))

    def test_strangers(self):
        version = self.here.ask("GET", "/.well-known/dspace-version")
        self.assertEqual(version.status, 200)
        for authorization in (None, "Bearer wrong"):
            for method, path in (("POST", "/catalog/request"),
                                 ("GET", "/catalog/datasets/" + COHORT),
                                 ("GET", "/catalog/datasets/urn:nothing")):
                body = CATALOG if method == "POST" else None
                answer = self.here.ask(method, "/dsp/2025-1" + path, body, authorization)
                self.assertEqual(answer.status, 401, path)
                self.assertEqual(answer.json()["@type"], "CatalogError")
                self.assertEqual(answer.code(), "identity.credential-unknown")
                self.assertIn("www-authenticate", answer.headers)
            for path, kind in (("/negotiations/request", "ContractNegotiationError"),
                               ("/transfers/request", "TransferError"),
                               ("/transfers/urn:uuid:1/start", "TransferError")):
                answer = self.here.ask("POST", "/dsp/2025-1" + path, {}, authorization)
                self.assertEqual((answer.status, answer.json()["@type"]), (404, kind), path)
            for path in ("/data/urn:uuid:1", "/tally/v1/receipts/1", "/log/checkpoint", "/"):
                self.assertEqual(self.here.ask("GET", path, None, authorization).status, 401, path)
        reasons = {record["reason"]["code"] for record in self.hospital.records("peer.refused")}
        self.assertIn("identity.credential-unknown", reasons)
        # Two credentials are none.
        raw = ("GET /dsp/2025-1/catalog/datasets/%s HTTP/1.1\r\nHost: localhost\r\n"
               "Authorization: %s\r\nAuthorization: %s\r\n\r\n" % (
                   COHORT, FROM_INSTITUTE, FROM_INSTITUTE))
        answer = wires.send_raw(self.here.port, [raw.encode()],
                                context=self.world.authority.context())
        self.assertEqual(answer.status, 401)

    def test_each_listener_has_its_own_way(self):
        path = "/dsp/2025-1/catalog/request"
        # Without a certificate nobody gets as far as a request, credential or not.
        with self.assertRaises((OSError, wires.http.client.HTTPException)):
            wires.call(self.hospital.peers_port, "POST", path, CATALOG,
                       headers={"Authorization": FROM_INSTITUTE},
                       context=self.world.authority.context())
        # With somebody else's certificate the credential says nothing.
        other = wires.call(self.hospital.peers_port, "POST", path, CATALOG,
                           headers={"Authorization": FROM_INSTITUTE},
                           context=self.certificate_of(self.broker))
        self.assertEqual(other.json()["service"][0]["endpointURL"], self.hospital.base_url)
        # Who is known by a credential is not known by its certificate.
        for headers in (None, {"Authorization": FROM_INSTITUTE}):
            refused = wires.call(self.hospital.peers_port, "POST", path, CATALOG, headers=headers,
                                 context=self.certificate_of(self.institute))
            self.assertEqual((refused.status, refused.code()),
                             (401, "identity.known-by-credential"))
        # And a certificate is not asked for, nor looked at, where credentials are.
        for connector in (self.broker, self.institute):
            refused = self.here.ask("POST", path, CATALOG, context=self.certificate_of(connector))
            self.assertEqual((refused.status, refused.code()),
                             (401, "identity.credential-unknown"))
        # A party without a credential is nobody there, whatever it sends.
        refused = self.here.ask("POST", path, CATALOG, FROM_HOSPITAL,
                                context=self.certificate_of(self.broker))
        self.assertEqual(refused.status, 401)

    def test_a_token_is_the_partys_own(self):
        agreement = self.institute.agree(self.hospital)
        self.assertEqual(self.institute.transfer(agreement)["state"], "COMPLETED")
        for authorization in ("Bearer " + "A" * 43, FROM_INSTITUTE):
            answer = self.here.ask("GET", "/data/urn:uuid:1", None, authorization)
            self.assertEqual(answer.status, 401)


class Plainly(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def test_contract_in_the_clear_on_loopback(self):
        here, there = two_sides(self.world, "http")
        here.connector.offer(count=5)
        for side in (here, there):
            side.connector.start()
        self.assertTrue(here.connector.notices("daemon.insecure-loopback"))
        agreement = there.connector.agree(here.connector)
        self.assertEqual(there.connector.transfer(agreement)["state"], "COMPLETED")

    def test_refused_where_it_would_leave_the_machine(self):
        hospital = Connector(self.world, "hospital", HOSPITAL)
        side = Side(hospital, "http", address="0.0.0.0")
        checked = run(options.tallyd, "--check", hospital.folder, check=False)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("net.plain-not-loopback", checked.stderr)
        hospital.spawn()
        self.assertEqual(hospital.wait_ended(), 1)

        def secure(config):
            config["listeners"]["credentialPeers"]["address"] = "127.0.0.1"
            del config["insecureLoopback"]
        hospital.edit(secure)
        checked = run(options.tallyd, "--check", hospital.folder, check=False)
        self.assertIn("daemon.config-plain", checked.stderr)
        self.assertEqual(run(options.tallyd, "--check", "--insecure-loopback", hospital.folder,
                             check=False).returncode, 0, side.url)

    def test_faults_of_the_configuration_are_named(self):
        hospital = Connector(self.world, "hospital", HOSPITAL)
        secret = hospital.path("secret")
        with open(secret, "w") as file:
            file.write("word\n")
        os.chmod(secret, 0o644)
        peer = {"domain": "health", "uri": INSTITUTE, "url": "https://institute.example/dsp"}
        other = dict(peer, uri=BROKER)
        listener = {"port": free_port(), "publicUrl": "https://localhost:1"}
        for peers, with_listener, code in (
                ([dict(peer, credential={"expects": "word"})], False,
                 "daemon.config-no-credential-listener"),
                ([dict(peer, credential={"sends": "word"})], True, "daemon.config-type"),
                ([dict(peer, credential={"expects": "a", "expectsFile": "b"})], True,
                 "daemon.config-type"),
                ([dict(peer, credential={"expects": "a\nb"})], True,
                 "daemon.credential-malformed"),
                ([dict(peer, credential={"expects": " a"})], True, "daemon.credential-malformed"),
                ([dict(peer, credential={"expectsFile": "nothing"})], True,
                 "daemon.file-unreadable"),
                ([dict(peer, credential={"expectsFile": "secret"})], True,
                 "daemon.file-readable-by-others"),
                ([dict(peer, credential={"expects": "a"}), dict(other, credential={"expects": "a"})],
                 True, "daemon.credential-shared"),
                ([peer, peer], True, "daemon.config-peer-twice"),
                ([dict(peer, tlsAnchors="trust/health.pem")], True,
                 "daemon.config-anchors-unused"),
                ([dict(peer, credential={"expects": "a"}, tlsAnchors="secret")], True,
                 "net.peer-anchors"),
        ):
            def change(config):
                config["peers"] = peers
                config["listeners"].pop("credentialPeers", None)
                if with_listener:
                    config["listeners"]["credentialPeers"] = listener
            hospital.edit(change)
            checked = run(options.tallyd, "--check", hospital.folder, check=False)
            self.assertEqual(checked.returncode, 1, code)
            self.assertIn(code, checked.stderr)
            self.assertNotIn("word", checked.stderr)

    def test_the_former_form_is_still_read(self):
        hospital = Connector(self.world, "hospital", HOSPITAL)

        def former(config):
            config["insecureLoopback"] = True
            config["listeners"]["peers"]["publicUrl"] = "http://127.0.0.1:%d" % hospital.peers_port
            config["peers"] = [{
                "domain": "health", "uri": INSTITUTE, "url": "http://127.0.0.1:1/dsp/2025-1",
                "loopbackCredential": {"expects": FROM_INSTITUTE, "sends": "word"}}]
        hospital.edit(former)
        hospital.start()
        eventually(lambda: hospital.notices("daemon.config-former-form"), "it is said")
        for authorization, status in ((FROM_INSTITUTE, 200), ("word", 401), (None, 401)):
            headers = {"Authorization": authorization} if authorization else None
            answer = wires.call(hospital.peers_port, "POST", "/dsp/2025-1/catalog/request",
                                CATALOG, headers=headers)
            self.assertEqual(answer.status, status, authorization)


class Redirects(unittest.TestCase):
    def test_are_answers_and_no_orders(self):
        world = World()
        self.addCleanup(world.close)
        reached = []

        class Elsewhere(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                reached.append((self.server.server_port, self.headers.get("Authorization")))
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(307)
                self.send_header("Location", "http://127.0.0.1:%d%s" % (other.server_port, self.path))
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) for _ in range(2)]
        named, other = servers
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
        institute = Connector(world, "institute", INSTITUTE)
        Side(institute, "http")

        def peer(config):
            config["peers"] = [{
                "domain": "health", "uri": HOSPITAL,
                "url": "http://localhost:%d/dsp/2025-1" % named.server_port,
                "credential": {"expects": FROM_HOSPITAL, "sends": FROM_INSTITUTE}}]
        institute.edit(peer)
        institute.start()
        done = institute.tally("catalog", "health:" + HOSPITAL, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("307", done.stderr + done.stdout)
        self.assertEqual(reached, [(named.server_port, FROM_INSTITUTE)])


if __name__ == "__main__":
    main()
