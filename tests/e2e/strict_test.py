"""What an agreement that says `strict` waits for, and a start whose witnesses cannot be asked."""
import base64
import hashlib
import os
import unittest

import connectors
from connectors import (COHORT, HEALTH, HOSPITAL, RESEARCH, Pair, World, eventually, free_port,
                        policy, run)

STRICT = "urn:hospital:strict-2026"
REGULATOR = "did:web:regulator.example"


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer()
    provider.offer(STRICT, name="strict")
    document = policy(STRICT)
    document["permission"][0]["constraint"].append({
        "leftOperand": "urn:tally:profile:1#witnessing", "operator": "eq",
        "rightOperand": "strict"})
    document["profile"] = "urn:tally:profile:1"
    provider.drop("policies", "strict", {"visibleTo": [{"domain": HEALTH}], "policy": document})
    pair.start()


def vkey_of_a_witness():
    """A C2SP verifier key of type 4 whose private half nobody keeps."""
    raw = run("openssl", "genpkey", "-algorithm", "ed25519").stdout
    public = run("openssl", "pkey", "-pubout", input=raw).stdout
    key = base64.b64decode("".join(public.split("\n")[1:-2]))[-32:]
    name = REGULATOR + "/witness"
    typed = b"\x04" + key
    id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    return "%s+%s+%s" % (name, id.hex(), base64.b64encode(typed).decode())


class Strict(unittest.TestCase):
    def test_1_what_is_cosigned_in_time_goes_on(self):
        agreement = consumer.agree(provider, STRICT)
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        token = consumer.app("reader", RESEARCH, agreements=[agreement])
        eventually(lambda: consumer.read(token, agreement).status == 200, "read once cosigned")

    def test_2_a_reader_with_a_policy_believes_what_the_folder_shows(self):
        agreement = consumer.agree(provider)
        finalized = max(r["seq"] for r in consumer.records("contract.finalized"))
        kept = consumer.path("log", "cosigned")

        def size():
            with open(kept) as file:
                return int(file.read().split("\n")[1])
        eventually(lambda: os.path.exists(kept) and size() > finalized, "a cosigned checkpoint")
        key = run(connectors.options.tally, "audit", "key", consumer.folder).stdout.strip()
        with open(kept) as file:
            witness = [line.split() for line in file if line.startswith("\u2014")][-1][1]
        self.assertEqual(witness, HOSPITAL + "/witness")
        statement = provider.get("/api/v1/status")
        self.assertEqual(statement["witness"]["vkey"].split("+")[0], witness)
        policy_file = world.path("believed.policy")
        with open(policy_file, "w") as file:
            file.write("log %s\nwitness hospital %s\nquorum hospital\n"
                       % (key, statement["witness"]["vkey"]))
        shown, proof, record = (world.path("shown." + end) for end in ("heads", "proof", "record"))
        tally = connectors.options.tally
        run(tally, "audit", "heads", consumer.folder, "--agreement", agreement, "--out", shown)
        run(tally, "audit", "check-heads", shown, "--agreement", agreement, "--policy", policy_file)
        run(tally, "audit", "prove", consumer.folder, finalized, "--out", proof, "--record", record)
        run(tally, "audit", "check-proof", proof, record, "--policy", policy_file)
        served = consumer.api("GET", "/log/cosigned")
        self.assertEqual(served.status, 200)
        self.assertIn(witness.encode(), served.body)
        # Nor does a policy believe it that wants another witness.
        with open(policy_file, "w") as file:
            file.write("log %s\nwitness other %s\nquorum other\n" % (key, vkey_of_a_witness()))
        self.assertEqual(run(tally, "audit", "check-heads", shown, "--agreement", agreement,
                             "--policy", policy_file, check=False).returncode, 1)

    def test_3_without_its_partner_no_new_contract_until_it_was_asked(self):
        consumer.stop()
        provider.stop()
        consumer.start()
        order = {"peer": provider.party_json, "asset": COHORT, "purposes": [RESEARCH],
                 "offer": COHORT + ":offer", "policy": policy(COHORT)}
        provider.start()

        def refused():
            answer = consumer.api("POST", "/api/v1/negotiations", order)
            return answer.json().get("code") if answer.status == 503 else None
        # It may have been asked by now: what matters is that a contract is made in the end.
        first = refused()
        self.assertIn(first, (None, "negotiation.not-asked-yet"))
        eventually(lambda: refused() is None, "asked again")
        consumer.agree(provider)

    def test_4_with_the_regulator_away_only_strict_waits(self):
        provider.stop()
        vkey, port = vkey_of_a_witness(), free_port()
        with open(provider.path("quorum.policy"), "w") as file:
            file.write("witness regulator %s\nquorum regulator\n" % vkey)

        def add(config):
            config["peers"].append({"domain": HEALTH, "uri": REGULATOR,
                                    "url": "https://localhost:%d/dsp/2025-1" % port})
            config["witness"]["quorum"] = "quorum.policy"
            config["witness"]["witnesses"] = [{
                "name": "regulator", "vkey": vkey, "domain": HEALTH, "uri": REGULATOR,
                "url": "https://localhost:%d/witness" % port}]
        provider.edit(add)
        provider.start()
        loose = consumer.agree(provider)
        self.assertEqual(consumer.transfer(loose)["state"], "COMPLETED")
        strict = consumer.agree(provider, STRICT)
        ended = consumer.transfer(strict)
        self.assertEqual(ended["state"], "TERMINATED")
        mine = [one for one in provider.items("transfers") if one["agreement"] == strict][-1]
        self.assertEqual(mine["reason"]["code"], "usage.not-witnessed", mine)
        self.assertIn("regulator", str(mine["reason"]))
        self.assertIn("since", str(mine["reason"]))

        # The operator sees for whom it waits.
        seen = provider.get("/api/v1/witness")
        self.assertEqual((seen["quorum"]["name"], seen["quorum"]["reached"]), ("regulator", False))
        self.assertIn(strict, [one["agreement"] for one in seen["waiting"]])
        regulator = next(one for one in seen["witnesses"] if one.get("name") == "regulator")
        self.assertIn(strict, regulator["waiting"])
        self.assertNotIn(loose, regulator["waiting"])
        self.assertTrue(regulator["failingSince"])
        self.assertTrue(regulator["why"]["text"])
        partner = next(one for one in seen["witnesses"] if "name" not in one)
        self.assertEqual(partner["waiting"], [])
        said = provider.tally("audit", "witness", provider.folder).stdout
        self.assertIn("regulator", said)
        self.assertIn(strict, said)

    def test_5_both_logs_are_whole(self):
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
            code, report = side.verify()
            self.assertEqual(code, 0, report)


if __name__ == "__main__":
    connectors.main()
