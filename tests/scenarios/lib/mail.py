"""A mail server that is not ours (aiosmtpd), with TLS and passwords, which keeps what it is sent. Owns no checks."""

import email
import email.policy
import logging
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from .checks import RUNNING

# What clients do wrong is for the scenario to judge.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module="aiosmtpd")


class Smtp:
    """Listens on loopback. `tls`: implicit, start-tls or none; `users`: name to password, and then nobody else may send.

    Recipients that begin with `nobody` are refused for good, those with `later` for now; all mail is while `closed` holds an answer.
    """

    def __init__(self, context, tls="implicit", users=None):
        self.users = {name: password.encode() for name, password in (users or {}).items()}
        self.mails = []
        self.closed = None
        server = {"authenticator": self.sign_in, "auth_required": bool(users), "hostname": "127.0.0.1", "port": 0, "ready_timeout": 120}
        if tls == "implicit":
            # aiosmtpd takes only what STARTTLS began for encrypted.
            server |= {"ssl_context": context, "auth_require_tls": False}
        elif tls == "start-tls":
            server |= {"tls_context": context, "require_starttls": True}
        else:
            server |= {"auth_require_tls": False}
        self.controller = OnAnyPort(self, **server)
        self.controller.start()
        self.port = self.controller.port
        RUNNING.append(self.stop)

    def sign_in(self, _server, _session, _envelope, _mechanism, who):
        right = self.users.get(who.login.decode()) == who.password
        return AuthResult(success=right, handled=right, auth_data=who)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("nobody"):
            return "550 5.1.1 no such user here"
        if address.startswith("later"):
            return "450 4.2.0 greylisted, try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):
        if self.closed:
            return self.closed
        self.mails.append(Mail(session, envelope))
        return "250 2.0.0 queued as 4711"

    def stop(self):
        self.controller.stop(no_assert=True)


class OnAnyPort(Controller):
    """A controller whose port the system chooses."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mail:
    """One mail as it was received."""

    def __init__(self, session, envelope):
        self.sender, self.recipients = envelope.mail_from, envelope.rcpt_tos
        self.user = session.auth_data.login.decode() if session.authenticated else None
        self.raw = envelope.original_content
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)

    def __getitem__(self, header):
        return str(self.message[header])

    def text(self, kind="plain"):
        """Its text, as a mail program shows it."""
        return self.message.get_body((kind,)).get_content()
