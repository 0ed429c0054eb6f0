"""`tally doctor` finds what is wrong with a connector, running or not, and says what to do."""
import json
import os
import shutil
import unittest

from connectors import Pair, World


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world).start()
    provider, consumer = pair.provider, pair.consumer


def look(connector, lang="en"):
    """The exit code, and what was found: check -> [(of, health, code)]."""
    done = connector.tally("--json", "--lang", lang, "doctor", check=False)
    found = {}
    for one in json.loads(done.stdout):
        found.setdefault(one["check"], []).append((one["of"], one["health"], one["code"]))
        assert "{" not in one["text"], one
    return done.returncode, found


class Doctor(unittest.TestCase):
    def test_1_all_is_well(self):
        for lang in ("en", "zh"):
            code, found = look(consumer, lang)
            self.assertEqual(code, 0, found)
        self.assertEqual({one[1] for each in found.values() for one in each}, {"good"})
        self.assertEqual(found["peer"], [(provider.uri, "good", "cli.doctor-peer-good")])
        self.assertLessEqual({"log", "store", "clock", "certificate", "anchor", "list", "disk",
                              "documents", "duties"}, set(found))

    def test_2_a_document_with_a_fault(self):
        consumer.drop("policies", "wrong", {"visibleTo": []})
        code, found = look(consumer)
        while "policies/wrong.json/policy" not in [one[0] for one in found["documents"]]:
            code, found = look(consumer)
        self.assertEqual(code, 1)
        os.remove(consumer.path("policies", "wrong.json"))

    def test_3_certificates_and_lists_that_end(self):
        saved = {}
        for kind, days in (("tls", 20), ("contract", -1)):
            file = consumer.path(kind, "chain.pem")
            saved[file] = file + ".saved"
            shutil.copy(file, saved[file])
            chain, _ = world.authority.issue("health", [consumer.uri], days=days)
            shutil.copy(chain, file)
        code, found = look(consumer)
        for file in saved:
            shutil.move(saved[file], file)
        self.assertEqual(code, 1)
        self.assertEqual([one for one in found["certificate"] if one[0] != "-"],
                         [("tls", "soon", "cli.doctor-tls-soon"),
                          ("contract", "bad", "cli.doctor-contract-over")])

    def test_4_a_peer_that_is_away_and_a_connector_that_is_off(self):
        provider.stop()
        code, found = look(consumer)
        self.assertEqual((code, found["peer"][0][1:]), (1, ("bad", "net.peer-unreachable")))
        code, found = look(provider)
        self.assertEqual((code, found["connector"][0][1:]), (1, ("bad", "cli.doctor-not-running")))
        self.assertEqual([one[1] for one in found["certificate"]], ["good", "good"])
        self.assertNotIn("peer", found)

    def test_5_a_certificate_that_ends_soon_is_said_at_the_start(self):
        consumer.stop()
        chain, key = world.authority.issue("health", [consumer.uri], days=20)
        shutil.copy(chain, consumer.path("tls", "chain.pem"))
        shutil.copy(key, consumer.path("tls", "key.pem"))
        consumer.start()
        said = consumer.notices("daemon.certificate-soon")
        self.assertEqual(len(said), 1)
        self.assertIn(said[0]["params"]["days"], ("19", "20"))
        ready = [one for one in consumer.ready().json()["checks"] if one["check"] == "certificate"]
        self.assertEqual((ready[0]["good"], ready[0]["code"]), (True, "daemon.certificate-soon"))


if __name__ == "__main__":
    import connectors
    connectors.main()
