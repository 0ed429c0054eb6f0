"""Lists in pages and ETags: every list is read once to its end whatever is added meanwhile, and what
did not change is not sent again."""
import json
import re
import threading
import unittest
import urllib.parse

import connectors
import wires
from connectors import RESEARCH, Pair, World, eventually

# Every list of the management API, with what makes its items one by one.
LISTS = ("agreements", "apps", "approvals", "artefacts", "assets", "deletion-records", "holds",
         "negotiations", "policies", "rules", "statement-records", "statements", "transfers",
         "webhooks")
APPS = 230


def setUpModule():
    global provider, consumer, agreement, token
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer()
    for number in range(7):
        name = "more-%d" % number
        provider.offer("urn:hospital:" + name, name=name)
    pair.start()
    agreement = pair.held()
    for number in range(5):
        consumer.agree(provider, "urn:hospital:more-%d" % number)
    token = consumer.app("reader", RESEARCH)
    for number in range(APPS):
        consumer.app("app-%03d" % number, RESEARCH)


def ask(side, path, **headers):
    return wires.call(side.management_port, "GET", path, token=side.token,
                      headers={name.replace("_", "-"): value for name, value in headers.items()})


def pages(side, path):
    """The pages of a list, by their `next`."""
    after = ""
    while True:
        answer = ask(side, path + ("&after=" + urllib.parse.quote(after, safe="") if after else ""))
        assert answer.status == 200, answer
        yield answer
        after = answer.json().get("next", "")
        if not after:
            return


class Pages(unittest.TestCase):
    def test_every_list_is_the_same_in_pages_of_one_and_as_a_whole(self):
        for side in (provider, consumer):
            for name in LISTS:
                with self.subTest(list=name, side=side.name):
                    path = "/api/v1/%s?limit=" % name
                    whole = ask(side, path + "1000").json()
                    self.assertNotIn("next", whole)
                    if len(whole["items"]) > 20:
                        continue
                    one_by_one = [page.json()["items"] for page in pages(side, path + "1")]
                    self.assertLessEqual(max(map(len, one_by_one)), 1)
                    self.assertEqual([item for page in one_by_one for item in page],
                                     whole["items"])

    def test_a_page_has_a_hundred_items_where_nothing_is_said(self):
        first = ask(consumer, "/api/v1/apps")
        self.assertEqual(len(first.json()["items"]), 100)
        link = re.fullmatch(r'<([^>]*)>; rel="next"', first.headers["link"])[1]
        second = ask(consumer, link)
        self.assertEqual(second.status, 200)
        self.assertEqual(second.json()["items"],
                         ask(consumer, "/api/v1/apps?limit=1000").json()["items"][100:200])
        last = list(pages(consumer, "/api/v1/apps?limit=100"))[-1]
        self.assertNotIn("link", last.headers)
        self.assertEqual(len(last.json()["items"]), APPS + 1 - 200)

    def test_a_link_keeps_what_was_asked_for(self):
        answer = ask(provider, "/api/v1/agreements?state=active&limit=1")
        self.assertIn("state=active", answer.headers["link"])
        self.assertIn("limit=1", answer.headers["link"])

    def test_each_is_shown_once_while_others_come(self):
        there = {item["id"] for item in consumer.items("negotiations")}
        begun = []

        def add():
            for _ in range(20):
                begun.append(consumer.begin("negotiations", {
                    "peer": provider.party_json, "asset": "urn:hospital:more-6",
                    "purposes": [RESEARCH]}))
        adding = threading.Thread(target=add)
        adding.start()
        seen = [item["id"] for page in pages(consumer, "/api/v1/negotiations?limit=2")
                for item in page.json()["items"]]
        adding.join()
        self.assertEqual(len(set(seen)), len(seen))
        self.assertLessEqual(there, set(seen))
        after = {item["id"] for item in consumer.items("negotiations")}
        self.assertEqual(after, there | set(begun))

    def test_a_limit_that_is_none_is_refused(self):
        for wrong in ("0", "1001", "-1", "ten", "1e2", "99999999999999999999999"):
            for name in LISTS:
                answer = ask(provider, "/api/v1/%s?limit=%s" % (name, wrong))
                self.assertEqual((answer.status, answer.code()), (400, "api.limit-malformed"), name)

    def test_the_command_line_reads_all_pages(self):
        said = json.loads(consumer.tally("--json", "apps").stdout)
        self.assertEqual(len(said["items"]), APPS + 1)
        self.assertNotIn("next", said)

    def test_an_application_sees_its_agreements_in_pages(self):
        def mine(query):
            return wires.call(consumer.apps_port, "GET", "/api/v1/my-agreements" + query,
                              token=token)
        whole = mine("").json()["items"]
        self.assertGreater(len(whole), 4)
        seen, after = [], ""
        while True:
            page = mine("?limit=2" + after).json()
            seen += page["items"]
            if "next" not in page:
                break
            after = "&after=" + urllib.parse.quote(page["next"], safe="")
        self.assertEqual([item["agreement"] for item in seen],
                         [item["agreement"] for item in whole])


class ETags(unittest.TestCase):
    def test_what_did_not_change_is_not_sent_again(self):
        paths = ["/api/v1/" + name for name in LISTS] + [
            "/api/v1/agreements/" + agreement, "/api/v1/agreements/%s/duties" % agreement,
            "/api/v1/agreements/%s/history" % agreement, "/api/v1/policy-terms"]
        for path in paths:
            with self.subTest(path=path):
                first = eventually(lambda: self.at_rest(path), "nothing moves")
                again = ask(consumer, path, If_None_Match=first.headers["etag"])
                self.assertEqual((again.status, again.body), (304, b""))
                self.assertEqual(again.headers["etag"], first.headers["etag"])
                for field in ('"other", W/%s' % first.headers["etag"], "*"):
                    self.assertEqual(ask(consumer, path, If_None_Match=field).status, 304)
                other = ask(consumer, path, If_None_Match='"other"')
                self.assertEqual((other.status, other.body), (200, first.body))

    def at_rest(self, path):
        one, two = ask(consumer, path), ask(consumer, path)
        return one if one.body == two.body else None

    def test_it_changes_with_what_it_is_of(self):
        path = "/api/v1/apps?limit=1000"
        before = ask(consumer, path).headers["etag"]
        consumer.app("one-more", RESEARCH)
        changed = ask(consumer, path, If_None_Match=before)
        self.assertEqual(changed.status, 200)
        self.assertNotEqual(changed.headers["etag"], before)
        consumer.api("DELETE", "/api/v1/apps/one-more")
        self.assertEqual(ask(consumer, path).headers["etag"], before)

    def test_another_language_is_another_answer(self):
        path = "/api/v1/agreements/%s/history" % agreement
        english = ask(consumer, path, Accept_Language="en")
        chinese = ask(consumer, path, Accept_Language="zh")
        self.assertNotEqual(english.headers["etag"], chinese.headers["etag"])
        self.assertIn("Accept-Language", english.headers["vary"])

    def test_what_is_not_to_be_kept_has_none(self):
        for path in ("/health/live", "/health/ready"):
            self.assertNotIn("etag", ask(consumer, path).headers)

    def test_a_token_is_asked_for_first(self):
        etag = ask(consumer, "/api/v1/apps").headers["etag"]
        for wrong in ("", "no such token"):
            answer = wires.call(consumer.management_port, "GET", "/api/v1/apps", token=wrong,
                                headers={"If-None-Match": etag})
            self.assertEqual(answer.status, 401)


if __name__ == "__main__":
    connectors.main()
