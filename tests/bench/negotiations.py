"""Negotiations between two connectors on this machine, from the order to FINALIZED, and whole exchanges."""

import http.client
import json
import os
import statistics
import threading
import time
import urllib.parse

from lab import Broken, Connector, cpu_of, pair

DRIVERS = 2  # threads that order; each keeps one connection


class Orders:
    """A kept connection to a connector's management API. One thread's."""

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


def in_parallel(count, work):
    """work(number) for each number in DRIVERS threads; the first failure is raised here."""
    failures = []

    def share(first):
        try:
            work(range(first, count, DRIVERS))
        except Exception as broken:  # said by the caller's thread
            failures.append(broken)

    threads = [threading.Thread(target=share, args=(first,)) for first in range(DRIVERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def one_round(provider, consumer, count):
    """All ordered at once; seconds until the last is FINALIZED at the consumer, and CPU of each side."""
    paths = [None] * count
    pids = (provider.process.pid, consumer.process.pid)
    cpu = [cpu_of(pid) for pid in pids]

    def order(numbers):
        orders = Orders(consumer)
        for number in numbers:
            paths[number] = orders.negotiate(provider, "negotiated")

    began = time.monotonic()
    in_parallel(count, order)
    ordered = time.monotonic() - began
    asked = Orders(consumer)
    # From the last back: seldom asked, since each question takes from what is measured.
    for path in reversed(paths):
        while (shown := asked.call("GET", path))["state"] != "FINALIZED":
            if shown["state"] == "TERMINATED" or time.monotonic() - began > 300:
                raise Broken(f"no agreement: {json.dumps(shown)[:800]}")
            time.sleep(0.02)
        if time.monotonic() - began > 300:
            raise Broken("not within five minutes")
    took = time.monotonic() - began
    return took, ordered, [cpu_of(pid) - before for pid, before in zip(pids, cpu)]


def one_exchange(provider, consumer, asset):
    """Milliseconds from the question for the catalogue to the held bytes, and their parts."""
    orders = Orders(consumer)
    peer = {"domain": provider.party[0], "uri": provider.party[1]}
    marks = [time.monotonic()]

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
    until("/api/v1/transfers/" + urllib.parse.quote(begun["id"], safe=""), "COMPLETED")
    marks.append(time.monotonic())
    return [(after - before) * 1000 for before, after in zip(marks, marks[1:])]


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
        whole = [sum(parts) for parts in found]
        middle = [statistics.median(parts) for parts in zip(*found)]
        report.add("whole exchange, catalogue to held bytes", statistics.median(whole), "ms", 30,
                   note="catalogue {:.1f}, negotiation {:.1f}, transfer {:.1f}".format(*middle))
        report.add("the same / one bare write with fdatasync", statistics.median(whole) / sync, "")
    finally:
        provider.stop()
        consumer.stop()
