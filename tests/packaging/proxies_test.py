#!/usr/bin/env python3
"""The proxies of docs/operations.md before a real connector: what passes TLS through serves peers, and
what ends TLS is refused with the codes that the page names."""
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import packaging

STREAM = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
MODULES = "load_module %s;\n" % STREAM
ASKED = "trial:did:web:alpha.example"


def catalog(tally, connector):
    return packaging.run(tally, "--connector", connector, "catalog", ASKED, check=False)


def unnamed(page, asked):
    """What a peer that was not served was told, and the page does not name."""
    if asked.returncode == 0:
        return ["a peer is served though TLS does not reach the connector"]
    codes = re.findall(r"\b(?:api|net|identity)\.[a-z-]+", asked.stderr)
    if codes and all("`%s`" % code in page for code in codes):
        return []
    return ["docs/operations.md does not say what is seen: " + asked.stderr]


class Proxy:
    """A proxy process, once its port answers."""

    def __init__(self, command, port):
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    sys.exit("%s: %s" % (command[0], self.process.stderr.read()))
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def nginx(folder, text, port):
    config = folder / "nginx.conf"
    config.write_text("daemon off;\nmaster_process off;\npid %s/nginx.pid;\nerror_log stderr;\n%s\n" % (
        folder, text))
    return Proxy(["nginx", "-e", "stderr", "-p", folder, "-c", config], port)


def as_published(source, name, public, own):
    """A snippet of the page with the ports of this run."""
    text = (source / "packaging/proxies" / name).read_text(encoding="utf-8")
    text = text.replace("listen 443", "listen 127.0.0.1:%d" % public)
    text = text.replace("bind :443", "bind 127.0.0.1:%d" % public)
    assert "alpha.example" in text and "127.0.0.1:8443" in text
    # Both connectors are on this machine: the name that is asked for is its own.
    return text.replace("alpha.example", "localhost").replace("127.0.0.1:8443", "127.0.0.1:%d" % own)


TERMINATING = """
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{public} ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location / {{
            proxy_pass https://127.0.0.1:{own};
            {more}
        }}
    }}
}}
"""


def main():
    arguments = packaging.arguments()
    packaging.need("nginx", "openssl")
    if not STREAM.exists():
        packaging.skip("nginx has no stream module here (libnginx-mod-stream)")
    tally = arguments.build / "bin/tally"
    page = (arguments.source / "docs/operations.md").read_text(encoding="utf-8")
    faults = []
    running = []
    with tempfile.TemporaryDirectory(prefix="tally-proxies-") as folder:
        folder = pathlib.Path(folder)
        authority = packaging.Authority(arguments.source, folder)
        public, own = packaging.free_port(), packaging.free_port()
        beta_port = packaging.free_port()

        def ports():
            return ("--apps-port", packaging.free_port(), "--management-port", packaging.free_port())
        alpha = authority.enrol(tally, folder, "alpha", "https://localhost:%d" % public,
                                "--listen", "127.0.0.1:%d" % own, *ports())
        beta = authority.enrol(tally, folder, "beta", "https://localhost:%d" % beta_port, *ports())
        packaging.run(tally, "peer", alpha, "trial:did:web:beta.example",
                      "https://localhost:%d" % beta_port)
        packaging.run(tally, "peer", beta, ASKED, "https://localhost:%d" % public)
        (folder / "table.csv").write_text("a,b\n1,2\n")
        packaging.run(tally, "share", alpha, folder / "table.csv", "--template", "number-of-uses",
                      "--set", "uses=1")
        try:
            for connector in (alpha, beta):
                running.append(packaging.Daemon([arguments.build / "bin/tallyd"], connector))
            for daemon in running:
                daemon.await_text('"daemon.serving"')

            passing = [("nginx-stream.conf", lambda text: nginx(
                folder, MODULES + "events {}\n" + text, public))]
            if shutil.which("haproxy"):
                def haproxy(text):
                    config = folder / "haproxy.cfg"
                    config.write_text(text)
                    return Proxy(["haproxy", "-db", "-f", config], public)
                passing.append(("haproxy.cfg", haproxy))
            else:
                print("skipped: haproxy: there is no haproxy")
            for name, start in passing:
                proxy = start(as_published(arguments.source, name, public, own))
                asked = catalog(tally, beta)
                proxy.stop()
                print("%s: exit %d" % (name, asked.returncode))
                if asked.returncode != 0 or "table" not in asked.stdout:
                    faults.append("%s does not pass through: %s%s" % (
                        name, asked.stdout, asked.stderr))

            # HAProxy says who comes, before TLS begins.
            if shutil.which("haproxy"):
                proxy = haproxy(as_published(arguments.source, "haproxy.cfg", public, own).replace(
                    " check", " send-proxy"))
                asked = catalog(tally, beta)
                proxy.stop()
                print("PROXY protocol: exit %d\n  %s" % (asked.returncode, asked.stderr))
                faults += unnamed(page, asked)

            # An ingress with a certificate of its own, as a public authority gives it; and one that was
            # even given alpha's own pair: alpha then gets no client certificate.
            own_pair = (folder / "own.pem", folder / "own.key")
            packaging.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                          "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-addext",
                          "subjectAltName=DNS:localhost", "-days", "2", "-out", own_pair[0],
                          "-keyout", own_pair[1])
            alphas = (alpha / "tls/chain.pem", alpha / "tls/key.pem")
            for what, (certificate, key), more in (
                    ("its own", own_pair, ""), ("alpha's", alphas, ""),
                    ("alpha's", alphas, "proxy_ssl_protocols TLSv1.3;")):
                proxy = nginx(folder, TERMINATING.format(
                    folder=folder, public=public, own=own, certificate=certificate, key=key,
                    more=more), public)
                asked = catalog(tally, beta)
                proxy.stop()
                print("ending TLS with %s certificate: exit %d\n  %s" % (
                    what, asked.returncode, asked.stderr))
                faults += unnamed(page, asked)
        finally:
            for daemon in running:
                daemon.stop()
        # Whoever stood before alpha with alpha's own pair is in alpha's log, and nobody else.
        refused = packaging.run(tally, "audit", "query", alpha, "--type", "peer.refused",
                                "--count-by", "reason").stdout
        print(refused)
        reasons = set(re.findall(r"\b(?:net|identity)\.[a-z-]+", refused))
        proxied = {"net.not-tls"} if shutil.which("haproxy") else set()
        if reasons != {"net.tls-version", "identity.no-certificate"} | proxied:
            faults.append("alpha's log says: " + refused)
        elif not all("`%s`" % reason in page for reason in reasons):
            faults.append("docs/operations.md does not name what is in the log")
    packaging.finish("proxies", faults)


if __name__ == "__main__":
    sys.exit(main())
