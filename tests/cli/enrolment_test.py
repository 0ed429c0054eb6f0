#!/usr/bin/env python3
"""From an empty folder to one that can start: tally init, tally-authority, tally import, tally peer,
tally share, and everything that they refuse."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
AUTHORITY = SOURCE / "certs/tally-authority"
ALPHA, BETA = "did:web:alpha.example", "did:web:beta.example"
options = argparse.Namespace()


def call(*command, **environment):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env=dict(os.environ, LANG="C.UTF-8", LC_ALL="C.UTF-8", **environment))


class Enrolment(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tally-enrolment-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.alpha = self.folder / "alpha"

    def good(self, *command, **environment):
        done = call(*command, **environment)
        self.assertEqual(done.returncode, 0, "%s\n%s%s" % (command, done.stdout, done.stderr))
        return done.stdout

    def refused(self, code, *command, exit_code=1, **environment):
        done = call(*command, **environment)
        self.assertEqual(done.returncode, exit_code, "%s\n%s%s" % (
            command, done.stdout, done.stderr))
        self.assertIn(code, done.stderr)

    def tally(self, *arguments):
        return self.good(options.tally, *arguments)

    def init(self, name="alpha", uri=ALPHA, *more):
        self.tally("init", self.folder / name, "--participant", "trial:" + uri, "--public-url",
                   "https://%s.example:8443" % name, "--wrapping-key", self.folder / (name + ".key"),
                   *more)

    def authority(self, name="authority"):
        self.good(AUTHORITY, "new", self.folder / name, "The " + name)

    def sign(self, out="issued.pem", requests=None, uri=ALPHA, authority="authority", **environment):
        out = self.folder / out
        self.good(AUTHORITY, "sign", self.folder / authority, uri,
                  requests or self.alpha / "requests.pem", out, **environment)
        return out

    def enrol(self):
        self.init()
        self.authority()
        issued = self.sign()
        self.tally("import", self.alpha, issued)
        return issued

    def config(self):
        return json.loads((self.alpha / "tally.json").read_text())

    def snapshot(self):
        return {file: file.read_bytes() for file in self.alpha.rglob("*") if file.is_file()}

    def certificates(self, file):
        """The PEM blocks of a file, by kind: leaves, authorities, lists."""
        blocks = [part + "-----\n" for part in
                  file.read_text().replace("-----\n-----BEGIN", "-----\n\0-----BEGIN").split("\0")]
        blocks = [block.replace("-----\n-----\n", "-----\n") for block in blocks]
        lists = [block for block in blocks if "X509 CRL" in block]
        own = self.folder / "ca-of-test.pem"
        shutil.copy(self.folder / "authority/ca.pem", own)
        authorities = [block for block in blocks if block.strip() == own.read_text().strip()]
        leaves = [block for block in blocks if block not in lists and block not in authorities]
        return leaves, authorities, lists

    # --- what goes well ---

    def test_a_folder_that_was_enrolled_can_start(self):
        self.enrol()
        self.good(options.tallyd, "--check", self.alpha)
        (trust,) = self.config()["trust"]
        self.assertEqual(trust, {
            "domain": "trial", "anchors": "trust/trial.pem", "uriPrefixes": ["did:web:"],
            "crl": "required", "crlFile": "trust/trial.crl"})

    def test_one_that_was_not_enrolled_says_what_to_do(self):
        self.init()
        for arguments in (["--check"], []):
            ended = call(options.tallyd, *arguments, self.alpha)
            self.assertEqual(ended.returncode, 1)
            self.assertIn("daemon.config-no-trust", ended.stderr)
            self.assertIn("tally import", ended.stderr)

    def test_a_renewal_and_a_new_list_come_the_same_way(self):
        first = self.enrol()
        chain = (self.alpha / "tls/chain.pem").read_bytes()
        listed = (self.alpha / "trust/trial.crl").read_bytes()
        second = self.sign("renewed.pem")
        self.good(AUTHORITY, "revoke", self.folder / "authority", first)
        self.good(AUTHORITY, "list", self.folder / "authority", self.folder / "list.pem")
        said = self.tally("import", self.alpha, second, self.folder / "list.pem")
        self.assertIn("revocation list", said)
        self.assertNotEqual((self.alpha / "tls/chain.pem").read_bytes(), chain)
        self.assertNotEqual((self.alpha / "trust/trial.crl").read_bytes(), listed)
        self.assertEqual(len(self.config()["trust"]), 1)
        self.good(options.tallyd, "--check", self.alpha)

    def test_a_list_alone_replaces_the_list_alone(self):
        self.enrol()
        before = self.snapshot()
        self.good(AUTHORITY, "list", self.folder / "authority", self.folder / "list.pem")
        self.tally("import", self.alpha, self.folder / "list.pem")
        after = self.snapshot()
        self.assertEqual({file.name for file in after if after[file] != before[file]}, {"trial.crl"})

    def test_one_certificate_after_the_other_says_what_is_missing(self):
        self.init()
        self.authority()
        leaves, authorities, lists = self.certificates(self.sign())
        part = self.folder / "part.pem"
        part.write_text(leaves[0] + authorities[0] + lists[0])
        done = call(options.tally, "import", self.alpha, part)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("contract/request.pem", done.stdout)
        part.write_text(leaves[1])
        self.tally("import", self.alpha, part)
        self.good(options.tallyd, "--check", self.alpha)

    def test_the_two_chains_by_themselves_change_no_trust(self):
        self.init()
        self.authority()
        leaves, _, _ = self.certificates(self.sign())
        for name, leaf in zip(("tls", "contract"), leaves):
            (self.folder / (name + ".pem")).write_text(leaf)
        self.tally("import", self.alpha, "--tls", self.folder / "tls.pem", "--contract",
                   self.folder / "contract.pem")
        self.assertEqual(self.config()["trust"], [])
        self.refused("--contract", options.tally, "import", self.alpha, "--tls",
                     self.folder / "tls.pem", exit_code=3)
        self.refused("files", options.tally, "import", self.alpha, exit_code=3)

    # --- what import refuses, with nothing changed ---

    def unchanged(self, code, *files, more=(), exit_code=1):
        before = self.snapshot()
        self.refused(code, options.tally, "import", self.alpha, *files, *more, exit_code=exit_code)
        self.assertEqual(self.snapshot(), before)

    def test_another_authority_is_not_trusted_by_the_way(self):
        self.enrol()
        self.authority("other")
        self.unchanged("cli.import-other-anchor", self.sign("other.pem", authority="other"))
        # Nor a certificate of it alone, which peers would refuse.
        shutil.copy(self.folder / "authority/ca.pem", self.folder / "ca.pem")
        text = (self.folder / "other.pem").read_text()
        leaf = text[:text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
        (self.folder / "leaf.pem").write_text(leaf)
        self.unchanged("identity.unknown-anchor", self.folder / "leaf.pem")

    def test_a_list_that_the_authority_did_not_sign(self):
        self.enrol()
        shutil.copytree(self.folder / "authority", self.folder / "forged")
        for name in ("ca.key", "ca.pem", "ca.cnf", "index.txt"):
            (self.folder / "forged" / name).unlink()
        self.good(AUTHORITY, "new", self.folder / "forged", "The authority")
        self.unchanged("identity.trust-crl-signature", self.folder / "forged/crl.pem")

    def test_no_trust_without_a_list_or_an_authority(self):
        self.init()
        self.authority()
        leaves, authorities, lists = self.certificates(self.sign())
        part = self.folder / "part.pem"
        part.write_text("".join(leaves + authorities))
        self.unchanged("cli.import-no-list", part)
        part.write_text("".join(leaves + lists))
        self.unchanged("cli.import-no-anchor", part)

    def test_a_certificate_for_somebody_else(self):
        self.init()
        self.init("beta", BETA)
        self.authority()
        issued = self.sign("beta.pem", self.folder / "beta/requests.pem", BETA)
        self.unchanged("identity.issued-stranger", issued)

    def test_a_certificate_of_our_key_with_another_name(self):
        self.init()
        self.authority()
        named = self.folder / "named.csr"
        self.good("openssl", "req", "-new", "-key", self.alpha / "tls/key.pem", "-subj", "/CN=x",
                  "-addext", "subjectAltName=URI:" + BETA, "-out", named)
        self.unchanged("cli.certificate-other-uri", self.sign("named.pem", named, BETA))

    def test_a_certificate_that_was_revoked(self):
        self.init()
        self.authority()
        issued = self.sign()
        self.good(AUTHORITY, "revoke", self.folder / "authority", issued)
        leaves, authorities, _ = self.certificates(issued)
        part = self.folder / "part.pem"
        part.write_text("".join(leaves + authorities) +
                        (self.folder / "authority/crl.pem").read_text())
        self.unchanged("identity.revoked", part)

    def test_a_name_outside_of_the_prefixes(self):
        self.init()
        self.authority()
        self.unchanged("identity.uri-not-allowed", self.sign(),
                       more=("--uri-prefix", "did:web:beta.example"))

    def test_a_uri_whose_prefix_nobody_can_guess(self):
        uri = "https://alpha.example/connector"
        self.init("alpha", uri)
        self.authority()
        issued = self.sign(uri=uri)
        self.unchanged("cli.import-no-prefix", issued)
        self.tally("import", self.alpha, issued, "--uri-prefix", uri)
        self.good(options.tallyd, "--check", self.alpha)

    def test_a_private_key_or_nothing_in_the_file(self):
        self.enrol()
        self.unchanged("identity.issued-private-key", self.alpha / "tls/key.pem")
        self.unchanged("identity.issued-unreadable", self.alpha / "tally.json")
        self.unchanged("cli.file-unreadable", self.folder / "none.pem", exit_code=3)

    # --- the authority ---

    def no_signature(self, what, requests, uri=ALPHA):
        out = self.folder / "refused.pem"
        self.refused(what, AUTHORITY, "sign", self.folder / "authority", uri, requests, out)
        self.assertFalse(out.exists())
        self.assertEqual(list((self.folder / "authority/issued").iterdir()), [])

    def request(self, names, key=None):
        out = self.folder / "made.csr"
        self.good("openssl", "req", "-new", "-key", key or self.alpha / "tls/key.pem", "-subj",
                  "/O=Somebody else/CN=x", "-addext", "subjectAltName=" + names, "-out", out)
        return out

    def test_the_authority_signs_for_whom_it_was_told_to(self):
        self.init()
        self.authority()
        self.no_signature("not for " + BETA, self.alpha / "requests.pem", BETA)
        self.no_signature("not for", self.request("URI:%s,URI:%s" % (ALPHA, BETA)))
        self.no_signature("not for", self.request("DNS:alpha.example"))
        self.no_signature("not a host", self.request("URI:%s,DNS:*.example" % ALPHA))
        self.no_signature("another kind", self.request("URI:%s,email:a@alpha.example" % ALPHA))
        self.no_signature("names no host", self.request(
            "URI:%s,DNS:alpha.example" % ALPHA, self.alpha / "contract/key.pem"))
        rsa = self.folder / "rsa.key"
        self.good("openssl", "genrsa", "-out", rsa, "2048")
        self.no_signature("the key must be", self.request("URI:" + ALPHA, rsa))
        self.no_signature("holds no certificate request", self.alpha / "tally.json")
        self.no_signature("not taken", self.alpha / "requests.pem", ALPHA + ",DNS:bank.example")
        forged = self.folder / "forged.csr"
        text = self.request("URI:" + ALPHA).read_text().splitlines()
        text[-3] = ("B" if text[-3][0] != "B" else "C") + text[-3][1:]
        forged.write_text("\n".join(text) + "\n")
        done = call(AUTHORITY, "sign", self.folder / "authority", ALPHA, forged,
                    self.folder / "refused.pem")
        self.assertEqual(done.returncode, 1)
        self.assertFalse((self.folder / "refused.pem").exists())

    def test_what_a_certificate_says_is_the_authoritys_word(self):
        self.init()
        self.authority()
        made = self.request("URI:%s,DNS:alpha.example,IP:192.0.2.7" % ALPHA)
        issued = self.sign("made.pem", made, AUTHORITY_SUBJECT="/C=CH/O=Alpha Ltd", AUTHORITY_DAYS="3")
        shown = self.good("openssl", "x509", "-in", issued, "-noout", "-subject", "-ext",
                          "subjectAltName,extendedKeyUsage,basicConstraints")
        self.assertIn("subject=C = CH, O = Alpha Ltd, CN = " + ALPHA, shown)
        self.assertNotIn("Somebody", shown)
        self.assertIn("IP Address:192.0.2.7", shown)
        self.assertEqual(call("openssl", "x509", "-in", issued, "-checkend", 4 * 86400).returncode, 1)

    def test_a_passphrase_protects_the_key(self):
        self.init()
        secret = self.folder / "passphrase"
        secret.write_text("a long one\n")
        self.good(AUTHORITY, "new", self.folder / "authority", "Locked",
                  AUTHORITY_PASSPHRASE_FILE=str(secret))
        self.assertIn("ENCRYPTED", (self.folder / "authority/ca.key").read_text())
        self.sign(AUTHORITY_PASSPHRASE_FILE=str(secret))
        self.assertEqual((self.folder / "authority/ca.key").stat().st_mode & 0o077, 0)

    # --- peers, proxies, files ---

    def test_a_bare_address_is_that_of_a_tally(self):
        self.init()
        for given, kept in (("https://beta.example:8443", "https://beta.example:8443/dsp/2025-1"),
                            ("https://beta.example/", "https://beta.example/dsp/2025-1"),
                            ("https://beta.example/other", "https://beta.example/other")):
            self.tally("peer", self.alpha, "trial:" + BETA, given)
            self.assertEqual([peer["url"] for peer in self.config()["peers"]], [kept])

    def test_where_to_listen_behind_a_proxy(self):
        self.init("alpha", ALPHA, "--listen", "127.0.0.1:9443")
        self.assertEqual(self.config()["listeners"]["peers"], {
            "address": "127.0.0.1", "port": 9443, "publicUrl": "https://alpha.example:8443"})
        for wrong in ("9443", "127.0.0.1", "alpha.example:9443", "127.0.0.1:9443/x"):
            self.refused("cli.listen-malformed", options.tally, "init", self.folder / "x",
                         "--participant", "trial:" + ALPHA, "--public-url", "https://a.example",
                         "--wrapping-key", self.folder / "x.key", "--listen", wrong, exit_code=3)
            self.assertFalse((self.folder / "x").exists())

    def share(self, file, *more):
        return ("share", self.alpha, file, "--template", "number-of-uses", "--set", "uses=3", *more)

    def test_a_file_is_shared(self):
        self.enrol()
        table = self.folder / "table.csv"
        table.write_text("a,b\n1,2\n")
        self.tally(*self.share(table, "--to", "trial:" + BETA, "--title", "A table"))
        self.assertEqual((self.alpha / "source/table.csv").read_text(), table.read_text())
        asset = json.loads((self.alpha / "assets/table.json").read_text())
        self.assertEqual(asset, {
            "id": "table", "title": "A table", "mediaType": "text/csv", "delivery": "custody",
            "source": {"type": "file", "path": "table.csv"}})
        offer = json.loads((self.alpha / "policies/table.json").read_text())
        self.assertEqual(offer["visibleTo"], [{"domain": "trial", "uri": BETA}])
        self.assertEqual(offer["policy"]["target"], "table")
        self.tally("policy", "check", self.alpha / "policies/table.json")
        # What is offered already is not exchanged under anyone's hands.
        before = self.snapshot()
        table.write_text("a,b\n3,4\n")
        self.refused("cli.share-taken", options.tally, *self.share(table))
        self.assertEqual(self.snapshot(), before)
        self.tally(*self.share(self.alpha / "source/table.csv", "--id", "urn:alpha:table/2"))
        again = json.loads((self.alpha / "assets/urn:alpha:table-2.json").read_text())
        self.assertEqual((again["id"], again["source"]["path"]), ("urn:alpha:table/2", "table.csv"))
        offer = json.loads((self.alpha / "policies/urn:alpha:table-2.json").read_text())
        self.assertEqual(offer["visibleTo"], [{"domain": "trial"}])

    def test_what_cannot_be_offered_is_not_shared(self):
        self.enrol()
        table = self.folder / "table.csv"
        table.write_text("a,b\n1,2\n")
        before = self.snapshot()
        for code, arguments in (
                ("cli.template-unknown", ["--template", "number-of-use"]),
                ("odrl.", ["--template", "number-of-uses", "--set", "uses=many"]),
                ("odrl.", ["--template", "privacy-technique", "--set", "technique=sorcery"]),
                ("cli.party-malformed", ["--template", "plain-permit", "--to", "nobody"])):
            self.refused(code, options.tally, "share", self.alpha, table, *arguments, exit_code=3)
            self.assertEqual(self.snapshot(), before)
        self.refused("cli.file-unreadable", options.tally, *self.share(self.folder / "none.csv"),
                     exit_code=3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tally", required=True)
    parser.add_argument("--tallyd", required=True)
    options, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
