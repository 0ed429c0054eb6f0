"""litewitness, a witness by others, cosigns checkpoints of our log as it grows; what it says is
believed by both of our verifiers, and a history that was made up is refused."""
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess

import connectors
import wires
from connectors import INSTITUTE, Connector, eventually, free_port, run
from judging import checkpoint_size, grow
from signed_log import Log, b64, consistency, verifier

MODULE = "filippo.io/torchwood/cmd/litewitness@v0.9.0"
NAME = "witness.example/lite"
YOUNG, GROWN = 20, 300  # records; the second is more than one tile


class Witness:
    """Its key is in an agent of its own, its logs are rows of its file."""

    def __init__(self, world):
        self.world, self.port, self.processes = world, free_port(), []
        self.database, self.said = world.path("witness.db"), world.path("witness.stderr")

    def start(self, program):
        world = self.world
        key, agent = world.path("witness-ssh-key"), world.path("agent")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        self.spawn("ssh-agent", "-D", "-a", agent)
        eventually(lambda: os.path.exists(agent), "the agent listens")
        run("ssh-add", "-q", key, env=dict(os.environ, SSH_AUTH_SOCK=agent))
        fingerprint = run("ssh-keygen", "-l", "-f", key + ".pub").stdout.split()[1]
        self.spawn(program, "-ssh-agent", agent, "-key", fingerprint, "-name", NAME,
                   "-listen", "127.0.0.1:%d" % self.port, "-db", self.database)
        self.vkey = eventually(self.printed_key, "litewitness says its key")
        eventually(self.serves, "litewitness serves")

    def spawn(self, *command):
        with open(self.said, "ab") as said:
            self.processes.append(subprocess.Popen(command, stdout=said, stderr=said))

    def text(self):
        with open(self.said) as file:
            return file.read()

    def printed_key(self):
        found = re.search(r'vkey="?([^"\s]+)', self.text())
        return found and found.group(1)

    def serves(self):
        try:
            return wires.call(self.port, "GET", "/").status
        except OSError:
            return None

    def watch(self, origin, vkey):
        with contextlib.closing(sqlite3.connect(self.database)) as database, database:
            database.execute("INSERT INTO log VALUES (?, 0, ?)", (origin, b64(verifier.sha())))
            database.execute("INSERT INTO key VALUES (?, ?)", (origin, vkey))

    def add_checkpoint(self, checkpoint, old, proof=()):
        return self.add(b"".join([b"old %d\n" % old, *[b64(hash).encode() + b"\n" for hash in proof],
                                  b"\n", checkpoint]))

    def add(self, request):
        return wires.call(self.port, "POST", "/add-checkpoint", request)

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def leaves(connector, size):
    """The hashes of the records, from the tiles of level 0."""
    found = []
    for index in range((size + 255) // 256):
        path = verifier.tile_path(0, index, min(256, size - 256 * index))
        tile = connector.api("GET", "/log/" + path).body
        found += [tile[at:at + 32] for at in range(0, len(tile), 32)]
    return found


def check_cosigned(check, what, answer, checkpoint, log, witness):
    signers = {}
    if answer.status == 200:
        _, signers = verifier.verify_note(checkpoint + answer.body,
                                          [log.vkey.encode(), witness.vkey.encode()])
    check(what, answer.status == 200 and signers.get(witness.vkey.encode(), 0) > 0, answer)


def check_proof(check, connector, log, witness, checkpoint, cosignature, world):
    """A record's proof that asks for the witness: refused without its line, accepted with it."""
    policy, proof, record = (world.path(name) for name in ("policy", "proof", "record"))
    with open(policy, "w") as file:
        file.write("log %s\nwitness w %s\nquorum w\n" % (log.vkey, witness.vkey))
    connector.tally("audit", "prove", connector.folder, 7, "--out", proof, "--record", record)

    def judged():
        return run(connectors.options.tally, "audit", "check-proof", proof, record, "--policy", policy,
                   check=False)
    bare = judged()
    check("a policy that asks for the witness refuses the proof without it", bare.returncode == 1,
          bare.stdout + bare.stderr)
    with open(proof, "ab") as file:
        file.write(cosignature)
    with open(proof, "rb") as file:
        same = file.read().endswith(b"\n\n" + checkpoint + cosignature)
    cosigned = judged()
    check("and `tally audit check-proof` accepts it with the cosignature",
          same and cosigned.returncode == 0, cosigned.stdout + cosigned.stderr)


def judge(check, program, world):
    if not all(map(shutil.which, ("ssh-agent", "ssh-add", "ssh-keygen"))):
        print("skipped  litewitness: its key needs ssh-agent")
        return
    connector = Connector(world, "logged", INSTITUTE).start()
    log = Log(connector.path("log-key", "key.pem"), INSTITUTE + "/log/1")
    witness = Witness(world)
    try:
        witness.start(program)
        told(check, connector, log, witness, world)
    finally:
        witness.close()


def told(check, connector, log, witness, world):
    grow(connector, YOUNG)
    young = connector.api("GET", "/log/checkpoint").body
    answer = witness.add_checkpoint(young, 0)
    check("a log that it does not know is 404", answer.status == 404, answer)
    witness.watch(log.origin, log.vkey)
    answer = witness.add_checkpoint(young, 0)
    check_cosigned(check, "our checkpoint is cosigned", answer, young, log, witness)
    check_proof(check, connector, log, witness, young, answer.body, world)

    grow(connector, GROWN)
    grown = connector.api("GET", "/log/checkpoint").body
    old, size = (checkpoint_size(note.decode()) for note in (young, grown))
    hashes = leaves(connector, size)
    answer = witness.add_checkpoint(grown, 0)
    check("another old size than its own is 409", (answer.status, answer.body) == (
        409, b"%d\n" % old), answer)
    answer = witness.add_checkpoint(grown, old, consistency(hashes, old))
    check_cosigned(check, "so is the grown log, with the proof from our tiles", answer, grown, log,
                   witness)

    forged = hashes[:3] + [verifier.sha(b"another record")] + hashes[4:]
    longer = forged + [verifier.sha(b"one more")]
    answer = witness.add(log.request(longer, size))
    check("a longer history that was made up is 422", answer.status == 422, answer)
    # The text of C2SP tlog-witness has 409 here; our witness answers as this one does.
    answer = witness.add(log.request(forged, size))
    check("another root of the same size is 422", answer.status == 422, answer)
