"""The stream of events: what changed, once each and in order, over whatever ends the connector."""
import http.client
import json
import socket
import threading
import unittest

import connectors
from connectors import COHORT, HOSPITAL, Pair, World, eventually


def setUpModule():
    global world, provider, consumer, pair
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer()
    pair.start()


class Follower:
    """Reads a stream in a thread of its own, as WHATWG HTML says that a browser does."""

    def __init__(self, connector, query="", *, last=None, token=None):
        self.events, self.comments, self.last, self.over = [], 0, last, False
        self.connection = http.client.HTTPConnection("127.0.0.1", connector.management_port,
                                                     timeout=connectors.PATIENCE)
        headers = {"Authorization": "Bearer " + (token or connector.token)}
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", "/api/v1/events" + query, headers=headers)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        if self.answer.status == 200:
            threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        fields = {}
        try:
            for line in self.answer:
                line = line.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, value = line.split(": ", 1)
                    fields[name] = value
                else:
                    self.last = fields.get("id", self.last)
                    if "data" in fields:
                        self.events.append((fields.get("id"), fields["event"],
                                            json.loads(fields["data"])))
                    fields = {}
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass
        finally:
            self.socket.close()
        self.over = True

    def types(self):
        return [event for _, event, _ in self.events]

    def until(self, *types):
        eventually(lambda: set(types) <= set(self.types()), "events %s" % (types,))
        return self

    def close(self):
        # The thread that reads has the rest: it comes to the end.
        self.socket.shutdown(socket.SHUT_RDWR)


def changes(connector):
    """(id, type) of every event that the log holds, read without the program."""
    areas = ("approval.", "contract.", "equivocation.", "transfer.")
    others = ("data.destroyed", "data.destroy_failed", "policy.expired", "policy.revoked",
              "receipt.missing", "witness.missing")
    return [("1-%d" % record["seq"], record["type"]) for record in connector.records()
            if record["type"].startswith(areas) or record["type"] in others]


class Events(unittest.TestCase):
    def setUp(self):
        for connector in (provider, consumer):
            if connector.ended():
                connector.start()

    def test_every_change_is_told_with_what_it_is_about(self):
        streams = {connector: Follower(connector) for connector in (provider, consumer)}
        agreement = consumer.agree(provider)
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        for connector, role in ((provider, "provider"), (consumer, "consumer")):
            stream = streams[connector].until("transfer.completed")
            moves = [(data["before"] if "before" in data else None, data["state"])
                     for _, event, data in stream.events if event.startswith("contract.")]
            # No state is left out: each change begins where the one before ended.
            self.assertEqual(moves[0], (None, "REQUESTED"))
            self.assertEqual(moves[-1][1], "FINALIZED")
            for earlier, later in zip(moves, moves[1:]):
                self.assertEqual(earlier[1], later[0], moves)
            for id, event, data in stream.events:
                self.assertEqual((data["type"], data["id"]), (event, id))
                if event.startswith(("contract.", "transfer.")):
                    self.assertEqual(data["role"], role, data)
                    self.assertEqual(data["asset"], COHORT, data)
                    self.assertIn("process", data)
                    self.assertIn("did:web:", data["peer"]["uri"])
            stream.close()
        held = [data for _, event, data in streams[consumer].events if event == "transfer.received"]
        self.assertEqual([(one["state"], one["peer"]["uri"]) for one in held], [("held", HOSPITAL)])

    def test_none_is_lost_or_doubled_over_kills(self):
        last, seen = "0", []
        for _ in range(3):
            stream = Follower(consumer, "?after=0" if last == "0" else "", last=last)
            had = len(stream.events)
            consumer.begin("negotiations", {"peer": provider.party_json, "asset": COHORT,
                                            "purposes": [connectors.RESEARCH]})
            eventually(lambda: len(stream.events) > had, "something happens")
            consumer.kill9()
            eventually(lambda: stream.over, "the stream ends with the connector")
            seen += stream.events
            last = stream.last
            consumer.start()
        eventually(lambda: all(one["state"] in ("FINALIZED", "TERMINATED")
                               for one in consumer.items("negotiations")))
        stream = Follower(consumer, last=last)
        wanted = changes(consumer)
        eventually(lambda: len(seen) + len(stream.events) >= len(wanted), "all of them")
        stream.close()
        told = [(id, event) for id, event, _ in seen + stream.events]
        self.assertEqual(told[:len(wanted)], wanted)

    def test_a_clean_stop_does_not_wait_for_followers(self):
        stream = Follower(provider)
        self.assertEqual(provider.stop(), 0)
        eventually(lambda: stream.over)
        self.assertEqual([n["code"] for n in provider.notices() if "cut" in n["code"]], [])

    def test_filters(self):
        whole = Follower(consumer, "?after=0&type=contract.finalized,transfer")
        consumer.agree(provider)
        whole.until("contract.finalized")
        self.assertTrue(all(event == "contract.finalized" or event.startswith("transfer.")
                            for event in whole.types()))
        process = [data["process"] for _, event, data in whole.events
                   if event == "contract.finalized"][-1]
        one = Follower(consumer, "?after=0&process=" + process).until("contract.finalized")
        self.assertEqual({data["process"] for _, _, data in one.events}, {process})
        consumer.agree(provider)
        # A follower of few types still comes to know how far the log is.
        eventually(lambda: one.comments > 1 and one.last != one.events[-1][0], "a heartbeat")
        whole.close()
        one.close()

    def test_an_id_of_no_event_here_is_said_and_everything_follows(self):
        consumer.agree(provider)
        for unknown in ("1-999999", "7-1", "yesterday"):
            stream = Follower(provider, last=unknown).until("contract.finalized")
            id, event, data = stream.events[0]
            self.assertEqual((id, event, data["reason"]["code"]),
                             (None, "log.gap", "events.id-unknown"))
            wanted = changes(provider)
            eventually(lambda: len(stream.events) > len(wanted))
            self.assertEqual([one[:2] for one in stream.events[1:]], wanted)
            stream.close()

    def test_who_may_follow_and_how_many(self):
        reader = provider.add_token("reader", "auditor")
        provider.stop()
        provider.start()
        streams = [Follower(provider, token=reader)]
        self.assertEqual(streams[0].answer.status, 200)
        self.assertEqual(provider.api("GET", "/api/v1/events", token="").status, 401)
        unknown = provider.api("GET", "/api/v1/events?type=nothing")
        self.assertEqual((unknown.status, unknown.code()), (400, "events.unknown-type"))
        while streams[-1].answer.status == 200 and len(streams) < 100:
            streams.append(Follower(provider))
        self.assertEqual((streams[-1].answer.status, len(streams)), (503, 65))
        for stream in streams:
            stream.close()


if __name__ == "__main__":
    connectors.main()
