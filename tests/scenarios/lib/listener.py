"""A TCP listener on loopback that gives each connection to a function in a thread of its own, and certificates for such servers. Owns no protocol."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .checks import RUNNING


class Issuer:
    """Signs certificates for servers on this machine."""

    def __init__(self, folder, name="Test authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = builder(self.name, self.name, self.key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def context(self, names=("localhost",), addresses=("127.0.0.1",), days=30):
        """What a server of these names needs; `days` below zero: its certificate has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names or addresses)[0])])
        others = [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]
        made = builder(subject, self.name, key, days).add_extension(x509.SubjectAlternativeName(others), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).sign(self.key, hashes.SHA256())
        file = self.folder / f"{made.serial_number:x}.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def builder(subject, issuer, key, days=30):
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key()).serial_number(x509.random_serial_number())
    return made.not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))


class Listener:
    """Calls `serve(connection)` for each connection, encrypted where a context is given, and closes it then."""

    def __init__(self, serve, context=None):
        self.serve, self.context = serve, context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.run, daemon=True).start()
        RUNNING.append(self.stop)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        # A client that refuses the certificate, or hangs up, is for the scenario to judge.
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            if self.context:
                with self.context.wrap_socket(connection, server_side=True) as encrypted:
                    self.serve(encrypted)
            else:
                self.serve(connection)

    def stop(self):
        # A thread that waits in accept holds the port until it is woken.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        for one in (self.socket, *self.connections):
            with contextlib.suppress(OSError):
                one.close()


def deaf(connection):
    """Takes what comes, until the other end hangs up, and never says a word."""
    while connection.recv(65536):
        pass


# Ports that are taken, and nobody listens on them.
CLOSED = []


def closed_port():
    """A port that nobody listens on, nor will before the scenario ends."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    CLOSED.append(taken)
    return taken.getsockname()[1]
