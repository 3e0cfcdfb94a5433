"""A collector of logs on loopback: TCP and TLS with octet counting (RFC 6587), or UDP. What it is sent is read by a parser that is not ours. Owns no checks."""

import contextlib
import socket
import threading

from syslog_rfc5424_parser import SyslogMessage

from .checks import RUNNING
from .listener import Listener


class Collector:
    """Keeps log messages as text, in order."""

    def __init__(self, transport, context=None):
        self.messages = []
        if transport == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
            threading.Thread(target=self.datagrams, daemon=True).start()
            RUNNING.append(self.socket.close)
        else:
            self.port = Listener(self.stream, context if transport == "tls" else None).port

    def datagrams(self):
        with contextlib.suppress(OSError):
            while True:
                self.messages.append(self.socket.recv(65536).decode())

    def stream(self, connection):
        with connection.makefile("rb") as file:
            while length := counted(file):
                self.messages.append(file.read(length).decode())

    def parsed(self):
        return [SyslogMessage.parse(message).as_dict() for message in self.messages]


def counted(file):
    """MSG-LEN and the blank behind it; nothing at the end."""
    digits = b""
    while (byte := file.read(1)).isdigit():
        digits += byte
    if digits and byte != b" ":
        raise ValueError(f"not octet counted: {digits + byte!r}")
    return int(digits or 0)
