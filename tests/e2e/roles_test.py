"""Every caller at every route of every listener: let in, or refused, as the table in routes.py says."""
import pathlib
import re
import ssl
import unittest

import connectors
import wires
from connectors import RESEARCH, Pair, World
from routes import ROUTES

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "api"
# Which routes a caller is let in to; of the others it is told 403.
ALLOWED = {
    "peer": {"peer"},
    "app": {"app"},
    "auditor": {"auditor"},
    "operator": {"auditor", "operator"},
    "admin": {"auditor", "operator", "admin"},
}
# Routes that peers without this standing are not even told of. The peer of this test has none.
HIDDEN = {"party", "regulator"}
# What refuses before a route is asked. No answer of a route that lets a caller in has one of these.
GATE = {"api.no-token", "api.unknown-token", "api.no-certificate", "api.role", "api.unknown-path",
        "api.method"}
LINES = {(listener, method, path): (role, status)
         for listener, method, path, role, status in ROUTES}


class Caller:
    """Somebody with a credential; `role` is what it is worth at the listener, `refused` the code
    of a credential that is worth nothing there."""

    def __init__(self, name, *, role=None, refused=None, token=None, context=None):
        self.name, self.role, self.refused = name, role, refused
        self.token, self.context = token, context


def setUpModule():
    global callers, ports, uncertified
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider = pair.provider
    provider.offer()
    provider.let_tokens_be_tried()
    tokens = {role: provider.add_token(role, role) for role in ("auditor", "operator", "admin")}
    provider.start()
    app = provider.app("study", RESEARCH)
    uncertified = Caller("no certificate", context=world.authority.context(),
                         token=tokens["admin"])
    peer = world.authority.context(pair.consumer.path("tls", "chain.pem"),
                                      pair.consumer.path("tls", "key.pem"))
    ports = {"management": provider.management_port, "apps": provider.apps_port,
             "peers": provider.peers_port}
    managers = [(role, token) for role, token in tokens.items()]
    strangers = [Caller("nobody", refused="api.no-token"),
                 Caller("garbage", refused="api.unknown-token", token="garbage"),
                 Caller("more", refused="api.unknown-token", token=tokens["admin"] + "x"),
                 Caller("less", refused="api.unknown-token", token=tokens["admin"][:-1])]
    callers = {
        "management": strangers + [Caller("app", refused="api.unknown-token", token=app)] +
        [Caller(role, role=role, token=token) for role, token in managers],
        "apps": strangers + [Caller("app", role="app", token=app)] +
        [Caller(role, refused="api.unknown-token", token=token) for role, token in managers],
        "peers": [Caller("peer", role="peer", context=peer)],
    }


def expected(listener, method, path, caller):
    """Status, and the code when the gate itself answers."""
    role, status = LINES.get((listener, method, path), (None, None))
    if role == "anyone":
        return status, None
    if caller.refused:
        return 401, caller.refused
    if role is None:
        other = any(key[0] == listener and key[2] == path for key in LINES)
        return (405, "api.method") if other else (404, "api.unknown-path")
    if role in HIDDEN:
        return status, "api.unknown-path"
    return (status, None) if role in ALLOWED[caller.role] else (403, "api.role")


def ask(listener, method, path, caller):
    # Events are a stream without an end; of a type that no event has there is none.
    query = "?type=nothing" if path == "/api/v1/events" else ""
    asked = re.sub(r":\w+", "nothing", path).replace("*", "0/000.p/1")
    return wires.call(ports[listener], method, asked + query,
                      token=caller.token, context=caller.context)


class Roles(unittest.TestCase):
    def assert_as_the_table_says(self, listener, method, path, caller):
        status, code = expected(listener, method, path, caller)
        answer = ask(listener, method, path, caller)
        said = answer.code() if answer.status >= 400 else None
        self.assertEqual(answer.status, status, answer)
        if code:
            self.assertEqual(said, code)
            self.assertEqual(answer.headers["content-type"], "application/problem+json")
        else:
            self.assertNotIn(said, GATE)
        if code == caller.refused and code:
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")

    def assert_listener(self, listener):
        """Its own routes, and those of the other listeners, which it must not have."""
        for method, path in sorted({key[1:] for key in LINES}):
            for caller in callers[listener]:
                with self.subTest(route=method + " " + path, caller=caller.name):
                    self.assert_as_the_table_says(listener, method, path, caller)

    def test_of_management(self):
        self.assert_listener("management")

    def test_of_applications(self):
        self.assert_listener("apps")

    def test_of_peers(self):
        self.assert_listener("peers")

    def test_without_a_certificate_no_peer_route_is_reached(self):
        for method, path in sorted({key[1:] for key in LINES}):
            with self.subTest(route=method + " " + path):
                with self.assertRaises((ssl.SSLError, ConnectionError)):
                    ask("peers", method, path, uncertified)


class Table(unittest.TestCase):
    """The table has each route that the connector has."""

    def test_each_route_of_the_descriptions_has_its_line(self):
        for listener in ("management", "apps"):
            document = wires.call(ports[listener], "GET", "/openapi.json").json()
            described = {(method.upper(), re.sub(r"{(\w+)}", r":\1", path).replace("/:name", "/*")):
                         operation["x-tally-role"]
                         for path, operations in document["paths"].items()
                         for method, operation in operations.items()}
            lines = {key[1:]: line[0] for key, line in LINES.items() if key[0] == listener}
            self.assertEqual(described, lines)

    def test_each_path_in_the_sources_of_peers_ends_a_line(self):
        # Bases, on which the paths of the same file are put.
        bases = {"/witness", "/log/", "/agreements/:agreement/"}
        ends = [key[2] for key in LINES if key[0] == "peers"]
        for name in ("catalog", "peer", "hold", "confirmation", "statement", "use_receipt",
                     "witness", "log", "aggregate", "data"):
            source = (SOURCES / (name + "_routes.cpp")).read_text(encoding="utf-8")
            paths = set(re.findall(r'"(?:[A-Z]+ )?(/[^"\s]*)"', source)) - bases
            paths |= {"/" + tail for tail in re.findall(r'path\("([^"/]+)"\)', source)}
            self.assertTrue(paths, name)
            for path in paths:
                if not path.startswith("/api/v1/"):
                    self.assertTrue(any(end.endswith(path) for end in ends), path)

    def test_each_path_takes_the_methods_of_its_lines(self):
        for listener, path in sorted({(key[0], key[2]) for key in LINES}):
            caller = next(caller for caller in callers[listener] if caller.role)
            answer = ask(listener, "PATCH", path, caller)
            with self.subTest(listener=listener, path=path):
                self.assertEqual(answer.status, 405, answer)
                lines = {key[1] for key in LINES if (key[0], key[2]) == (listener, path)}
                self.assertEqual(set(answer.headers["allow"].split(", ")), lines)


if __name__ == "__main__":
    connectors.main()
