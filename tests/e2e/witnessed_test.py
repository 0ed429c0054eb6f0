"""Two connectors with an agreement witness each other's logs, and one that was set back is told so."""
import hashlib
import json
import os
import shutil
import unittest

import connectors
import wires
from connectors import HOSPITAL, INSTITUTE, Pair, World, eventually, run


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    pair.start()


def held_at(witness, owner):
    """The size of the owner's log that the witness cosigned last."""
    origin = owner.uri + "/log/1"
    context = world.authority.context(owner.path("tls", "issued.pem"), owner.path("tls", "key.pem"))
    answer = wires.call(witness.peers_port, "GET", "/tally/v1/witness/%s/checkpoint"
                        % hashlib.sha256(origin.encode()).hexdigest(), context=context)
    return int(answer.body.split(b"\n")[1]) if answer.status == 200 else 0


def seq_of(connector, type):
    return max(record["seq"] for record in connector.records(type))


class Witnessed(unittest.TestCase):
    def test_1_each_milestone_is_cosigned_by_the_other_side(self):
        agreement = consumer.agree(provider)
        for witness, owner in ((provider, consumer), (consumer, provider)):
            eventually(lambda: held_at(witness, owner) > seq_of(owner, "contract.finalized"),
                       owner.name + " is witnessed")
        consumer.transfer(agreement)
        for witness, owner in ((provider, consumer), (consumer, provider)):
            eventually(lambda: held_at(witness, owner) > seq_of(owner, "transfer.completed"),
                       owner.name + " is witnessed again")
            self.assertTrue(witness.records("checkpoint.witnessed"))
            self.shows_all_records_of(owner, agreement)

    def shows_all_records_of(self, owner, agreement):
        def audit(*arguments, check=True):
            return run(connectors.options.tally, "audit", *arguments, check=check)

        key, shown = audit("key", owner.folder).stdout.strip(), world.path(owner.name + ".heads")
        audit("heads", owner.folder, "--agreement", agreement, "--out", shown)
        said = json.loads(
            audit("check-heads", shown, "--agreement", agreement, "--vkey", key, "--json").stdout)
        last = owner.records("log.heads")[-1]["seq"]
        self.assertLessEqual(said["upTo"], last)
        mine = [record for record in owner.records()
                if record.get("agreement") == agreement and record["seq"] < said["upTo"]]
        self.assertEqual((said["count"], said["last"]["seq"]), (len(mine), mine[-1]["seq"]))
        self.assertGreater(len(mine), 3)
        other = consumer if owner is provider else provider
        foreign = audit("key", other.folder).stdout.strip()
        self.assertEqual(audit("check-heads", shown, "--agreement", agreement, "--vkey", foreign,
                               check=False).returncode, 1)
        self.assertEqual(audit("check-heads", shown, "--agreement", agreement, check=False)
                         .returncode, 3)
        audit("heads", owner.folder, "--agreement", "urn:a:none", "--out", shown)
        self.assertIn("no record of this agreement", audit(
            "check-heads", shown, "--agreement", "urn:a:none", "--vkey", key).stdout)

    def test_2_an_old_backup_is_not_extended(self):
        self.assertEqual(consumer.stop(), 0)
        backup = world.path("backup")
        shutil.copytree(consumer.folder, backup)
        before = held_at(provider, consumer)
        consumer.start()
        agreement = consumer.agree(provider)
        eventually(lambda: held_at(provider, consumer) > seq_of(consumer, "contract.finalized"),
                   "witnessed")
        self.assertGreater(held_at(provider, consumer), before)
        self.assertEqual(consumer.stop(), 0)
        newest = world.path("newest")
        os.rename(consumer.folder, newest)
        shutil.copytree(backup, consumer.folder)
        size = len(consumer.records())
        consumer.spawn()
        self.assertEqual(consumer.wait_ended(), 1)
        self.assertTrue(consumer.notices("audit.log-behind"), consumer.text())
        self.assertEqual(len(consumer.records()), size)
        consumer.kill9()
        shutil.rmtree(consumer.folder)
        os.rename(newest, consumer.folder)
        consumer.start()

    def test_3_who_cannot_be_asked_does_not_hold_up_a_start(self):
        consumer.stop()
        provider.stop()
        consumer.start()
        opened = consumer.records("log.opened")
        self.assertEqual([party["uri"] for party in opened[-1]["unwitnessed"]], [HOSPITAL])
        provider.start()

    def test_4_both_logs_are_whole(self):
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
            code, report = side.verify()
            self.assertEqual(code, 0, report)


if __name__ == "__main__":
    connectors.main()
