"""Asks a program of the box as another program of it would: HTTP and JSON over its Unix socket. Owns no checks."""

import http.client
import json
import socket
from dataclasses import dataclass


@dataclass
class Answer:
    """What came back."""

    status: int
    report: dict

    @property
    def code(self):
        return self.report.get("code")


class OverUnix(http.client.HTTPConnection):
    """A connection to a path in place of a host."""

    def __init__(self, path, timeout):
        super().__init__("box", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, route, body=None, timeout=300, headers=None):
    """One request; a body of bytes is sent as it is. What is refused without JSON has its text as `text`."""
    connection = OverUnix(path, timeout)
    content = body if body is None or isinstance(body, bytes) else json.dumps(body)
    try:
        try:
            connection.request(method, route, content, {"content-type": "application/json", **(headers or {})})
        except BrokenPipeError:
            # Refused by its head, before all of it was sent: the answer is there.
            pass
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    try:
        return Answer(answer.status, json.loads(text))
    except ValueError:
        return Answer(answer.status, {"text": text.decode(errors="replace")})
