"""Old copies of parts of a connector's folder put back: no use comes back with them, no ended
contract, no data that was destroyed; what cannot be told apart from tampering is refused by name."""
import os
import shutil
import sqlite3
import unittest

import connectors
from connectors import Pair, World, eventually
from witnessed_test import held_at
import witnessed_test

STORE = "tally.db"


def setUpModule():
    global world, pair, provider, consumer
    world = witnessed_test.world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3, until="2099-01-01T00:00:00Z", delete=True)
    pair.start()


class Restored(unittest.TestCase):
    def setUp(self):
        for side in (provider, consumer):
            if side.ended():
                side.start()
        self.agreement = pair.held()
        name = "app-" + self.agreement.rsplit(":", 1)[-1]
        self.app = consumer.app(name, connectors.RESEARCH, agreements=[self.agreement])
        self.assertEqual(consumer.read(self.app, self.agreement).status, 200)

    def keep(self, *names):
        """A copy of the named parts as they are at a clean stop. The connector is started again."""
        self.assertEqual(consumer.stop(), 0)
        self.kept = world.path("kept")
        shutil.rmtree(self.kept, ignore_errors=True)
        os.mkdir(self.kept)
        for name in names:
            whole = consumer.path(name)
            if os.path.isdir(whole):
                shutil.copytree(whole, os.path.join(self.kept, name))
            else:
                shutil.copy2(whole, os.path.join(self.kept, name))
        self.names = names
        consumer.start()

    def put_back(self, passed_off=False):
        """Returns the folder with the newest, to go on with. `passed_off`: the older store says of
        itself that it is as new as the one it replaces, as somebody would who wants it taken."""
        self.assertEqual(consumer.stop(), 0)
        with sqlite3.connect(consumer.path(STORE)) as store:
            mark = store.execute("SELECT size, leaf FROM mark").fetchone()
        store.close()
        newest = world.path("newest")
        shutil.rmtree(newest, ignore_errors=True)
        shutil.copytree(consumer.folder, newest, symlinks=True)
        for path in [consumer.path(name) for name in self.names]:
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        shutil.copytree(self.kept, consumer.folder, dirs_exist_ok=True)
        if passed_off:
            with sqlite3.connect(consumer.path(STORE)) as store:
                store.execute("UPDATE mark SET size = ?, leaf = ?", mark)
            store.close()
        return newest

    def refused(self, code, newest):
        """It does not start, names the part, writes nothing, and goes on with the newest."""
        size = len(consumer.records())
        seen = len(consumer.text())
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        said = consumer.text()[seen:]
        self.assertIn(code, said)
        self.assertNotIn("daemon.serving", said)
        self.assertEqual(len(consumer.records()), size)
        self.with_newest(newest)
        return said

    def with_newest(self, newest):
        consumer.kill9()
        shutil.rmtree(consumer.folder)
        shutil.copytree(newest, consumer.folder, symlinks=True)
        consumer.start()

    def end(self):
        ended = consumer.api("POST", "/api/v1/agreements/%s/termination" % self.agreement,
                             {"reason": "over"})
        self.assertEqual(ended.status, 200, ended)
        eventually(lambda: [record for record in consumer.records("data.destroyed")
                            if record.get("agreement") == self.agreement], "destroyed")

    def uses(self):
        return len([record for record in consumer.records("use.permitted")
                    if record.get("agreement") == self.agreement])

    def test_0_an_older_store_gives_no_use_back(self):
        """Of uses the log knows all: nothing is lost, and it goes on. First, while there is nothing
        else to record."""
        provider.stop()  # nothing comes from there meanwhile
        self.keep(STORE)
        for _ in range(2):
            self.assertEqual(consumer.read(self.app, self.agreement).status, 200)
        self.put_back()
        consumer.start()
        # The counts are the log's, whatever the store remembers.
        self.assertEqual(consumer.read(self.app, self.agreement).status, 403)
        self.assertEqual(self.uses(), 3)

    def test_1_a_store_that_lacks_an_agreement_is_named(self):
        self.keep(STORE)
        later = consumer.agree(provider)
        said = self.refused("audit.store-older", self.put_back())
        self.assertIn("contract.", said)
        self.assertEqual(consumer.agreement(later)["state"], "active")

    def test_2_a_store_that_lacks_the_removal_of_an_application_is_named(self):
        provider.stop()
        self.keep(STORE)
        name = "app-" + self.agreement.rsplit(":", 1)[-1]
        self.assertEqual(consumer.api("DELETE", "/api/v1/apps/" + name).status, 204)
        said = self.refused("audit.store-older", self.put_back())
        self.assertIn("admin.action", said)
        self.assertEqual(consumer.read(self.app, self.agreement).status, 401)

    def test_a_store_older_than_its_custody_is_named(self):
        self.keep(STORE)
        self.end()
        self.refused("audit.store-older", self.put_back())
        self.assertIn(consumer.read(self.app, self.agreement).status, (403, 404, 410))

    def test_a_store_newer_than_the_log_is_named(self):
        self.keep("log")
        consumer.agree(provider)
        self.refused("audit.log-short", self.put_back())

    def test_a_store_of_another_connector_is_named(self):
        provider.stop()
        self.keep(STORE)
        newest = self.put_back()
        shutil.copy2(provider.path(STORE), consumer.path(STORE))
        self.refused("audit.log-", newest)

    def test_an_older_store_revives_no_ended_contract_and_no_data(self):
        self.keep(STORE)
        self.end()
        self.put_back(passed_off=True)
        consumer.start()
        self.assertIn(consumer.read(self.app, self.agreement).status, (403, 404, 410))
        self.assertEqual(self.uses(), 1)

    def test_a_log_older_than_the_store_is_refused(self):
        self.keep("log")
        self.assertEqual(consumer.read(self.app, self.agreement).status, 200)
        self.refused("audit.log-short", self.put_back())

    def test_keys_from_an_older_copy_of_custody_are_destroyed_again(self):
        self.destroyed_again("custody")

    def test_with_the_store_of_the_same_day_too(self):
        self.destroyed_again("custody", STORE)

    def destroyed_again(self, *names):
        self.keep(*names)
        self.end()
        gone = set(consumer.custody_files())
        self.put_back(passed_off=STORE in names)
        self.assertNotEqual(set(consumer.custody_files()) - gone, set())
        consumer.start()
        eventually(lambda: set(consumer.custody_files()) <= gone, "destroyed again")
        self.assertIn(consumer.read(self.app, self.agreement).status, (403, 404, 410))


    def test_data_that_an_older_store_does_not_know_is_destroyed_and_recorded(self):
        self.keep(STORE)
        later = consumer.agree(provider)
        self.assertEqual(consumer.transfer(later)["state"], "COMPLETED")
        token = consumer.app("late-" + later[-12:], connectors.RESEARCH, agreements=[later])
        artefact = next(one["id"] for one in consumer.items("artefacts")
                        if one["agreement"] == later)
        self.put_back(passed_off=True)
        consumer.start()
        eventually(lambda: not [file for file in consumer.custody_files() if artefact in file],
                   "destroyed")
        self.assertIn(artefact, consumer.records("data.unknown")[-1]["artefacts"])
        self.assertTrue([notice for notice in consumer.notices("custody.unknown-destroyed")
                         if notice["params"]["artefact"] == artefact])
        self.assertNotEqual(consumer.read(token, later).status, 200)
        # What it knows is there as before.
        self.assertEqual(consumer.read(self.app, self.agreement).status, 200)

    def test_a_row_that_says_held_does_not_beat_the_log(self):
        """An older store and an older custody of an agreement whose data the log calls destroyed,
        while nothing else says that it has to go."""
        self.keep("custody", STORE)
        self.end()
        destroyed = consumer.records("data.destroyed")[-1]["artefacts"]
        self.put_back(passed_off=True)
        seen = len(consumer.notices("custody.destroyed-by-log"))
        consumer.start()
        eventually(lambda: not [file for file in consumer.custody_files()
                                if any(one in file for one in destroyed)], "destroyed again")
        self.assertGreater(len(consumer.notices("custody.destroyed-by-log")), seen)
        self.assertEqual(consumer.records("data.destroyed")[-1]["artefacts"], destroyed)

    def test_a_custody_from_before_a_rotation_opens_nothing_any_more(self):
        self.keep("custody")
        consumer.tally("custody", "rotate-key")
        newest = self.put_back()
        consumer.start()
        self.assertEqual(consumer.tally("custody", "check", check=False).returncode, 1)
        refused = consumer.read(self.app, self.agreement)
        self.assertEqual((refused.status, refused.code()), (503, "api.altered"))
        self.assertEqual(self.uses(), 1)
        reasons = [one["reason"]["code"] for one in consumer.get("/api/v1/custody")["altered"]]
        self.assertEqual(set(reasons), {"custody.wrong-key"})
        # The newest in its place is whole again.
        self.assertEqual(consumer.stop(), 0)
        shutil.rmtree(consumer.path("custody"))
        shutil.copytree(os.path.join(newest, "custody"), consumer.path("custody"))
        consumer.start()
        self.assertEqual(consumer.tally("custody", "check").returncode, 0)
        self.assertEqual(consumer.read(self.app, self.agreement).status, 200)

    def test_with_the_ring_of_the_same_day_it_is_not_started(self):
        older = world.path("older.key")
        self.keep("custody", STORE)
        shutil.copy2(consumer.wrapping_key, older)
        consumer.tally("custody", "rotate-key")
        newest_ring = world.path("newest.key")
        shutil.copy2(consumer.wrapping_key, newest_ring)
        newest = self.put_back(passed_off=True)
        shutil.copy2(older, consumer.wrapping_key)
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        self.assertIn("custody.ring-older", consumer.text())
        shutil.copy2(newest_ring, consumer.wrapping_key)
        self.with_newest(newest)

    def test_a_whole_older_folder_is_known_by_whoever_holds_a_later_head(self):
        everything = [name for name in os.listdir(consumer.folder)
                      if name != "lock" and not name.startswith(STORE + "-")]
        self.keep(*everything)
        for _ in range(2):
            self.assertEqual(consumer.read(self.app, self.agreement).status, 200)
        self.assertEqual(consumer.read(self.app, self.agreement).status, 403)
        # An act that the partner witnesses.
        consumer.transfer(consumer.agree(provider))
        eventually(lambda: consumer.records("checkpoint.witnessed"), "witnessed")
        size = len(consumer.records())
        eventually(lambda: held_at(provider, consumer) > size - 10, "the partner holds a late head")
        newest = self.put_back()
        size = len(consumer.records())
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        self.assertIn("audit.log-behind", consumer.text())
        self.assertEqual(len(consumer.records()), size)
        self.with_newest(newest)


if __name__ == "__main__":
    connectors.main()
