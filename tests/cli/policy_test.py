"""The commands of `tally policy`: what they print, and how they exit."""

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

    def test_what_files_have_against_each_other(self):
        permits = policy(**{"@id": "urn:test:permits"})
        forbids = policy(**{"@id": "urn:test:forbids"})
        forbids["prohibition"] = [{"action": "distribute", "target": "urn:test:asset"}]
        code, out, _ = self.tally("policy", "check", self.file(permits, "a.json"),
                                  self.file(forbids, "b.json"))
        self.assertEqual(code, 0, out)
        self.assertRegex(out, r"b\.json: contradicts .*a\.json: .*/prohibition/0")
        # Its own rules contradict too, and nothing says which wins.
        self.assertRegex(out, r"note: .*void")
        forbids["conflict"] = "prohibit"
        code, out, _ = self.tally("policy", "check", self.file(forbids, "b.json"))
        self.assertNotIn("note: ", out)

    def test_a_policy_that_permits_nothing_is_told(self):
        made = policy()
        made["permission"][0]["constraint"] += [
            {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2026-01-01T00:00:00Z"},
            {"leftOperand": "dateTime", "operator": "gt", "rightOperand": "2027-01-01T00:00:00Z"}]
        code, out, _ = self.tally("policy", "check", self.file(made))
        self.assertEqual(code, 0)
        self.assertIn("permits nothing", out)

    def eval(self, *options, used=0, lang="en", side="consumer", **changes):
        agreement = self.file(policy(**{
            "@type": "Agreement", "assigner": "urn:a", "assignee": "urn:b"}), "agreement.json")
        request = {"assignee": "urn:b", "action": "http://www.w3.org/ns/odrl/2/read",
                   "target": "urn:test:asset"}
        request.update(changes)
        world = {"currentTime": "2026-01-01T00:00:00Z", "side": side,
                 "usage": [{"rule": "urn:test:offer#/permission/0", "count": used}]}
        return self.tally("--lang", lang, *options, "policy", "eval", agreement,
                          "--request", self.file(request, "request.json"),
                          "--world", self.file(world, "world.json"))

    def test_eval_permits_and_says_why(self):
        code, out, _ = self.eval(used=2)
        self.assertEqual(code, 0)
        self.assertIn("Permitted", out)
        code, out, _ = self.eval("--json", used=2)
        made = json.loads(out)
        self.assertEqual((made["decision"], made["reason"]), ("permit", "permitted"))
        self.assertEqual(made["decisiveRules"], ["urn:test:offer#/permission/0"])
        self.assertEqual(made["consume"]["countAfter"], 3)
        constraint = made["rules"][0]["constraints"][0]
        self.assertEqual((constraint["required"], constraint["actual"]), ("3", "3"))
        self.assertEqual((constraint["actualSource"], constraint["vouchedBy"]),
                         ("usage", "measured"))

    def test_eval_denies_and_says_what_would_change_it(self):
        code, out, _ = self.eval(used=3)
        self.assertEqual(code, 1)
        self.assertIn("3 of 3 uses are used", out)
        self.assertIn("No value of the request can change that", out)
        code, out, _ = self.eval(assignee="urn:c")
        self.assertEqual(code, 1)
        self.assertIn("urn:b", out)
        code, out, _ = self.eval(lang="zh", used=3)
        self.assertIn("3 次使用已用 3 次", out)

    def test_eval_needs_files_it_can_read(self):
        code, _, err = self.eval(contxt={})
        self.assertEqual(code, 3)
        self.assertIn("request.json", err)
        self.assertIn('"context"', err)

    def test_compare_gives_a_witness(self):
        narrow = policy()
        narrow["permission"][0]["constraint"][0]["rightOperand"] = 2
        few, more = self.file(narrow, "few.json"), self.file(policy(), "more.json")
        code, out, _ = self.tally("policy", "compare", few, more)
        self.assertEqual(code, 0)
        self.assertIn("refines: refines", out)
        code, out, _ = self.tally("--json", "policy", "compare", more, few)
        self.assertEqual(code, 1)
        made = json.loads(out)
        self.assertEqual(made["refines"]["verdict"], "not-refines")
        self.assertEqual(made["refines"]["witness"]["http://www.w3.org/ns/odrl/2/count"], "3")

    def test_explain_reads_it_out_in_both_languages(self):
        code, out, _ = self.tally("policy", "explain", self.file(policy()))
        self.assertEqual(code, 0)
        self.assertIn("at most 3", out)
        self.assertIn("vouched for by our own measurement", out)
        code, out, _ = self.tally("--lang", "zh", "policy", "explain", self.file(policy()))
        self.assertIn("不超过 3", out)

    def test_new_fills_a_template(self):
        code, out, _ = self.tally("policy", "new", "--template", "number-of-uses",
                                  "--set", "uses=5", "--set", "uid=urn:test:five")
        self.assertEqual(code, 0)
        made = json.loads(out)
        self.assertEqual(made["@id"], "urn:test:five")
        self.assertEqual(
            made["permission"][0]["constraint"][0]["rightOperand"]["@value"], "5")
        self.assertEqual(self.tally("policy", "check", self.file(out))[0], 0)
        code, _, err = self.tally("policy", "new", "--template", "number-of-uses")
        self.assertEqual(code, 3)
        self.assertIn("uses", err)
        code, _, err = self.tally("policy", "new", "--template", "numbr-of-uses")
        self.assertEqual(code, 3)
        self.assertIn("number-of-uses", err)

    def test_terms_tell_who_vouches(self):
        code, out, _ = self.tally("--json", "policy", "terms")
        self.assertEqual(code, 0)
        terms = {one["leftOperand"]: one for one in json.loads(out)["leftOperands"]}
        self.assertEqual(terms["http://www.w3.org/ns/odrl/2/count"]["vouchedBy"], ["measured"])
        self.assertEqual(terms["urn:tally:profile:1#role"]["vouchedBy"], ["registration"])
        self.assertEqual(terms["http://www.w3.org/ns/odrl/2/purpose"]["vouchedBy"],
                         ["registration", "asserted"])
        odrl = [one for one in terms if one.startswith("http://www.w3.org/ns/odrl/2/")]
        self.assertGreaterEqual(len(odrl), 34)

    def test_what_nobody_expects_is_said_too(self):
        code, _, err = self.tally("audit", "verify", "a" * 5000)
        self.assertEqual(code, 3)
        self.assertIn("cli.unexpected: ", err)


unittest.main()
