"""Somebody of the practice at the console, without a screen: their forms, with a new code where one is asked for. Owns no checks."""

import re

from .web import Web


class Member:
    """Signed in with their own password and authenticator, and again when that has ended."""

    def __init__(self, url, name, password, telephone, **more):
        self.name, self.password, self.telephone = name, password, telephone
        self.web = Web.trusting(url, **more)

    def signs_in(self):
        page = self.web.sign_in(self.name, self.password, self.telephone.code())
        if page.status not in (302, 303) or page.goes_to == "/sign-in":
            raise RuntimeError(f"{self.name} does not come in: {page}")
        return self

    def at(self, path):
        """A page, whoever had to sign in anew for it."""
        page = self.web.get(path)
        if page.goes_to == "/sign-in":
            page = self.signs_in().web.get(path)
        return page

    def code_for(self, page, action):
        """The field for a new code, where the page asks for one for this act."""
        forms = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page.text, re.S)
        return [("code", self.telephone.code())] if any('name="code"' in form for form in forms) else []

    def does(self, path, action, fields=()):
        """Sends a form of the page at `path`; what comes of it."""
        page = self.at(path)
        fields = list(fields.items() if isinstance(fields, dict) else fields)
        return self.web.post(action, fields + self.code_for(page, action))
