"""Data folders of earlier versions, kept as fixtures without a single private key.

Every key of the two connectors in a fixture is made from a published text: a test makes them anew,
puts them where they were and has the folder as the version left it. Whatever certificate or token
else is needed is made in the test."""
import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile

import connectors
from connectors import HEALTH, HOSPITAL, INSTITUTE, eventually, free_port, run

FIXTURES = os.path.join(connectors.SOURCE, "tests", "fixtures", "folders")
SIDES = {"provider": HOSPITAL, "consumer": INSTITUTE}
# Agreements name the other side's address, so it stays: below what free_port gives to others.
PEERS_PORTS = {"provider": 10443, "consumer": 10444}
# Private keys and secrets of a folder, by where they lie, and how one is made of 32 bytes.
ED25519 = ("contract/key.pem", "log-key/key.pem", "witness-key/key.pem")
EC = ("tls/key.pem",)
SECRETS = ("pseudonym.key",)
# Whatever belongs to a process, or holds a token that nobody needs to know.
NOT_KEPT = {"lock", "reserve", "operator.token", "tally.db-shm", "requests.pem"}
DAYS = 73 * 365  # a fixture outlives its makers


def seed(name):
    """32 bytes that anybody can make again: these keys protect nothing."""
    return hashlib.sha256(("tally fixture key, known to everybody: " + name).encode()).digest()


def pem(der):
    text = base64.b64encode(der).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    label = "PRIVATE " + "KEY"
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label, "\n".join(lines), label)


def ed25519_pem(name):
    return pem(bytes.fromhex("302e020100300506032b657004220420") + seed(name))  # RFC 8410


def ec_pem(name):
    # RFC 5915 for P-256; OpenSSL computes the public point and writes it as PKCS #8.
    der = bytes.fromhex("30310201010420") + seed(name) + bytes.fromhex("a00a06082a8648ce3d030107")
    done = subprocess.run(["openssl", "pkey", "-inform", "DER"], input=der, capture_output=True,
                          check=True)
    return done.stdout.decode()


def ring_text(side):
    """Of the first version of rings, which every later one takes as it is."""
    return "tally-custody-key/1 %s\n" % base64.b64encode(seed(side + "/ring")).decode()


def write_private(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def put_keys(folder, side):
    for name in ED25519:
        write_private(os.path.join(folder, name), ed25519_pem(side + "/" + name))
    for name in EC:
        write_private(os.path.join(folder, name), ec_pem(side + "/" + name))
    for name in SECRETS:
        write_private(os.path.join(folder, name),
                      base64.b64encode(seed(side + "/" + name)).decode() + "\n")


class FixtureAuthority(connectors.Authority):
    """The anchor that issued the certificates of the fixtures: its key is made again, too."""

    def __init__(self, folder):
        super().__init__(folder)
        for domain in (HEALTH, connectors.CITY):
            key = self.anchor(domain, "ca.key")
            write_private(key, ec_pem("anchor/" + domain))
            run("openssl", "req", "-x509", "-new", "-key", key, "-days", DAYS, "-subj",
                "/CN=Tally fixture anchor " + domain, "-out", self.anchor(domain), "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign")
            run("openssl", "ca", "-config", self.anchor(domain, "ca.cnf"), "-gencrl", "-md",
                "sha256", "-crldays", DAYS, "-keyfile", key, "-cert", self.anchor(domain), "-out",
                self.anchor(domain, "crl.pem"))

    def sign(self, domain, request, out):
        """For the key that lies beside the request now, not for the one that asked."""
        public = out + ".pub"
        run("openssl", "pkey", "-in", os.path.join(os.path.dirname(request), "key.pem"), "-pubout",
            "-out", public)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.anchor(domain), "-CAkey",
            self.anchor(domain, "ca.key"), "-days", DAYS, "-sha256", "-set_serial",
            str(int.from_bytes(os.urandom(12), "big")), "-copy_extensions", "copyall",
            "-force_pubkey", public, "-out", out)
        os.remove(public)


class FixtureWorld(connectors.World):
    def __init__(self):
        super().__init__()
        self.authority = FixtureAuthority(self.path("fixture-pki"))


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pack(folders, path):
    """The folders of both sides in one archive, without keys and without what a process leaves."""
    with tarfile.open(path, "w:xz") as archive:
        for side, folder in sorted(folders.items()):
            for at, names, files in os.walk(folder):
                names.sort()
                inner = os.path.relpath(at, folder)
                for name in names:
                    member = tarfile.TarInfo(os.path.normpath(os.path.join(side, inner, name)))
                    member.type, member.mode = tarfile.DIRTYPE, 0o700
                    archive.addfile(member)
                for name in sorted(files):
                    relative = os.path.normpath(os.path.join(inner, name))
                    if relative in NOT_KEPT | set(ED25519 + EC + SECRETS) or name == "lock":
                        continue
                    with open(os.path.join(at, name), "rb") as file:
                        data = file.read()
                    if b"PRIVATE " + b"KEY" in data:
                        raise AssertionError("a private key: " + relative)
                    member = tarfile.TarInfo(os.path.join(side, relative))
                    member.size, member.mode = len(data), 0o600
                    archive.addfile(member, io.BytesIO(data))


class Kept(connectors.Connector):
    """A connector that goes on with a folder which an earlier version left."""

    def __init__(self, world, side):
        self.world, self.name, self.uri, self.domain = world, side, SIDES[side], HEALTH
        self.folder = world.path(side)
        self.log_file = world.path(side + ".stderr")
        self.peers_port = PEERS_PORTS[side]
        self.apps_port, self.management_port = free_port(), free_port()
        self.process = None
        self.program, self.env = connectors.options.tallyd, {}
        self.wrapping_key = world.path("keys", side + ".key")
        world.connectors.append(self)
        put_keys(self.folder, side)
        write_private(self.wrapping_key, ring_text(side))

    def move_here(self):
        """Ports of this machine, the key ring's place, and a token that somebody knows."""
        def change(config):
            config["listeners"]["apps"]["port"] = self.apps_port
            config["listeners"]["management"]["port"] = self.management_port
            config["custody"]["wrappingKey"] = self.wrapping_key
        self.edit(change)
        self.token = self.add_token("upgrade", "admin")

    def start(self, *arguments, env=None):
        # Where another test has the port, it ends soon.
        eventually(lambda: is_free(self.peers_port), "port %d is free" % self.peers_port)
        return super().start(*arguments, env=env)


def unpack(world, archive):
    """Both sides of a fixture, with their keys and on ports of this machine, not started."""
    with tarfile.open(archive) as file:
        file.extractall(world.folder)
    sides = [Kept(world, side) for side in SIDES]
    for one in sides:
        one.move_here()
    return sides


def versions():
    return sorted(os.listdir(FIXTURES)) if os.path.isdir(FIXTURES) else []


def summary(connector):
    """What must be the same whichever version reads it."""
    used = {}
    for record in connector.records("use.permitted"):
        used[record["agreement"]] = used.get(record["agreement"], 0) + 1
    return {
        "agreements": {one["id"]: one["state"] for one in connector.items("agreements")},
        "used": used,
        "artefacts": {one["id"]: one["state"] for one in connector.items("artefacts")}}


def expected_in(version):
    with open(os.path.join(FIXTURES, version, "expected.json")) as file:
        return json.load(file)
