"""Negotiations between two connectors on this machine, from the order to FINALIZED, and whole exchanges."""

import datetime
import http.client
import json
import os
import selectors
import socket
import statistics
import time
import urllib.parse

from lab import PURPOSE, Broken, Connector, cpu_of, pair

AT_ONCE = 64  # orders that wait for their answer; each has a connection of its own


class Orders:
    """A kept connection to a connector's management API."""

    def __init__(self, connector):
        self.connection = http.client.HTTPConnection("127.0.0.1", connector.management_port, timeout=60)
        self.headers = {"Authorization": f"Bearer {connector.token}", "Content-Type": "application/json"}

    def call(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Broken(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:600]}")
        return json.loads(text)

    negotiate = Connector.negotiate  # needs no more of a connector than `call`


class Answer:
    """Of one order, as its bytes come in."""

    def __init__(self):
        self.bytes = b""

    def whole(self):
        """Its JSON once all of it is there. Broken where it is no order taken."""
        head, found, body = self.bytes.partition(b"\r\n\r\n")
        if not found:
            return None
        lines = head.decode().split("\r\n")
        lengths = [line.split(":")[1] for line in lines if line.lower().startswith("content-length:")]
        if len(body) < int(lengths[0]):
            return None
        if lines[0].split()[1] not in ("200", "201", "202"):
            raise Broken(f"an order: {lines[0]} {body.decode(errors='replace')[:600]}")
        return json.loads(body)


def order_all(consumer, provider, count):
    """Paths of so many negotiations, ordered AT_ONCE at a time. One thread and no client library:
    what the driver takes of the two cores is taken from what is measured."""
    body = json.dumps({
        "peer": {"domain": provider.party[0], "uri": provider.party[1]},
        "asset": "negotiated", "purposes": [PURPOSE]}).encode()
    order = (f"POST /api/v1/negotiations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
             f"Authorization: Bearer {consumer.token}\r\nContent-Type: application/json\r\n"
             f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    paths, ordered = [], 0
    with selectors.DefaultSelector() as waiting:
        for _ in range(min(AT_ONCE, count)):
            connection = socket.create_connection(("127.0.0.1", consumer.management_port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(order)
            ordered += 1
            waiting.register(connection, selectors.EVENT_READ, Answer())
        while len(paths) < count:
            ready = waiting.select(timeout=60)
            if not ready:
                raise Broken("orders are not answered")
            for key, _ in ready:
                piece = key.fileobj.recv(65536)
                if not piece:
                    raise Broken("the connection of an order was closed")
                key.data.bytes += piece
                taken = key.data.whole()
                if taken is None:
                    continue
                paths.append("/api/v1/negotiations/" + urllib.parse.quote(taken["id"], safe=""))
                key.data.bytes = b""
                if ordered < count:
                    key.fileobj.sendall(order)
                    ordered += 1
        for key in list(waiting.get_map().values()):
            key.fileobj.close()
    return paths


def seconds_of(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def finalized_at(orders, path, began):
    """When a negotiation was FINALIZED, in seconds of the clock of all; None: not yet."""
    shown = orders.call("GET", path)
    if shown["state"] == "FINALIZED":
        return seconds_of(shown["history"][-1]["at"])
    if shown["state"] == "TERMINATED" or time.monotonic() - began > 300:
        raise Broken(f"no agreement: {json.dumps(shown)[:800]}")
    return None


def one_round(provider, consumer, count):
    """Seconds until the last of so many is FINALIZED at the consumer, and CPU of each side."""
    pids = (provider.process.pid, consumer.process.pid)
    cpu = [cpu_of(pid) for pid in pids]
    began, began_at = time.monotonic(), time.time()
    paths = order_all(consumer, provider, count)
    ordered = time.monotonic() - began
    asked = Orders(consumer)
    # Seldom asked, since each question takes from what is measured; when each one came to its end
    # stands in its history.
    while finalized_at(asked, paths[-1], began) is None:
        time.sleep(0.05)
    used = [cpu_of(pid) - before for pid, before in zip(pids, cpu)]
    ends = []
    for path in paths:
        while (end := finalized_at(asked, path, began)) is None:
            time.sleep(0.05)
        ends.append(end)
    return max(ends) - began_at, ordered, used


def one_exchange(provider, consumer, asset):
    """Milliseconds from the question for the catalogue to the held bytes, as parts; and to the moment
    at which the provider had sent the last byte, as its history has it."""
    orders = Orders(consumer)
    peer = {"domain": provider.party[0], "uri": provider.party[1]}
    marks, began_at = [time.monotonic()], time.time()

    def until(path, state):
        while (shown := orders.call("GET", path))["state"] != state:
            if shown["state"] == "TERMINATED" or time.monotonic() - marks[0] > 30:
                raise Broken(f"an exchange ended as {json.dumps(shown)[:600]}")
            time.sleep(0.0005)
        return shown

    orders.call("POST", "/api/v1/catalog", {"peer": peer})
    marks.append(time.monotonic())
    agreement = until(orders.negotiate(provider, asset), "FINALIZED")["agreement"]
    marks.append(time.monotonic())
    begun = orders.call("POST", "/api/v1/transfers", {"agreement": agreement, "format": "HttpData-PULL"})
    ended = until("/api/v1/transfers/" + urllib.parse.quote(begun["id"], safe=""), "COMPLETED")
    marks.append(time.monotonic())
    theirs = "/api/v1/transfers/" + urllib.parse.quote(ended["peerPid"], safe="")
    sent = [entry["at"] for entry in Orders(provider).call("GET", theirs)["history"]
            if entry["message"] == "sent"]
    return ([(after - before) * 1000 for before, after in zip(marks, marks[1:])],
            (seconds_of(sent[0]) - began_at) * 1000)


def one_sync(folder):
    """Milliseconds of one write and fdatasync of 1 KiB into this folder: the measure of what is durable."""
    block, times = os.urandom(1024), []
    with open(folder / "synced", "wb", buffering=0) as out:
        out.write(bytes(1 << 20))
        os.fsync(out.fileno())
        out.seek(0)
        for _ in range(200):
            began = time.monotonic()
            out.write(block)
            os.fdatasync(out.fileno())
            times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def measure(options, report, pki, work):
    count = options.negotiations
    print(f"{count:,} negotiations ordered at once, two connectors on this machine, {options.rounds} rounds")
    # Without custody there is nothing to encrypt with, so that an order keeps no private fact of who
    # gave it: two files of their own for each, which would be measured more than the negotiations.
    provider, consumer = pair(options.bin, pki, work / "negotiations", custody=False)
    (provider.folder / "source/small.bin").write_bytes(os.urandom(1024))
    provider.offer("negotiated", "small.bin", "call", count=3)
    sync = one_sync(work)
    try:
        provider.start()
        consumer.start()
        one_round(provider, consumer, 20)  # connections are made, pages are touched
        rates, costs = [], []
        for _ in range(options.rounds):
            took, ordered, cpu = one_round(provider, consumer, count)
            rates.append(count / took)
            costs.append([one / count * 1000 for one in cpu])
            print(f"    {count / took:6.0f}/s; ordered within {ordered:.2f} s; CPU of each: "
                  f"provider {costs[-1][0]:.2f} ms, consumer {costs[-1][1]:.2f} ms")
        report.add("negotiations, request to FINALIZED", statistics.median(rates), "/s", 1000, 300, more=True,
                   note=f"[{min(rates):.0f}…{max(rates):.0f}]")
        report.add("the same / bare writes with fdatasync a second, one after the other",
                   statistics.median(rates) * sync / 1000, "", note=f"one takes {sync:.2f} ms")
        report.add("CPU of one, both sides", statistics.median(sum(cost) for cost in costs), "ms")
    finally:
        provider.stop()
        consumer.stop()
    measure_exchange(options, report, pki, work, sync)


def measure_exchange(options, report, pki, work, sync):
    provider, consumer = pair(options.bin, pki, work / "exchange")
    (provider.folder / "source/small.bin").write_bytes(os.urandom(1024))
    provider.offer("held", "small.bin", "custody", count=3)
    try:
        provider.start()
        consumer.start()
        one_exchange(provider, consumer, "held")
        found = [one_exchange(provider, consumer, "held") for _ in range(21)]
        whole = [sum(parts) for parts, _ in found]
        middle = [statistics.median(parts) for parts in zip(*(parts for parts, _ in found))]
        report.add("whole exchange, catalogue to the last byte sent",
                   statistics.median(sent for _, sent in found), "ms", 30)
        report.add("whole exchange, catalogue to held, receipted, completed", statistics.median(whole), "ms",
                   note="catalogue {:.1f}, negotiation {:.1f}, transfer {:.1f}".format(*middle))
        report.add("the same / one bare write with fdatasync", statistics.median(whole) / sync, "")
    finally:
        provider.stop()
        consumer.stop()
