"""A webhook's receiver that checks signatures as docs/alerts.md says, with nothing but Python's own library. Owns no checks."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .checks import RUNNING


def genuine(secret, header, body):
    """Whether `keepwell-signature` is one that who knows the secret made for this body."""
    parts = dict(part.split("=", 1) for part in (header or "").split(",") if "=" in part)
    expected = hmac.new(secret, parts.get("t", "").encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, parts.get("v1", ""))


class Hook:
    """Listens on loopback, and keeps what was posted. `status` is what it answers."""

    def __init__(self, secret, context=None):
        self.secret, self.status, self.location = secret, 204, None
        self.posts = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        # Who refuses the certificate is for the scenario to judge.
        self.server.handle_error = lambda _request, _address: None
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/notices?box=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        RUNNING.append(self.stop)

    def handler(hook):  # noqa: N805: `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.posts.append(Post(self.path, dict(self.headers.items()), body, genuine(hook.secret, self.headers["keepwell-signature"], body)))
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("location", hook.location)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Post:
    """One delivery."""

    def __init__(self, path, headers, body, verified):
        self.path, self.body, self.verified = path, body, verified
        self.headers = {name.lower(): value for name, value in headers.items()}

    @property
    def notice(self):
        return json.loads(self.body)
