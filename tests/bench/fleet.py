#!/usr/bin/env python3
"""Many connectors on one machine, in a ring: each has an agreement with its neighbour.

    fleet.py --tallyd T --tally T [--count 200] [--pulls 1000] [--figures-only]

They are made and enrolled, started, and each negotiates with the next one over the protocol. Then all
are stopped, and measured: how long until all serve that are started at once, what they hold together
when idle, and how long the pulls take, divided among them, each into the custody of the one that
asked. In the end every log is verified. Exit code 1: a figure is not what is wanted (with
--figures-only never); 2: a step failed."""
import argparse
import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import connectors  # noqa: E402
from connectors import Connector, World, eventually  # noqa: E402

START_SECONDS = 60
IDLE_GIB = 3
SETTLED = 5  # seconds of doing nothing before memory is looked at
AT_ONCE = 8  # orders that the measuring side waits for


class Ring:
    def __init__(self, world, count):
        self.members = [Connector(world, "member-%03d" % number, "did:web:member-%03d.example" % number,
                                  test=False)
                        for number in range(count)]
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        for number, member in enumerate(self.members):
            member.offer("urn:asset:%d" % number, name="asset", content=os.urandom(1024))
            for other in {self.next(member), self.members[number - 1]}:
                member.add_peer(other)

    def next(self, member):
        return self.members[(self.members.index(member) + 1) % len(self.members)]

    def each(self, job):
        return list(self.pool.map(job, self.members))

    def start(self):
        """All at once. Returns the seconds until the last one serves."""
        seen = [len(member.notices("daemon.serving")) for member in self.members]
        began = time.monotonic()
        for member in self.members:
            member.spawn()
        for member, before in zip(self.members, seen):
            eventually(lambda: member.ended() or len(member.notices("daemon.serving")) > before,
                       member.name + " serves", patience=600)
            if member.ended():
                raise AssertionError(member.text())
        return time.monotonic() - began

    def stop(self):
        for code in self.each(Connector.stop):
            if code != 0:
                raise AssertionError("a connector ended with %d" % code)

    def agree(self):
        """Each with its neighbour. Returns the agreements in the order of the members."""
        def negotiate(member):
            asset = "urn:asset:%d" % self.members.index(self.next(member))
            return member.agree(self.next(member), asset)
        return self.each(negotiate)

    def memory(self):
        """What all hold together in MiB: (PSS, RSS). PSS counts a page that several share once."""
        pss = rss = 0
        for member in self.members:
            with open("/proc/%d/smaps_rollup" % member.process.pid) as rollup:
                sizes = dict(line.split()[:2] for line in rollup if line.endswith("kB\n"))
            pss += int(sizes["Pss:"])
            rss += int(sizes["Rss:"])
        return pss / 1024, rss / 1024

    def pull(self, agreements, pulls):
        """So many transfers, divided among the members. Returns the seconds they take."""
        work = [(self.members[number % len(self.members)], agreements[number % len(self.members)])
                for number in range(pulls)]
        began = time.monotonic()
        for process in self.pool.map(lambda one: one[0].transfer(one[1]), work):
            if process["state"] != "COMPLETED":
                raise AssertionError("a pull ended otherwise: %r" % process)
        return time.monotonic() - began

    def verify(self):
        for member, (code, report) in zip(self.members, self.each(Connector.verify)):
            if code != 0:
                raise AssertionError("the log of %s: %r" % (member.name, report))


def measure(options, report):
    world = World()
    try:
        began = time.monotonic()
        ring = Ring(world, options.count)
        report("made and enrolled", time.monotonic() - began, "s")
        report("first start, until all serve", ring.start(), "s")
        began = time.monotonic()
        agreements = ring.agree()
        took = time.monotonic() - began
        report("agreements with neighbours", len(agreements), "", note="%.0f a second" % (len(agreements) / took))
        ring.stop()

        report("start with agreements, until all serve", ring.start(), "s", START_SECONDS)
        time.sleep(SETTLED)
        pss, rss = ring.memory()
        of_each = "%.1f MiB each"
        report("idle together, PSS", pss, "MiB", IDLE_GIB * 1024, of_each % (pss / options.count))
        report("idle together, RSS", rss, "MiB", IDLE_GIB * 1024, of_each % (rss / options.count))
        took = ring.pull(agreements, options.pulls)
        report("%d pulls of 1 KiB into custody" % options.pulls, took, "s",
               note="%.0f a second" % (options.pulls / took))
        pss, rss = ring.memory()
        report("the same after them, PSS", pss, "MiB", note="RSS %.0f" % rss)
        ring.stop()
        ring.verify()
        report("logs verified", options.count, "")
    finally:
        world.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tallyd", required=True)
    parser.add_argument("--tally", required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--pulls", type=int, default=1000)
    parser.add_argument("--figures-only", action="store_true", help="nothing is judged")
    options = parser.parse_args()
    if options.count < 2:
        parser.error("a ring has two members at least")
    connectors.options.tallyd, connectors.options.tally = options.tallyd, options.tally
    short = []

    def report(name, value, unit, wanted=None, note=""):
        bound = ""
        if wanted is not None and not options.figures_only:
            good = value <= wanted
            bound = "wanted ≤ %g: %s" % (wanted, "good" if good else "SHORT")
            short.extend([] if good else [name])
        print(("%-45s %10.1f %-4s %s %s" % (name, value, unit, bound, note)).rstrip(), flush=True)

    print("%d connectors on this machine, %d cores, load %.1f"
          % (options.count, os.cpu_count(), os.getloadavg()[0]), flush=True)
    try:
        measure(options, report)
    except AssertionError as failed:
        print("fleet.py: %s" % failed, file=sys.stderr)
        return 2
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
