"""Makes the fixture of a version: the data folders of a provider, killed, and of a consumer, stopped
cleanly, after contracts, uses, data that are held and data that were destroyed.

    python3 tests/upgrade/make_folder.py --tallyd BIN --tally BIN v0.1.0
"""
import argparse
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import connectors
from connectors import RESEARCH, eventually, run
import kept_folders
from kept_folders import FixtureWorld, PEERS_PORTS, SIDES

SHARED, LIMITED, DELETED = ("urn:hospital:" + name for name in ("shared", "limited", "deleted"))


class Seeded(connectors.Connector):
    """A connector whose keys are the published ones, before anything is signed with them."""

    def made(self):
        kept_folders.put_keys(self.folder, self.name)
        kept_folders.write_private(self.wrapping_key, kept_folders.ring_text(self.name))


def live(provider, consumer):
    """What happens before the version is left."""
    provider.offer(SHARED, name="shared", until="2099-01-01T00:00:00Z", delete=True)
    provider.offer(LIMITED, name="limited", count=3, until="2099-01-01T00:00:00Z", delete=True)
    provider.offer(DELETED, name="deleted", until="2099-01-01T00:00:00Z", delete=True)
    provider.start()
    consumer.start()
    reader = consumer.app("reader", RESEARCH)
    agreements = {}
    for name, asset in (("shared", SHARED), ("limited", LIMITED), ("deleted", DELETED)):
        agreements[name] = consumer.agree(provider, asset)
        if consumer.transfer(agreements[name])["state"] != "COMPLETED":
            raise AssertionError("no data of " + asset)
        if consumer.read(reader, agreements[name]).status != 200:
            raise AssertionError("not read: " + asset)
    ended = consumer.api("POST", "/api/v1/agreements/%s/termination" % agreements["deleted"],
                         {"reason": "over"})
    if ended.status != 200:
        raise AssertionError(repr(ended))
    eventually(lambda: consumer.records("data.destroyed"), "its data are destroyed")
    eventually(lambda: [one for one in provider.records("receipt.held")
                        if one["agreement"] == agreements["deleted"]
                        and "deletion" in json.dumps(one)]
               or provider.items("deletion-records"), "and the provider was told")
    return agreements


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tallyd", required=True)
    parser.add_argument("--tally", required=True)
    parser.add_argument("version")
    options = parser.parse_args()
    connectors.options.tallyd, connectors.options.tally = options.tallyd, options.tally
    program = run(options.tally, "--version").stdout.split()[-1]
    if options.version.lstrip("v") != program:
        sys.exit("%s is version %s, not %s" % (options.tally, program, options.version))
    world = FixtureWorld()
    try:
        provider, consumer = (
            Seeded(world, side, uri, peers_port=PEERS_PORTS[side]) for side, uri in SIDES.items())
        provider.add_peer(consumer)
        consumer.add_peer(provider)
        agreements = live(provider, consumer)
        expected = {"agreements": agreements,
                    "provider": kept_folders.summary(provider),
                    "consumer": kept_folders.summary(consumer)}
        consumer.stop()
        provider.kill9()
        for one in (provider, consumer):
            # Where it was made means nothing to whoever opens it.
            one.edit(lambda config: config["custody"].update(wrappingKey="/elsewhere/ring"))
        target = os.path.join(kept_folders.FIXTURES, options.version)
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        kept_folders.pack({"provider": provider.folder, "consumer": consumer.folder},
                          os.path.join(target, "folders.tar.xz"))
        with open(os.path.join(target, "expected.json"), "w") as file:
            json.dump(expected, file, indent=1, sort_keys=True)
            file.write("\n")
    finally:
        world.close()


if __name__ == "__main__":
    main()
