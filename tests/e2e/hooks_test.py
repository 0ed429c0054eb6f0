"""`decide: hook`: a program of the operator decides, and its silence is a no."""
import base64
import http.server
import json
import os
import sys
import threading
import time
import unittest

import connectors
from connectors import (COHORT, HEALTH, MARKETING, RESEARCH, SOURCE, Pair, World, eventually,
                        policy)

sys.path.insert(0, os.path.join(SOURCE, "examples"))
import decision_hook  # noqa: E402
import standard_webhooks  # noqa: E402

DATED = "urn:hospital:dated"
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes for it").decode()
DEADLINE = 3


class Program(decision_hook.Hook):
    """The example, which does what the test says."""
    secret = SECRET
    questions, mode = [], None

    def do_POST(self):
        mode = Program.mode
        if mode == "late":
            time.sleep(DEADLINE + 3)
        if mode == "status":
            return self.send_error(403)
        if mode == "redirect":
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        try:
            super().do_POST()
        except OSError:
            pass

    def decide(self, question):
        Program.questions.append((self.headers["webhook-id"], question))
        return Program.mode if isinstance(Program.mode, dict) else {"decision": "agree"}


def listen(port=0):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Program)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def setUpModule():
    global world, provider, consumer, server
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    server = listen()
    key = provider.path("hook.key")
    with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(SECRET + "\n")
    provider.edit(lambda config: config.update(hooks=[
        {"name": "desk", "url": "http://127.0.0.1:%d/" % server.server_port, "key": "hook.key",
         "deadlineSeconds": DEADLINE}]))
    provider.offer()
    with open(provider.path("policies", "cohort.json")) as file:
        document = json.load(file)
    provider.drop("policies", "cohort", {**document, "decide": "hook", "hook": "desk"})
    provider.offer(DATED, name="dated", purposes=(), until="2030-01-01T00:00:00Z", delete=False)
    with open(provider.path("policies", "dated.json")) as file:
        document = json.load(file)
    provider.drop("policies", "dated", {**document, "decide": "hook", "hook": "desk"})
    pair.start()


def negotiate(mode, purpose=RESEARCH):
    Program.mode = mode
    Program.questions.clear()
    return consumer.negotiate(provider, purpose=purpose)


class Hooks(unittest.TestCase):
    def test_its_answers(self):
        counter = policy(COHORT, purposes=(RESEARCH,), count=1)
        for mode, purpose, state, reason in (
                ({"decision": "agree"}, RESEARCH, "FINALIZED", None),
                ({"decision": "agree"}, MARKETING, "TERMINATED",
                 "negotiation.widens-offer"),
                ({"decision": "reject"}, RESEARCH, "TERMINATED", "negotiation.rejected"),
                ({"decision": "reject", "reason": "In spring."}, RESEARCH, "TERMINATED",
                 "In spring."),
                ({"decision": "counter", "policy": counter}, RESEARCH, "TERMINATED",
                 "negotiation.offer-differs")):
            with self.subTest(mode=mode, purpose=purpose):
                process = negotiate(mode, purpose)
                self.assertEqual(process["state"], state, process)
                if reason:
                    self.assertIn(reason, json.dumps(process))
                (_, question), = Program.questions
                self.assertEqual(question["asset"], COHORT)
                self.assertEqual(question["peer"], consumer.party_json)
                self.assertEqual(question["request"]["@type"], "Offer")
                if purpose == RESEARCH:
                    self.assertIsNone(question["wider"])
                else:
                    self.assertIn(MARKETING, question["wider"]["found"])
        self.assertNotIn(b"In spring.", b"".join(provider.entries()))

    def test_an_act_shows_what_a_wider_request_would_permit(self):
        asked = policy(DATED, purposes=(), until="2031-01-01T00:00:00Z", delete=False)
        within = policy(DATED, purposes=(), until="2029-01-01T00:00:00Z", delete=False)
        for answer, reason in (({"decision": "agree"}, "negotiation.permits-beyond-offer"),
                               ({"decision": "counter", "policy": within},
                                "negotiation.offer-differs")):
            with self.subTest(answer=answer):
                Program.mode = answer
                Program.questions.clear()
                pid = consumer.begin("negotiations", {
                    "peer": provider.party_json, "asset": DATED, "offer": DATED + ":offer",
                    "policy": asked})
                process = consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
                self.assertEqual(process["state"], "TERMINATED", process)
                self.assertIn(reason, json.dumps(process["reason"]))
                (_, question), = Program.questions
                wider = question["wider"]
                self.assertTrue(wider["constraint"].endswith("dateTime"), wider)
                at, = [one["value"] for one in wider["act"] if one["operand"].endswith("dateTime")]
                # A moment that the request permits and the offer does not.
                self.assertTrue("2030-01-01T00:00:00" <= at < "2031-01-01T00:00:00", wider)
                if reason == "negotiation.permits-beyond-offer":
                    self.assertIn(at, json.dumps(process["reason"]))

    def test_silence_is_a_no(self):
        for mode, code in (("late", "events.hook-late"), ("status", "events.hook-status"),
                           ("redirect", "events.hook-status"),
                           ({"decision": "yes"}, "events.answer-malformed"),
                           ({"decision": "counter"}, "events.answer-malformed"),
                           ({"decision": "reject", "reason": "x" * 401},
                            "events.answer-malformed"),
                           ({"decision": "counter", "policy": {"permission": 1}}, None)):
            with self.subTest(mode=mode):
                before = len(provider.notices("negotiation.hook-failed"))
                process = negotiate(mode)
                self.assertEqual(process["state"], "TERMINATED")
                self.assertIn("negotiation.hook-silent", json.dumps(process))
                failed = provider.notices("negotiation.hook-failed")[before:]
                self.assertEqual(len(failed), 1)
                if code:
                    self.assertIn(code, json.dumps(failed))

    def test_an_answer_that_is_not_signed_or_by_another_is_none(self):
        good = standard_webhooks.signed
        try:
            for signed, code in (
                    (lambda *call: {}, "events.answer-unsigned"),
                    (lambda secret, id, body: good("whsec_" + "QUFB" * 8, id, body),
                     "events.answer-signature"),
                    (lambda secret, id, body: good(secret, "another", body),
                     "events.answer-signature"),
                    (lambda secret, id, body: good(secret, id, b"{}"),
                     "events.answer-signature")):
                before = len(provider.notices("negotiation.hook-failed"))
                standard_webhooks.signed = signed
                process = negotiate({"decision": "agree"})
                self.assertIn("negotiation.hook-silent", json.dumps(process))
                self.assertIn(code, json.dumps(provider.notices("negotiation.hook-failed")[before:]))
        finally:
            standard_webhooks.signed = good

    def test_wait_leaves_it_to_a_person(self):
        Program.mode = {"decision": "wait"}
        pid = consumer.begin("negotiations", {"peer": provider.party_json, "asset": COHORT,
                                              "purposes": [RESEARCH]})
        waiting = eventually(lambda: [one for one in provider.items("approvals")
                                      if one.get("leftByHook")], "a person is asked")
        self.assertEqual(waiting[0]["why"]["code"], "negotiation.waits-by-hook")
        answer = provider.api("POST", "/api/v1/approvals/%s/approve" % waiting[0]["id"])
        self.assertEqual(answer.status, 200)
        self.assertEqual(consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
                         ["state"], "FINALIZED")

    def test_a_question_survives_a_kill(self):
        Program.mode = "late"
        Program.questions.clear()
        pid = consumer.begin("negotiations", {"peer": provider.party_json, "asset": COHORT,
                                              "purposes": [RESEARCH]})
        theirs = eventually(lambda: provider.items("approvals"), "it is being asked")[0]["id"]
        provider.kill9()
        Program.mode = {"decision": "agree"}
        provider.start()
        self.assertEqual(consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
                         ["state"], "FINALIZED")
        # The same question has the same id.
        ids = lambda: [id for id, question in Program.questions
                       if question["negotiation"] == theirs]
        eventually(lambda: len(ids()) == 2, "the late one is answered too")
        self.assertEqual(len(set(ids())), 1)

    def test_one_that_is_just_being_started_is_waited_for(self):
        global server
        port = server.server_port
        server.shutdown()
        server.server_close()
        Program.mode = {"decision": "agree"}
        pid = consumer.begin("negotiations", {"peer": provider.party_json, "asset": COHORT,
                                              "purposes": [RESEARCH]})
        eventually(lambda: provider.items("approvals"), "it is being asked")
        server = listen(port)
        self.assertEqual(consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
                         ["state"], "FINALIZED")

    def test_what_is_wrong_in_the_configuration_is_said(self):
        other = connectors.Connector(world, "other", "did:web:other.example", HEALTH)
        key = other.path("hook.key")
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("secret")
        good = {"name": "a", "url": "https://a.example/", "key": "hook.key"}
        for hooks, code, pointer in (
                ([{**good, "url": "http://a.example/"}], "daemon.config-plain-program",
                 "/hooks/0/url"),
                ([good, good], "daemon.config-program-twice", "/hooks/1/name"),
                ([{"name": "a"}], "daemon.config-missing", "/hooks/0/key"),
                ([{**good, "deadlineSeconds": 0}], "daemon.config-type",
                 "/hooks/0/deadlineSeconds"),
                ([good], "events.key-malformed", "/hooks/0/key")):
            other.edit(lambda config: config.update(hooks=hooks))
            done = connectors.run(connectors.options.tallyd, "--check", other.folder, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(code, done.stdout + done.stderr)
            self.assertIn(pointer, done.stdout + done.stderr)


if __name__ == "__main__":
    connectors.main()
