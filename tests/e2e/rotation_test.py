"""A running connector's log gets a new key: partners learn it, the old one ends, verify follows."""
import json
import os
import signal
import unittest

import connectors
from connectors import Pair, World, eventually, run
from witnessed_test import held_at, seq_of
import witnessed_test


def setUpModule():
    global world, provider, consumer
    world = witnessed_test.world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    pair.start()


def audit(*arguments, check=True):
    return run(connectors.options.tally, "audit", *arguments, check=check)


def key(connector):
    return audit("key", connector.folder).stdout.strip()


def key_file(connector, end=""):
    return connector.path("log-key", "key.pem" + end)


class Rotation(unittest.TestCase):
    def test_1_both_keys_sign_and_the_partner_learns_the_new_one(self):
        type(self).agreement = consumer.agree(provider)
        first = key(consumer)
        said = json.loads(audit("rotate-key", consumer.folder, "--overlap", "3600", "--json").stdout)
        self.assertEqual((said["before"], said["vkey"]), (first, key(consumer)))
        self.assertNotEqual(said["vkey"], first)
        self.assertEqual(os.stat(key_file(consumer)).st_mode & 0o777, 0o600)
        record, = consumer.records("key.rotated")
        self.assertEqual((record["seq"], record["vkey"]), (said["seq"], said["vkey"]))
        checkpoint = consumer.api("GET", "/log/checkpoint").body.decode()
        for vkey in (first, said["vkey"]):
            self.assertIn(self.signed_as(vkey), checkpoint)
        eventually(lambda: provider.records("witness.rekeyed"), "the partner learns it")
        eventually(lambda: held_at(provider, consumer) > said["seq"], "and cosigns on")
        learned, = provider.records("witness.rekeyed")
        self.assertEqual(learned["vkey"], said["vkey"])
        again = audit("rotate-key", consumer.folder, "--overlap", "3600", check=False)
        self.assertEqual(again.returncode, 1, again.stderr)
        self.assertIn("key.pem.old", again.stderr)

    def signed_as(self, vkey):
        import base64
        name, id, _ = vkey.split("+", 2)
        return "— %s %s" % (name, base64.b64encode(bytes.fromhex(id)).decode()[:5])

    def test_2_after_the_overlap_the_old_key_is_gone(self):
        keys = json.loads(audit("key", consumer.folder, "--json").stdout)["keys"]
        self.assertEqual([one["seq"] for one in keys], [0, consumer.records("key.rotated")[0]["seq"]])
        self.assertTrue(os.path.exists(key_file(consumer, ".old")))
        consumer.clock(3700)
        eventually(lambda: not os.path.exists(key_file(consumer, ".old")), "the old key is erased")
        self.assertEqual(consumer.records("admin.action")[-1]["vkey"], keys[0]["vkey"])
        checkpoint = consumer.api("GET", "/log/checkpoint").body.decode()
        self.assertIn(self.signed_as(keys[1]["vkey"]), checkpoint)
        self.assertNotIn(self.signed_as(keys[0]["vkey"]), checkpoint)
        provider.clock(3700)
        consumer.transfer(self.agreement)
        eventually(lambda: held_at(provider, consumer) > seq_of(consumer, "transfer.completed"),
                   "the partner cosigns what the new key alone signed")

    def test_3_proofs_hold_by_the_new_key_alone(self):
        self.assertEqual(consumer.stop(), 0)
        code, report = consumer.verify()
        self.assertEqual(code, 0, report)
        proof, record = world.path("proof"), world.path("record")
        audit("prove", consumer.folder, "3", "--out", proof, "--record", record)
        audit("tiles", consumer.folder, world.path("tiles"))
        keys = json.loads(audit("key", consumer.folder, "--json").stdout)["keys"]
        for vkey, good in ((keys[1]["vkey"], 0), (keys[0]["vkey"], 1)):
            shown = audit("check-proof", proof, record, "--vkey", vkey, check=False)
            self.assertEqual(shown.returncode, good, shown.stderr)
        consumer.start()

    def test_4_a_kill_right_after_a_rotation_changes_nothing(self):
        audit("rotate-key", consumer.folder, "--overlap", "3600")
        current = key(consumer)
        os.kill(consumer.process.pid, signal.SIGKILL)
        consumer.kill9()
        # As if the kill had come before the files changed their names.
        os.rename(key_file(consumer), key_file(consumer, ".new"))
        os.rename(key_file(consumer, ".old"), key_file(consumer))
        consumer.start()
        self.assertEqual(key(consumer), current)
        self.assertFalse(os.path.exists(key_file(consumer, ".new")))
        self.assertIn(self.signed_as(current), consumer.api("GET", "/log/checkpoint").body.decode())
        eventually(lambda: held_at(provider, consumer) > seq_of(consumer, "key.rotated"),
                   "cosigned under the third key")

    def test_5_a_log_without_its_current_key_is_not_started(self):
        self.assertEqual(consumer.stop(), 0)
        os.rename(key_file(consumer), key_file(consumer, ".kept"))
        os.rename(key_file(consumer, ".old"), key_file(consumer))
        size = len(consumer.records())
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        self.assertIn("daemon.log-key-other", consumer.text())
        self.assertEqual(len(consumer.records()), size)
        consumer.kill9()
        os.rename(key_file(consumer), key_file(consumer, ".old"))
        os.rename(key_file(consumer, ".kept"), key_file(consumer))
        consumer.start()
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
            code, report = side.verify()
            self.assertEqual(code, 0, report)


if __name__ == "__main__":
    connectors.main()
