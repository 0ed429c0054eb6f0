"""HTTP as the tests speak it: one request per connection over plain loopback or mutual TLS, raw
bytes for what no client library would send, and a proxy that changes data on its way."""
import http.client
import json
import socket
import ssl
import threading

PATIENCE = 90  # seconds that anything may take on a slow, busy machine


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def code(self):
        """The code of a problem document, or of a protocol error's first reason."""
        body = self.json()
        if "reason" in body and isinstance(body["reason"], list):
            return body["reason"][0].split(":")[0]
        return body.get("code")

    def __repr__(self):
        return "<%d %s>" % (self.status, self.body[:400])


def client_context(anchor, certificate=None, key=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(anchor)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def connect(port, context=None, timeout=PATIENCE):
    """A socket to a port of this machine, with TLS when there is a context."""
    plain = socket.create_connection(("127.0.0.1", port), timeout)
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def read_answer(connection, method="GET"):
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.getheaders(), response.read())


def call(port, method, path, body=None, *, token=None, headers=None, context=None,
         timeout=PATIENCE):
    """One request. A body that is not bytes is sent as JSON."""
    fields = dict(headers or {})
    if token:
        fields["Authorization"] = "Bearer " + token
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.sock = connect(port, context, timeout)
    try:
        connection.request(method, path, body=body, headers=fields)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def send_raw(port, pieces, *, context=None, timeout=PATIENCE):
    """Sends bytes as they are and reads one answer. None when the connection was just ended."""
    connection = connect(port, context, timeout)
    try:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # refused before all of it was taken: the answer is there already
        try:
            return read_answer(connection)
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            return None
    finally:
        connection.close()


class Proxy:
    """Stands between a consumer and a provider with the certificates of both, and keeps what passes:
    `seen` has (method, path, body, Answer). What it does is what stolen keys would allow."""

    keeps_connections = False  # one request on each

    def __init__(self, port, target, certificate, key, context):
        self.target, self.context = target, context
        self.seen = []
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def answer(self, method, path, fields, body):
        """What the client gets; None: nothing, the connection ends."""
        return call(self.target, method, path, body or None, headers=fields, context=self.context)

    def _accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(plain,), daemon=True).start()

    def _pass_on(self, plain):
        with plain:
            try:
                with self.server.wrap_socket(plain, server_side=True) as connection:
                    while self._one_request(connection) and self.keeps_connections:
                        pass
            except OSError:
                pass  # the client went away

    def _one_request(self, connection):
        """True when there was one and it was answered."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return False
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        fields = {name.lower(): value for name, value in
                  (line.split(": ", 1) for line in lines[1:])}
        fields.pop("host", None)
        length = int(fields.pop("content-length", 0))
        while len(body) < length:
            piece = connection.recv(65536)
            if not piece:
                return False
            body += piece
        answer = self.answer(method, path, fields, body)
        if answer is None:
            return False
        self.seen.append((method, path, body, answer))
        text = "HTTP/1.1 %d -\r\n" % answer.status
        for name, value in answer.headers.items():
            if name not in ("content-length", "transfer-encoding", "connection"):
                text += "%s: %s\r\n" % (name, value)
        text += "Content-Length: %d\r\nConnection: %s\r\n\r\n" % (
            len(answer.body), "keep-alive" if self.keeps_connections else "close")
        connection.sendall(text.encode() + answer.body)
        return True


class TamperingProxy(Proxy):
    """Flips one byte of every body that passes."""

    def answer(self, method, path, fields, body):
        answer = super().answer(method, path, fields, body)
        changed = bytearray(answer.body)
        if changed:
            changed[len(changed) // 2] ^= 1
        answer.body = bytes(changed)
        return answer


class Gate:
    """Passes bytes between a client and a port as they are, TLS and all; what comes from the port can
    be held up once so much has passed, and every connection can be cut."""

    def __init__(self, port, target):
        self.target = target
        self.lock = threading.Condition()
        self.room = None  # bytes that may still pass to clients; None: any number
        self.open = set()
        self.clients = set()  # that have not ended their connection
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_after(self, size):
        with self.lock:
            self.room = size

    def is_holding(self):
        with self.lock:
            return self.room is not None and self.room <= 0

    def let_go(self):
        with self.lock:
            self.room = None
            self.lock.notify_all()

    def cut(self):
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.let_go()
        self.cut()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # it is off for the moment
                client.close()
                continue
            with self.lock:
                self.open |= {client, server}
                self.clients.add(client)
            for source, sink, held in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, sink, held),
                                 daemon=True).start()

    def _pass_on(self, source, sink, held):
        try:
            while True:
                piece = source.recv(256 << 10)
                if held:
                    self._wait(len(piece))
                if not piece:
                    break
                sink.sendall(piece)
        except OSError:
            pass
        if not held:
            with self.lock:
                self.clients.discard(source)
        for connection in (source, sink):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _wait(self, size):
        with self.lock:
            if self.room is None:
                return
            self.room -= size
            self.lock.wait_for(lambda: self.room is None or self.room > 0)
