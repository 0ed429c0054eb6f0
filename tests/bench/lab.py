"""Connectors, a web server and processes for the measurements of run.py: made in one folder, on free
ports of the loopback, all ended again. Standard library only."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

PROVIDER = ("health", "did:web:hospital.example")
CONSUMER = ("city", "did:web:institute.example")
PURPOSE = "https://health.example/purpose/research"


class Broken(Exception):
    """A step did not go as it must; the measurement is void."""


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_ports(count):
    taken = []
    for _ in range(count):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        taken.append(one)
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def cpu_of(pid):
    """User and system seconds of a process, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_cpu():
    """Seconds that all cores spent on anything, interrupts included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def memory_of(pid):
    """RSS in MiB, and its part that is no file's."""
    values = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            values[name] = int(value.split()[0]) / 1024
    return values["VmRSS"], values["RssAnon"]


class Pki:
    """Two test anchors, as certs/make-test-pki makes them."""

    def __init__(self, folder):
        self.folder = folder
        run(ROOT / "certs/make-test-pki", folder, ":".join(PROVIDER), ":".join(CONSUMER))

    def anchor(self, domain):
        return self.folder / "anchors" / domain

    def sign(self, domain, request, out):
        run(ROOT / "certs/sign-request", self.anchor(domain), request, out)


class Connector:
    """One tallyd with its folder."""

    def __init__(self, binaries, pki, folder, party, custody=True, settings=None):
        self.binaries = binaries
        self.folder = folder
        self.party = party
        self.process = None
        self.port, self.apps_port, self.management_port = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        tally = binaries / "tally"
        run(tally, "init", folder, "--participant", ":".join(party), "--public-url", self.url,
            "--wrapping-key", f"{folder}.wrapping-key", "--apps-port", self.apps_port,
            "--management-port", self.management_port)
        for part in ("tls", "contract"):
            pki.sign(party[0], folder / part / "request.pem", f"{folder}-{part}.pem")
        run(tally, "import", folder, "--tls", f"{folder}-tls.pem", "--contract", f"{folder}-contract.pem")
        for domain in (PROVIDER[0], CONSUMER[0]):
            at = pki.anchor(domain)
            run(tally, "trust", folder, "--domain", domain, "--anchors", at / "ca.pem",
                "--crl", at / "crl.pem", "--uri-prefix", "did:web:")
        self.token = (folder / "operator.token").read_text().strip()
        self.log = pathlib.Path(f"{folder}.stderr")
        self.edit(settings or {}, drop=() if custody else ("custody",))

    def edit(self, settings, drop=()):
        at = self.folder / "tally.json"
        config = json.loads(at.read_text())
        config.update(settings)
        for name in drop:
            config.pop(name, None)
        at.write_text(json.dumps(config, indent=2))

    def know(self, other):
        run(self.binaries / "tally", "peer", self.folder, ":".join(other.party), other.url + "/dsp/2025-1")

    def offer(self, asset, data_file, delivery, count=None):
        """An asset and one offer of it to everybody, as files."""
        write_offer(self.folder, asset, data_file, delivery, count)

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "tallyd", self.folder], stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        return self.process.pid

    def start(self, within=60):
        self.spawn()
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Broken(f"tallyd ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            try:
                if self.request("GET", "/health/live")[0] == 200:
                    return
            except OSError:
                time.sleep(0.01)
        raise Broken(f"tallyd does not serve:\n{self.log.read_text()[-2000:]}")

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    # --- the management API ---

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.management_port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {self.token}"}
            if body is not None:
                headers["Content-Type"] = "application/json"
                body = json.dumps(body)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, path, body=None):
        status, text = self.request(method, path, body)
        if status >= 300:
            raise Broken(f"{method} {path}: {status} {text.decode(errors='replace')[:600]}")
        return json.loads(text)

    def wait(self, path, states, within=60, pause=0.02):
        deadline = time.monotonic() + within
        while True:
            shown = self.call("GET", path)
            if shown.get("state") in states:
                return shown
            if time.monotonic() > deadline:
                raise Broken(f"{path} stays {shown.get('state')}: {json.dumps(shown)[:800]}")
            time.sleep(pause)

    def negotiate(self, provider, asset):
        """Begins; the path of the negotiation."""
        begun = self.call("POST", "/api/v1/negotiations", {
            "peer": {"domain": provider.party[0], "uri": provider.party[1]},
            "asset": asset, "purposes": [PURPOSE]})
        return "/api/v1/negotiations/" + urllib.parse.quote(begun["id"], safe="")

    def agreement(self, path):
        """The agreement of a negotiation that `negotiate` began."""
        ended = self.wait(path, ("FINALIZED", "TERMINATED"))
        if ended["state"] != "FINALIZED":
            raise Broken(f"no agreement: {json.dumps(ended)[:800]}")
        return ended["agreement"]

    def transfer(self, agreement, format_):
        begun = self.call("POST", "/api/v1/transfers", {"agreement": agreement, "format": format_})
        return "/api/v1/transfers/" + urllib.parse.quote(begun["id"], safe="")

    # --- what a peer does ---

    def tls_client(self, pki, domain):
        context = ssl.create_default_context(cafile=pki.anchor(domain) / "ca.pem")
        context.load_cert_chain(self.folder / "tls/chain.pem", self.folder / "tls/key.pem")
        return context


def write_offer(folder, asset, data_file, delivery, count):
    constraints = [
        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": [PURPOSE]},
        {"leftOperand": "dateTime", "operator": "lt",
         "rightOperand": {"@value": "2099-01-01T00:00:00Z", "@type": "xsd:dateTime"}},
    ]
    if count is not None:
        constraints.insert(1, {"leftOperand": "count", "operator": "lteq",
                               "rightOperand": {"@value": str(count), "@type": "xsd:integer"}})
    action = "read" if delivery == "call" else "use"
    (folder / "assets" / f"{asset}.json").write_text(json.dumps({
        "id": asset, "title": f"Measured asset {asset}", "mediaType": "application/octet-stream",
        "delivery": delivery, "source": {"type": "file", "path": data_file}}))
    (folder / "policies" / f"{asset}.json").write_text(json.dumps({
        "visibleTo": ["*"],
        "policy": {"@context": "http://www.w3.org/ns/odrl.jsonld", "@id": f"urn:bench:offer:{asset}",
                   "@type": "Offer", "target": asset,
                   "permission": [{"action": action, "constraint": constraints}]}}))


def pair(binaries, pki, folder, **consumer_options):
    """A provider and a consumer that know each other; neither runs yet."""
    folder.mkdir()
    provider = Connector(binaries, pki, folder / "provider", PROVIDER)
    consumer = Connector(binaries, pki, folder / "consumer", CONSUMER, **consumer_options)
    provider.know(consumer)
    consumer.know(provider)
    return provider, consumer


NGINX = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_client_certificate {anchor};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;
    root {root};
  }}
}}
"""


class Nginx:
    """nginx with the provider's certificate and the consumer's anchor, serving the same bytes."""

    def __init__(self, folder, root, certificate, key, anchor):
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        folder.mkdir()
        (self.port,) = free_ports(1)
        (folder / "nginx.conf").write_text(NGINX.format(
            folder=folder, port=self.port, root=root, certificate=certificate, key=key, anchor=anchor,
            user="user root;" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen(
            [program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "start.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port, self.process)

    def pids(self):
        at = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, at.read_text().split())]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def wait_for_port(port, process, within=30):
    """Until the port accepts; the time that took."""
    began = time.monotonic()
    while True:
        probe = socket.socket()
        try:
            probe.connect(("127.0.0.1", port))
            return time.monotonic() - began
        except OSError:
            if process.poll() is not None or time.monotonic() - began > within:
                raise Broken(f"nothing listens on port {port}") from None
            time.sleep(0.0005)
        finally:
            probe.close()
