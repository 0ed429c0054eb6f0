"""What a connector's memory tells: no core is ever dumped, nobody else of its user reads it, and a key
or token that went is not in it any more. Each search finds the secret first, while it is in use."""
import base64
import ctypes
import ctypes.util
import os
import pwd
import subprocess
import unittest

import connectors
import wires
from connectors import RESEARCH, Pair, World, eventually

LARGE = 64 << 20  # far more than sockets hold
LARGEST = 1 << 30  # of a mapping: what is more is the shadow that a sanitizer has of all of them


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(content=bytes(LARGE))
    pair.start()


def memory(pid):
    """What the process may have written to, piece by piece."""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            place, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in place.split("-"))
            if end - begin > LARGEST:
                continue
            mem.seek(begin)
            try:
                yield mem.read(end - begin)
            except OSError:
                pass  # a mapping that nobody can read


def is_in_memory(connector, *forms):
    return any(form in piece for piece in memory(connector.process.pid) for form in forms)


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout


def scalar(key_file):
    """The private number of a P-256 key, in the orders in which memory may have it."""
    lines = openssl("pkey", "-in", key_file, "-noout", "-text").decode().split("\n")
    begin = lines.index("priv:")
    number = bytes.fromhex("".join(lines[begin + 1:begin + 4]).replace(":", "").replace(" ", ""))
    number = number[-32:].rjust(32, b"\0")
    return number, number[::-1]


def pem_lines(key_file):
    """A line of the file alone is enough to have the key, nearly."""
    with open(key_file, "rb") as file:
        return [line for line in file.read().split(b"\n")[1:-2] if len(line) > 20]


def open_gcm(key, nonce, aad, sealed):
    """AES-256-GCM by the library that openssl itself uses; the standard library has none."""
    crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
    crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
    crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    size = ctypes.c_int()
    out = ctypes.create_string_buffer(len(sealed))
    text, tag = sealed[:-16], sealed[-16:]
    cipher = ctypes.c_void_p(crypto.EVP_aes_256_gcm())
    steps = [
        crypto.EVP_DecryptInit_ex(context, cipher, None, key, nonce),
        crypto.EVP_DecryptUpdate(context, None, ctypes.byref(size), aad, len(aad)),
        crypto.EVP_DecryptUpdate(context, out, ctypes.byref(size), text, len(text)),
        crypto.EVP_CIPHER_CTX_ctrl(context, 0x11, 16, tag),
        crypto.EVP_DecryptFinal_ex(context, None, ctypes.byref(size)),
    ]
    crypto.EVP_CIPHER_CTX_free(context)
    assert steps == [1] * len(steps), steps
    return out.raw[:len(text)]


def ring_keys(connector):
    with open(connector.wrapping_key) as file:
        lines = file.read().split("\n")[1:-1]
    return [line.split()[2] for line in lines]


def forms_of(base64_text):
    return base64.b64decode(base64_text), base64_text.encode()


class Dumps(unittest.TestCase):
    def test_no_core_is_dumped(self):
        with open("/proc/%d/limits" % provider.process.pid) as limits:
            line = next(line for line in limits if line.startswith("Max core file size"))
        self.assertEqual(line.split()[4:6], ["0", "0"])

    def test_nobody_else_of_its_user_looks_in(self):
        """What is of a process that others may trace is its user's; else it is root's."""
        if os.getuid() != 0:
            self.skipTest("skipped: needs root to run a process as somebody else")
        nobody = pwd.getpwnam("nobody").pw_uid
        other = subprocess.Popen(["sleep", "60"], user=nobody)
        self.addCleanup(other.kill)
        os.chmod(world.folder, 0o711)
        alone = connectors.Connector(world, "alone", "did:web:alone.example", test=False)
        for folder, _, files in os.walk(alone.folder):
            for name in [folder] + [os.path.join(folder, name) for name in files]:
                os.chown(name, nobody, -1)
        os.chmod(os.path.dirname(alone.wrapping_key), 0o711)
        os.chown(alone.wrapping_key, nobody, -1)
        process = subprocess.Popen([connectors.options.tallyd, alone.folder], user=nobody,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.terminate)
        self.assertIn("daemon.serving", process.stderr.readline())
        owner = lambda pid: os.stat("/proc/%d/environ" % pid).st_uid
        self.assertEqual((owner(other.pid), owner(process.pid)), (nobody, 0))


@unittest.skipIf(os.getuid() != 0, "skipped: needs root to read the memory of a connector")
class Gone(unittest.TestCase):
    def gone(self, connector, *forms):
        eventually(lambda: not is_in_memory(connector, *forms), "it is gone")

    def test_a_wrapping_key_that_was_replaced(self):
        before = forms_of(ring_keys(consumer)[0])
        self.assertTrue(is_in_memory(consumer, before[0]))
        consumer.tally("custody", "rotate-key")
        after = forms_of(ring_keys(consumer)[0])
        self.assertNotEqual(before, after)
        self.gone(consumer, *before)
        self.assertTrue(is_in_memory(consumer, after[0]))
        self.assertFalse(is_in_memory(consumer, after[1]))

    def test_the_key_of_an_artefact_that_was_destroyed(self):
        agreement = consumer.agree(provider)
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        keys = consumer.path("custody", "keys")
        name, = os.listdir(keys)
        with open(os.path.join(keys, name), "rb") as file:
            wrapped = file.read()
        key = open_gcm(base64.b64decode(ring_keys(consumer)[0]), wrapped[24:36],
                       wrapped[:24] + name.removesuffix(".key").encode(), wrapped[36:])
        self.assertEqual(len(key), 32)
        # Somebody reads, and stops taking: the connector holds the key.
        reader = wires.connect(consumer.apps_port)
        self.addCleanup(reader.close)
        reader.sendall(("GET /api/v1/data/%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n"
                        % (agreement, consumer.app("slow", RESEARCH))).encode())
        self.assertTrue(reader.recv(4096).startswith(b"HTTP/1.1 200"))
        self.assertTrue(is_in_memory(consumer, key))
        ended = consumer.api("POST", "/api/v1/agreements/%s/termination" % agreement,
                             {"reason": "over"})
        self.assertEqual(ended.status, 200, ended)
        eventually(lambda: consumer.records("data.destroyed"), "destroyed")
        self.gone(consumer, key)

    def test_a_private_key_that_was_replaced(self):
        alone = connectors.Connector(world, "single", "did:web:single.example").start()
        self.addCleanup(alone.stop)
        file = alone.path("tls", "key.pem")
        before, text = scalar(file), pem_lines(file)
        self.assertTrue(is_in_memory(alone, *before))
        self.assertFalse(is_in_memory(alone, *text))
        chain, key = world.authority.issue(connectors.HEALTH, [alone.uri])
        for fresh, place in ((key, "key.pem"), (chain, "chain.pem")):
            with open(fresh) as source, open(alone.path("tls", place), "w") as target:
                target.write(source.read())
        alone.reload()
        self.gone(alone, *before, *text)
        self.assertTrue(is_in_memory(alone, *scalar(file)))
        self.assertFalse(is_in_memory(alone, *pem_lines(file)))

    def test_the_other_keys_are_there_once_and_not_as_their_files_have_them(self):
        for kind in ("contract", "log-key", "witness-key"):
            self.assertFalse(is_in_memory(provider, *pem_lines(provider.path(kind, "key.pem"))), kind)

    def test_a_token_that_was_shown(self):
        token = provider.app("shown", RESEARCH)
        # Where it was made it was told as well; this is about who shows it.
        self.assertEqual(provider.stop(), 0)
        provider.start()
        for port, shown in ((provider.apps_port, token), (provider.management_port, provider.token)):
            self.assertFalse(is_in_memory(provider, shown.encode()))
            connection = wires.connect(port)
            # Its body does not come: the connector holds the token.
            request = ("POST /api/v1/derivations HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                       "Content-Type: text/plain\r\nAuthorization: Bearer %s\r\n\r\n" % shown)
            connection.sendall(request.encode())
            eventually(lambda: is_in_memory(provider, shown.encode()), "it is held")
            connection.sendall(b"12345")
            wires.read_answer(connection, "POST")
            connection.close()
            self.gone(provider, shown.encode())


if __name__ == "__main__":
    connectors.main()
