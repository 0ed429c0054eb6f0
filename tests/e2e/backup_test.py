"""`tally backup` and `tally restore`: a copy made in the middle of work is one moment of database
and log, a changed copy is not restored, and what comes back goes on or is refused by name."""
import json
import os
import shutil
import sqlite3
import stat
import threading
import unittest

import connectors
from connectors import Pair, World, eventually, run
from witnessed_test import held_at
import witnessed_test


def setUpModule():
    global world, pair, provider, consumer, agreement, reader
    world = witnessed_test.world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(until="2099-01-01T00:00:00Z", delete=True)
    pair.start()
    agreement = pair.held()
    reader = consumer.app("reader", connectors.RESEARCH)


def tally(*arguments, check=True):
    return run(connectors.options.tally, "--json", *arguments, check=check)


def back_up(connector, name, *more):
    target = world.path(name)
    return target, json.loads(tally("backup", connector.folder, target, *more).stdout)


def restored(backup, name):
    folder = world.path(name)
    tally("restore", backup, folder)
    return folder


def put_in_place(connector, folder):
    """The folder takes the place of the connector's. Returns where that one is now."""
    aside = connector.folder + ".aside"
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(connector.folder, aside)
    os.rename(folder, connector.folder)
    return aside


def contents(folder):
    """Every file of it with its bytes; but what SQLite makes to read a log of its own."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            if name not in ("tally.db-shm", "lock"):
                with open(os.path.join(at, name), "rb") as file:
                    found[os.path.relpath(os.path.join(at, name), folder)] = file.read()
    return found


def manifest_of(backup):
    with open(os.path.join(backup, "backup.json")) as file:
        return json.load(file)


class Backup(unittest.TestCase):
    def setUp(self):
        for side in (provider, consumer):
            if side.ended():
                side.start()

    def back_to(self, aside):
        consumer.kill9()
        shutil.rmtree(consumer.folder)
        os.rename(aside, consumer.folder)
        consumer.start()

    def test_made_in_the_middle_of_work_it_is_one_moment(self):
        stop, served = threading.Event(), []

        def work():
            while not stop.is_set():
                served.append(consumer.read(reader, agreement).status)
                consumer.app("app-%d" % len(served), connectors.RESEARCH)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            eventually(lambda: len(served) > 5, "it works")
            backups = []
            for number in range(3):
                before = len(served)
                backups.append(back_up(consumer, "busy-%d" % number))
                eventually(lambda: len(served) > before + 2, "and goes on")
        finally:
            stop.set()
            worker.join()
        self.assertEqual(set(served), {200})
        for number, (target, report) in enumerate(backups):
            self.assertTrue(report["running"])
            records = consumer.records()
            last = records[report["records"] - 1]
            self.assertLess(report["records"], len(records))
            folder = restored(target, "restored-%d" % number)
            self.one_moment(folder, records[:report["records"]])
            self.assertEqual(consumer.verify(folder)[0], 0)
            self.assertEqual(consumer.verify(folder)[1]["records"], report["records"])
            # It was ordered before anything was copied.
            orders = [one["seq"] for one in records if one.get("action") == "back-up"]
            self.assertLess(orders[number], report["records"])
            self.assertLessEqual(orders[number], last["seq"])
        # The daemon keeps no copy of its own.
        self.assertEqual(os.listdir(consumer.path("backup-under-way")), [])

    def one_moment(self, folder, records):
        """Whatever the database holds, the log records or the database still has to; whatever the
        log records, the database holds."""
        recorded = {one["app"]: one["event"] for one in records if one.get("app")}
        with sqlite3.connect(os.path.join(folder, "tally.db")) as store:
            held = {name for name, in store.execute("SELECT id FROM row WHERE kind = 'app'")}
            waits = {json.loads(draft).get("app")
                     for draft, in store.execute("SELECT draft FROM outbox")}
        store.close()
        self.assertGreater(len(held), 1)
        self.assertEqual(set(recorded) - held, set())
        self.assertEqual(held - set(recorded) - waits, set())

    def test_it_goes_on_where_nobody_has_seen_more(self):
        provider.stop()
        used = len(consumer.records("use.permitted"))
        target, report = back_up(consumer, "quiet")
        consumer.stop()
        aside = put_in_place(consumer, restored(target, "quiet-restored"))
        consumer.start()
        self.assertEqual(consumer.agreement(agreement)["state"], "active")
        self.assertEqual(len(consumer.records("use.permitted")), used)
        # What was held did not come back, and no use of it is counted.
        refused = consumer.read(reader, agreement)
        self.assertEqual((refused.status, refused.code()), (503, "api.altered"))
        provider.start()
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        self.assertEqual(consumer.read(reader, agreement).status, 200)
        consumer.stop()
        self.assertEqual(consumer.verify()[0], 0)
        shutil.rmtree(aside)
        consumer.start()

    def test_an_older_one_is_refused_where_a_partner_has_seen_more(self):
        target, report = back_up(consumer, "older")
        consumer.agree(provider)
        eventually(lambda: held_at(provider, consumer) > report["records"], "a later head is held")
        consumer.stop()
        aside = put_in_place(consumer, restored(target, "older-restored"))
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        self.assertIn("audit.log-behind", consumer.text())
        self.assertEqual(len(consumer.records()), report["records"])
        self.back_to(aside)

    def test_of_a_stopped_one_with_what_is_held(self):
        consumer.stop()
        target, report = back_up(consumer, "stopped", "--with-held")
        self.assertFalse(report["running"])
        self.assertEqual(report["outside"], [consumer.wrapping_key])
        aside = put_in_place(consumer, restored(target, "stopped-restored"))
        consumer.start()
        self.assertEqual(consumer.read(reader, agreement).status, 200)
        shutil.rmtree(aside)

    def test_of_a_killed_one(self):
        consumer.read(reader, agreement)
        consumer.kill9()
        size = len(consumer.records())
        # An upgrade that is given up: the program before opens what the backup only read.
        version = os.path.join(consumer.folder, "version.json")
        with open(version, "w") as file:
            file.write('{"format":1,"program":"0.0.9"}')
        before = contents(consumer.folder)
        target, report = back_up(consumer, "killed")
        self.assertEqual(contents(consumer.folder), before)
        self.assertEqual(report["records"], size)
        self.assertEqual(consumer.verify(restored(target, "killed-restored"))[0], 0)

    def test_what_it_holds_and_who_may_read_it(self):
        target, report = back_up(consumer, "inside")
        files = set()
        for folder, names, here in os.walk(target):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
            for name in here:
                path = os.path.join(folder, name)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
                files.add(os.path.relpath(path, os.path.join(target, "folder")))
        for name in ("tls/key.pem", "contract/key.pem", "log-key/key.pem", "tally.json",
                     "tally.db"):
            self.assertIn(name, files)
        for folder in ("custody", "private", "payload-keys"):
            self.assertFalse([name for name in files if name.startswith(folder)], folder)
        with open(consumer.wrapping_key, "rb") as ring:
            ring = ring.read()
        for name in files:
            with open(os.path.join(target, "folder", name), "rb") as file:
                self.assertNotIn(ring, file.read(), name)

    def test_a_changed_backup_is_not_restored(self):
        target, _ = back_up(consumer, "good")
        inside = os.path.join(target, "folder")
        segment = next(os.path.join("log", name) for name in os.listdir(
            os.path.join(inside, "log")) if name.endswith(".tlog"))

        def cut(path):
            with open(path, "r+b") as file:
                file.truncate(os.path.getsize(path) - 1)

        def altered(path):
            with open(path, "r+b") as file:
                file.seek(os.path.getsize(path) // 2)
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 1]))

        def added(path):
            with open(path + "-more", "w") as file:
                file.write("x")

        cases = [(change, name, code) for name in ("tally.json", "tally.db", segment,
                                                   "log-key/key.pem")
                 for change, code in ((cut, "cli.backup-file-changed"),
                                      (altered, "cli.backup-file-changed"),
                                      (os.remove, "cli.backup-file-missing"),
                                      (added, "cli.backup-file-foreign"))]
        for change, name, code in cases:
            with self.subTest(change=change.__name__, name=name):
                bad, into = world.path("bad"), world.path("bad-restored")
                shutil.rmtree(bad, ignore_errors=True)
                shutil.copytree(target, bad)
                change(os.path.join(bad, "folder", name))
                done = tally("restore", bad, into, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(code, done.stderr)
                self.assertFalse(os.path.exists(into))
                self.assertFalse(os.path.exists(into + ".restoring"))

    def test_parts_that_do_not_belong_together_are_not_restored(self):
        """A manifest that fits says nothing of what the parts say of each other."""
        early, _ = back_up(consumer, "early")
        consumer.read(reader, agreement)
        consumer.app("later-app", connectors.RESEARCH)
        consumer.app("latest-app", connectors.RESEARCH)
        late, _ = back_up(consumer, "late")
        mixed = world.path("mixed")
        shutil.copytree(late, mixed)
        shutil.rmtree(os.path.join(mixed, "folder", "log"))
        shutil.copytree(os.path.join(early, "folder", "log"),
                        os.path.join(mixed, "folder", "log"))
        files = {name: about for name, about in manifest_of(late)["files"].items()
                 if not name.startswith("log/")}
        files.update((name, about) for name, about in manifest_of(early)["files"].items()
                     if name.startswith("log/"))
        with open(os.path.join(mixed, "backup.json"), "w") as file:
            json.dump(dict(manifest_of(late), files=files), file)
        done = tally("restore", mixed, world.path("mixed-restored"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cli.copy-database-ahead", done.stderr)

    def test_a_copy_that_nobody_fetched_goes_with_the_next(self):
        for _ in range(2):
            made = consumer.api("POST", "/api/v1/backups")
            self.assertEqual(made.status, 201, made)
            self.assertEqual(os.listdir(consumer.path("backup-under-way")),
                             [os.path.basename(made.json()["database"])])
        consumer.stop()
        consumer.start()
        self.assertFalse(os.path.exists(consumer.path("backup-under-way")))

    def test_only_an_administrator_orders_one(self):
        for role in ("auditor", "operator"):
            token = consumer.add_token("a-" + role, role)
            consumer.stop()
            consumer.start()
            self.assertEqual(consumer.api("POST", "/api/v1/backups", token=token).status, 403)

    def test_nothing_is_written_over(self):
        target, _ = back_up(consumer, "once")
        again = tally("backup", consumer.folder, target, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("cli.target-not-empty", again.stderr)
        into = tally("restore", target, consumer.folder, check=False)
        self.assertEqual(into.returncode, 1)
        self.assertIn("cli.target-not-empty", into.stderr)
        unfinished = world.path("unfinished")
        shutil.copytree(target, unfinished)
        os.remove(os.path.join(unfinished, "backup.json"))
        done = tally("restore", unfinished, world.path("never"), check=False)
        self.assertIn("cli.backup-none", done.stderr)


if __name__ == "__main__":
    connectors.main()
