"""A log whose old records are past their term: they go, and everything else goes on."""
import json
import os
import shutil
import unittest

import connectors
from connectors import Pair, World, eventually, options

DAY = 86400
USES = 2400  # more than a segment of a MiB


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer

    def small_segments(config):
        config.setdefault("limits", {})["logSegmentMiB"] = 1
        config["log"]["retentionDays"] = 30
    consumer.edit(small_segments)
    provider.offer(log_for="P60D")
    pair.start()


def tally(*arguments):
    done = connectors.run(options.tally, *arguments, check=False)
    return done.returncode, done.stdout, done.stderr


class Retention(unittest.TestCase):
    def use(self, name, uses):
        agreement = pair.held()
        app = consumer.app(name, connectors.RESEARCH, agreements=[agreement])
        for _ in range(uses):
            self.assertEqual(consumer.read(app, agreement).status, 200)
        return agreement

    def terminate(self, agreement):
        answer = consumer.api("POST", "/api/v1/agreements/%s/termination" % agreement,
                              {"reason": "done"})
        self.assertIn(answer.status, (200, 202, 204), answer)

    def segments(self, folder=None):
        return sorted(int(name[:20]) for name in os.listdir(folder or consumer.path("log"))
                      if name.endswith(".tlog"))

    def prune(self):
        code, out, err = tally("--json", "audit", "prune", consumer.folder)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def cosigned(self, size):
        def reaches():
            try:
                with open(consumer.path("log", "cosigned")) as note:
                    return int(note.read().splitlines()[1]) >= size
            except FileNotFoundError:
                return False
        eventually(reaches, "a partner cosigns %d records" % size)

    def verify(self, folder=None):
        code, report = consumer.verify(folder)
        return code, report

    def test_what_is_past_its_term_goes_and_can_still_be_proven(self):
        ended = self.use("first", USES)
        going_on = self.use("second", USES)
        self.terminate(ended)
        size = consumer.get("/api/v1/status")["log"]["size"]
        self.cosigned(size - 10)
        # The proof of an old record, made while it was there.
        self.assertEqual(consumer.stop(), 0)
        proof, record = consumer.path("old.proof"), consumer.path("old.json")
        code, _, err = tally("audit", "prove", consumer.folder, "100", "--out", proof,
                             "--record", record)
        self.assertEqual(code, 0, err)
        _, out, _ = tally("--json", "audit", "key", consumer.folder)
        vkey = json.loads(out)["vkey"]
        consumer.start()

        # Not before the term.
        answer = self.prune()
        self.assertIsNone(answer["pruned"])
        self.assertEqual(answer["why"]["code"], "audit.prune-young")
        self.assertEqual(self.segments()[0], 0)

        # Over for the log, and not for the policy that was agreed.
        consumer.clock(31 * DAY)
        answer = self.prune()
        self.assertIsNone(answer["pruned"])
        self.assertEqual(answer["why"]["code"], "audit.prune-retention", answer)
        self.assertEqual(answer["why"]["params"]["retention"], "P60D")
        self.assertEqual(answer["why"]["params"]["agreement"], ended)

        consumer.clock(61 * DAY)
        answer = self.prune()
        first = answer["first"]
        self.assertIsNotNone(answer["pruned"], answer)
        self.assertEqual(answer["pruned"]["to"], first)
        self.assertGreater(first, 1000)
        # The other agreement is open: its records stay, however old.
        self.assertEqual(answer["why"]["code"], "audit.prune-open")
        self.assertEqual(answer["why"]["params"]["agreement"], going_on)
        self.assertEqual(self.segments()[0], first)
        recorded = [one for one in consumer.records("retention.pruned")]
        self.assertEqual([one["to"] for one in recorded], [first])
        # Who ordered it stands before it.
        orders = [one for one in consumer.records("admin.action") if one["action"] == "prune-log"]
        self.assertLess(orders[-1]["seq"], recorded[0]["seq"])

        # It serves: what stays, the hashes of what went, and a sentence where entries were.
        answer = consumer.api("GET", "/log/tile/entries/000")
        self.assertEqual(answer.status, 404)
        self.assertIn("audit.entries-pruned", answer.body.decode())
        self.assertEqual(consumer.api("GET", "/log/tile/0/000").status, 200)
        kept = first // 256 + 1
        self.assertEqual(consumer.api("GET", "/log/tile/entries/%03d" % kept).status, 200)

        # Starts, from the snapshot and from the file, and counts on.
        self.assertEqual(consumer.stop(), 0)
        code, report = self.verify()
        self.assertEqual(code, 0, report)
        self.assertIn("audit.verify-pruned", [note["code"] for note in report["notes"]])
        consumer.start()
        self.assertEqual(consumer.agreement(ended)["state"].upper()[:9], "TERMINATE")
        app = consumer.app("third", connectors.RESEARCH, agreements=[going_on])
        self.assertEqual(consumer.read(app, going_on).status, 200)
        consumer.kill9()
        code, _, err = tally("audit", "check-proof", proof, record, "--vkey", vkey)
        self.assertEqual(code, 0, err)
        consumer.start()
        self.assertEqual(consumer.stop(), 0)
        code, report = self.verify()
        self.assertEqual(code, 0, report)

        # What no partner has cosigned stays, although it is past its term.
        self.assertEqual(provider.stop(), 0)
        consumer.start()
        app = consumer.app("fourth", connectors.RESEARCH, agreements=[going_on])
        for _ in range(USES):
            self.assertEqual(consumer.read(app, going_on).status, 200)
        with open(consumer.path("log", "cosigned")) as note:
            cosigned = int(note.read().splitlines()[1])
        self.terminate(going_on)
        consumer.clock(160 * DAY)
        answer = self.prune()
        self.assertEqual(answer["why"]["code"], "audit.prune-not-covered", answer)
        self.assertLessEqual(answer["first"], cosigned)
        self.assertLess(answer["first"], self.segments()[-1])
        first = answer["first"]
        self.assertEqual(consumer.stop(), 0)
        code, report = self.verify()
        self.assertEqual(code, 0, report)

        # The readers say what is not there.
        code, out, err = tally("audit", "show", consumer.folder, "--agreement", going_on)
        self.assertEqual(code, 0, err)
        self.assertIn("cli.records-pruned", err)
        out_folder = consumer.path("tiles")
        code, _, err = tally("audit", "tiles", consumer.folder, out_folder)
        self.assertEqual(code, 0, err)
        self.assertTrue(os.path.exists(os.path.join(out_folder, "tile/0/000")))
        self.assertFalse(os.path.exists(os.path.join(out_folder, "tile/entries/000")))

        # And what was not pruned by a record is missing.
        copy = world.path("copy")
        shutil.copytree(consumer.path("log"), copy)
        os.remove(os.path.join(copy, "%020d.tlog" % first))
        code, report = self.verify(copy)
        self.assertEqual(code, 1, report)
        shutil.rmtree(copy)
        shutil.copytree(consumer.path("log"), copy)
        os.remove(os.path.join(copy, "snapshot-%020d" % first))
        code, report = self.verify(copy)
        self.assertEqual(code, 1, report)
        self.assertEqual(report["finding"]["message"]["code"], "audit.pruned-absent")


if __name__ == "__main__":
    connectors.main()
