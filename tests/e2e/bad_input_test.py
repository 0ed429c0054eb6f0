"""Input that no honest program sends: answered with 4xx and a reason, and the connector goes on."""
import json
import time
import unittest

import connectors
import wires
from connectors import COHORT, RESEARCH, Pair, World

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
BASE = "/dsp/2025-1"
DEEP = b'{"a":' * 10000 + b"1" + b"}" * 10000


def setUpModule():
    global world, pair, provider, consumer, peer, app
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer()
    provider.let_tokens_be_tried()
    pair.start()
    app = provider.app("study", RESEARCH)
    # The consumer's certificate: a peer that is known and says what it should not.
    peer = world.authority.context(consumer.path("tls", "chain.pem"),
                                   consumer.path("tls", "key.pem"))


class BadInput(unittest.TestCase):
    def tearDown(self):
        """Whatever was sent, the connector is healthy and serves."""
        self.assertFalse(provider.ended(), provider.text()[-2000:])
        self.assertEqual(provider.ready().status, 200)
        self.assertEqual(ask("POST", "/catalog/request", catalogue_request()).status, 200)

    def assert_problem(self, answer, status, code=None):
        self.assertIsNotNone(answer)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        body = answer.json()
        self.assertEqual(body["status"], status)
        self.assertLessEqual({"type", "title", "detail", "code"}, set(body))
        if code:
            self.assertEqual(body["code"], code)

    def assert_protocol_error(self, answer, status, kind, code=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        body = answer.json()
        self.assertEqual((body["@context"], body["@type"], body["code"]),
                         (CONTEXT, kind, str(status)))
        if code:
            self.assertEqual(answer.code(), code)


def ask(method, path, body=None, **more):
    return wires.call(provider.peers_port, method, BASE + path, body, context=peer, **more)


def catalogue_request():
    return {"@context": CONTEXT, "@type": "CatalogRequestMessage"}


class Documents(BadInput):
    """Bodies: the same bad documents at a protocol route and at a management route."""

    def refused_everywhere(self, body, status, content_type="application/json"):
        fields = {"Content-Type": content_type} if content_type else {}
        for path, kind in (("/catalog/request", "CatalogError"),
                           ("/negotiations/request", "ContractNegotiationError"),
                           ("/transfers/request", "TransferError")):
            with self.subTest(path=path):
                answer = ask("POST", path, body, headers=fields)
                protocol_status = 415 if content_type != "application/json" else status
                self.assert_protocol_error(answer, protocol_status, kind)
        for path in ("/api/v1/negotiations", "/api/v1/transfers", "/api/v1/catalog",
                     "/api/v1/decisions", "/api/v1/apps", "/api/v1/clock"):
            with self.subTest(path=path):
                self.assert_problem(provider.api("POST", path, body, headers=fields), status)

    def test_json_that_is_cut_off(self):
        self.refused_everywhere(b'{"@type": "CatalogRequestMessage"', 400)

    def test_json_with_a_key_twice(self):
        self.refused_everywhere(b'{"@type": "CatalogRequestMessage", "@type": "x"}', 400)

    def test_json_nested_ten_thousand_deep(self):
        self.refused_everywhere(DEEP, 400)

    def test_json_that_is_not_utf8(self):
        self.refused_everywhere(b'{"@type": "\xff\xfe"}', 400)

    def test_json_that_is_no_object(self):
        for body in (b"[]", b"null", b"3", b'"text"', b""):
            with self.subTest(body=body):
                self.refused_everywhere(body, 400)

    def test_another_content_type(self):
        self.refused_everywhere(b"{}", 400, content_type="text/plain")

    def test_a_body_of_two_mebibytes(self):
        large = b'{"a": "' + b"x" * (2 << 20) + b'"}'
        for port, context, path in ((provider.peers_port, peer, BASE + "/catalog/request"),
                                    (provider.management_port, None, "/api/v1/negotiations")):
            head = ("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
                    % (path, provider.token, len(large))).encode()
            answer = wires.send_raw(port, [head, large], context=context)
            self.assert_problem(answer, 413, "net.body-too-large")


class Requests(BadInput):
    """Heads and framing, at the port of peers and at the port of management."""

    def raw(self, *pieces, peers=True):
        port = provider.peers_port if peers else provider.management_port
        return wires.send_raw(port, pieces, context=peer if peers else None)

    def test_an_unknown_path(self):
        for path in ("/nowhere", BASE, BASE + "/", "/data", "//", BASE + "/negotiations/a/b/c/d"):
            with self.subTest(path=path):
                answer = wires.call(provider.peers_port, "GET", path, context=peer)
                self.assert_problem(answer, 404, "api.unknown-path")
        self.assert_problem(provider.api("GET", "/api/v1/nowhere"), 404, "api.unknown-path")
        self.assert_problem(provider.api("GET", "/api/v1/nowhere", token="x"), 401)

    def test_a_method_that_the_path_does_not_take(self):
        answer = ask("DELETE", "/catalog/request")
        self.assert_problem(answer, 405, "api.method")
        self.assertEqual(answer.headers["allow"], "POST, GET")
        answer = provider.api("PATCH", "/api/v1/artefacts")
        self.assert_problem(answer, 405, "api.method")
        self.assertEqual(answer.headers["allow"], "GET")

    def test_percent_signs_that_encode_nothing(self):
        for path in ("/%zz", "/%", "/%4", BASE + "/catalog/datasets/%ff", BASE + "/a?b=%g1"):
            with self.subTest(path=path):
                answer = wires.call(provider.peers_port, "GET", path, context=peer)
                self.assertIn(answer.status, (400, 404), answer)

    def test_a_path_that_climbs_reaches_nothing(self):
        for path in ("/data/../../etc/passwd", "/data/%2e%2e%2f%2e%2e%2ftally.json",
                     BASE + "/catalog/datasets/..%2f..%2ftally.json"):
            with self.subTest(path=path):
                answer = wires.call(provider.peers_port, "GET", path, context=peer)
                self.assertIn(answer.status, (400, 401, 404), answer)

    def test_a_header_of_ten_mebibytes(self):
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
        filler = [b"x" * 65536] * 160
        for peers in (True, False):
            answer = self.raw(head, *filler, peers=peers)
            self.assert_problem(answer, 431, "net.header-too-large")

    def test_a_thousand_header_fields(self):
        fields = b"".join(b"X-%d: 1\r\n" % number for number in range(1000))
        answer = self.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
        self.assert_problem(answer, 431)

    def test_framing_that_two_readers_could_read_differently(self):
        start = b"POST " + BASE.encode() + b"/catalog/request HTTP/1.1\r\nHost: localhost\r\n"
        body = b"Content-Type: application/json\r\n"
        cases = {
            "negative length": start + b"Content-Length: -1\r\n\r\n",
            "no number": start + b"Content-Length: many\r\n\r\n",
            "two lengths": start + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
            "length and chunks": start + body +
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "bad chunk": start + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            "no chunk": start + b"Transfer-Encoding: chunked\r\n\r\n{}{}{}{}{}\r\n\r\n",
            "huge chunk": start + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "no host": b"GET / HTTP/1.1\r\n\r\n",
            "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "blank before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "zero byte": b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
            "no target": b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
            "foreign target": b"GET http://elsewhere.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "other version": b"GET / HTTP/3.9\r\nHost: a\r\n\r\n",
            "no http": b"\x00\x01\x02\x03\r\n\r\n",
        }
        for name, request in cases.items():
            for peers in (True, False):
                with self.subTest(case=name, peers=peers):
                    answer = self.raw(request, peers=peers)
                    self.assertIsNotNone(answer, "cut without an answer")
                    self.assertGreaterEqual(answer.status, 400)
                    self.assertLess(answer.status, 500)
                    self.assertEqual(answer.headers["content-type"], "application/problem+json")
                    self.assertEqual(answer.headers.get("connection"), "close")

    def test_a_header_that_trickles_in_is_given_up(self):
        connection = wires.connect(provider.peers_port, peer)
        self.addCleanup(connection.close)
        began = time.monotonic()
        connection.settimeout(0.2)
        answer = b""
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        while b"\r\n\r\n" not in answer:
            self.assertLess(time.monotonic() - began, 60)
            try:
                piece = connection.recv(4096)
                if not piece:
                    break
                answer += piece
            except TimeoutError:
                connection.sendall(b"x")
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)


class Callbacks(BadInput):
    """Where a peer may have itself called back: only where its entry says."""

    def request(self, callback, number):
        dataset = ask("GET", "/catalog/datasets/" + COHORT).json()
        offer = dict(dataset["hasPolicy"][0], target=COHORT)
        return ask("POST", "/negotiations/request", {
            "@context": CONTEXT, "@type": "ContractRequestMessage",
            "@id": "urn:uuid:message-%d" % number, "consumerPid": "urn:uuid:pid-%d" % number,
            "callbackAddress": callback, "offer": offer})

    def test_a_callback_to_a_host_that_is_not_configured_creates_nothing(self):
        port = consumer.peers_port
        before = (provider.items("negotiations"), len(provider.records("contract.offered")))
        for number, callback in enumerate([
                "https://elsewhere.example/dsp", "https://localhost:1/dsp",
                "http://localhost:%d/dsp/2025-1" % port,
                "https://localhost:%d@elsewhere.example/" % port,
                "https://localhost.elsewhere.example:%d/" % port,
                "https://127.0.0.1:%d/" % port, "file:///etc/passwd", "", "nonsense",
                "https://localhost:%d\\@elsewhere.example/" % port]):
            with self.subTest(callback=callback):
                answer = self.request(callback, number)
                self.assert_protocol_error(answer, 400, "ContractNegotiationError")
        after = (provider.items("negotiations"), len(provider.records("contract.offered")))
        self.assertEqual(before, after)

    def test_the_same_message_with_the_configured_host_is_taken(self):
        answer = self.request(consumer.base_url, 100)
        self.assertEqual(answer.status, 201, answer)


class Roles(BadInput):
    """What a credential alone does not open. Who may ask what: roles_test.py."""

    def test_a_peers_certificate_alone_reads_no_data(self):
        answer = wires.call(provider.peers_port, "GET", "/data/urn:uuid:x", context=peer)
        self.assert_problem(answer, 401, "api.unknown-data-token")

    def test_an_application_learns_nothing_of_an_unknown_agreement(self):
        answer = provider.read(app, "urn:uuid:x")
        self.assert_problem(answer, 404, "api.unknown-agreement")
        answer = provider.read(app, "urn:uuid:x", key="k" * 257)
        self.assert_problem(answer, 400, "api.key-too-long")

    def test_what_lives_in_a_file_is_not_changed_by_the_api(self):
        name = COHORT.replace(":", "%3A")
        answer = provider.api("DELETE", "/api/v1/assets/" + name)
        self.assert_problem(answer, 409, "api.home-is-file")
        self.assertEqual(answer.json()["params"]["file"], "assets/cohort.json")
        document = {"id": COHORT, "delivery": "custody",
                    "source": {"type": "file", "path": "cohort.csv"}}
        answer = provider.api("PUT", "/api/v1/assets/" + name, document)
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("assets/cohort.json", answer.body.decode())


if __name__ == "__main__":
    connectors.main()
