#!/usr/bin/python3
"""What notifyd sends arrives at servers that are not ours, in a form that they understand; and what does not arrive is told as what it is, to who asked,
without a word of the notice or a password in the log.
"""

import base64
import itertools
import threading
import time

from lib.asking import ask
from lib.box import Program
from lib.checks import Checks
from lib.hook import Hook, genuine
from lib.listener import Issuer, Listener, closed_port, deaf
from lib.mail import Smtp
from lib.program import BINARY
from lib.syslog import Collector

checks = Checks("notices")
NUMBERS = itertools.count(1)
PASSWORD, SECRET, CANARY = "gehe1m \"und\\lang", b"a secret of the webhook's", "Mustermann, Erika"
ISSUER, STRANGER = Issuer(checks.scratch / "issuer"), Issuer(checks.scratch / "stranger", "Somebody else")


class Notifyd(Program):
    def __init__(self, name, *arguments):
        super().__init__(checks.scratch / name, BINARY.with_name("keepwell-notifyd"), "serve", *arguments)

    def send(self, channel, notice=None):
        return ask(self.socket, "POST", "/v1/send", {"channel": channel, "notice": notice or a_notice()})


def a_notice(kind="opened", **more):
    return {
        "id": f"notice-{next(NUMBERS)}", "incident": "incident-1", "kind": kind, "severity": "warning", "at": 1_700_000_000, "box_name": "Praxis Süd",
        "subject": f"Freigabe Röntgen: keine Sicherung ({CANARY})", "happened": f"Der Server lehnt das Passwort ab.\nDatei <{CANARY}>",
        "for_your_data": "Was seit 9 Stunden geändert wurde, ist nicht gesichert.", "to_do": "Das neue Passwort eintragen.", "code": "copy-age",
        "facts": {"copy-age-s": 32400}, **more,
    }


def email(at, tls="implicit", user="praxis", password=PASSWORD, **more):
    sign_in = {"user": user, "password": password and coded(password)} if user else {}
    return {"kind": "email", "server": "127.0.0.1", "port": at, "tls": tls, "from": "box@praxis.example", "to": ["chef@praxis.example"],
            "ca_pem": ISSUER.pem, **sign_in, **more}


def webhook(url, secret=SECRET, **more):
    return {"kind": "webhook", "url": url, "secret": coded(secret), "ca_pem": ISSUER.pem, **more}


def syslog(port, transport="tls", **more):
    return {"kind": "syslog", "server": "127.0.0.1", "port": port, "transport": transport, "ca_pem": ISSUER.pem, **more}


def coded(secret):
    return base64.b64encode(secret.encode() if isinstance(secret, str) else secret).decode()


def main():
    notifyd, hasty = Notifyd("notifyd").start(), Notifyd("hasty", "--deadline", "20").start()
    with checks.part("mail that arrives"):
        mail_arrives(notifyd)
    with checks.part("mail that does not"):
        mail_does_not(notifyd)
    with checks.part("mail servers that lie"):
        lies(notifyd)
    with checks.part("webhooks"):
        webhooks(notifyd)
    with checks.part("logs"):
        logs(notifyd)
    with checks.part("silence"):
        silence(hasty)
    with checks.part("who may ask, and for what"):
        asking(notifyd)
    with checks.part("what is left"):
        left(notifyd, hasty)
    checks.finish()


def delivered(what, answer, seen=True):
    checks.check(what, answer.status == 200 and answer.report["delivered_at"] > 1_700_000_000 and seen, answer)


def fails(what, answer, code, retry, seen=True):
    """A failure: its code, whether trying again may help, and a sentence for a person that names no notice and no password."""
    said = str(answer.report)
    quiet = CANARY not in said and PASSWORD not in said and coded(PASSWORD) not in said
    checks.check(what, (answer.code, answer.status) == (code, 503 if retry else 422) and len(answer.report["error"]) > 40 and quiet and seen, answer)


def mail_arrives(notifyd):
    server = Smtp(ISSUER.context(), users={"praxis": PASSWORD})
    answer = notifyd.send(email(server.port))
    delivered("over TLS, with a password", answer, "queued as 4711" in answer.report.get("answer", ""))
    mail = server.mails[0]
    whom = (mail.user, mail.sender, mail.recipients, mail["To"], mail["From"])
    checks.check("from whom, to whom, signed in as whom", whom == ("praxis", "box@praxis.example", ["chef@praxis.example"], "chef@praxis.example", "Praxis Süd <box@praxis.example>"), whom)
    checks.check("its subject is the incident's", mail["Subject"] == f"[Praxis Süd] Freigabe Röntgen: keine Sicherung ({CANARY})", mail["Subject"])
    words = ["lehnt das Passwort ab", "seit 9 Stunden geändert", "Das neue Passwort", "Praxis Süd", "copy-age", "32400"]
    for kind in ("plain", "html"):
        checks.check(f"all of it is in the {kind} text", all(word in mail.text(kind) for word in words), mail.text(kind))
    checks.check("and markup in it is text", f"Datei <{CANARY}>" in mail.text() and f"Datei <{CANARY}>" not in mail.text("html") and CANARY in mail.text("html"))
    checks.check("nobody's absence answers it", mail["Auto-Submitted"] == "auto-generated")
    checks.check("7 bits wide, no line too long", mail.raw.isascii() and max(map(len, mail.raw.split(b"\r\n"))) <= 998)

    for kind in ("worse", "reminder", "escalated", "closed"):
        notifyd.send(email(server.port), a_notice(kind, subject="Freigabe"))
    notifyd.send(email(server.port), a_notice(incident="incident-2"))
    thread, other = server.mails[:5], server.mails[5]
    checks.check("mails of one incident refer to one place", len({mail["References"] for mail in thread}) == 1 and thread[1]["References"] == thread[1]["In-Reply-To"])
    checks.check("another incident is another thread", other["References"] != mail["References"])
    ids = {mail["Message-ID"] for mail in server.mails}
    checks.check("each has an id, which nothing refers to twice", len(ids) == 6 and mail["References"] not in ids, ids)
    checks.check("later ones are answers", all(mail["Subject"] == "Re: [Praxis Süd] Freigabe" for mail in thread[1:]), [mail["Subject"] for mail in thread])
    again = a_notice()
    for _ in range(2):
        notifyd.send(email(server.port), again)
    checks.check("the same notice sent twice is the same mail", server.mails[-1]["Message-ID"] == server.mails[-2]["Message-ID"])

    some = notifyd.send(email(server.port, to=["nobody@praxis.example", "a@praxis.example", "later@praxis.example", "b@praxis.example"]))
    refused = [(one["address"], one["retry"], one["answer"][:3]) for one in some.report["refused"]]
    wanted = [("nobody@praxis.example", False, "550"), ("later@praxis.example", True, "450")]
    delivered("recipients that are refused do not stop the others", some, (server.mails[-1].recipients, refused) == (["a@praxis.example", "b@praxis.example"], wanted))

    server = Smtp(ISSUER.context(), tls="start-tls", users={"praxis": PASSWORD})
    delivered("with STARTTLS", notifyd.send(email(server.port, "start-tls")), len(server.mails) == 1 and server.mails[0].user == "praxis")
    server = Smtp(ISSUER.context())
    delivered("by name, without a password, where the server wants none", notifyd.send(email(server.port, user=None, server="localhost")), len(server.mails) == 1)


def mail_does_not(notifyd):
    server = Smtp(ISSUER.context(), users={"praxis": PASSWORD})
    fails("a wrong password", notifyd.send(email(server.port, password="wrong")), "auth", False)
    fails("no password where one is wanted", notifyd.send(email(server.port, user=None)), "auth", False)
    fails("only recipients that do not exist", notifyd.send(email(server.port, to=["nobody@a.example", "nobody@b.example"])), "rejected", False)
    fails("only recipients that have to wait", notifyd.send(email(server.port, to=["nobody@a.example", "later@b.example"])), "rejected", True)
    server.closed = "554 5.7.1 no such words here"
    refused = notifyd.send(email(server.port))
    fails("a mail that is not taken, with the server's reason", refused, "rejected", False, "no such words here" in refused.report["error"])
    server.closed = "452 4.3.1 disk full"
    fails("a mail that is not taken now", notifyd.send(email(server.port)), "rejected", True)
    checks.check("none of these was delivered", not server.mails)

    trusted = Smtp(ISSUER.context())
    for what, more in {"an authority that signed another server": {"ca_pem": STRANGER.pem}, "public authorities only": {"ca_pem": None}}.items():
        fails(f"a certificate to believe: {what}", notifyd.send(email(trusted.port, user=None, **more)), "tls", True)
    for what, context in {"an expired one": ISSUER.context(days=-1), "another server's": ISSUER.context(["mail.example"], [])}.items():
        server = Smtp(context)
        for tls in ("implicit", "start-tls"):
            server = server if tls == "implicit" else Smtp(context, tls)
            fails(f"{tls}: {what}", notifyd.send(email(server.port, tls, user=None)), "tls", True, not server.mails)
    plain = Smtp(None, tls="none", users={"praxis": PASSWORD})
    fails("a server that knows no STARTTLS", notifyd.send(email(plain.port, "start-tls")), "tls", True, not plain.mails)
    checks.check("and is told no password", plain.controller.smtpd is not None and not plain.mails)
    fails("a server that does not speak TLS", notifyd.send(email(plain.port)), "tls", True)
    fails("no server", notifyd.send(email(closed_port())), "unreachable", True)
    nameless = notifyd.send(email(25, server="mail.invalid"))
    # Where nobody answers for names, it takes as long as it may.
    fails("no such name", nameless, "timeout" if nameless.code == "timeout" else "unreachable", True)
    checks.check("none of these was delivered either", not trusted.mails)

    for what, more in {"a user without password": {"password": None}, "no recipients": {"to": []}, "certificates that are none": {"ca_pem": "what?"}}.items():
        fails(f"settings: {what}", notifyd.send(email(trusted.port, **more)), "settings", False)


def lies(notifyd):
    """Servers that no honest one is like. The password and the notice must not reach them, and they must not keep notifyd busy."""
    heard = []

    def talks(*answers, then=None):
        def serve(connection):
            for answer in answers:
                connection.sendall(answer)
                heard.append(connection.recv(4096))
            if then:
                then(connection)
        return serve

    def drown(connection):
        while True:
            connection.sendall(b"250-" + b"x" * 65536)

    def added(connection):
        # What is appended here in the clear must not be taken for the encrypted server's words.
        connection.sendall(b"220 go on\r\n250-somebody\r\n250 AUTH PLAIN\r\n")
        connection.recv(4096)

    offers = b"250-here\r\n250 STARTTLS\r\n"
    for what, serve, code in (
        ("words added before the encryption", talks(b"220 hi\r\n", offers, then=added), "tls"),
        ("STARTTLS that is offered and refused", talks(b"220 hi\r\n", offers, b"454 no\r\n"), "tls"),
        ("a line without end", drown, "unreachable"),
        ("another protocol", talks(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "unreachable"),
        ("it hangs up at once", lambda _connection: None, "unreachable"),
        ("it hangs up in a word", talks(b"220 hi\r\n", then=lambda connection: connection.sendall(b"25")), "unreachable"),
    ):
        fails(f"STARTTLS: {what}", notifyd.send(email(Listener(serve).port, "start-tls")), code, True)
    for what, serve in {"a line without end": drown, "another protocol": talks(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "it hangs up": lambda _connection: None}.items():
        fails(f"implicit: {what}", notifyd.send(email(Listener(serve, ISSUER.context()).port)), "unreachable", True)
    told = b"".join(heard)
    checks.check("none was told more than a greeting", heard and b"AUTH" not in told and b"MAIL" not in told, told)


def webhooks(notifyd):
    hook = Hook(SECRET, ISSUER.context())
    notice = a_notice("escalated")
    delivered("over TLS", notifyd.send(webhook(hook.url), notice))
    post = hook.posts[0]
    checks.check("its signature holds, in foreign eyes", post.verified, post.headers)
    forged = [(b"another secret", post.body), (SECRET, post.body.replace(b"warning", b"notice!"))]
    checks.check("and for nothing else", not any(genuine(secret, post.headers["keepwell-signature"], body) for secret, body in forged))
    checks.check("all of the notice is in it", post.notice == {"version": 1, **notice}, post.notice)
    names = (post.path, post.headers["keepwell-delivery"], post.headers["content-type"])
    checks.check("where to, which, and what", names == ("/notices?box=1", notice["id"], "application/json"), names)

    for status, code, retry in ((500, "rejected", True), (429, "rejected", True), (410, "rejected", False), (401, "auth", False), (403, "auth", False)):
        hook.status = status
        fails(f"it answers {status}", notifyd.send(webhook(hook.url)), code, retry)
    elsewhere = Hook(SECRET)
    hook.status, hook.location = 307, elsewhere.url
    fails("it redirects, and is not followed", notifyd.send(webhook(hook.url)), "rejected", False, not elsewhere.posts)
    delivered("in the clear on this machine only", notifyd.send(webhook(elsewhere.url)), elsewhere.posts and elsewhere.posts[0].verified)
    far = notifyd.send(webhook("http://192.0.2.1/"))
    checks.check("and nowhere else", far.status == 422 and "address for a webhook" in str(far), far)
    fails("a certificate nobody vouches for", notifyd.send(webhook(hook.url, ca_pem=STRANGER.pem)), "tls", True)
    fails("nobody there", notifyd.send(webhook(f"https://127.0.0.1:{closed_port()}/")), "unreachable", True)
    fails("a secret that is guessed", notifyd.send(webhook(hook.url, b"short")), "settings", False)

    def headers_without_end(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"x-more: " + b"y" * 8192 + b"\r\n")

    fails("headers without end", notifyd.send(webhook(f"http://127.0.0.1:{Listener(headers_without_end).port}/")), "unreachable", True)


def logs(notifyd):
    for transport in ("tls", "tcp", "udp"):
        collector = Collector(transport, ISSUER.context())
        delivered(f"{transport}: sent", notifyd.send(syslog(collector.port, transport)))
        waits(lambda messages=collector.messages: messages)
        got = collector.parsed()[0]
        head = tuple(got[name] for name in ("severity", "facility", "hostname", "appname", "msgid", "timestamp"))
        checks.check(f"{transport}: a foreign parser reads it", head == ("warning", "local0", "Praxis-S-d", "keepwell", "copy-age", "2023-11-14T22:13:20Z"), got)
        ours = got["sd"]["keepwell@32473"]
        checks.check(f"{transport}: with its fields", (ours["incident"], ours["kind"], ours["box"], got["sd"]["facts@32473"]) == ("incident-1", "opened", "Praxis Süd", {"copy-age-s": "32400"}), got)
        checks.check(f"{transport}: and its words in one line", "lehnt das Passwort ab. Datei" in got["msg"] and "\n" not in got["msg"], got)
    collector = Collector("tls", ISSUER.context())
    fails("a certificate nobody vouches for", notifyd.send(syslog(collector.port, ca_pem=STRANGER.pem)), "tls", True, not collector.messages)
    for transport in ("tls", "tcp"):
        fails(f"{transport}: nobody there", notifyd.send(syslog(closed_port(), transport)), "unreachable", True)


def waits(condition):
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def silence(hasty):
    """Each of them takes the connection and says nothing. They wait at the same time, and a mail that can be delivered does not wait with them."""
    greeted = b"220 hi\r\n"
    channels = {
        "a mail server": email(Listener(deaf).port),
        "a mail server, in the clear": email(Listener(deaf).port, "start-tls"),
        "a mail server, behind TLS": email(Listener(deaf, ISSUER.context()).port),
        "a mail server, after its greeting": email(Listener(lambda connection: (connection.sendall(greeted), deaf(connection)), ISSUER.context()).port),
        "a webhook": webhook(f"https://127.0.0.1:{Listener(deaf).port}/"),
        "a webhook, behind TLS": webhook(f"https://127.0.0.1:{Listener(deaf, ISSUER.context()).port}/"),
        "a collector of logs": syslog(Listener(deaf).port),
    }
    answers = {}
    threads = [threading.Thread(target=lambda what=what, channel=channel: answers.update({what: hasty.send(channel)})) for what, channel in channels.items()]
    server = Smtp(ISSUER.context())
    for thread in threads:
        thread.start()
    delivered("mail that can be delivered is, meanwhile", hasty.send(email(server.port, user=None)), all(thread.is_alive() for thread in threads))
    for thread in threads:
        thread.join()
    for what in channels:
        fails(f"{what} that never answers", answers[what], "timeout", True)


def asking(notifyd):
    server = Smtp(ISSUER.context())
    for field, bad in {
        "subject": "a\r\nBcc: spy@evil.example", "box_name": "a\nb", "id": "a>\r\nX: y", "incident": "a b", "code": "a]", "happened": "a\rb", "subject ": "x",
    }.items():
        answer = notifyd.send(email(server.port, user=None), a_notice(**{field: bad}))
        checks.check(f"a notice with {bad!r} for {field.strip()} is none", answer.status == 422, answer)
    for field, bad in {"from": "a@b\r\nBcc: c@d", "to": ["a@b>\r\nRCPT TO:<c@d"], "server": "a b", "user": "a\r\nb", "tls": "none", "port": 70000}.items():
        answer = notifyd.send(email(server.port, **{field: bad}))
        checks.check(f"nor is a channel with {bad!r} for {field}", answer.status == 422, answer)
    checks.check("nothing of that was sent", not server.mails)
    odd = notifyd.send(email(server.port, user=None), a_notice(subject='=?utf-8?q?a?= ".\\"', to_do=".\n..\nQUIT\n", box_name="a\"b, <c@d>"))
    delivered("odd characters that are allowed arrive as they are", odd)
    mail = server.mails[0]
    checks.check("in subject (but for what would be read as a code), sender and text", mail["Subject"] == "[a\"b, <c@d>] = ?utf-8?q?a?= \".\\\"" and ".\n..\nQUIT" in mail.text().replace("\r\n", "\n"), mail.raw.decode())
    checks.check("and there is one sender", [address.addr_spec for address in mail.message["From"].addresses] == ["box@praxis.example"], mail["From"])

    stranger = Notifyd("stranger", "--vaultd-uid", "65534").start()
    answer = stranger.send(email(server.port, user=None))
    checks.check("nobody but vaultd's user has anything sent", (answer.status, answer.code) == (403, "not-you") and len(server.mails) == 1, answer)
    checks.check("its socket is for its own user", notifyd.socket.stat().st_mode & 0o077 == 0)


def left(notifyd, hasty):
    for program in (notifyd, hasty):
        ended = program.process
        program.stop()
        checks.check(f"{program.folder.name} ends when it is told to", ended.returncode == 0, ended.returncode)
        log = program.log.read_text()
        checks.check("its log says what was delivered and what was not", "was delivered" in log and "was not delivered" in log and "panicked" not in log, log[-2000:])
        secrets = [CANARY, PASSWORD, coded(PASSWORD), coded(f"\0praxis\0{PASSWORD}"), SECRET.decode(), coded(SECRET)]
        checks.check("and holds no word of a notice and no secret", not any(secret in log for secret in secrets))
        kept = [path.name for path in program.folder.iterdir() if path.name not in ("log", "socket")]
        checks.check("and nothing else is left", not kept, kept)


main()
