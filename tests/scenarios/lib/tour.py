"""Somebody who looks at pages in a real browser, on a telephone and at a desk, by day and by night, and says what is wrong with each: what axe-core finds, what does not fit, what is too
large, what asked for anything elsewhere. Keeps a picture of everything. Owns no checks."""

import json
import re
from urllib.parse import urlsplit

from .browser import Browser

LIMIT = 100_000
# The form of an action that has these fields.
FORM = """
  const has = (form) => fields.every(([name, value]) => [...form.elements].some((one) => one.name === name && (name === "form" || one.type !== "hidden" || one.value === value)));
  const form = [...document.forms].find((one) => one.getAttribute("action") === action && has(one));
  if (!form) { return false; }
"""
# Whether it asks for a new code, which depends on how long ago the last one was.
ASKS = f"""((action, fields) => {{{FORM}
  return [...form.elements].some((one) => one.name === "code");
}})"""
# Fills it as somebody would, what is hidden in <details> too, and sends it; the browser's own checks of fields are another matter.
SEND = f"""((action, fields) => {{{FORM}""" + """
  const filled = new Map();
  for (const [name, value] of fields) {
    const all = [...form.elements].filter((one) => one.name === name), nth = filled.get(name) || 0;
    const chosen = all.find((one) => ["radio", "checkbox"].includes(one.type) && one.value === value);
    const pressed = all.find((one) => one.type === "submit" && one.value === value);
    if (chosen) { chosen.checked = true; } else if (pressed) { form.pressed = pressed; } else { all[Math.min(nth, all.length - 1)].value = value; }
    filled.set(name, nth + 1);
  }
  form.noValidate = true;
  form.target = "_self";
  form.requestSubmit(form.pressed);
  return true;
})"""


class Tour:
    """One browser, and what it saw: `routes` are those of pages that were looked at, each with its states."""

    def __init__(self, base, screens, secret):
        """`secret`: names that may stand on pages, and never in a title or an address."""
        self.base, self.screens, self.secret = base, screens, secret
        self.browser = Browser()
        self.tab = self.browser.tab
        self.routes = {}
        self.faults = {}
        self.sizes = {}

    def stop(self):
        self.browser.stop()

    def goes_as(self, web):
        """With the session of somebody who signed in without a screen; of nobody."""
        self.tab.call("Network.clearBrowserCookies")
        if web and web.cookie:
            name, value = web.cookie.split("=", 1)
            self.tab.call("Network.setCookie", name=name, value=value, url=self.base, path="/", secure=True, httpOnly=True, sameSite="Strict")

    def looks(self, route, state, path=None, web=None, status=200, says=None, quick=False):
        """Opens a page. `quick`: on a telephone alone. What is wrong with it, in words."""
        self.goes_as(web)
        self.fresh()
        self.tab.shape(360)
        self.tab.go(self.base + (path or route))
        return self.judged(route, state, status, says, quick)

    def sends(self, route, state, page, action, fields, web=None, status=200, says=None, telephone=None):
        """Sends a form of a page, with a code of this telephone where it asks for one, and looks at what comes of it."""
        self.goes_as(web)
        self.tab.shape(360)
        self.tab.go(self.base + page)
        pairs = [[name, str(value)] for name, value in (fields.items() if isinstance(fields, dict) else fields)]
        if telephone and self.tab.js(f"{ASKS}({json.dumps(action)}, {json.dumps(pairs)})"):
            pairs.append(["code", telephone.code()])
        self.fresh()
        before = self.tab.loaded
        if not self.tab.js(f"{SEND}({json.dumps(action)}, {json.dumps(pairs)})"):
            return [f"{page} has no form for {action} with {[name for name, _ in pairs]}: {self.tab.text()[:300]}"]
        self.tab.settled(before)
        return self.judged(route, state, status, says, False)

    def fresh(self):
        self.tab.requests.clear()
        self.tab.answers.clear()
        self.tab.bytes.clear()
        self.tab.faults.clear()

    def judged(self, route, state, status, says, quick):
        tab, wrong, first = self.tab, [], route not in self.routes
        self.routes.setdefault(route, set()).add(state)
        came = [answer for kind, *answer in tab.answers.values() if kind == "Document"]
        # `status` of none: a form that was not taken, whatever the number of the answer.
        if not came or came[-1][1] != status and (status is not None or came[-1][1] >= 500):
            wrong.append(f"answered {[answer[1] for answer in came]}, not {status}: {tab.heading()!r}")
        if says and not re.search(says, tab.js("document.body.textContent").replace("\n", " ")):
            wrong.append(f"does not say {says!r}: {tab.js('document.querySelector(`main`)?.innerText || ``')[:500]!r}")
        size = tab.page_bytes()
        self.sizes[f"{route} {state}"] = size
        if size > LIMIT:
            wrong.append(f"{size} bytes")
        name = re.sub("[^a-z0-9]+", "-", f"{route} {state}".lower()).strip("-")
        wrong += self.seen(name, "360-light", 360, False)
        if not quick:
            wrong += self.seen(name, "360-dark", 360, True, rules=["color-contrast"], picture=first)
            # Colours are the same in all states of a page at a desk; they are the slowest to judge.
            wrong += self.seen(name, "1440-light", 1440, False, rules=None if first else ["-color-contrast"])
            if first:
                self.tab.shape(1440, dark=True)
                tab.screenshot(self.screens / f"{name}-1440-dark.png", quick=True)
        named = [name for name in self.secret if name in tab.title + tab.js("location.href")]
        wrong += [f"its title or address says {named}"] if named else []
        wrong += [f"a script failed: {fault}" for fault in tab.faults] + [f"asked for {url}" for url in tab.outside(self.base)]
        return wrong

    def seen(self, name, look, width, dark, rules=None, picture=True):
        self.tab.shape(width, dark=dark)
        over = self.tab.overflow()
        wrong = [f"{look}: {over} px too wide"] if over > 0 else []
        wrong += [f"{look}: {rule} at {where}" for rule, where in self.tab.axe(rules)]
        if picture:
            self.tab.screenshot(self.screens / f"{name}-{look}.png", quick=True)
        return wrong


def main_of(page):
    """What a page says to this person apart from the frame, its forms' tokens and the moment."""
    found = re.search(r"<main.*?</main>", page.text, re.S)
    return re.sub(r'name="form" value="[0-9a-f]*"|<time[^>]*>.*?</time>|\d+ (s|seconds?|min|minutes?)\b( ago)?|just now', "", found[0] if found else page.text)


def path_of(address):
    return urlsplit(address).path
