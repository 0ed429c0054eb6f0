"""The usage classes of IDS-G by number, each as the template of its class says it: offered by a real
connector, used as it permits, and then the act that it denies attempted over the wire.

Elsewhere: 15, a use that cannot be logged (disk_test) and records that outlive their term
(retention_test); 16, uses go on only while they are told (inform_test); 17, an offer on another
policy (next_policy_test)."""
import json
import unittest

import connectors
from connectors import (BROKER, HEALTH, HOSPITAL, INSTITUTE, MARKETING, RESEARCH, Connector, Pair, World,
                        eventually, run)

PLACE, LEVEL, FAIR = "urn:place:berlin", "urn:level:2", "urn:event:fair"
PATIENTS = b"id,name\n1,canary-patient\n"
SCHEMA = {"columns": [{"name": "id", "type": "integer", "class": "enterprise"},
                      {"name": "name", "type": "text", "class": "personal", "privacy": "name"}]}
NOTHING_PRIVATE = {"columns": [SCHEMA["columns"][0],
                               {"name": "name", "type": "text", "class": "enterprise"}]}
SITE = {"places": [PLACE], "securityLevels": [LEVEL], "states": ["firewall-on"],
        "jurisdiction": "DE"}
HOUR = 3600


class Class:
    """`set`: the parameters of the template; `more`: permissions beside its own. `gives`: what a
    read gives (a pattern); None: it is refused. `deny`: does what is denied after that. `code`: why,
    in the answer and in the log of the side that refused; NOT_PULLED: not even a pull is permitted,
    with `confirm` until the provider confirms a duty."""

    def __init__(self, number, template, set, deny, code, *, confirm=False, gives=PATIENTS, more=(),
                 **asset):
        self.number, self.template, self.set = number, template, set
        self.deny, self.code, self.asset_members = deny, code, asset
        self.confirm, self.gives, self.more = confirm, gives, more
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
        return answer if answer.status != 200 and answer.code() == "api.destroyed" else None
    after(2 * HOUR)(agreement)
    return eventually(gone, "it is destroyed")


def once_it_has_ended(agreement):
    """Refused from the first read on: as expired until the scheduler has ended the agreement."""
    def ended():
        answer = once_more(agreement)
        if answer.status == 403 and answer.code() == "usage.expired":
            return None
        return answer
    after(5 * 366 * 24 * HOUR)(agreement)
    return eventually(ended, "the agreement is ended")


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


NOT_PULLED, NOT_ALLOWED = "transfer.not-permitted", "usage.value-not-allowed"
OVER = [{"event": FAIR, "start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}]

CLASSES = [
    Class(1, "data-consumer", {"party": INSTITUTE}, by_another_party, "api.asset-not-offered"),
    Class(2, "connector", {"connector": BROKER}, None, NOT_PULLED),
    Class(3, "application", {"applications": "urn:app:reader"}, by_another_application, NOT_ALLOWED),
    Class(4, "role", {"roles": "auditor"}, by_another_application, "usage.role-unregistered"),
    Class(5, "place", {"place": PLACE}, where(places=["urn:place:moon"]), NOT_ALLOWED),
    Class(6, "purpose", {"purposes": RESEARCH}, for_another_purpose, "usage.purpose-not-allowed"),
    Class(7, "event", {"event": FAIR}, where(events=OVER), "usage.event-not-now"),
    Class(8, "security-level", {"level": LEVEL}, where(securityLevels=["urn:level:1"]),
          NOT_ALLOWED),
    Class(9, "interval", {"from": "2020-01-01T00:00:00Z", "until": "2031-01-01T00:00:00Z"},
          once_it_has_ended, "usage.ended"),
    Class(10, "duration", {"time": "PT1H"}, after(2 * HOUR), "usage.period-over"),
    Class(11, "number-of-uses", {"uses": "1"}, once_more, "usage.limit-reached"),
    Class(12, "delete-after", {"time": "PT1H"}, after_its_destruction, "api.destroyed"),
    Class(13, "mask-in-transit", {"column": "name", "key": "cohort"}, None, None, schema=SCHEMA,
          gives=rb"id,name\r\n1,[0-9a-f]{32}\r\n"),
    Class(14, "mask-at-rest", {"column": "name"}, None, None, schema=NOTHING_PRIVATE,
          gives=b"id\r\n1\r\n", more=[{"action": "read"}]),
    Class(18, "artefact-state", {"states": "encrypted,anonymised"}, None, NOT_ALLOWED, gives=None),
    Class(19, "sale", {"amount": "500", "currency": "urn:currency:eur", "payee": HOSPITAL}, None,
          NOT_PULLED, confirm=True),
    Class(20, "rental", {"amount": "40", "currency": "urn:currency:eur", "payee": HOSPITAL,
                         "time": "PT2H"},
          after(3 * HOUR), "usage.confirmation-lapsed", confirm=True),
    Class(21, "environment-state", {"state": "firewall-on"}, where(states=["firewall-off"]),
          NOT_ALLOWED),
    Class(22, "participant-place", {"jurisdictions": "DE"}, where(jurisdiction="FR"), NOT_ALLOWED),
    Class(23, "consent", {"party": "urn:party:patients"}, None, NOT_PULLED, confirm=True),
    Class(24, "classification", {"classes": "secret"}, None, NOT_PULLED, class_="secret"),
    Class(25, "privacy-technique", {"technique": "suppression"}, None, None, schema=SCHEMA,
          gives=b"id\r\n1\r\n"),
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
        "visibleTo": [{"domain": HEALTH}], "policy": {
            **made, "target": one.asset, "permission": made["permission"] + list(one.more)}})


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
    def pull_is_refused(self, agreement):
        self.assertEqual(consumer.transfer(agreement)["reason"]["code"], NOT_PULLED)
        ended = provider.records("transfer.terminated")[-1]
        self.assertEqual((ended["agreement"], ended["reason"]["code"]), (agreement, NOT_PULLED))

    def confirm(self, agreement, reference):
        provider.tally("confirm", agreement, "--reference", reference)
        eventually(lambda: consumer.get("/api/v1/agreements/%s/duties" % agreement)
                   ["items"][0]["state"] == "confirmed", "the consumer is told")

    def carry_out(self, one):
        agreement = consumer.agree(provider, one.asset)
        if one.confirm or one.code == NOT_PULLED:
            self.pull_is_refused(agreement)
        if one.confirm:
            self.confirm(agreement, one.name)
        elif one.code == NOT_PULLED:
            return
        pulled = consumer.transfer(agreement)
        self.assertEqual(pulled["state"], "COMPLETED", pulled)
        answer = once_more(agreement)
        if one.gives is not None:
            self.assertEqual(answer.status, 200, answer)
            self.assertRegex(answer.body, rb"\A" + one.gives + rb"\Z")
            if one.deny is None:
                return
            answer = one.deny(agreement)
        self.assertIn(answer.status, (403, 404, 410))
        self.assertEqual(answer.code(), one.code)
        if answer.status == 403:
            self.assertEqual(denial(agreement), one.code)

    def test_each_permits_and_denies(self):
        self.assertEqual(provider.get("/api/v1/policies")["problems"], [])
        # Certificates do not outlive the end of the interval: it is waited for last.
        for one in sorted(CLASSES, key=lambda one: one.number == 9):
            with self.subTest(one.name):
                self.carry_out(one)


if __name__ == "__main__":
    connectors.main()
