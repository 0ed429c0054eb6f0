"""Requests that are not what a route takes, at every route of management and of applications: each is
answered with problem details, a code of the sentence tables, and that code's sentence in the language
asked for; never with a fault of ours. (What peers are answered is the protocol's: bad_input_test.py.)"""
import json
import pathlib
import re
import unittest

import connectors
import wires
from connectors import RESEARCH, Connector, World
from routes import ROUTES

SENTENCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "core" / "sentences"
LITERALS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
SENTENCE = re.compile(r'\{"([a-z0-9.-]+)",\s*%s,\s*%s\}' % (LITERALS, LITERALS))
JSON = "application/json"
BODIES = {
    "cut off": b'{"id": "a"',
    "a key twice": b'{"id": "a", "id": "b"}',
    "ten thousand deep": b'{"a":' * 10000 + b"1" + b"}" * 10000,
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "a number too large": b'{"id": 1e999}',
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"id"',
}
# Of a member that a route reads, in turn.
VALUES = [None, -1.5, "\u0000", [[]], {"a": {"a": None}}]
QUERIES = ["?limit=-1", "?limit=99999999999999999999", "?after=%00", "?after=nothing", "?state=nothing",
           "?purpose=%E5%90%97"]


def sentences():
    """Code to its sentence in each language, as a pattern that any parameters fit."""
    found = {}
    for file in SENTENCES.glob("*.inc"):
        for code, *texts in SENTENCE.findall(file.read_text(encoding="utf-8")):
            joined = [json.loads('"%s"' % "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)))
                      for text in texts]
            found[code] = {lang: re.compile(".*".join(map(re.escape, re.split(r"{\w+}", text))), re.S)
                           for lang, text in zip(("en", "zh"), joined)}
    return found


def setUpModule():
    global ports, tokens, known, descriptions
    world = World()
    unittest.addModuleCleanup(world.close)
    connector = Connector(world, "connector", connectors.HOSPITAL)
    connector.offer()
    connector.start()
    ports = {"management": connector.management_port, "apps": connector.apps_port}
    tokens = {"management": connector.token, "apps": connector.app("study", RESEARCH)}
    descriptions = {listener: wires.call(port, "GET", "/openapi.json").json()
                    for listener, port in ports.items()}
    known = sentences()


def routes():
    """Those that answer at once: not the stream of events."""
    return [(listener, method, path, status) for listener, method, path, _, status in ROUTES
            if listener in ports and path != "/api/v1/events"]


def readers():
    """Those that read a body; the others do what they do, whatever comes with the order."""
    return [route for route in routes() if route[1] in ("POST", "PUT") and route[3] >= 400]


def members(listener, method, path):
    """What the description says that the body of a route has."""
    document = descriptions[listener]
    template = re.sub(r":(\w+)", r"{\1}", path).replace("/*", "/{name}")
    content = document["paths"][template][method.lower()].get("requestBody", {}).get("content", {})
    schema = content.get(JSON, {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return sorted(schema.get("properties", {}))


class Malformed(unittest.TestCase):
    def assert_problem(self, answer, lang):
        self.assertEqual(answer.headers["content-type"], "application/problem+json", answer)
        self.assertEqual(answer.headers["content-language"], lang)
        problem = answer.json()
        self.assertEqual(problem["status"], answer.status)
        self.assertEqual(problem["type"], "urn:tally:problem:" + problem["code"])
        self.assertIn(problem["code"], known)
        self.assertRegex(problem["detail"], known[problem["code"]][lang])
        self.assertTrue(400 <= answer.status < 500 or answer.status == 503, answer)

    def ask(self, listener, method, path, status, body=None, *, query="", content_type=None,
            languages=("en", "zh")):
        """In each of the languages. A success is one only where the request without a body has one."""
        fields = {"Content-Type": content_type} if content_type else {}
        for lang in languages:
            answer = wires.call(ports[listener], method, re.sub(r":\w+|\*", "nothing", path) + query,
                                body, token=tokens[listener],
                                headers={**fields, "Accept-Language": lang})
            if answer.status < 300:
                self.assertLess(status, 300, answer)
            else:
                self.assert_problem(answer, lang)

    def test_bodies_that_are_no_document(self):
        for listener, method, path, status in readers():
            for name, body in BODIES.items():
                with self.subTest(route=method + " " + path, body=name):
                    self.ask(listener, method, path, status, body, content_type=JSON)

    def test_another_content_type(self):
        for listener, method, path, status in readers():
            with self.subTest(route=method + " " + path):
                self.ask(listener, method, path, status, b"{}", content_type="text/plain")

    def test_members_of_another_type(self):
        asked = 0
        for listener, method, path, status in readers():
            for member in members(listener, method, path):
                for value in VALUES:
                    with self.subTest(route=method + " " + path, member=member, value=value):
                        body = json.dumps({member: value}).encode()
                        self.ask(listener, method, path, status, body, content_type=JSON,
                                 languages=[("en", "zh")[asked % 2]])
                        asked += 1
        self.assertGreater(asked, 100)

    def test_queries_and_ids_that_nothing_has(self):
        for listener, method, path, status in routes():
            for query in ["", *QUERIES] if method == "GET" else [""]:
                with self.subTest(route=method + " " + path, query=query):
                    self.ask(listener, method, path, status, query=query)

    def test_bodies_that_are_too_large(self):
        for listener, method, path, _ in routes():
            # A derivation is data, of any size.
            if method in ("POST", "PUT") and path != "/api/v1/derivations":
                for lang in ("en", "zh"):
                    head = ("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            "Authorization: Bearer %s\r\nAccept-Language: %s\r\n"
                            "Content-Length: %d\r\n\r\n"
                            % (method, re.sub(r":\w+", "nothing", path), tokens[listener], lang,
                               64 << 20))
                    with self.subTest(route=method + " " + path, lang=lang):
                        answer = wires.send_raw(ports[listener], [head.encode()])
                        self.assertEqual(answer.status, 413)
                        self.assert_problem(answer, lang)


if __name__ == "__main__":
    connectors.main()
