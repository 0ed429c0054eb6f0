"""What a demo plays on: connectors in a folder, the program `tally`, applications that ask, and
sentences that are said."""
import http.client
import json
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class NotAsTold(Exception):
    pass


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Stage:
    def __init__(self, binaries, lang, folder, sentences):
        self.binaries = pathlib.Path(binaries).resolve()
        self.lang = lang
        self.folder = pathlib.Path(folder).resolve()
        self.sentences = sentences
        self.daemons, self.ports = {}, {}
        self.proxy = None
        self.began = time.monotonic()

    # --- what a person reads ---

    def say(self, code, indent=2, **values):
        text = self.sentences[code][1 if self.lang == "zh" else 0].format(**values)
        print(f"\n{text}" if indent == 0 else " " * indent + text, flush=True)

    def quote(self, text):
        for line in text.rstrip("\n").splitlines():
            print("      " + line, flush=True)

    def expect(self, condition, what):
        if not condition:
            raise NotAsTold(what)

    def refused(self, answer, status, code, show=True):
        """The answer is a refusal as it is told."""
        try:
            problem = json.loads(answer[2])
        except ValueError:
            problem = {}
        if show and "detail" in problem:
            self.quote(f"{answer[0]} {problem['code']}: {problem['detail']}")
            for reason in problem.get("reasons", []):
                self.quote("  " + reason["text"])
        self.expect(answer[0] == status and code in (None, problem.get("code")),
                    f"{status} {code}, and not {answer[0]} {answer[2][:300]}")

    def wait_for(self, what, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = condition()
                if found:
                    return found
            except (OSError, NotAsTold, http.client.HTTPException):
                pass
            time.sleep(0.05)
        raise NotAsTold(f"still waiting for: {what}")

    # --- programs ---

    def tally(self, *arguments, connector=None, code=0, show=True, as_json=False):
        command = [str(self.binaries / "tally"), "--lang", self.lang]
        if connector:
            command += ["--connector", str(self.folder / connector)]
        if as_json:
            command.append("--json")
        command += [str(argument) for argument in arguments]
        if show:
            shown = " ".join(str(argument) for argument in arguments)
            shown = shown.replace(str(self.folder) + "/", "")
            print(f"    $ tally {'--connector ' + connector + ' ' if connector else ''}{shown}")
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if show:
            self.quote(ran.stdout + ran.stderr)
        self.expect(ran.returncode == code,
                    f"tally {arguments[0]}: exit {ran.returncode}, wanted {code}: {ran.stderr}")
        return json.loads(ran.stdout) if as_json else ran.stdout + ran.stderr

    def query(self, connector, *arguments):
        return self.tally(*arguments, connector=connector, show=False, as_json=True)

    def spare_port(self):
        return free_ports(1)[0]

    def make_connectors(self, parties):
        """Folders, keys and certificates of connectors that trust both anchors."""
        for name in (*parties, "source", "pki", "keys"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(3 * len(parties))
        for number, name in enumerate(parties):
            self.ports[name] = dict(zip(("peers", "apps", "management"), ports[3 * number:]))
        subprocess.run([ROOT / "certs/make-test-pki", self.folder / "pki",
                        "health:did:web:authority.example", "city:did:web:authority.example"],
                       check=True, stdout=subprocess.DEVNULL)
        for name, party in parties.items():
            place, port = self.folder / name, self.ports[name]
            self.tally("init", place, "--participant", party, "--test",
                       "--public-url", f"https://localhost:{port['peers']}",
                       "--wrapping-key", self.folder / f"keys/{name}.key",
                       "--apps-port", port["apps"], "--management-port", port["management"],
                       show=False)
            for part in ("tls", "contract"):
                subprocess.run([ROOT / "certs/sign-request",
                                self.folder / "pki/anchors" / party.split(":")[0],
                                place / part / "request.pem", self.folder / f"pki/{name}-{part}.pem"],
                               check=True)
            self.tally("import", place, "--tls", self.folder / f"pki/{name}-tls.pem",
                       "--contract", self.folder / f"pki/{name}-contract.pem", show=False)
            for domain in ("health", "city"):
                anchor = self.folder / "pki/anchors" / domain
                self.tally("trust", place, "--domain", domain, "--anchors", anchor / "ca.pem",
                           "--crl", anchor / "crl.pem", "--uri-prefix", "did:web", show=False)

    def configure(self, name, **members):
        file = self.folder / name / "tally.json"
        config = {**json.loads(file.read_text()), **members}
        file.write_text(json.dumps({key: value for key, value in config.items()
                                    if value is not None}, indent=2))

    def start(self, name):
        log = open(self.folder / f"{name}.log", "ab")
        self.daemons[name] = subprocess.Popen(
            [str(self.binaries / "tallyd"), "--lang", self.lang, str(self.folder / name)],
            stdout=log, stderr=log)
        log.close()

        def ready():
            if self.daemons[name].poll() is not None:
                raise SystemExit((self.folder / f"{name}.log").read_text())
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[name]["management"], timeout=5)
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200

        self.wait_for(f"{name} to be ready", ready)

    def stop(self, name):
        daemon = self.daemons.pop(name, None)
        if daemon:
            daemon.send_signal(signal.SIGTERM)
            self.expect(daemon.wait(30) == 0, f"{name} did not stop cleanly")

    # --- what operators, applications and peers do ---

    def negotiate(self, connector, provider, asset, purpose):
        answer = self.tally("negotiate", provider, asset, "--purpose", purpose, connector=connector)
        self.expect("urn:" in answer, "an agreement's id")
        return "urn:" + answer.split("urn:", 1)[1].split()[0]

    def app(self, connector, name, purpose):
        return self.tally("app", "add", name, "--purpose", purpose, connector=connector,
                          show=False).strip().splitlines()[-1]

    def used(self, connector, agreement):
        limit = self.query(connector, "agreements", agreement)["limits"][0]
        return limit["used"], limit["limit"]

    def ask(self, connector, method, path, token, headers=None, body=None, lose_answer=False):
        """(status, headers, body) of one request of an application to its connector."""
        fields = {"Authorization": f"Bearer {token}", "Accept-Language": self.lang, **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[connector]["apps"], timeout=60)
        connection.request(method, path, body=body.encode() if body else None, headers=fields)
        if lose_answer:
            connection.close()
            return None
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    def as_peer(self, name, provider, method, path):
        """What a participant's connector gets that asks another one."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        context.check_hostname = False
        context.load_verify_locations(self.folder / "pki/anchors/health/ca.pem")
        context.load_cert_chain(self.folder / name / "tls/chain.pem", self.folder / name / "tls/key.pem")
        connection = http.client.HTTPSConnection(
            "localhost", self.ports[provider]["peers"], context=context, timeout=30)
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    # --- the play ---

    def perform(self, steps):
        try:
            for step in steps:
                step()
            self.say("good", 0, seconds=round(time.monotonic() - self.began))
            return 0
        except NotAsTold as wrong:
            self.say("bad", 0, what=wrong)
            for log in sorted(self.folder.glob("*.log")):
                print(f"--- {log.stem}")
                print("\n".join(log.read_text().splitlines()[-15:]))
            return 1
        finally:
            if self.proxy:
                self.proxy.stop()
            for daemon in self.daemons.values():
                daemon.kill()
                daemon.wait()
