"""Tessera writes a log and has our witness cosign it before it publishes; what it writes of the same
log with other entries is refused, kept as evidence, and not published.

Tessera has no client certificate to show. So the daemon runs with insecureLoopback, and knows it by
the credential that stands in the URL of the witness."""
import base64
import contextlib
import os
import re
import shutil
import subprocess

from connectors import HEALTH, HOSPITAL, Connector, eventually, run
from judging import checkpoint_size
from signed_log import Log, b64, verifier

MODULE = "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot@v1.0.4"
ORIGIN = "tessera.example/log"
CREDENTIAL = "tessera:told-apart"  # user and password of the URL


class Tessera:
    """The program with the key of one log and the address of its witness. Each log that it writes by
    that key is a folder."""

    def __init__(self, program, world, log, witness, url, folder="tessera"):
        self.program, self.world, self.folder, self.batches = program, world, folder, 0
        os.mkdir(world.path(folder))
        self.key, self.policy = world.path(folder, "key"), world.path(folder, "witness-policy")
        secret = world.path(folder, "key.der")
        run("openssl", "pkey", "-in", log.key_file, "-outform", "DER", "-out", secret)
        with open(secret, "rb") as file:
            seed = file.read()[-32:]
        with open(self.key, "w") as file:
            file.write("PRIVATE+KEY+%s+%s+%s" % (ORIGIN, log.id.hex(), b64(b"\x01" + seed)))
        with open(self.policy, "w") as file:
            file.write("witness w %s %s\nquorum w\n" % (witness.vkey, url))

    @contextlib.contextmanager
    def writing(self, name, *entries):
        """The process, and what gives all that it said so far."""
        self.batches += 1
        batch = self.world.path(self.folder, "entries-%d" % self.batches)
        os.mkdir(batch)
        for number, entry in enumerate(entries):
            with open(os.path.join(batch, str(number)), "w") as file:
                file.write(entry)
        with open(batch + ".stderr", "w+") as file:
            process = subprocess.Popen(
                [self.program, "--storage_dir=" + self.world.path(name), "--entries=" + batch + "/*",
                 "--private_key=" + self.key, "--witness_policy_file=" + self.policy,
                 "--witness_timeout=5s"], stdout=file, stderr=file)

            def said():
                with open(batch + ".stderr") as text:
                    return text.read()
            try:
                yield process, said
            finally:
                process.kill()
                process.wait()

    def write(self, name, *entries):
        """Its exit code and what it said, when it ends by itself."""
        with self.writing(name, *entries) as (process, said):
            eventually(lambda: process.poll() is not None, "Tessera ends")
            return process.returncode, said()

    def refused(self, status, name, *entries):
        """Whether it was refused with the status, tried again and was refused again (it never ends),
        with the checkpoint published before left as it is; and what it said."""
        before = self.published(name)
        with self.writing(name, *entries) as (process, said):
            def often():
                return len(re.findall(r": %d\b" % status, said())) > 1
            eventually(lambda: often() or process.poll() is not None, "Tessera is refused")
            return often() and before and self.published(name) == before, said()

    def published(self, name):
        try:
            with open(self.world.path(name, "checkpoint"), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""


def witness_for(world, log):
    connector = Connector(world, "witness", HOSPITAL)
    value = "Basic " + base64.b64encode(CREDENTIAL.encode()).decode()

    def change(config):
        config["insecureLoopback"] = True
        # In the clear: there is no listener for certificates.
        config["listeners"]["credentialPeers"] = dict(
            config["listeners"].pop("peers"),
            publicUrl="http://127.0.0.1:%d" % connector.peers_port)
        config["witness"]["logs"] = [{"vkey": log.vkey}]
        config["peers"] = [{
            "domain": HEALTH, "uri": "did:web:tessera.example",
            "url": "http://127.0.0.1:1/dsp/2025-1",  # nobody calls it
            "credential": {"expects": value}}]
    connector.edit(change)
    return connector.start()


def judge(check, program, world):
    key_file = world.path("tessera-key.pem")
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key_file)
    log = Log(key_file, ORIGIN)
    connector = witness_for(world, log)
    witness = Log(connector.path("witness-key", "key.pem"), HOSPITAL + "/witness", 4)
    place = "127.0.0.1:%d/tally/v1/witness/" % connector.peers_port
    tessera = Tessera(program, world, log, witness, "http://%s@%s" % (CREDENTIAL, place))
    keys = [log.vkey.encode(), witness.vkey.encode()]

    def check_published(what, size, done):
        note = tessera.published("log")
        signers = verifier.verify_note(note, keys)[1] if note else {}
        check(what, done[0] == 0 and set(signers) == set(keys)
              and checkpoint_size(note.decode()) == size, done[1] + note.decode())

    check_published("Tessera publishes with its own signature and ours", 3,
                    tessera.write("log", "one", "two", "three"))
    for fork in ("fork", "long-fork"):
        shutil.copytree(world.path("log"), world.path(fork))
    check_published("and again when the log has grown", 5, tessera.write("log", "four", "five"))
    sizes = [record["peer"]["size"] for record in connector.records("checkpoint.witnessed")]
    check("both sizes are in the witness's own log", {3, 5} <= set(sizes), sizes)

    # A fork of the same size, then one that is longer: from three entries on with others.
    for fork, entries, proven in (("fork", ("4", "5"), True),
                                  ("long-fork", ("4", "5", "6", "7"), False)):
        size = 3 + len(entries)
        check("a fork of size %d is refused with 422 and not published" % size,
              *tessera.refused(422, fork, *entries))
        found = connector.records("equivocation.found")
        last = found[-1] if found else {}
        signed = [verifier.verify_note(note.encode(), keys[:1]) for note in last.get("notes", [])]
        check("and is kept as evidence, %s" % ("proven" if proven else "not proven"),
              len(found) == (1 if proven else 2) and last["proven"] is proven
              and last["peer"]["size"] == size and len(signed) == 2
              and all(signers for _, signers in signed), found)

    code, said = tessera.write("anew", "one")
    check("the log begun anew is not published", code != 0 and not tessera.published("anew"), said)
    shutil.copytree(world.path("log"), world.path("by-stranger"))
    stranger = Tessera(program, world, log, witness, "http://" + place, "stranger")
    check("for who is no peer nothing is cosigned", *stranger.refused(401, "by-stranger", "six"))
    connector.stop()
    code, report = connector.verify()
    check("the witness's own log is whole", code == 0, report)
