"""`tally policy check` and `tally policy cases`: what they print, and how they exit."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

TALLY, SOURCE = sys.argv[1], sys.argv[2]
del sys.argv[1:]


def policy(**changes):
    made = {
        "@context": "http://www.w3.org/ns/odrl.jsonld",
        "@type": "Offer",
        "@id": "urn:test:offer",
        "permission": [{
            "action": "use",
            "target": "urn:test:asset",
            "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": 3}],
        }],
    }
    made.update(changes)
    return made


def misspelt():
    made = policy()
    made["permission"][0]["constraint"][0]["leftOperand"] = "cuont"
    made["permission"][0]["action"] = "raed"
    return made


def case(decision):
    return {
        "format": "odrl-case/1",
        "id": "a-use",
        "kind": "evaluate",
        "options": {"behaviour": "closed"},
        "policy": policy(**{"@type": "Set"}),
        "request": {"assignee": "urn:b", "action": "http://www.w3.org/ns/odrl/2/use",
                    "target": "urn:test:asset"},
        "stateOfTheWorld": {"currentTime": "2026-01-01T00:00:00Z"},
        "expected": {"decision": decision},
    }


class Policy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, content, name="one.json"):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def tally(self, *arguments):
        done = subprocess.run([TALLY, *arguments], capture_output=True, encoding="utf-8",
                              timeout=30, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_a_good_policy(self):
        code, out, _ = self.tally("policy", "check", self.file(policy()))
        self.assertEqual(code, 0)
        self.assertIn("can be enforced", out)

    def test_every_fault_at_once_with_its_place(self):
        code, out, _ = self.tally("policy", "check", self.file(misspelt()))
        self.assertEqual(code, 1)
        self.assertIn("/permission/0/constraint/0/leftOperand: ", out)
        self.assertIn('"count"', out)
        self.assertIn("/permission/0/action: ", out)
        self.assertNotIn("can be enforced", out)

    def test_an_offer_file_has_its_own_places(self):
        offer = {"visibleTo": [{"domain": "health"}], "policy": misspelt()}
        code, out, _ = self.tally("--json", "policy", "check", self.file(offer))
        self.assertEqual(code, 1)
        report = json.loads(out)
        self.assertEqual(
            {(one["pointer"], one["code"]) for one in report[0]["problems"]},
            {("/policy/permission/0/action", "odrl.unknown-action"),
             ("/policy/permission/0/constraint/0/leftOperand", "odrl.unknown-left-operand")})

    def test_only_an_offer_can_be_offered(self):
        made = policy(**{"@type": "Set"})
        self.assertEqual(self.tally("policy", "check", self.file(made))[0], 0)
        code, out, _ = self.tally("policy", "check", self.file({"visibleTo": [], "policy": made}))
        self.assertEqual(code, 1)
        self.assertIn("/policy/@type: ", out)

    def test_a_warning_refuses_nothing(self):
        made = policy()
        made["permission"][0]["action"] = "copy"
        code, out, _ = self.tally("policy", "check", self.file(made))
        self.assertEqual(code, 0)
        self.assertIn("note: ", out)
        self.assertIn("reproduce", out)

    def test_one_bad_file_among_good_ones(self):
        good, bad = self.file(policy(), "good.json"), self.file(misspelt(), "bad.json")
        code, out, _ = self.tally("policy", "check", good, bad)
        self.assertEqual(code, 1)
        self.assertIn("good.json: everything", out)
        self.assertIn("bad.json /permission", out)

    def test_what_is_no_json_and_what_is_not_there(self):
        self.assertEqual(self.tally("policy", "check", self.file('{"a": 1, "a": 2}'))[0], 1)
        code, _, err = self.tally("policy", "check", os.path.join(self.folder.name, "none.json"))
        self.assertEqual(code, 3)
        self.assertIn("none.json", err)
        self.assertEqual(self.tally("policy", "check", self.folder.name)[0], 3)

    def test_in_chinese(self):
        code, out, _ = self.tally("--lang", "zh", "policy", "check", self.file(misspelt()))
        self.assertEqual(code, 1)
        self.assertIn("左操作数", out)

    def test_the_project_s_offers(self):
        files = sorted(glob.glob(os.path.join(SOURCE, "policies", "*.json")))
        self.assertGreater(len(files), 3)
        code, out, _ = self.tally("policy", "check", *files)
        self.assertEqual(code, 0, out)

    def test_the_project_s_cases(self):
        code, out, _ = self.tally("policy", "cases", os.path.join(SOURCE, "tests/data/odrl"))
        self.assertEqual(code, 0, out)
        self.assertRegex(out.splitlines()[-1], r"^\d\d+ passed, 0 failed$")

    def test_a_wrong_case_is_told(self):
        self.file(case("deny"), "wrong.json")
        self.file(case("permit"), "right.json")
        os.mkdir(os.path.join(self.folder.name, "folder.json"))
        code, out, _ = self.tally("policy", "cases", self.folder.name)
        self.assertEqual(code, 1)
        lines = out.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("expected deny, got permit", lines[0])
        self.assertEqual(lines[1], "1 passed, 1 failed")
        code, out, _ = self.tally("--json", "policy", "cases", self.folder.name)
        self.assertEqual((code, json.loads(out)["failed"]), (1, 1))

    def test_cases_that_are_not_there(self):
        code, _, err = self.tally("policy", "cases", os.path.join(self.folder.name, "none"))
        self.assertEqual(code, 3)
        self.assertIn("none", err)

    def test_what_nobody_expects_is_said_too(self):
        code, _, err = self.tally("audit", "verify", "a" * 5000)
        self.assertEqual(code, 3)
        self.assertIn("cli.unexpected: ", err)


unittest.main()
