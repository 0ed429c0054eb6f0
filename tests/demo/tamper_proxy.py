"""A disturbed line for the demo and the tests: a TLS proxy that can change one byte on its way.

It can stand between two connectors only because it was given the keys of both: that is what it
takes. While `flip` is set, one byte in the middle of each answer's body is changed.
"""
import http.client
import http.server
import ssl
import threading


class TamperProxy:
    def __init__(self, port, upstream_port, provider, consumer):
        """`provider`, `consumer`: (certificate chain, key) files."""
        self.flip = False
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                context.load_cert_chain(*consumer)
                upstream = http.client.HTTPSConnection(
                    "localhost", upstream_port, context=context, timeout=30)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                upstream.request("GET", self.path, headers=headers)
                answer = upstream.getresponse()
                body = bytearray(answer.read())
                upstream.close()
                if proxy.flip and body:
                    body[len(body) // 2] ^= 1
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*provider)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
