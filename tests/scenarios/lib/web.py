"""A browser without a screen: TLS that trusts the box's own authority alone, one cookie, forms. For what people's browsers would never send, too. Owns no checks."""

import http.client
import re
import socket
import ssl
from html import unescape
from urllib.parse import urlencode, urlsplit


class Page:
    """An answer of the console."""

    def __init__(self, answer, body):
        self.status, self.headers, self.body = answer.status, answer.headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def goes_to(self):
        return self.headers.get("location", "")

    @property
    def form(self):
        """The token of its forms."""
        found = re.search(r'name="form" value="([0-9a-f]+)"', self.text)
        return found[1] if found else ""

    def field(self, name, number=0):
        """The value of its nth field of this name."""
        values = re.findall(rf'name="{name}" value="([^"]*)"', self.text)
        return unescape(values[number]) if number < len(values) else ""

    def heading(self):
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.S)
        return unescape(re.sub("<[^>]+>", "", found[1])) if found else ""

    def __str__(self):
        return f"{self.status} {self.goes_to} {self.heading()}\n{re.sub('<[^>]+>', ' ', self.text)[:600]}"


class Connection(http.client.HTTPSConnection):
    """To an address, or through another one that leads there."""

    through = None

    def connect(self):
        plain = socket.create_connection(self.through or (self.host, self.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Web:
    """Somebody at the console. `host` is what is asked for, whatever is connected to; `through`, a host and a port here, leads to a console in another network."""

    def __init__(self, url, authority=None, host=None, timeout=60, through=None):
        parts = urlsplit(url)
        self.address = (parts.hostname, parts.port)
        self.host = parts.netloc if host is None else host
        self.origin = f"https://{parts.netloc}"
        self.timeout = timeout
        self.through = through
        self.cookie = None
        self.token = ""
        self.tls = ssl.create_default_context(cadata=authority) if authority else ssl._create_unverified_context()

    @classmethod
    def trusting(cls, url, **more):
        """Whoever got the authority's certificate from the box, and compared its fingerprint."""
        return cls(url, cls(url, through=more.get("through")).get("/authority.pem").text, **more)

    def connect(self):
        """A connection with TLS, for what no client sends."""
        return self.tls.wrap_socket(socket.create_connection(self.through or self.address, self.timeout), server_hostname=self.address[0])

    def ask(self, method, path, body=None, headers=None):
        connection = Connection(*self.address, context=self.tls, timeout=self.timeout)
        connection.through = self.through
        sent = {"Host": self.host, **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            page = Page(answer, answer.read())
        finally:
            connection.close()
        for set_cookie in page.headers.get_all("set-cookie") or ():
            value = set_cookie.split(";")[0]
            self.cookie = None if value.endswith("=") else value
        if page.form:
            self.token = page.form
        return page

    def get(self, path, **headers):
        return self.ask("GET", path, None, {"Sec-Fetch-User": "?1", **headers})

    def post(self, path, fields=(), **headers):
        """A form of the page that was seen last."""
        pairs = [("form", self.token), *(fields.items() if isinstance(fields, dict) else fields)]
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin", "Origin": self.origin, **headers}
        return self.ask("POST", path, urlencode(pairs).encode(), sent)

    def sign_in(self, user, password, code):
        self.get("/sign-in")
        page = self.post("/sign-in", {"user": user, "password": password, "code": code})
        if page.status in (302, 303):
            # The token of the new session's forms.
            self.get("/help")
        return page
