"""The usage classes of IDS-G by number, each as the template of its class says it: offered by a real
connector, used as it permits, and then the act that it denies attempted over the wire.

Elsewhere: 15, a use that cannot be logged (disk_test) and records that outlive their term
(retention_test)."""
import json
import unittest

import connectors
from connectors import (BROKER, HEALTH, INSTITUTE, MARKETING, RESEARCH, Connector, Pair, World,
                        eventually, run)

PLACE, LEVEL, FAIR = "urn:place:berlin", "urn:level:2", "urn:event:fair"
PATIENTS = b"id,name\n1,canary-patient\n"
SCHEMA = {"columns": [{"name": "id", "type": "integer", "class": "enterprise"},
                      {"name": "name", "type": "text", "class": "personal", "privacy": "name"}]}
SITE = {"places": [PLACE], "securityLevels": [LEVEL], "states": ["firewall-on"],
        "jurisdiction": "DE"}
HOUR = 3600


class Class:
    """`set`: the parameters of the template. `deny`: does what is denied, after a use that is
    permitted; None: nothing ever is. `code`: why, in the answer and in the log of the side that
    refused."""

    def __init__(self, number, template, set, deny, code, **asset):
        self.number, self.template, self.set = number, template, set
        self.deny, self.code, self.asset_members = deny, code, asset
        self.name = "class-%d-%s" % (number, template)
        self.asset = "urn:hospital:" + self.name


def by_another_application(agreement):
    return consumer.read(stranger, agreement)


def for_another_purpose(agreement):
    return consumer.read(reader, agreement, purpose=MARKETING)


def once_more(agreement):
    return consumer.read(reader, agreement, purpose=RESEARCH)


def after(seconds):
    def deny(agreement):
        for connector in (provider, consumer):
            connector.clock(seconds)
        return once_more(agreement)
    return deny


def after_its_destruction(agreement):
    def gone():
        answer = once_more(agreement)
        return answer if answer.code() == "api.destroyed" else None
    after(2 * HOUR)(agreement)
    return eventually(gone, "it is destroyed")


def where(**registered):
    """With another registration of the consumer's operator, for a while."""
    def deny(agreement):
        with open(consumer.path("tally.json")) as file:
            before = file.read()

        def change(config):
            if "events" in registered:
                config["events"] = registered["events"]
            else:
                config["site"].update(registered)
        consumer.edit(change)
        consumer.reload()
        try:
            return once_more(agreement)
        finally:
            with open(consumer.path("tally.json"), "w") as file:
                file.write(before)
            consumer.reload()
    return deny


def by_another_party(_):
    """Of the same trust domain."""
    return broker.api("POST", "/api/v1/negotiations", {
        "peer": provider.party_json, "asset": CLASSES[0].asset, "purposes": [RESEARCH]})


NOT_ALLOWED = "usage.value-not-allowed"
OVER = [{"event": FAIR, "start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}]

CLASSES = [
    Class(1, "data-consumer", {"party": INSTITUTE}, by_another_party, "api.asset-not-offered"),
    Class(2, "connector", {"connector": BROKER}, None, "transfer.not-permitted"),
    Class(3, "application", {"applications": "urn:app:reader"}, by_another_application, NOT_ALLOWED),
    Class(4, "role", {"roles": "auditor"}, by_another_application, "usage.role-unregistered"),
    Class(5, "place", {"place": PLACE}, where(places=["urn:place:moon"]), NOT_ALLOWED),
    Class(6, "purpose", {"purposes": RESEARCH}, for_another_purpose, "usage.purpose-not-allowed"),
    Class(7, "event", {"event": FAIR}, where(events=OVER), "usage.event-not-now"),
    Class(8, "security-level", {"level": LEVEL}, where(securityLevels=["urn:level:1"]),
          NOT_ALLOWED),
    Class(9, "interval", {"from": "2020-01-01T00:00:00Z", "until": "2031-01-01T00:00:00Z"},
          after(5 * 366 * 24 * HOUR), "usage.ended"),
    Class(10, "duration", {"time": "PT1H"}, after(2 * HOUR), "usage.period-over"),
    Class(11, "number-of-uses", {"uses": "1"}, once_more, "usage.limit-reached"),
    Class(12, "delete-after", {"time": "PT1H"}, after_its_destruction, "api.destroyed"),
    Class(13, "mask-in-transit", {"column": "name", "key": "cohort"}, None, None, schema=SCHEMA),
    Class(18, "artefact-state", {"states": "encrypted,anonymised"}, None, NOT_ALLOWED),
    Class(21, "environment-state", {"state": "firewall-on"}, where(states=["firewall-off"]),
          NOT_ALLOWED),
    Class(22, "participant-place", {"jurisdictions": "DE"}, where(jurisdiction="FR"), NOT_ALLOWED),
    Class(24, "classification", {"classes": "secret"}, None, "transfer.not-permitted",
          class_="secret"),
]


def offer(one):
    sets = [part for name, value in one.set.items() for part in ("--set", name + "=" + value)]
    made = json.loads(run(connectors.options.tally, "policy", "new", "--template", one.template,
                          *sets).stdout)
    provider.offer(one.asset, name=one.name, content=PATIENTS)
    members = {name.rstrip("_"): value for name, value in one.asset_members.items()}
    with open(provider.path("assets", one.name + ".json")) as file:
        asset = json.load(file)
    provider.drop("assets", one.name, {**asset, **members})
    provider.drop("policies", one.name, {
        "visibleTo": [{"domain": HEALTH}], "policy": {**made, "target": one.asset}})


def setUpModule():
    global provider, consumer, broker, reader, stranger
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    here = {"site": SITE, "taxonomy": {"urn:level:1": [LEVEL]},
            "events": [{"event": FAIR, "start": "2020-01-01T00:00:00Z"}]}
    consumer.edit(lambda config: config.update(here))

    def register(config):
        config["peers"][0].update(site={name: SITE[name] for name in SITE if name != "jurisdiction"},
                                  jurisdiction="DE")
        config.update({name: here[name] for name in ("taxonomy", "events")})
    provider.edit(register)
    for one in CLASSES:
        offer(one)
    broker = Connector(world, "broker", BROKER)
    broker.add_peer(provider)
    provider.add_peer(broker)
    pair.start()
    broker.start()
    reader = consumer.api("POST", "/api/v1/apps", {
        "id": "urn:app:reader", "purposes": [RESEARCH, MARKETING],
        "roles": ["auditor"]}).json()["token"]
    stranger = consumer.app("stranger", RESEARCH)


def denial(agreement):
    """What the last refusal under an agreement says, on the side that refused."""
    return [record["reason"]["code"] for side in (provider, consumer)
            for record in side.records("use.denied") if record["agreement"] == agreement][-1]


class Classes(unittest.TestCase):
    def test_each_permits_and_denies(self):
        self.assertEqual(provider.get("/api/v1/policies")["problems"], [])
        # Certificates do not outlive the end of the interval: it is waited for last.
        for one in sorted(CLASSES, key=lambda one: one.number == 9):
            with self.subTest(one.name):
                agreement = consumer.agree(provider, one.asset)
                pulled = consumer.transfer(agreement)
                if one.code == "transfer.not-permitted":
                    self.assertEqual(pulled["reason"]["code"], one.code)
                    ended = provider.records("transfer.terminated")[-1]
                    self.assertEqual((ended["agreement"], ended["reason"]["code"]),
                                     (agreement, one.code))
                    continue
                self.assertEqual(pulled["state"], "COMPLETED", pulled)
                answer = once_more(agreement)
                if one.template == "mask-in-transit":
                    self.assertEqual(answer.status, 200)
                    self.assertRegex(answer.body, rb"^id,name\r\n1,[0-9a-f]{32}\r\n$")
                    continue
                if one.deny is not None:
                    self.assertEqual((answer.status, answer.body), (200, PATIENTS), answer)
                    answer = one.deny(agreement)
                self.assertIn(answer.status, (403, 404, 410))
                self.assertEqual(answer.code(), one.code)
                if answer.status == 403:
                    self.assertEqual(denial(agreement), one.code)


if __name__ == "__main__":
    connectors.main()
