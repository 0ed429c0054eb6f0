"""This build opens the data folder of every tagged version: the log verifies, what was agreed, used,
held and destroyed is what it was, and both sides go on."""
import json
import os
import sys
import tarfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import connectors
from connectors import RESEARCH, eventually, run
import kept_folders
from kept_folders import FIXTURES, FixtureWorld, expected_in, summary, unpack, versions


def archive_of(version):
    return os.path.join(FIXTURES, version, "folders.tar.xz")


class Upgrade(unittest.TestCase):
    def setUp(self):
        self.world = FixtureWorld()
        self.addCleanup(self.world.close)

    def deep(self, connector):
        done = run(connectors.options.tally, "--json", "audit", "verify", "--deep",
                   connector.folder, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_there_is_one(self):
        self.assertTrue(versions())

    def test_each_version(self):
        for version in versions():
            with self.subTest(version=version):
                self.opens(version)

    def opens(self, version):
        expected = expected_in(version)
        provider, consumer = sides = unpack(self.world, archive_of(version))
        before = {one.name: self.deep(one) for one in sides}
        for one in sides:
            one.start()
        for one in sides:
            self.assertEqual(summary(one), expected[one.name], one.name)
            records = one.records()
            self.assertEqual(
                [record["seq"] for record in records], list(range(len(records))), one.name)
            self.assertGreaterEqual(len(records), before[one.name]["records"])

        # One of three uses was made by the version before: two are left.
        reader = consumer.app("after-the-upgrade", RESEARCH)
        limited = expected["agreements"]["limited"]
        self.assertEqual([consumer.read(reader, limited).status for _ in range(3)],
                         [200, 200, 403])
        shared = consumer.read(reader, expected["agreements"]["shared"])
        self.assertEqual((shared.status, shared.body), (200, b"id,value\n1,2\n"))
        deleted = consumer.read(reader, expected["agreements"]["deleted"])
        self.assertIn(deleted.status, (403, 404, 410))

        # Under an agreement of before, and with a new one.
        self.assertEqual(consumer.transfer(expected["agreements"]["shared"])["state"],
                         "COMPLETED")
        fresh = consumer.agree(provider, "urn:hospital:shared")
        self.assertEqual(consumer.transfer(fresh)["state"], "COMPLETED")
        self.assertEqual(consumer.read(reader, fresh).status, 200)
        eventually(lambda: provider.agreement(fresh)["state"] == "active", "on both sides")
        for one in sides:
            self.assertEqual(one.stop(), 0)
            self.assertGreater(self.deep(one)["records"], before[one.name]["records"])

    def test_no_fixture_holds_a_private_key(self):
        for version in versions():
            with tarfile.open(archive_of(version)) as archive:
                for member in archive:
                    self.assertNotEqual(os.path.basename(member.name), "operator.token")
                    if member.isfile():
                        data = archive.extractfile(member).read()
                        self.assertNotIn(b"PRIVATE " + b"KEY", data, member.name)

    def test_of_a_version_to_come_it_is_refused_by_name(self):
        provider, _ = unpack(self.world, archive_of(versions()[-1]))
        with open(provider.path("version.json")) as file:
            written = json.load(file)
        written.update(format=written["format"] + 1, program="99.0.0")
        with open(provider.path("version.json"), "w") as file:
            json.dump(written, file)
        log = provider.entries()
        provider.spawn()
        self.assertEqual(provider.wait_ended(), 1)
        self.assertIn("store.newer-folder", provider.text())
        self.assertIn("99.0.0", provider.text())
        self.assertEqual(provider.entries(), log)
        for command in (("backup", provider.folder, self.world.path("backup")),
                        ("audit", "new-log", provider.folder, "--without-proof")):
            done = run(connectors.options.tally, *command, check=False)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("store.newer-folder", done.stderr)


if __name__ == "__main__":
    connectors.main()
