"""A connector that was set back goes on with a new log: what was open has ended, on both sides that
is known, and the partner witnesses the new log. Killed at every step it is finished by doing it again."""
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import unittest
import urllib.parse

import connectors
import wires
from connectors import HEALTH, RESEARCH, Pair, World, eventually, read_segment, run

CALLED = "urn:hospital:called"
LIMIT = 2


def setUpModule():
    global world, provider, consumer, held, called, opened, rolled_back
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    provider.offer(CALLED, name="called", count=LIMIT, delivery="call")
    pair.start()
    held = pair.held()
    called = consumer.agree(provider, CALLED)
    opened = consumer.begin("transfers", {"agreement": called, "format": "HttpData-QUERY"})
    consumer.ended_process("transfers", opened, ("STARTED",))
    provider.app("kept", RESEARCH)  # an order, with the fact whose token gave it
    witnessed(consumer, provider, 1)
    provider.stop()
    rolled_back = world.path("rolled-back")
    shutil.copytree(provider.folder, rolled_back)
    provider.start()
    for _ in range(LIMIT):
        assert call().status == 200
    assert call().status != 200
    consumer.agree(provider)
    witnessed(consumer, provider, 1)
    provider.stop()
    restore(provider, rolled_back)


def audit(*arguments, check=True, **more):
    return run(connectors.options.tally, "audit", *arguments, check=check, **more)


def restore(connector, copy):
    shutil.rmtree(connector.folder)
    shutil.copytree(copy, connector.folder)


def cosigned(witness, owner, number):
    """The size of the owner's log that the witness cosigned last."""
    origin = "%s/log/%d" % (owner.uri, number)
    context = world.authority.context(owner.path("tls", "issued.pem"), owner.path("tls", "key.pem"))
    answer = wires.call(witness.peers_port, "GET", "/tally/v1/witness/%s/checkpoint"
                        % hashlib.sha256(origin.encode()).hexdigest(), context=context)
    return int(answer.body.split(b"\n")[1]) if answer.status == 200 else 0


def witnessed(witness, owner, number):
    last = max(record["seq"] for record in owner.records(
        "contract.finalized", "contract.terminated", "transfer.completed", "data.destroyed"))
    eventually(lambda: cosigned(witness, owner, number) > last, owner.name + " is witnessed")


def call(agreement=None):
    """One use that the provider serves; what answered where there was no way to one."""
    order = {"agreement": agreement or called, "format": "HttpData-QUERY"}
    answer = consumer.api("POST", "/api/v1/transfers", order)
    if answer.status != 202:
        return answer
    pid = answer.json()["id"]
    process = consumer.ended_process("transfers", pid, ("STARTED", "TERMINATED"))
    if process["state"] == "TERMINATED":
        answer.status, answer.process = 403, process
        return answer
    address = consumer.get("/api/v1/transfers/%s/address" % pid)
    context = world.authority.context(
        consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))
    return wires.call(provider.peers_port, "GET", urllib.parse.urlsplit(address["endpoint"]).path,
                      token=address["authorization"], context=context)


def records_in(folder):
    found = []
    for segment in sorted(os.listdir(folder)):
        if segment.endswith(".tlog"):
            with open(os.path.join(folder, segment), "rb") as file:
                found += map(json.loads, read_segment(file.read()))
    return found


def refused_start(connector, code):
    connector.spawn()
    assert connector.wait_ended() == 1
    text = connector.text()
    connector.kill9()
    assert code in text, text


def set_back(connector, copy):
    """Restores the copy and has the connector learn it. What proves it is beside the log then."""
    connector.stop()
    restore(connector, copy)
    size = len(connector.records())
    refused_start(connector, "audit.log-behind")
    assert len(connector.records()) == size


class NewLog(unittest.TestCase):
    def whole(self, folder):
        code, report = provider.verify(folder)
        self.assertEqual(code, 0, report)
        deep = audit("verify", folder, "--deep", check=False)
        self.assertEqual(deep.returncode, 0, deep.stdout)
        return report

    def test_1_without_a_proof_it_has_to_be_said(self):
        folder = world.path("unproven")
        shutil.copytree(rolled_back, folder)
        done = audit("new-log", folder, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--without-proof", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(folder, "log-1")))
        self.assertFalse(os.path.exists(os.path.join(folder, "new-log")))
        audit("new-log", folder, "--without-proof")
        report = self.whole(folder)
        self.assertEqual(report["follows"]["proofs"], [])
        self.assertIn("audit.verify-follows-unproven", [note["code"] for note in report["notes"]])

    def test_2_what_a_partner_shows_is_kept_and_named(self):
        refused_start(provider, "audit.log-behind")
        notes = [name for name in os.listdir(provider.path("log")) if name.startswith("proof-")]
        self.assertEqual(len(notes), 1)
        self.whole(provider.folder)  # no part of the log, and no harm to it

    def test_3_killed_at_any_step_it_is_finished_by_the_next_try(self):
        folder, count = world.path("killed"), world.path("count")
        shim = dict(os.environ, LD_PRELOAD=connectors.options.kill_at, TALLY_KILL_COUNT=count,
                    ASAN_OPTIONS="verify_asan_link_order=0")
        size = len(provider.records())
        command = [connectors.options.tally, "audit", "new-log", folder]
        steps, refusals = 0, 0
        while True:
            steps += 1
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(provider.folder, folder)
            done = subprocess.run(command, capture_output=True, text=True,
                                  env=dict(shim, TALLY_KILL_AT=str(steps)))
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
            if os.path.exists(os.path.join(folder, "new-log")):
                refusals += 1
                daemon = subprocess.run([connectors.options.tallyd, folder], capture_output=True,
                                        text=True)
                self.assertEqual(daemon.returncode, 1)
                self.assertIn("daemon.new-log-unfinished", daemon.stderr)
                run(*command)
            elif os.path.exists(os.path.join(folder, "log-1")):
                pass  # the last step was done
            else:
                run(*command)
            self.check_finished(folder, size, steps)
        self.check_finished(folder, size, steps)
        # Every durable step was met, and the count of the last run says how many there are.
        with open(count) as file:
            self.assertEqual(int(file.read()), steps - 1)
        self.assertGreater(steps, 20)
        self.assertGreater(refusals, 10)

    def check_finished(self, folder, size, step):
        self.assertFalse(os.path.exists(os.path.join(folder, "new-log")), step)
        self.assertFalse(os.path.exists(os.path.join(folder, "log.new")), step)
        before, after = records_in(os.path.join(folder, "log-1")), records_in(
            os.path.join(folder, "log"))
        self.assertEqual((len(before), len(after)), (size, 1), step)
        follows = after[0]["follows"]
        self.assertEqual((follows["origin"], follows["size"], len(follows["proofs"])),
                         (before[0]["log"], size, 1), step)
        self.assertEqual(after[0]["log"], provider.uri + "/log/2")
        with sqlite3.connect(os.path.join(folder, "tally.db")) as store:
            open_rows = store.execute(
                "SELECT count(*) FROM row WHERE kind = 'agreement' AND state IN "
                "('agreed', 'active', 'suspended')").fetchone()[0]
            drafts = [json.loads(draft) for draft, in store.execute("SELECT draft FROM outbox")]
            mark = store.execute("SELECT size, leaf FROM mark").fetchone()
            kinds = {kind for kind, in store.execute("SELECT DISTINCT kind FROM row")}
        store.close()
        self.assertEqual(open_rows, 0, step)
        self.assertFalse(kinds & {"cosigned", "statement-range", "statement-round"}, step)
        ended = [draft["agreement"] for draft in drafts if draft["type"] == "contract.terminated"]
        self.assertEqual(sorted(ended), sorted([held, called]), step)
        self.assertEqual(mark[0], 1, step)
        code, report = provider.verify(folder)
        self.assertEqual((code, report["leaf"]), (0, mark[1]), report)
        self.assertEqual(provider.verify(os.path.join(folder, "log-1"))[0], 0, step)

    def test_4_the_old_agreements_have_ended_and_a_new_one_is_witnessed(self):
        size = len(provider.records())
        begun = json.loads(audit("new-log", provider.folder, "--json").stdout)
        self.assertEqual(begun["ended"], {"agreements": 2, "negotiations": 0, "transfers": 1})
        self.assertEqual(begun["follows"]["size"], size)
        facts = set(os.listdir(provider.path("private", "blobs")))
        self.assertTrue(facts)
        # Without a new loss there is no reason for a third log.
        self.assertEqual(audit("new-log", provider.folder, check=False).returncode, 1)
        provider.start()
        ended = provider.records("contract.terminated")
        self.assertEqual(sorted(record["agreement"] for record in ended), sorted([held, called]))
        for record in ended:
            self.assertEqual(record["reason"], {"code": "negotiation.log-given-up",
                                                "params": {"log": provider.uri + "/log/1"}})
            self.assertEqual(record["aseq"], 1)
        for agreement in (held, called):
            self.assertEqual(provider.agreement(agreement)["state"], "terminated")
        # What was under way is ended on the other side, too.
        self.assertEqual([record["agreement"] for record in
                          provider.records("transfer.terminated")], [called])
        process = consumer.ended_process("transfers", opened, ("TERMINATED",))
        self.assertEqual(process["reason"]["code"], "negotiation.log-given-up")
        # Facts of the log before are not those of nobody.
        self.assertLessEqual(facts, set(os.listdir(provider.path("private", "blobs"))))
        with open(provider.path("tally.json")) as file:
            person = json.load(file)["listeners"]["management"]["tokens"][0]["name"]
        audit("erase", provider.folder, "--subject", person, "--basis", "asked-for")
        self.assertGreaterEqual(provider.records("private.erased")[-1]["former"], 1)
        self.assertFalse(facts & set(os.listdir(provider.path("private", "blobs"))))
        # That the agreement has ended the partner does not know yet, and is refused.
        self.assertEqual(consumer.agreement(called)["state"], "active")
        answer = call()
        self.assertNotEqual(answer.status, 200, "the count of an ended agreement is whole again")
        said = answer.process["reason"]["params"]["reason"]
        self.assertIn("transfer.agreement-not-active", said)
        self.assertIn("terminated", said)

        fresh = consumer.agree(provider)
        self.assertEqual(consumer.transfer(fresh)["state"], "COMPLETED")
        reader = consumer.app("reader", RESEARCH)
        self.assertEqual(consumer.read(reader, fresh).status, 200)
        witnessed(consumer, provider, 2)
        self.assertGreater(consumer.records("checkpoint.witnessed")[-1]["peer"]["size"], 1)
        origins = {record["peer"]["origin"] for record in consumer.records("checkpoint.witnessed")}
        self.assertIn(provider.uri + "/log/2", origins)
        witnessed(provider, consumer, 1)
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
        report = self.whole(provider.folder)
        self.assertEqual(report["follows"], begun["follows"])
        self.whole(provider.path("log-1"))
        self.whole(consumer.folder)
        self.proven_and_bundled(fresh)

    def proven_and_bundled(self, fresh):
        proof, record = world.path("genesis.proof"), world.path("genesis.json")
        audit("prove", provider.folder, "0", "--out", proof, "--record", record)
        key = audit("key", provider.folder).stdout.strip()
        audit("check-proof", proof, record, "--vkey", key)
        with open(record) as file:
            self.assertEqual(json.load(file)["follows"]["origin"], provider.uri + "/log/1")
        anchors = world.authority.anchor(HEALTH)
        # Of the new agreement from the new log, of one that has ended from the log it was made in.
        for agreement, origin in ((fresh, "/log/2"), (held, "/log/1")):
            bundle = world.path("bundle.tar")
            audit("bundle", provider.folder, "--agreement", agreement, "--out", bundle)
            done = audit("check-bundle", bundle, "--anchors", anchors, "--json", check=False)
            said = json.loads(done.stdout)
            self.assertIn(done.returncode, (0, 2), said)
            self.assertNotIn("finding", said)
            self.assertEqual(said["log"], provider.uri + origin)
        lines = json.loads(audit(
            "reconcile", provider.folder, consumer.folder, "--json", check=False).stdout)["lines"]
        mine = [line for line in lines if line["agreement"] == fresh]
        self.assertTrue(mine)
        self.assertEqual({line["result"] for line in mine}, {"MATCH"}, mine)

    def test_5_a_second_time_gives_a_third_log(self):
        copy = world.path("second")
        shutil.copytree(provider.folder, copy)
        provider.start()
        consumer.start()
        consumer.agree(provider)
        witnessed(consumer, provider, 2)
        set_back(provider, copy)
        audit("new-log", provider.folder)
        provider.start()
        report = provider.verify()[1]
        self.assertEqual(report["origin"], provider.uri + "/log/3")
        self.assertEqual(report["follows"]["origin"], provider.uri + "/log/2")
        for number in (1, 2):
            self.assertEqual(provider.verify(provider.path("log-%d" % number))[0], 0)
        again = consumer.agree(provider)
        self.assertEqual(consumer.transfer(again)["state"], "COMPLETED")
        witnessed(consumer, provider, 3)

    def test_6_what_a_consumer_held_is_destroyed_and_the_provider_told(self):
        agreement = consumer.agree(provider)
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        witnessed(provider, consumer, 1)
        consumer.stop()
        copy = world.path("consumer-copy")
        shutil.copytree(consumer.folder, copy)
        consumer.start()
        consumer.agree(provider)
        witnessed(provider, consumer, 1)
        set_back(consumer, copy)
        self.assertTrue(consumer.custody_files())
        audit("new-log", consumer.folder)
        consumer.start()
        eventually(lambda: not [name for name in consumer.custody_files() if ".key" in name],
                   "the keys of what was held are gone")
        eventually(lambda: [record for record in consumer.records("data.destroyed")
                            if record["agreement"] == agreement], "its destruction is recorded")
        eventually(lambda: [record for record in provider.records("receipt.held")
                            if record["agreement"] == agreement and
                            record.get("peer", {}).get("origin", "").endswith("/log/2")],
                   "the provider holds the note of deletion")
        reader = consumer.app("late", RESEARCH)
        self.assertNotEqual(consumer.read(reader, agreement).status, 200)
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
            self.whole(side.folder)


if __name__ == "__main__":
    connectors.main()
