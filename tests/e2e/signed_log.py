"""A log, or a witness, that a test plays by its key: checkpoints of any leaves, true or not."""
import base64
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "audit"))
import verifier  # noqa: E402


def b64(raw):
    return base64.b64encode(raw).decode()


def consistency(leaves, old, whole=True):
    """SUBPROOF of RFC 6962, 2.1.2."""
    if old == len(leaves):
        return [] if whole else [verifier.tree_root(leaves)]
    k = verifier.split(len(leaves))
    if old <= k:
        return consistency(leaves[:k], old, whole) + [verifier.tree_root(leaves[k:])]
    return consistency(leaves[k:], old - k, False) + [verifier.tree_root(leaves[:k])]


class Log:
    """A log with a key in a file, signed with the openssl command. Type 4: a witness's key."""

    def __init__(self, key_file, origin, kind=1):
        self.key_file, self.origin = key_file, origin
        spki = subprocess.run(["openssl", "pkey", "-in", key_file, "-pubout", "-outform", "DER"],
                              capture_output=True, check=True).stdout
        key = bytes([kind]) + spki[-32:]
        self.id = verifier.sha(origin.encode(), b"\n", key)[:4]
        self.vkey = "%s+%s+%s" % (origin, self.id.hex(), b64(key))

    def checkpoint(self, leaves):
        text = "%s\n%d\n%s\n" % (self.origin, len(leaves), b64(verifier.tree_root(leaves)))
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            signature = subprocess.run(
                ["openssl", "pkeyutl", "-sign", "-inkey", self.key_file, "-rawin", "-in",
                 file.name], capture_output=True, check=True).stdout
        return "%s\n— %s %s\n" % (text, self.origin, b64(self.id + signature))

    def request(self, leaves, old):
        proof = consistency(leaves, old) if old else []
        return "".join(["old %d\n" % old, *[b64(hash) + "\n" for hash in proof], "\n",
                        self.checkpoint(leaves)]).encode()
