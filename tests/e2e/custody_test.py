"""What a consumer holds: the wrapping key is changed while it works and killed at every step; what
is altered on the disk is found, refused and said; what is too much is not fetched."""
import http.client
import json
import os
import shutil
import unittest

import connectors
import wires
from connectors import Pair, World, eventually

LARGE = "urn:hospital:large"


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=1000, content=b"id,value\n" + b"1,2\n" * 1000)
    provider.offer(LARGE, name="large", content=b"x" * (3 << 20))
    pair.start()


def ring():
    return consumer.get("/api/v1/custody")["ring"]


def asked(*request):
    """The answer, or None of a connector that is killed meanwhile."""
    try:
        return consumer.api(*request)
    except (OSError, http.client.HTTPException):
        return None


def files(*folders):
    found = {}
    for folder in folders:
        for name in os.listdir(consumer.path(*folder)):
            with open(consumer.path(*folder, name), "rb") as file:
                found[os.path.join(*folder, name)] = file.read()
    return found


def red():
    answer = consumer.ready()
    return {check["check"]: check["code"] for check in answer.json()["checks"] if not check["good"]}


class WrappingKey(unittest.TestCase):
    def setUp(self):
        if consumer.ended():
            consumer.start()

    def subject(self, token, agreement, person):
        return wires.call(consumer.apps_port, "GET", "/api/v1/data/" + agreement, token=token,
                          headers={"Tally-Subject": person}).status

    def test_1_is_changed_while_it_works_and_everything_follows(self):
        agreement = type(self).agreement = pair.held()
        token = type(self).token = consumer.app("rotating", connectors.RESEARCH)
        self.assertEqual(self.subject(token, agreement, "staff/alice"), 200)
        before, = ring()
        wrapped = files(("custody", "keys"), ("private", "keys"))
        done = consumer.tally("custody", "rotate-key")
        after, = ring()
        self.assertNotEqual(before["key"], after["key"])
        self.assertIn(before["key"], done.stdout)
        self.assertTrue(after["made"])
        self.assertEqual(os.stat(consumer.wrapping_key).st_mode & 0o777, 0o600)
        with open(consumer.wrapping_key) as file:
            self.assertNotIn(before["key"], file.read())
        self.assertFalse(os.path.exists(consumer.wrapping_key + ".new"))
        # Every key lies under the new one, and no byte of the old wrapping is left in the folder.
        now = files(("custody", "keys"), ("private", "keys"))
        self.assertLessEqual(set(wrapped), set(now))
        name = bytes.fromhex(before["key"])
        self.assertFalse([file for file, data in now.items() if name in data])
        self.assertTrue([file for file, data in wrapped.items() if name in data])
        record, = consumer.records("wrapping.rotated")
        self.assertEqual((record["before"], record["key"]), (before["key"], after["key"]))
        self.assertEqual(record["unopened"], [])
        self.assertIn("rotate-wrapping-key",
                      [record["action"] for record in consumer.records("admin.action")])
        # Also the persons beside the log are who they were.
        self.assertEqual(consumer.read(token, agreement).status, 200)
        self.assertEqual(self.subject(token, agreement, "staff/alice"), 200)
        erased = consumer.api("POST", "/api/v1/private/erasures",
                              {"subject": "staff/alice", "basis": "request"})
        self.assertEqual(erased.status, 200, erased)
        self.assertEqual(len(erased.json()["records"]), 2)
        self.assertEqual(consumer.stop(), 0)
        consumer.start()
        self.assertEqual(consumer.read(token, agreement).status, 200)

    def test_2_killed_at_any_step_of_it_nothing_is_lost_and_the_next_start_finishes(self):
        """The daemon is killed at each call of the rotation that makes something durable."""
        steps, killed = 1, 0
        while True:
            steps += 1 if connectors.options.long else 4
            before, = ring()
            self.assertEqual(consumer.stop(), 0)
            env = {"LD_PRELOAD": connectors.options.kill_at,
                   "ASAN_OPTIONS": "verify_asan_link_order=0",
                   "TALLY_KILL_AT_FILE": world.path("kill-at")}
            consumer.start(env=env)
            with open(world.path("kill-at"), "w") as file:
                file.write(str(steps))
            asked("POST", "/api/v1/custody/key-rotation", {})
            eventually(lambda: consumer.ended() or self.is_alone(before), "killed or finished")
            os.remove(world.path("kill-at"))
            if not consumer.ended():
                break
            killed += 1
            consumer.kill9()
            consumer.start()
            eventually(lambda: len(ring()) == 1, "finished at step %d" % steps)
            self.assertEqual(consumer.read(self.token, self.agreement).status, 200, steps)
            self.assertEqual(self.subject(self.token, self.agreement, "staff/bob"), 200)
            self.assertFalse(os.path.exists(consumer.wrapping_key + ".new"))
            for folder in (("custody", "keys"), ("private", "keys")):
                self.assertEqual([name for name in os.listdir(consumer.path(*folder))
                                  if not name.endswith(".key")], [])
        self.assertGreater(killed, 5)
        consumer.kill9()  # its number of calls may still come
        consumer.start()
        self.assertEqual(consumer.stop(), 0)
        code, report = consumer.verify()
        self.assertEqual(code, 0, report)

    def is_alone(self, before):
        answer = asked("GET", "/api/v1/custody")
        keys = answer.json()["ring"] if answer is not None and answer.status == 200 else []
        return len(keys) == 1 and keys[0]["key"] != before["key"]

    def test_3_an_older_copy_of_the_ring_is_refused_by_name(self):
        shutil.copy2(consumer.wrapping_key, world.path("older.key"))
        consumer.tally("custody", "rotate-key")
        self.assertEqual(consumer.stop(), 0)
        shutil.copy2(consumer.wrapping_key, world.path("newest.key"))
        size = len(consumer.records())
        shutil.copy2(world.path("older.key"), consumer.wrapping_key)
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        self.assertIn("custody.ring-older", consumer.text())
        self.assertEqual(len(consumer.records()), size)
        consumer.kill9()
        shutil.copy2(world.path("newest.key"), consumer.wrapping_key)
        consumer.start()
        self.assertEqual(consumer.read(self.token, self.agreement).status, 200)

    def test_4_only_an_administrator_changes_it(self):
        operator = consumer.add_token("op", "operator")
        self.assertEqual(consumer.stop(), 0)
        consumer.start()
        self.assertEqual(consumer.api("POST", "/api/v1/custody/key-rotation", {},
                                      token=operator).status, 403)


class Altered(unittest.TestCase):
    def setUp(self):
        if consumer.ended():
            consumer.start()
        self.agreement = pair.held()
        self.token = consumer.app("app-" + self.agreement[-12:], connectors.RESEARCH)
        self.artefact = next(one["id"] for one in consumer.items("artefacts")
                             if one["agreement"] == self.agreement)
        self.blob = consumer.path("custody", "blobs", self.artefact + ".blob")
        with open(self.blob, "rb") as file:
            self.bytes = file.read()
        self.addCleanup(self.mend)

    def mend(self):
        self.put(self.bytes)
        consumer.tally("custody", "check", self.artefact)

    def uses(self):
        return len([r for r in consumer.records("use.permitted", "use.denied")
                    if r["agreement"] == self.agreement])

    def put(self, data):
        with open(self.blob, "r+b") as file:
            file.write(data)
            file.truncate()

    def test_on_demand_it_is_found_refused_and_said_and_good_again_when_it_is(self):
        checked = consumer.tally("custody", "check", self.artefact)
        self.assertEqual(checked.returncode, 0)
        self.assertEqual(red(), {})
        for change in (self.bytes[:100] + bytes([self.bytes[100] ^ 1]) + self.bytes[101:],
                       self.bytes[:-1], b""):
            self.put(change)
            found = consumer.tally("custody", "check", self.artefact, check=False)
            self.assertEqual(found.returncode, 1, found.stdout)
            self.assertIn(self.artefact, found.stdout)
            self.assertEqual(red(), {"custody": "daemon.custody-altered"})
            before = self.uses()
            refused = consumer.read(self.token, self.agreement)
            self.assertEqual((refused.status, refused.code()), (503, "api.altered"))
            self.assertIn("new transfer", refused.json()["detail"])
            self.assertEqual(self.uses(), before)
            self.put(self.bytes)
            self.assertEqual(consumer.tally("custody", "check", self.artefact).returncode, 0)
            self.assertEqual(red(), {})
            self.assertEqual(consumer.read(self.token, self.agreement).status, 200)
        mine = [r for r in consumer.records("data.altered", "data.intact")
                if r["agreement"] == self.agreement]
        self.assertEqual([r["type"] for r in mine], ["data.altered", "data.intact"] * 3)

    def test_a_use_that_meets_it_finds_it_and_costs_nothing(self):
        self.put(self.bytes[:-1])
        refused = consumer.read(self.token, self.agreement)
        self.assertEqual((refused.status, refused.code()), (503, "api.altered"))
        # Remembered over a restart, until it is fetched again.
        self.assertEqual(consumer.stop(), 0)
        consumer.start()
        self.assertEqual(red(), {"custody": "daemon.custody-altered"})
        self.assertEqual(consumer.transfer(self.agreement)["state"], "COMPLETED")
        self.assertEqual(red(), {})
        self.assertEqual(consumer.read(self.token, self.agreement).status, 200)
        self.assertEqual(consumer.agreement(self.agreement)["uses"], 1)

    def test_by_itself_after_its_time(self):
        self.put(self.bytes[:-1])
        for side in (provider, consumer):
            side.clock(169 * 3600)
            self.addCleanup(lambda side=side: (side.stop(), side.start()))
        eventually(lambda: red() == {"custody": "daemon.custody-altered"}, "found by itself")

    def test_a_link_or_rights_of_others_are_refused_by_name(self):
        os.chmod(self.blob, 0o644)
        found = consumer.tally("custody", "check", self.artefact, check=False)
        self.assertEqual(found.returncode, 1)
        self.assertIn("blobs/" + self.artefact, found.stdout)
        os.chmod(self.blob, 0o600)
        self.assertEqual(consumer.tally("custody", "check", self.artefact).returncode, 0)
        elsewhere = world.path("elsewhere")
        os.rename(self.blob, elsewhere)
        os.symlink(elsewhere, self.blob)
        self.assertEqual(consumer.tally("custody", "check", self.artefact, check=False).returncode, 1)
        os.remove(self.blob)
        os.rename(elsewhere, self.blob)
        self.assertEqual(consumer.tally("custody", "check", self.artefact).returncode, 0)


class Quota(unittest.TestCase):
    def setUp(self):
        if consumer.ended():
            consumer.start()

    def limited(self, change):
        self.assertEqual(consumer.stop(), 0)
        consumer.edit(change)
        consumer.start()

    def test_what_is_too_much_is_not_fetched_and_leaves_nothing(self):
        for change, whose in (
                (lambda config: config["custody"].update(quotaMiB=2), "all"),
                (lambda config: (config["custody"].pop("quotaMiB"),
                                 config["peers"][0].update(custodyQuotaMiB=2)), "peer")):
            self.limited(change)
            agreement = consumer.agree(provider, LARGE)
            before = consumer.custody_files()
            process = consumer.transfer(agreement)
            self.assertEqual(process["state"], "TERMINATED", whose)
            self.assertIn("quota", json.dumps(process["reason"]))
            self.assertEqual(consumer.custody_files(), before)
            there = consumer.get("/api/v1/custody")
            line = there["held"] if whose == "all" else there["providers"][0]
            self.assertEqual(line["quota"], 2 << 20)
            self.assertEqual(line["left"], (2 << 20) - line["bytes"])
            # The provider knows that it ended, and what is small still fits.
            eventually(lambda: [p for p in provider.items("transfers")
                                if p["agreement"] == agreement and p["state"] == "TERMINATED"], whose)
            pair.held()
        # More room by a reload alone.
        consumer.edit(lambda config: config["peers"][0].pop("custodyQuotaMiB"))
        consumer.reload()
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")


if __name__ == "__main__":
    connectors.main()
