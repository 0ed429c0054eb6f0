"""What a policy asks of an act, per operand and on both sides: an act that is permitted, and the
denied one attempted over the wire, with the sentence that refuses it and its record in the log."""
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
import unittest

import connectors
import wires
from connectors import BROKER, HEALTH, INSTITUTE, RESEARCH, SOURCE, Pair, World, eventually

ODRL = "http://www.w3.org/ns/odrl/2/"
TALLY = "urn:tally:profile:1#"
IDS = "https://w3id.org/idsa/code/"
BIG = 24 << 20  # more than the buffers of a connection hold


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    consumer.edit(lambda config: config.update(OURS))
    provider.edit(register(PEER))
    for case in CASES:
        offer(case)
    big = os.urandom(1 << 20) * (BIG >> 20)
    offer(Case("big", []), content=big)
    offer(Case("ending", [until("2031-01-01T00:00:00Z")]), content=big)
    offer(Case("ending-call", [until("2031-01-01T00:00:00Z")], delivery="call"), content=big)
    offer(Case("metered", [atom(ODRL + "meteredTime", "lteq", duration("PT1H"))]), content=big)
    offer(Case("rules", []), permissions=[
        {"action": "read", "constraint": [count(2)]},
        {"action": "derive", "constraint": [count(1)]},
        {"action": TALLY + "export", "constraint": [count(5)]}])
    offer(Case("counted", [count(3)]))
    offer(Case("checked", [atom(TALLY + "checkIn", "lteq", duration("PT2H"))]))
    pair.start()


LEVELS = {"urn:level:1": ["urn:level:2"], "urn:level:2": ["urn:level:3"]}
OURS = {
    "site": {"places": ["urn:place:berlin"], "networks": ["127.0.0.0/8"],
             "securityLevels": ["urn:level:3"], "states": ["firewall-on"], "jurisdiction": "DE"},
    "taxonomy": dict({"urn:place:eu": ["urn:place:berlin"]}, **LEVELS),
    "events": [{"event": "urn:event:fair", "start": "2020-01-01T00:00:00Z"}],
}
PEER = {"site": {name: OURS["site"][name] for name in OURS["site"] if name != "jurisdiction"},
        "jurisdiction": "DE"}


def register(peer):
    """At the provider, of its one peer."""
    def change(config):
        config["peers"][0].update(peer)
        config["taxonomy"], config["events"] = OURS["taxonomy"], OURS["events"]
    return change


def site(**changed):
    """What else the consumer's operator registers; None takes it away."""
    def change(config):
        for name, value in changed.items():
            if name == "events":
                config["events"] = value
            elif value is None:
                del config["site"][name]
            else:
                config["site"][name] = value
    return change


def peer_site(**changed):
    def change(config):
        entry = config["peers"][0]
        for name, value in changed.items():
            at = entry if name == "jurisdiction" else entry["site"]
            if name == "events":
                config["events"] = value
            elif value is None:
                del at[name]
            else:
                at[name] = value
    return change


def atom(operand, operator, value):
    return {"leftOperand": operand, "operator": operator, "rightOperand": value}


def duration(text):
    return {"@value": text, "@type": "xsd:duration"}


def count(most):
    return atom("count", "lteq", {"@value": str(most), "@type": "xsd:integer"})


def until(time):
    return atom("dateTime", "lt", {"@value": time, "@type": "xsd:dateTime"})


OVER = [{"event": "urn:event:fair", "start": "2020-01-01T00:00:00Z",
         "end": "2020-02-01T00:00:00Z"}]


class Case:
    """An offer, and how the act that it permits comes to be denied: by another registration at the
    consumer (`ours`) or the provider (`theirs`), or by another application (`app`)."""

    def __init__(self, name, constraints, *, delivery="custody", change=None, code=None, app=None,
                 class_=None, never=False):
        self.name, self.constraints, self.delivery = name, constraints, delivery
        self.change, self.code, self.app, self.class_ = change, code, app, class_
        self.never = never  # nothing permits it: the provider refuses from the start
        self.asset = "urn:hospital:" + name


NOT_ALLOWED, OURS_MISSING, PEER_MISSING = (
    "usage.value-not-allowed", "usage.site-unregistered", "usage.peer-unregistered")
EU = [atom(ODRL + "spatial", "isPartOf", "urn:place:eu")]
LEVEL = [atom(TALLY + "securityLevel", "gteq", "urn:level:2")]
STATE = [atom(TALLY + "environmentState", "eq", "firewall-on")]
GERMAN = [atom(TALLY + "jurisdiction", "isAnyOf", ["DE"])]
HERE = [atom(ODRL + "virtualLocation", "isPartOf", "127.0.0.0/8")]
FAIR = [atom(ODRL + "event", "eq", "urn:event:fair")]
AUDITORS = [atom(TALLY + "role", "isAnyOf", ["urn:role:auditor"])]
OPEN = [atom(TALLY + "classification", "isNoneOf", ["secret"])]

CASES = [
    # IDS 2, connector; 3, application; 4, role
    Case("connector", [atom(TALLY + "connector", "eq", INSTITUTE)], delivery="call"),
    Case("connector-other", [atom(TALLY + "connector", "eq", BROKER)], delivery="call", never=True,
         code=NOT_ALLOWED),
    Case("device-other", [atom(ODRL + "systemDevice", "eq", BROKER)], delivery="call", never=True,
         code=NOT_ALLOWED),
    Case("ids-connector-other", [atom(IDS + "CONNECTOR", "eq", BROKER)], delivery="call",
         never=True, code=NOT_ALLOWED),
    Case("application", [atom(TALLY + "application", "isAnyOf", ["reader"])],
         app=("stranger", []), code=NOT_ALLOWED),
    Case("ids-application", [atom(IDS + "APPLICATION", "isAnyOf", ["reader"])],
         app=("stranger", []), code=NOT_ALLOWED),
    Case("role", AUDITORS, app=("stranger", []), code="usage.role-unregistered"),
    Case("role-other", AUDITORS, app=("nurse", ["urn:role:nurse"]), code=NOT_ALLOWED),
    # 5, place; the network too; 8, security level; 21, state; 22, jurisdiction: each by what is
    # registered here, by nothing registered, and the same of the peer at the provider
    Case("place", EU, change=site(places=["urn:place:moon"]), code=NOT_ALLOWED),
    Case("place-two", EU, change=site(places=["urn:place:berlin", "urn:place:moon"]),
         code=NOT_ALLOWED),
    Case("place-none", EU, change=site(places=None), code=OURS_MISSING),
    Case("place-call", EU, delivery="call", change=peer_site(places=["urn:place:moon"]),
         code=NOT_ALLOWED),
    Case("place-call-none", EU, delivery="call", change=peer_site(places=None),
         code=PEER_MISSING),
    Case("network", HERE, change=site(networks=["10.0.0.0/8"]), code=NOT_ALLOWED),
    Case("network-call", [atom(ODRL + "virtualLocation", "isPartOf", "10.0.0.0/8")],
         delivery="call", never=True, code=NOT_ALLOWED),
    Case("level", LEVEL, change=site(securityLevels=["urn:level:1"]), code=NOT_ALLOWED),
    Case("level-none", LEVEL, change=site(securityLevels=None), code=OURS_MISSING),
    Case("level-call", LEVEL, delivery="call", change=peer_site(securityLevels=["urn:level:1"]),
         code=NOT_ALLOWED),
    Case("level-call-none", LEVEL, delivery="call", change=peer_site(securityLevels=None),
         code=PEER_MISSING),
    Case("state", STATE, change=site(states=["firewall-off"]), code=NOT_ALLOWED),
    Case("state-call", STATE, delivery="call", change=peer_site(states=None), code=PEER_MISSING),
    Case("home", GERMAN, change=site(jurisdiction="FR"), code=NOT_ALLOWED),
    Case("home-call", GERMAN, delivery="call", change=peer_site(jurisdiction="FR"),
         code=NOT_ALLOWED),
    # 7, event
    Case("event", FAIR, change=site(events=OVER), code="usage.event-not-now"),
    Case("event-none", FAIR, change=site(events=[]), code="usage.event-unknown"),
    Case("event-call", FAIR, delivery="call", change=peer_site(events=OVER),
         code="usage.event-not-now"),
    # 18, state of the artefact; 24, classification; who gets it
    Case("encrypted", [atom(TALLY + "artifactState", "isAllOf", ["encrypted"])]),
    Case("anonymised", [atom(TALLY + "artifactState", "isAllOf", ["anonymised"])],
         code=NOT_ALLOWED),
    Case("class", OPEN, class_="内部"),
    Case("class-secret", OPEN, class_="secret", delivery="call", never=True, code=NOT_ALLOWED),
    Case("class-none", OPEN, delivery="call", never=True, code="usage.class-unknown"),
    Case("recipient", [atom(ODRL + "recipient", "eq", INSTITUTE)], delivery="call"),
    Case("recipient-other", [atom(ODRL + "recipient", "eq", BROKER)], delivery="call", never=True,
         code=NOT_ALLOWED),
    Case("vouched", [atom(ODRL + "purpose", "isAnyOf", [RESEARCH]),
                     atom(TALLY + "vouchedBy", "isAnyOf", ["registration"])],
         delivery="call", never=True, code="usage.not-attested"),
    Case("often", [atom(TALLY + "frequency", "lteq", "2/PT1H")]),
    Case("often-call", [atom(TALLY + "frequency", "lteq", "2/PT1H")], delivery="call"),
]


def offer(case, content=b"id,value\n1,2\n", permissions=None):
    with open(provider.path("source", case.name), "wb") as file:
        file.write(content)
    asset = {"id": case.asset, "mediaType": "text/csv", "delivery": case.delivery,
             "source": {"type": "file", "path": case.name}}
    if case.class_:
        asset["class"] = case.class_
    document = connectors.policy(case.asset, purposes=())
    document["profile"] = "urn:tally:profile:1"
    document["permission"][0]["constraint"] = case.constraints
    if not case.constraints:
        del document["permission"][0]["constraint"]
    if permissions:
        document["permission"] = permissions + [{"action": "archive"}]
    provider.drop("assets", case.name, asset)
    provider.drop("policies", case.name, {"visibleTo": [{"domain": HEALTH}], "policy": document})


def app(name, roles=()):
    answer = consumer.api("POST", "/api/v1/apps", {
        "id": name, "purposes": [RESEARCH], "roles": list(roles)})
    if answer.status == 409:
        return tokens[name]
    tokens[name] = answer.json()["token"]
    return tokens[name]


tokens = {}
moved = 0  # seconds that both clocks are ahead; a restart forgets them


def pass_time(seconds, *connectors_):
    global moved
    moved += seconds
    for connector in connectors_ or (provider, consumer):
        connector.clock(seconds)


def start_again(connector, killed=False):
    if killed:
        connector.kill9()
    elif not connector.ended() and connector.stop() != 0:
        raise AssertionError("not a clean stop")
    connector.start()
    connector.clock(moved)


def reader():
    return app("reader", ["urn:role:auditor"])


def agree(asset):
    """Also while a witness is still to be asked after a restart."""
    order = {"peer": provider.party_json, "asset": asset, "purposes": [RESEARCH]}

    def begin():
        answer = consumer.api("POST", "/api/v1/negotiations", order)
        return answer.json()["id"] if answer.status == 202 else None
    process = consumer.ended_process(
        "negotiations", eventually(begin, "a negotiation of " + asset), ("FINALIZED", "TERMINATED"))
    if process["state"] != "FINALIZED":
        raise AssertionError("no agreement: %r" % process)
    return process["agreement"]


def held(case):
    agreement = agree(case.asset)
    process = consumer.transfer(agreement)
    if process["state"] != "COMPLETED":
        raise AssertionError("%s: no data: %r" % (case.name, process))
    return agreement


def callable_(case):
    """An agreement on calls, and how its data is called for: (agreement, token, path)."""
    agreement = agree(case.asset)
    pid = consumer.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})

    def address():
        answer = consumer.api("GET", "/api/v1/transfers/%s/address" % pid)
        return answer.json() if answer.status == 200 else None
    token = eventually(address, "an address for " + case.name)["authorization"]
    return agreement, token, "/data/" + consumer.get("/api/v1/transfers/" + pid)["peerPid"]


def context():
    return world.authority.context(
        consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))


@contextlib.contextmanager
def registered(connector, change):
    """What the operator registers otherwise for a while."""
    if change is None:
        yield
        return
    with open(connector.path("tally.json")) as file:
        before = file.read()
    connector.edit(change)
    connector.reload()
    try:
        yield
    finally:
        with open(connector.path("tally.json"), "w") as file:
            file.write(before)
        connector.reload()


def denials(connector, agreement):
    return [record for record in connector.records("use.denied")
            if record["agreement"] == agreement]


class ATable(unittest.TestCase):
    def permitted(self, answer, decision, case):
        self.assertEqual(answer.status, 200, (case.name, answer))
        self.assertEqual(decision["decision"], "permit", (case.name, decision))
        self.assertEqual(decision["status"], 200)
        left = answer.headers.get("tally-remaining-uses")
        if left is not None:  # the use itself was counted in between
            self.assertEqual(decision["remainingUses"], int(left) - 1)

    def denied(self, answer, decision, case, connector, agreement):
        self.assertEqual(answer.status, 403, (case.name, answer))
        said = answer.json()
        self.assertEqual(said["code"], case.code, (case.name, said))
        # The dry run said so, word for word; only the time is a later one.
        for member in ("status", "code", "params", "reasons", "reason", "rule", "decision"):
            one, other = (re.sub(r"\d\d\.\d{6}Z", "", json.dumps(each.get(member)))
                          for each in (decision, said))
            self.assertEqual(one, other, (case.name, member))
        record = denials(connector, agreement)[-1]
        self.assertEqual(record["reason"]["code"], case.code, case.name)

    def test_1_reads(self):
        for case in CASES:
            if case.delivery != "custody" or case.name == "often":
                continue
            with self.subTest(case.name):
                agreement = held(case)

                def ask(who="reader"):
                    return consumer.api("POST", "/api/v1/decisions", {
                        "agreement": agreement, "app": who}).json()
                if case.code is None or case.change or case.app:
                    self.permitted(consumer.read(reader(), agreement), ask(), case)
                if case.code is None:
                    continue
                token, who = reader(), "reader"
                if case.app:
                    who = case.app[0]
                    token = app(*case.app)
                with registered(consumer, case.change):
                    self.denied(
                        consumer.read(token, agreement), ask(who), case, consumer, agreement)
                if case.change:
                    self.assertEqual(consumer.read(token, agreement).status, 200, case.name)

    def test_2_calls(self):
        for case in CASES:
            if case.delivery != "call" or case.name == "often-call":
                continue
            with self.subTest(case.name):
                agreement, token, path = callable_(case)

                def call():
                    return wires.call(provider.peers_port, "GET", path, token=token,
                                      context=context())

                def ask():
                    return provider.api("POST", "/api/v1/decisions", {
                        "agreement": agreement, "peer": consumer.party_json,
                        "address": "127.0.0.1"}).json()
                if not case.never:
                    self.permitted(call(), ask(), case)
                if case.code is None:
                    continue
                with registered(provider, case.change):
                    self.denied(call(), ask(), case, provider, agreement)
                if case.change:
                    self.assertEqual(call().status, 200, case.name)

    def test_3_a_pull_is_refused_by_the_provider_where_the_peer_is_not_what_is_asked(self):
        case = next(each for each in CASES if each.name == "level")
        agreement = agree(case.asset)
        with registered(provider, peer_site(securityLevels=["urn:level:1"])):
            self.assertEqual(consumer.transfer(agreement)["state"], "TERMINATED")
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")


class Limits(unittest.TestCase):
    def test_1_so_many_in_each_window_also_over_a_restart(self):
        case = next(each for each in CASES if each.name == "often")
        agreement = held(case)
        token = reader()
        first = consumer.read(token, agreement)
        self.assertEqual(first.headers["tally-remaining-uses"], "1")
        pass_time(1800)
        self.assertEqual(consumer.read(token, agreement).headers["tally-remaining-uses"], "0")
        start_again(consumer, killed=True)
        refused = consumer.read(token, agreement)
        self.assertEqual(refused.code(), "usage.too-often")
        self.assertEqual((refused.json()["used"], refused.json()["limit"]), (2, 2))
        self.assertIn("until", refused.json())
        pass_time(1801)  # the first has left the window, the second has not
        self.assertEqual(consumer.read(token, agreement).status, 200)
        self.assertEqual(consumer.read(token, agreement).code(), "usage.too-often")

    def test_2_calls_are_counted_by_the_provider(self):
        case = next(each for each in CASES if each.name == "often-call")
        agreement, token, path = callable_(case)
        answers = [wires.call(provider.peers_port, "GET", path, token=token, context=context())
                   for _ in range(3)]
        self.assertEqual([each.status for each in answers], [200, 200, 403])
        self.assertEqual([each.headers.get("tally-remaining-uses") for each in answers],
                         ["1", "0", None])
        self.assertEqual(answers[2].code(), "usage.too-often")
        self.assertEqual(len(denials(provider, agreement)), 1)

    def test_3_each_kind_of_act_has_a_count_of_its_own(self):
        agreement = held(Case("rules", []))
        token = reader()

        def left(action):
            decision = consumer.api("POST", "/api/v1/decisions", {
                "agreement": agreement, "app": "reader", "action": action}).json()
            return decision.get("remainingUses", decision["decision"])
        self.assertEqual([left(ODRL + "read"), left(ODRL + "derive"), left(TALLY + "export")],
                         [1, 0, 4])
        for _ in range(2):
            self.assertEqual(consumer.read(token, agreement).status, 200)
        refused = consumer.read(token, agreement)
        self.assertEqual(refused.code(), "usage.limit-reached")
        self.assertEqual((refused.json()["used"], refused.json()["limit"]), (2, 2))
        self.assertEqual([left(ODRL + "read"), left(ODRL + "derive"), left(TALLY + "export")],
                         ["deny", 0, 4])

    def test_4_the_provider_has_to_be_heard_of(self):
        agreement = held(Case("checked", []))
        token = reader()
        answer = consumer.read(token, agreement)
        self.assertEqual(answer.status, 200)
        self.assertIn("tally-valid-until", answer.headers)
        self.assertEqual(provider.stop(), 0)
        pass_time(2 * 3600 + 1, consumer)
        refused = consumer.read(token, agreement)
        self.assertEqual(refused.code(), "usage.check-in-due")
        start_again(consumer)  # when it was heard last is not forgotten, nor is a start a contact
        self.assertEqual(consumer.read(token, agreement).code(), "usage.check-in-due")
        start_again(provider)
        consumer.tally("catalog", provider.party)
        self.assertEqual(consumer.read(token, agreement).status, 200)


class Streams(unittest.TestCase):
    def begin(self, port, path, token, headers=None, tls=None):
        """Reads the head and a little, and then stands still."""
        connection = wires.connect(port, tls)
        fields = "".join("%s: %s\r\n" % each for each in (headers or {}).items())
        connection.sendall(("GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n"
                            % (path, token, fields)).encode())
        response = http.client.HTTPResponse(connection, method="GET")
        response.begin()
        response.read(1000)
        return connection, response

    def is_cut(self, connection, response, got=1000):
        """How long it takes until the other side ends it; what was sent before is read."""
        begun = time.monotonic()
        connection.settimeout(wires.PATIENCE)
        try:
            while True:
                piece = response.read(1 << 20)
                if not piece:
                    break
                got += len(piece)
        except (http.client.HTTPException, OSError):
            pass
        connection.close()
        self.assertLess(got, BIG)
        return time.monotonic() - begun

    def ended_as_cut(self, connector, agreement):
        def look():
            for record in connector.records("use.executed"):
                if record["agreement"] == agreement:
                    return [use for use in record["uses"] if use.get("outcome") == "cut"]
        self.assertEqual(len(eventually(look, "the end of the use")), 1)

    def test_1_a_local_read_ends_with_its_agreement(self):
        agreement = held(Case("big", []))
        connection, response = self.begin(
            consumer.apps_port, "/api/v1/data/" + agreement, reader())
        consumer.api("POST", "/api/v1/agreements/%s/termination" % agreement, {"reason": "over"})
        time.sleep(1)
        self.assertLess(self.is_cut(connection, response), 5)
        self.ended_as_cut(consumer, agreement)

    def test_2_time_that_is_added_up_ends_a_read(self):
        agreement = held(Case("metered", []))
        token = reader()
        connection, response = self.begin(consumer.apps_port, "/api/v1/data/" + agreement, token)
        pass_time(1800)
        other, response_of_other = self.begin(
            consumer.apps_port, "/api/v1/data/" + agreement, token)
        pass_time(1000)  # 2800 s of the one and 1000 s of the other are more than an hour
        time.sleep(1)
        self.is_cut(connection, response)
        self.is_cut(other, response_of_other)
        refused = consumer.read(token, agreement)
        self.assertEqual(refused.code(), "usage.time-used-up")
        start_again(consumer, killed=True)
        self.assertEqual(consumer.read(token, agreement).code(), "usage.time-used-up")

    def test_3_an_interrupted_read_goes_on_and_counts_once(self):
        agreement = held(Case("counted", []))
        token = reader()
        whole = consumer.read(token, agreement, key="one")
        self.assertEqual(whole.headers["tally-remaining-uses"], "2")
        etag = whole.headers["etag"]

        def resume(first, tag, **fields):
            return wires.call(consumer.apps_port, "GET", "/api/v1/data/" + agreement, token=token,
                              headers=dict({"Range": "bytes=%d-" % first, "If-Range": tag},
                                           **{name.replace("_", "-"): value
                                              for name, value in fields.items()}))
        rest = resume(5, etag, Idempotency_Key="one")
        self.assertEqual((rest.status, rest.body), (206, whole.body[5:]))
        self.assertEqual(rest.headers["tally-use"], whole.headers["tally-use"])
        self.assertEqual(rest.headers["tally-use-repeated"], "true")
        self.assertEqual(rest.headers["tally-remaining-uses"], "2")
        # By the name of the use, where it had no key.
        plain = consumer.read(token, agreement)
        self.assertEqual(plain.headers["tally-remaining-uses"], "1")
        rest = resume(5, etag, Tally_Use=plain.headers["tally-use"])
        self.assertEqual((rest.status, rest.body), (206, whole.body[5:]))
        self.assertEqual(rest.headers["tally-use"], plain.headers["tally-use"])
        self.assertEqual(consumer.agreement(agreement)["limits"][0]["used"], 2)
        # Not another data's rest, not another application's use, and nothing is counted for it.
        self.assertEqual(resume(5, '"another"', Idempotency_Key="one").status, 412)
        stolen = wires.call(consumer.apps_port, "GET", "/api/v1/data/" + agreement,
                            token=app("stranger"),
                            headers={"Tally-Use": plain.headers["tally-use"]})
        self.assertEqual((stolen.status, stolen.code()), (409, "usage.not-continuable"))
        self.assertEqual(consumer.agreement(agreement)["limits"][0]["used"], 2)

    def test_4_what_an_application_may_read(self):
        agreement = held(Case("counted", []))
        answer = wires.call(consumer.apps_port, "GET", "/api/v1/my-agreements", token=reader())
        mine = {each["agreement"]: each for each in answer.json()["items"]}[agreement]
        self.assertEqual(mine["asset"], "urn:hospital:counted")
        self.assertEqual(mine["remainingUses"], 3)
        self.assertEqual(mine["purposes"], [RESEARCH])
        self.assertIn("read", mine["actions"])
        self.assertEqual((mine["held"], mine["mediaType"]), (True, "text/csv"))
        nobody = wires.call(consumer.apps_port, "GET", "/api/v1/my-agreements", token="x")
        self.assertEqual(nobody.status, 401)

    def test_5_the_examples_read(self):
        agreement = held(Case("counted", []))
        token = reader()
        folder = world.path("read")
        os.makedirs(folder)
        programs = [[sys.executable, os.path.join(SOURCE, "examples", "reader.py")]]
        try:
            subprocess.run(["javac", "-version"], capture_output=True, check=True)
            programs.append(["java", os.path.join(SOURCE, "examples", "Reader.java")])
        except (OSError, subprocess.CalledProcessError):
            print("skipped: no JDK on PATH, Reader.java is not run")
        for index, program in enumerate(programs):
            out = os.path.join(folder, str(index))
            done = subprocess.run(
                [*program, "http://127.0.0.1:%d" % consumer.apps_port, agreement, out],
                env=dict(os.environ, TALLY_APP_TOKEN=token), capture_output=True, text=True,
                timeout=wires.PATIENCE)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(agreement, done.stdout)
            with open(out, "rb") as file:
                self.assertEqual(file.read(), b"id,value\n1,2\n")
        while consumer.read(token, agreement).status == 200:
            pass
        refused = subprocess.run(
            [*programs[0], "http://127.0.0.1:%d" % consumer.apps_port, agreement,
             os.path.join(folder, "none")],
            env=dict(os.environ, TALLY_APP_TOKEN=token), capture_output=True, text=True)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("usage.limit-reached", refused.stderr)

    def test_9_the_end_of_a_policy_ends_what_is_under_way_on_both_sides(self):
        kept = held(Case("ending", []))
        served, token, path = callable_(Case("ending-call", []))
        connection, response = self.begin(consumer.apps_port, "/api/v1/data/" + kept, reader())
        calling, response_of_call = self.begin(provider.peers_port, path, token, tls=context())
        pass_time(5 * 366 * 24 * 3600)
        time.sleep(1)
        for each in ((connection, response), (calling, response_of_call)):
            self.assertLess(self.is_cut(*each), 5)
        self.ended_as_cut(consumer, kept)
        self.ended_as_cut(provider, served)


if __name__ == "__main__":
    connectors.main()
