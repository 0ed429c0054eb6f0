"""Rows, columns and masks over the wire: what a consumer receives inside TLS, what its custody holds
and what its application reads hold no original value of a masked column, while the same look finds
each of them where nothing is masked."""
import csv
import hashlib
import io
import json
import os
import unittest

import connectors
import wires
from connectors import HEALTH, INSTITUTE, RESEARCH, Pair, World, eventually, policy

TERM = "urn:tally:profile:1#"
ODRL = "http://www.w3.org/ns/odrl/2/"
COLUMNS = ["id", "name", "born", "ward", "value"]
# Each original value of a private column stands nowhere else.
ROWS = [
    ["310101195203070917", "赵一鸣-canary-01", "1952-03-07", "A", "4.25"],
    ["310101196811302244", "钱小雨-canary-02", "1968-11-30", "B", "6.00"],
    ["310101197108239876", "孙\"大圣\",canary-03", "1971-08-23", "A", "5.5"],
]
PRIVATE = {"id": "national-id", "name": "name", "born": "birth"}
CANARIES = [row[place] for row in ROWS for place in range(3)]


def schema(**csv_options):
    out = {"columns": [
        {"name": name, "type": {"born": "date", "value": "decimal"}.get(name, "text"),
         "class": "personal" if name in PRIVATE else "enterprise",
         **({"privacy": PRIVATE[name]} if name in PRIVATE else {})} for name in COLUMNS]}
    if csv_options:
        out["csv"] = csv_options
    return out


def as_csv(rows, header=COLUMNS):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def says(operand, value, operator="eq"):
    return {"leftOperand": TERM + operand, "operator": operator, "rightOperand": value}


def mask(action, column, **parameters):
    return {"action": TERM + action, "constraint": [
        says("column", column), *[says(name, value) for name, value in parameters.items()]]}


MASKS = [mask("pseudonymize", "name"),
         mask("maskKeep", "id", keepHead={"@value": "6", "@type": "xsd:integer"},
              keepTail={"@value": "2", "@type": "xsd:integer"}),
         mask("generalize", "born", level="year")]
ALL_NAMED = says("columns", COLUMNS, "isAnyOf")


def permission(*constraints, duties=(), action="use", count=None):
    out = {"action": action, "constraint": [
        {"leftOperand": ODRL + "purpose", "operator": "isAnyOf", "rightOperand": [RESEARCH]},
        *constraints]}
    if count:
        out["constraint"].append({"leftOperand": ODRL + "count", "operator": "lteq",
                                  "rightOperand": {"@value": str(count), "@type": "xsd:integer"}})
    if duties:
        out["duty"] = list(duties)
    return out


def offered(name, *permissions, content=None, media_type="text/csv", delivery="custody", of=None,
            parameters=None):
    """An asset of the rows, and the offer of it. Returns its id."""
    asset = "urn:hospital:" + name
    content = as_csv(ROWS).encode() if content is None else content
    with open(provider.path("source", name), "wb") as file:
        file.write(content)
    provider.drop("assets", name, {
        "id": asset, "mediaType": media_type, "delivery": delivery,
        "source": {"type": "file", "path": name}, "schema": of or schema(),
        **({"parameters": parameters} if parameters else {})})
    provider.drop("policies", name, {
        "visibleTo": [{"domain": HEALTH}], "policy": {
            **policy(asset), "profile": "urn:tally:profile:1", "permission": list(permissions)}})
    eventually(lambda: problem_of(name) or any(
        item["asset"] == asset for item in provider.get("/api/v1/policies")["items"]),
               "it is looked at")
    return asset


def problem_of(name):
    return [problem for problem in provider.get("/api/v1/policies")["problems"]
            if problem["file"] == "policies/%s.json" % name]


def setUpModule():
    global world, pair, provider, consumer, token, proxy
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    # Everything that the provider hands out passes a proxy that looks into TLS.
    port = connectors.free_port()
    provider.edit(lambda config: config.update(dataUrl="https://localhost:%d" % port))
    consumer.add_peer(provider, "localhost:%d" % provider.peers_port, "localhost:%d" % port)
    proxy = wires.Proxy(
        port, provider.peers_port, provider.path("tls", "chain.pem"),
        provider.path("tls", "key.pem"), world.authority.context(
            consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem")))
    unittest.addModuleCleanup(proxy.close)
    pair.start()
    token = consumer.app("study", RESEARCH)


def wire_bytes():
    return b"".join(json.dumps([method, path]).encode() + body + answer.body
                    for method, path, body, answer in proxy.seen)


def found_in(data):
    """The canaries in bytes, as they are, in JSON's escapes, and in the encoding of old files."""
    forms = [str.encode, lambda text: json.dumps(text)[1:-1].encode(),
             lambda text: text.replace('"', '""').encode(),
             lambda text: text.encode("gb18030")]
    return {canary for canary in CANARIES if any(form(canary) in data for form in forms)}


def folder_bytes(connector, *left_out):
    """Every file below a connector's folder, and what it prints."""
    data = connector.text().encode()
    for folder, folders, files in os.walk(connector.folder):
        folders[:] = [name for name in folders if name not in left_out]
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                data += file.read()
    return data


class Called:
    """A transfer in HttpData-QUERY that runs, called as the consumer's connector."""

    def __init__(self, asset, agreement=None):
        self.agreement = agreement or consumer.agree(provider, asset)
        pid = consumer.begin("transfers", {
            "agreement": self.agreement, "format": "HttpData-QUERY"})
        self.address = eventually(lambda: (lambda got: got.status == 200 and got.json())(
            consumer.api("GET", "/api/v1/transfers/%s/address" % pid)), "it is started")
        self.path = "/data/" + consumer.get("/api/v1/transfers/" + pid)["peerPid"]
        self.context = world.authority.context(
            consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))

    def get(self, query="", **fields):
        return wires.call(provider.peers_port, "GET", self.path + query, context=self.context,
                          headers={"Authorization": self.address["authorization"], **fields})

    def used(self):
        return [limit["used"] for limit in provider.agreement(self.agreement)["limits"]]

    def denied(self):
        return [record for record in provider.records("use.denied")
                if record["agreement"] == self.agreement]


def rows_of(answer):
    return list(csv.reader(io.StringIO(answer.body.decode())))


class Canaries(unittest.TestCase):
    def test_no_original_value_leaves_the_provider(self):
        asset = offered("masked", permission(says("rowFilter", ["ward eq A"], "isAllOf"),
                                             duties=MASKS))
        proxy.seen.clear()
        agreement = pair.held(asset)
        answer = consumer.read(token, agreement)
        self.assertEqual(answer.status, 200, answer)
        rows = rows_of(answer)
        self.assertEqual(rows[0], COLUMNS)
        self.assertEqual([[row[0], *row[2:]] for row in rows[1:]],
                         [["310101**********17", "1952", "A", "4.25"],
                          ["310101**********76", "1971", "A", "5.5"]])
        self.assertEqual({len(row[1]) for row in rows[1:]}, {32})
        self.assertEqual(len({row[1] for row in rows[1:]}), 2)
        # The custody holds exactly what the application read, and the provider signed for it.
        held = [item for item in consumer.items("artefacts") if item["agreement"] == agreement][0]
        self.assertEqual(held["content"], "sha256:" + hashlib.sha256(answer.body).hexdigest())
        self.assertTrue(proxy.seen)
        self.assertEqual(found_in(wire_bytes()), set())
        self.assertEqual(found_in(answer.body), set())
        self.assertEqual(found_in(folder_bytes(consumer)), set())
        self.assertEqual(found_in(folder_bytes(provider, "source")), set())

    def test_the_same_look_finds_all_of_them_where_nothing_is_masked(self):
        asset = offered("open", permission(ALL_NAMED))
        proxy.seen.clear()
        agreement = pair.held(asset)
        answer = consumer.read(token, agreement)
        self.assertEqual(rows_of(answer)[1:], ROWS)
        self.assertEqual(found_in(answer.body), set(CANARIES))
        self.assertEqual(found_in(wire_bytes()), set(CANARIES))
        self.assertEqual(found_in(folder_bytes(provider)), set(CANARIES))
        # At rest it is encrypted, whatever it is.
        self.assertEqual(found_in(folder_bytes(consumer)), set())

    def test_calls_are_served_in_the_same_form(self):
        asset = offered("called", permission(duties=MASKS, count=5), delivery="call")
        called = Called(asset)
        answer = called.get()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual([row[0] for row in rows_of(answer)[1:]],
                         ["310101**********%s" % row[0][-2:] for row in ROWS])
        self.assertEqual(found_in(answer.body), set())
        # A cut answer goes on where it ended.
        part = called.get(**{"Range": "bytes=40-", "If-Range": answer.headers["etag"]})
        self.assertEqual((part.status, part.body), (206, answer.body[40:]))

    def test_gb18030_and_json_are_handed_out_as_utf8(self):
        for name, media_type, content, of in (
                ("old", "text/csv", as_csv(ROWS).encode("gb18030"), schema(encoding="GB18030")),
                ("lines", "application/x-ndjson", "".join(
                    json.dumps(dict(zip(COLUMNS, row)), ensure_ascii=False) + "\n"
                    for row in ROWS).encode(), schema()),
                ("list", "application/json", json.dumps(
                    [dict(zip(COLUMNS, row)) for row in ROWS]).encode(), schema())):
            with self.subTest(name):
                asset = offered(name, permission(duties=MASKS), content=content, of=of,
                                media_type=media_type)
                answer = consumer.read(token, pair.held(asset))
                self.assertEqual(answer.status, 200, answer)
                self.assertIn("310101**********44", answer.body.decode())
                self.assertEqual(found_in(answer.body), set())


class Parameters(unittest.TestCase):
    """A call asks for the rows that have the values which it gives, and for nothing else."""

    @classmethod
    def setUpClass(cls):
        asset = offered(
            "record", permission(says("maxRows", {"@value": "1", "@type": "xsd:integer"}, "lteq"),
                                 duties=MASKS, count=6),
            delivery="call", parameters=[{"name": "patient", "column": "id", "required": True},
                                         {"name": "ward"}, {"name": "born"}])
        cls.called = Called(asset)

    def test_one_record_a_call(self):
        called, before = self.called, self.called.used()[0]
        answer = called.get("?patient=" + ROWS[1][0], **{"Idempotency-Key": "one"})
        self.assertEqual([row[0] for row in rows_of(answer)[1:]], ["310101**********44"], answer)
        none = called.get("?patient=%s&ward=A" % ROWS[1][0])
        self.assertEqual((none.status, rows_of(none)), (200, [COLUMNS]))
        # The key goes on with its own use, and not with that of other values.
        again = called.get("?patient=" + ROWS[1][0], **{"Idempotency-Key": "one"})
        self.assertEqual((again.headers["tally-use"], again.body),
                         (answer.headers["tally-use"], answer.body))
        other = called.get("?patient=" + ROWS[0][0], **{"Idempotency-Key": "one"})
        self.assertNotEqual(other.headers["tally-use"], answer.headers["tally-use"])
        self.assertEqual(called.used()[0] - before, 3)
        # No value that was asked for stands in the log or among the messages.
        self.assertEqual(found_in(folder_bytes(provider, "source")), set())

    def test_what_is_not_declared_is_refused_and_recorded(self):
        called, before = self.called, len(self.called.denied())
        for query in ("?patient=%s&id=1" % ROWS[0][0], "?PATIENT=x", "?"+ROWS[0][0]):
            answer = called.get(query)
            self.assertEqual((answer.status, answer.code()), (403, "api.parameter-undeclared"))
            self.assertEqual(found_in(answer.body), set())
        self.assertEqual(len(called.denied()) - before, 3)
        self.assertEqual(found_in(folder_bytes(provider, "source")), set())

    def test_what_cannot_be_meant_costs_no_use(self):
        called, before = self.called, self.called.used()
        for query, code in (("", "api.parameter-missing"),
                            ("?patient=", "api.parameter-length"),
                            ("?patient=" + "9" * 257, "api.parameter-length"),
                            ("?patient=1&patient=2", "api.parameter-twice"),
                            ("?patient=1&born=yesterday", "api.parameter-value")):
            answer = called.get(query)
            self.assertEqual((answer.status, answer.code()), (400, code), query)
        self.assertEqual(called.used(), before)

    def test_more_rows_than_the_policy_hands_out_are_none(self):
        asset = offered(
            "many", permission(says("maxRows", {"@value": "1", "@type": "xsd:integer"}, "lteq"),
                               duties=MASKS, count=6),
            delivery="call", parameters=[{"name": "ward"}])
        called = Called(asset)
        for query in ("", "?ward=A"):
            answer = called.get(query)
            self.assertEqual((answer.status, answer.code()), (403, "dataplane.too-many-rows"))
        self.assertEqual(len(called.denied()), 2)
        self.assertEqual(called.used(), [0])
        self.assertEqual(called.get("?ward=B").status, 200)


class Consumer(unittest.TestCase):
    def test_what_reads_ask_for_beyond_the_pull_is_done_by_the_consumer(self):
        """The data came with names; a read hides them, and what was done already is not done twice."""
        asset = offered(
            "inside",
            permission(ALL_NAMED, duties=MASKS[1:2], action=ODRL + "archive"),
            permission(says("columns", ["id", "name", "value"], "isAnyOf"),
                       says("rowFilter", ["value gteq 5"], "isAllOf"), action=ODRL + "read",
                       duties=[mask("replaceValue", "name", replaceWith="-"), MASKS[1]], count=2))
        agreement = pair.held(asset)
        for _ in range(2):
            answer = consumer.read(token, agreement)
            self.assertEqual(rows_of(answer), [
                ["id", "name", "value"],
                ["310101**********44", "-", "6.00"], ["310101**********76", "-", "5.5"]], answer)
        self.assertEqual(consumer.read(token, agreement).status, 403)
        held = [item for item in consumer.items("artefacts") if item["agreement"] == agreement][0]
        self.assertNotEqual(held["content"],
                            "sha256:" + hashlib.sha256(answer.body).hexdigest())

    def test_pseudonyms_cannot_be_joined_unless_the_policy_says_so(self):
        apart = [offered("apart-%d" % n, permission(ALL_NAMED, duties=[mask("pseudonymize", "name")]))
                 for n in range(2)]
        joined = [offered("joined-%d" % n, permission(ALL_NAMED, duties=[
            mask("pseudonymize", "name", keyName="urn:hospital:study")])) for n in range(2)]
        names = [rows_of(consumer.read(token, pair.held(asset)))[1][1] for asset in apart + joined]
        self.assertEqual(len(set(names[:2])), 2)
        self.assertEqual(len(set(names[2:])), 1)
        self.assertNotIn(names[2], names[:2])


class Faults(unittest.TestCase):
    def test_an_offer_that_shows_a_private_column_is_refused_and_named(self):
        offered("bare", permission(duties=MASKS[:2]))
        problem = eventually(lambda: problem_of("bare"), "it is refused")[0]
        self.assertEqual((problem["code"], problem["pointer"]),
                         ("dataplane.shape-privacy", "/policy/permission/0"))
        self.assertIn("/schema/columns/2", problem["text"])

    def test_data_that_do_not_decode_are_refused_by_line_and_cost_no_use(self):
        content = as_csv(ROWS).encode().replace("钱".encode(), b"\xff\xfe")
        asset = offered("broken", permission(duties=MASKS, count=2), content=content,
                        delivery="call")
        called = Called(asset)
        answer = called.get()
        self.assertEqual((answer.status, answer.code()), (503, "dataplane.undecodable"))
        self.assertIn("3", answer.json()["detail"])
        self.assertEqual(found_in(answer.body), set())
        self.assertEqual(called.used(), [0])

    def test_without_its_secret_nothing_goes_out_unmasked(self):
        asset = offered("secret", permission(duties=MASKS), delivery="call")
        agreement = consumer.agree(provider, asset)
        provider.stop()
        provider.edit(lambda config: config.pop("pseudonymKey"))
        self.addCleanup(self.with_secret)
        provider.start()
        problem = eventually(lambda: problem_of("secret"), "the offer is refused")[0]
        self.assertEqual(problem["code"], "dataplane.shape-no-key")
        called = Called(asset, agreement)
        answer = called.get()
        self.assertEqual((answer.status, answer.code()), (403, "usage.form-unavailable"))
        self.assertEqual(called.denied()[-1]["decision"]["reason"], "obligation-unenforceable")

    def with_secret(self):
        provider.stop()
        provider.edit(lambda config: config.update(pseudonymKey="pseudonym.key"))
        provider.start()


if __name__ == "__main__":
    connectors.main()
