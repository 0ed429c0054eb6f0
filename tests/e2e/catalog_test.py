"""The catalogue between real connectors: pages, filters, who sees what, what a consumer makes of a
peer's pages and of what such a peer may try."""
import base64
import gzip
import json
import pathlib
import sys
import unittest
import uuid

import connectors
import wires
from connectors import CITY, HEALTH, HOSPITAL, INSTITUTE, SOURCE, Pair, World, eventually

sys.path.insert(0, SOURCE + "/tests/support")
import dsp_schemas  # noqa: E402

CATALOG = "/dsp/2025-1/catalog/request"
DATASET = "/dsp/2025-1/catalog/datasets/"
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
OPEN, CLINIC, HIDDEN, OVER = 23, "urn:hospital:clinic", "urn:hospital:hidden", "urn:hospital:over"
RUDE = "did:web:rude.example"


def request(*items):
    body = {"@context": CONTEXT, "@type": "CatalogRequestMessage"}
    return {**body, "filter": list(items)} if items else body


def setUpModule():
    global world, provider, consumer, good, clinic, stranger
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    for number in range(OPEN):
        name = "open-%02d" % number
        provider.offer("urn:hospital:" + name, name=name, count=3)
    provider.offer(CLINIC, name="clinic", visible_to=[
        {"domain": HEALTH, "subject": {"O": "Clinic of Basel", "C": "CH"}}])
    provider.offer(HIDDEN, name="hidden", visible_to=[
        {"domain": HEALTH, "uri": "did:web:nobody.example"}])
    provider.offer(OVER, name="over", until="2020-01-01T00:00:00Z")
    labelled = json.loads(pathlib.Path(provider.path("assets", "open-07.json")).read_text())
    labelled.update({"keyword": ["blood", "labs"], "theme": "urn:theme:labs", "class": "public"})
    provider.drop("assets", "open-07", labelled)

    def nested(config):
        config["catalog"] = {"pageSize": 10, "nested": [
            {"id": "urn:catalog:institute", "title": "Institute", "url": consumer.base_url},
            {"id": "urn:catalog:elsewhere", "url": "https://elsewhere.example/dsp"}]}
    provider.edit(nested)
    # The consumer points back, and knows itself by nobody's help: a cycle of two.
    consumer.edit(lambda config: config.update(catalog={"nested": [
        {"id": "urn:catalog:hospital", "url": provider.base_url}]}))
    consumer.offer("urn:institute:own", name="own", visible_to=["*"])
    pair.start()
    good = world.authority.context(consumer.path("tls", "chain.pem"),
                                   consumer.path("tls", "key.pem"))
    clinic = world.authority.context(*world.authority.issue(
        HEALTH, [INSTITUTE], subject="/C=CH/O=Clinic of Basel/OU=x/CN=y"))
    stranger = world.authority.context(*world.authority.issue(CITY, ["did:web:stranger.example"]))


def ask(body=None, path=CATALOG, context=None, method="POST", **headers):
    return wires.call(provider.peers_port, method, path, request() if body is None else body,
                      context=context or good, headers=headers)


def fetch(path, context=None, **headers):
    return wires.call(provider.peers_port, "GET", path, context=context or good, headers=headers)


def link(answer, relation):
    for part in answer.headers.get("link", "").split(", "):
        if part.endswith('rel="%s"' % relation):
            url = part[1:part.index(">")]
            assert url.startswith(provider.base_url + "/catalog/request?continuationToken="), url
            return url[len("https://localhost:%d" % provider.peers_port):]
    return None


def ids(body):
    return [dataset["@id"] for dataset in body.get("dataset", [])]


class Schemas(unittest.TestCase):
    """An offer is held against the schema of its asset when it is loaded."""

    def test_an_unmasked_private_column_is_no_offer(self):
        provider.drop("assets", "residents", {
            "id": "urn:hospital:residents", "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "file", "path": "open-00.csv"},
            "schema": {"columns": [{"name": "id", "class": "enterprise"},
                                   {"name": "value", "class": "personal", "privacy": "name"}]}})
        provider.drop("policies", "residents", {
            "visibleTo": ["*"], "policy": connectors.policy("urn:hospital:residents")})
        shown = eventually(
            lambda: [problem for problem in provider.get("/api/v1/policies")["problems"]
                     if problem["file"] == "policies/residents.json"], "the problem is shown")
        self.assertEqual([problem["pointer"] for problem in shown], ["/policy/permission/0"])
        self.assertIn("/schema/columns/1", shown[0]["text"])
        self.assertEqual(fetch(DATASET + "urn:hospital:residents").status, 404)


class Pages(unittest.TestCase):
    def test_links_lead_through_all_of_it_by_post_and_by_get(self):
        everything = ["urn:hospital:open-%02d" % number for number in range(OPEN)]
        for go_on in (lambda path: ask(path=path), fetch):
            answer, seen, sizes = ask(), [], []
            self.assertIsNone(link(answer, "previous"))
            while True:
                self.assertEqual(answer.status, 200, answer)
                body = answer.json()
                self.assertEqual("catalog" in body, not seen)
                seen += ids(body)
                sizes.append(len(ids(body)))
                if not link(answer, "next"):
                    break
                answer = go_on(link(answer, "next"))
                self.assertTrue(link(answer, "previous"))
            self.assertEqual(seen, everything)
            self.assertEqual(sizes, [10, 10, 3])
            back = go_on(link(answer, "previous"))
            self.assertEqual(ids(back.json()), everything[10:20])

    def test_every_answer_is_of_the_schema(self):
        schemas = dsp_schemas.load(pathlib.Path(SOURCE))
        if schemas is None:
            self.skipTest("no schemas")
        first = ask()
        answers = [("catalog", first), ("catalog", fetch(link(first, "next"))),
                   ("catalog", ask(request({"keyword": "nothing has it"}))),
                   ("dataset", fetch(DATASET + "urn:hospital:open-07")),
                   ("catalog-error", fetch(DATASET + "nothing")),
                   ("catalog-error", fetch(CATALOG + "?continuationToken=x")),
                   ("catalog-error", ask(request({"colour": "red"})))]
        for name, answer in answers:
            self.assertEqual(schemas.faults(schemas.by_name[name + "-schema.json"], answer.json()),
                             [], answer)

    def test_a_link_that_is_none_of_ours_is_refused(self):
        token = base64.urlsafe_b64encode(b'{"after":"x","filter":[{"colour":"red"}]}').decode()
        for bad in ("x", "", token.rstrip("="), "A" * 6000):
            for answer in (fetch(CATALOG + "?continuationToken=" + bad),
                           ask(path=CATALOG + "?continuationToken=" + (bad or "%00"))):
                self.assertEqual(answer.status, 400, answer)
        self.assertEqual(fetch(CATALOG).json()["@type"], "CatalogError")
        filtered = ask(request({"property": "dcat:mediaType", "value": "text/csv"}))
        path = link(filtered, "next")
        self.assertEqual(len(ids(fetch(path).json())), 10)
        self.assertEqual(ask(request({"keyword": "labs"}), path=path).code(), "api.other-filter")

    def test_is_packed_for_those_who_ask(self):
        plain = ask()
        self.assertEqual(plain.headers["vary"], "Accept-Encoding")
        self.assertNotIn("content-encoding", plain.headers)
        for answer, whole in (
                (ask(**{"Accept-Encoding": "gzip"}), plain),
                (fetch(link(plain, "next"), **{"Accept-Encoding": "deflate, gzip;q=0.1"}),
                 fetch(link(plain, "next")))):
            self.assertEqual(answer.headers["content-encoding"], "gzip")
            self.assertLess(len(answer.body), len(whole.body) / 3)
            self.assertEqual(gzip.decompress(answer.body), whole.body)
        self.assertNotIn("content-encoding", ask(**{"Accept-Encoding": "gzip;q=0"}).headers)

    def test_filters(self):
        for wanted, found in (
                ({"keyword": "labs"}, ["urn:hospital:open-07"]),
                ({"theme": "urn:theme:labs", "class": "public"}, ["urn:hospital:open-07"]),
                ({"property": "dct:title", "value": "nothing"}, []),
                ({"@type": "QuerySpec", "limit": 2, "offset": 3, "sortOrder": "ASC",
                  "filterExpression": []}, ["urn:hospital:open-03", "urn:hospital:open-04"]),
                ({"@type": "QuerySpec", "filterExpression": [
                    {"@type": "Criterion", "operandLeft": "https://w3id.org/edc/v0.0.1/ns/id",
                     "operator": "=", "operandRight": "urn:hospital:open-05"}]},
                 ["urn:hospital:open-05"]),
                # What is not for the asker is not found by name either.
                ({"id": HIDDEN}, []), ({"id": CLINIC}, []), ({"id": OVER}, [])):
            answer = ask(request(wanted))
            self.assertEqual((answer.status, ids(answer.json())), (200, found), wanted)
        for bad in ("x", {"colour": "red"}, {"@type": "QuerySpec", "filterExpression": [
                {"operandLeft": "id", "operator": "like", "operandRight": "%"}]}):
            answer = ask(request(bad))
            self.assertEqual((answer.status, answer.json()["@type"]), (400, "CatalogError"), bad)


class Visibility(unittest.TestCase):
    def same(self, make, hidden, unknown, context):
        """Both requests, and that nothing tells one answer from the other but the name asked for."""
        answers = []
        for name in (hidden, unknown):
            answer = make(name, context)
            fields = {k: v for k, v in answer.headers.items() if k != "date"}
            answers.append((answer.status, fields,
                            answer.body.replace(name.encode(), b"<the name>")))
        self.assertEqual(*answers)
        return answers[0]

    def test_what_is_not_for_the_asker_is_what_does_not_exist(self):
        def dataset(name, context):
            return fetch(DATASET + name, context)

        def packed(name, context):
            return fetch(DATASET + name, context, **{"Accept-Encoding": "gzip"})

        def filtered(name, context):
            return ask(request({"id": name}), context=context)

        def negotiation(name, context):
            return self.negotiate(name, context, "urn:uuid:00000000-0000-4000-8000-000000000001")

        unknown = {HIDDEN: "urn:hospital:hiddem", CLINIC: "urn:hospital:climic"}
        for hidden, context in ((HIDDEN, good), (CLINIC, good), (CLINIC, stranger)):
            for make in (dataset, packed, filtered, negotiation):
                with self.subTest(hidden=hidden, make=make.__name__):
                    status, _, body = self.same(make, hidden, unknown[hidden], context)
                    if make == negotiation and context == good:
                        # Not for any other fault of the message.
                        self.assertIn(b"negotiation.unknown-offer", body)
                    self.assertEqual(status, {filtered: 200, negotiation: 400}.get(make, 404))
        # The same requests by one who may see it are another matter.
        self.assertEqual(dataset(CLINIC, clinic).status, 200)
        self.assertEqual(ids(filtered(CLINIC, clinic).json()), [CLINIC])

    def negotiate(self, asset, context, pid):
        return wires.call(
            provider.peers_port, "POST", "/dsp/2025-1/negotiations/request", {
                "@context": CONTEXT, "@type": "ContractRequestMessage", "consumerPid": pid,
                "callbackAddress": consumer.base_url,
                "offer": {"@id": asset + ":offer", "@type": "Offer", "target": asset,
                          "permission": [{"action": "use", "constraint": [
                              {"leftOperand": "http://www.w3.org/ns/odrl/2/purpose",
                               "operator": "isAnyOf",
                               "rightOperand": [connectors.RESEARCH]}]}]}}, context=context)

    def test_the_certificate_opens_a_negotiation_to_its_agreement(self):
        answer = self.negotiate(CLINIC, clinic, uuid.uuid4().urn)
        self.assertEqual(answer.status, 201, answer)
        pid = answer.json()["providerPid"]

        def agreed():
            process = provider.get("/api/v1/negotiations/" + pid)
            self.assertNotEqual(process["state"], "TERMINATED", process)
            return process.get("agreement")
        eventually(agreed, "an agreement for the clinic")

    def test_no_answer_shows_what_lies_behind(self):
        first = ask()
        answers = [first, fetch(link(first, "next")), fetch(DATASET + "urn:hospital:open-07"),
                   fetch(DATASET + HIDDEN), fetch("/nothing"), fetch("/dsp/2025-1/nothing"),
                   ask(request({"colour": "red"})), ask(b"{"), ask(path="/tally/v1/statements"),
                   ask(method="PUT"), fetch("/.well-known/dspace-version"),
                   fetch("/dsp/2025-1/negotiations/x"), fetch("/dsp/2025-1/transfers/x"),
                   fetch("/tally/v1/receipts/x"), fetch("/data/x"), fetch("/tally/v1/log/checkpoint"),
                   self.negotiate(HIDDEN, good, uuid.uuid4().urn),
                   self.negotiate("urn:hospital:open-01", good, uuid.uuid4().urn)]
        inner = [":%d" % provider.apps_port, ":%d" % provider.management_port, provider.folder,
                 world.folder, ".csv", '"source"', "127.0.0.1", "visibleTo", "operator.token"]
        for answer in answers:
            text = str(answer.headers).encode() + answer.body
            for secret in inner:
                self.assertNotIn(secret.encode(), text)
        # The check is able to find them.
        asset = json.dumps(provider.api("GET", "/api/v1/assets").json())
        self.assertIn("open-07", asset)


class AsConsumer(unittest.TestCase):
    def order(self, **more):
        return consumer.api("POST", "/api/v1/catalog", {"peer": provider.party_json, **more})

    def test_all_pages_are_one_catalogue(self):
        answer = self.order()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(ids(answer.json()), ["urn:hospital:open-%02d" % n for n in range(OPEN)])
        self.assertEqual(len(answer.json()["service"]), 1)
        # Shown, not followed.
        self.assertEqual([ids(entry) for entry in answer.json()["catalog"]], [[], []])
        found = self.order(filter=[{"keyword": "labs"}])
        self.assertEqual(ids(found.json()), ["urn:hospital:open-07"])
        refused = self.order(filter=[{"colour": "red"}])
        self.assertEqual((refused.status, refused.code()), (400, "api.filter-refused"))
        for bad in ({"filter": {}}, {"follow": "yes"}):
            self.assertEqual(self.order(**bad).code(), "core.member-type")

    def test_nested_ones_are_followed_at_configured_peers_only(self):
        """From the other side: the institute's catalogue leads to the hospital's and back."""
        answer = provider.api("POST", "/api/v1/catalog",
                              {"peer": consumer.party_json, "follow": True})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(ids(answer.json()), ["urn:institute:own"])
        # The provider is not its own peer: a stranger, and asked for by nobody.
        why = [entry["urn:tally:profile:1#notFollowed"]["code"] for entry in answer.json()["catalog"]]
        self.assertEqual(why, ["api.nested-stranger"])
        answer = self.order(follow=True)
        self.assertEqual(len(ids(answer.json())), OPEN)
        why = [entry["urn:tally:profile:1#notFollowed"]["code"] for entry in answer.json()["catalog"]]
        self.assertEqual(why, ["api.nested-stranger", "api.nested-stranger"])


class Rude(wires.Proxy):
    """A peer with a good certificate whose answers are those of the test."""

    keeps_connections = True

    def answer(self, method, path, fields, body):
        if "/catalog/" not in path and "page=" not in path and "n=" not in path:
            return wires.Answer(404, [], b"")  # a negotiation that another test began
        return self.script(method, path, fields)


class BadPeers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = connectors.free_port()
        certificate = world.authority.issue(HEALTH, [RUDE])
        cls.base = "https://localhost:%d/dsp" % cls.port
        connectors.run(connectors.options.tally, "peer", consumer.folder, HEALTH + ":" + RUDE,
                       cls.base)
        consumer.reload()
        cls.peer = Rude(cls.port, 0, *certificate, None)
        cls.addClassCleanup(cls.peer.close)

    def order(self, script, **more):
        calls = []

        def count(method, path, fields):
            calls.append((method, path))
            return script(method, path, fields)
        self.peer.script = count
        answer = consumer.api("POST", "/api/v1/catalog",
                              {"peer": {"domain": HEALTH, "uri": RUDE}, **more})
        return answer, calls

    @staticmethod
    def page(*names, next=None, participant=RUDE, headers=(), nested=()):
        body = {"@context": CONTEXT, "@type": "Catalog", "@id": "urn:c", "participantId": participant,
                "service": [{"@id": "urn:s", "@type": "DataService", "endpointURL": "https://x"}]}
        if names:
            body["dataset"] = [
                {"@id": name, "@type": "Dataset",
                 "hasPolicy": [{"@id": name + ":o", "@type": "Offer",
                                "permission": [{"action": "use"}]}],
                 "distribution": [{"@type": "Distribution", "format": "HttpData-PULL",
                                   "accessService": "urn:s"}]} for name in names]
        if nested:
            body["catalog"] = list(nested)
        fields = [("Content-Type", "application/json"), *headers]
        if next is not None:
            fields.append(("Link", '<%s>; rel="next"' % next))
        return wires.Answer(200, fields, json.dumps(body).encode())

    def test_a_peer_that_wants_get_for_its_links(self):
        def script(method, path, fields):
            self.assertEqual(fields["accept-encoding"], "gzip")
            if path == "/dsp/catalog/request":
                return self.page("a", next="/dsp/more?page=2")
            if method == "POST":
                return wires.Answer(405, [("Allow", "GET")], b"")
            page = self.page("b", next="?page=3" if path.endswith("2") else None)
            page.body = gzip.compress(page.body)
            page.headers["content-encoding"] = "gzip"
            return page
        answer, calls = self.order(script)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(ids(answer.json()), ["a", "b"])
        self.assertEqual(calls, [("POST", "/dsp/catalog/request"), ("POST", "/dsp/more?page=2"),
                                 ("GET", "/dsp/more?page=2"), ("GET", "/dsp/more?page=3")])

    def test_what_a_peer_may_not_do(self):
        def bomb(*_):
            body = gzip.compress(b" " * (64 << 20))
            return wires.Answer(200, [("Content-Encoding", "gzip")], body)

        def other_participant(_, path, __):
            return self.page("b", participant="did:web:x") if "n=1" in path else self.page(
                "a", next="?n=1")

        def endless(_, path, __):
            number = int(path.rsplit("=", 1)[1]) if "=" in path else 0
            return self.page("a", next="?n=%d" % (number + 1))
        for name, script, code in (
                ("another host", lambda *_: self.page("a", next="https://127.0.0.1:1/x"),
                 "api.link-elsewhere"),
                ("another scheme", lambda *_: self.page("a", next=self.base.replace("https", "http")),
                 "api.link-elsewhere"),
                ("a circle", lambda *_: self.page("a", next="/dsp/catalog/request"),
                 "api.link-again"),
                ("two participants", other_participant, "api.catalog-mixed"),
                ("a bomb", bomb, "core.gzip-too-large"),
                ("no gzip", lambda *_: self.page("a", headers=[("Content-Encoding", "gzip")]),
                 "core.gzip-malformed"),
                ("an unknown coding",
                 lambda *_: self.page("a", headers=[("Content-Encoding", "br")]),
                 "api.unknown-coding"),
                ("too much", lambda *_: wires.Answer(200, [], b" " * (9 << 20)),
                 "api.catalog-too-large"),
                ("too many pages", endless, "api.catalog-too-long"),
                ("an error", lambda *_: wires.Answer(500, [], b"{}"), "api.peer-answered"),
                ("no JSON", lambda *_: wires.Answer(200, [], b"{"), "core.json-syntax")):
            with self.subTest(name):
                answer, calls = self.order(script)
                self.assertGreaterEqual(answer.status, 400, answer)
                self.assertEqual(answer.code(), code, answer)
                self.assertLessEqual(len(calls), 2000)

    def test_nested_catalogues_in_a_circle(self):
        def at(url):
            return {"@id": url, "@type": "Catalog",
                    "service": [{"@id": "urn:s", "@type": "DataService", "endpointURL": url}]}
        nested = [at(self.base + "/"), at(provider.base_url), at("https://stranger.example/dsp")]
        answer, calls = self.order(lambda *_: self.page("a", nested=nested), follow=True)
        self.assertEqual(answer.status, 200, answer)
        itself, hospital, stranger = answer.json()["catalog"]
        self.assertEqual(itself["urn:tally:profile:1#notFollowed"]["code"], "api.nested-again")
        self.assertEqual(stranger["urn:tally:profile:1#notFollowed"]["code"], "api.nested-stranger")
        self.assertEqual(len(ids(hospital)), OPEN)
        self.assertNotIn("@context", hospital)
        self.assertEqual(len(calls), 1)

    def test_the_examples_of_the_standard_are_read(self):
        schemas = dsp_schemas.load(pathlib.Path(SOURCE))
        if schemas is None:
            self.skipTest("no schemas")
        for name in ("catalog", "nested-catalog"):
            example = (schemas.folder / "catalog" / "example" / (name + ".json")).read_bytes()
            answer, _ = self.order(lambda *_: wires.Answer(200, [], example), follow=True)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(ids(answer.json()), ids(json.loads(example)))
            # What we hand on is still a catalogue of the schema.
            self.assertEqual(schemas.faults(schemas.by_name["catalog-schema.json"], answer.json()),
                             [], name)

    def test_a_peer_that_has_no_request_for_one_dataset(self):
        def script(method, path, fields):
            if path.startswith("/dsp/catalog/datasets/"):
                return wires.Answer(405, [], b"")
            if path == "/dsp/catalog/request":
                return self.page("a", next="?n=1")
            return self.page("b") if "n=1" in path else wires.Answer(404, [], b"")
        self.peer.script = script
        order = {"peer": {"domain": HEALTH, "uri": RUDE}, "asset": "c"}
        missing = consumer.api("POST", "/api/v1/negotiations", order)
        self.assertEqual((missing.status, missing.code()), (404, "api.asset-not-offered"))
        begun = consumer.api("POST", "/api/v1/negotiations", {**order, "asset": "b"})
        self.assertEqual(begun.status, 202, begun)


if __name__ == "__main__":
    connectors.main()
