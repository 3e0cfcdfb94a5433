"""A headless Chromium, driven over its debugging protocol as a person drives one: by keyboard, or by following links. Owns no checks; says what it saw: errors of pages, requests that
left the box, sizes, what axe-core finds."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import websocket

from .checks import RUNNING
from .program import ROOT

AXE = ROOT / "target/test-node/node_modules/axe-core/axe.min.js"
TAGS = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# Physical keys: name -> (code, virtual key, text).
KEYS = {
    "Tab": ("Tab", 9, None), "Enter": ("Enter", 13, "\r"), " ": ("Space", 32, " "), "Escape": ("Escape", 27, None),
    "ArrowDown": ("ArrowDown", 40, None), "ArrowUp": ("ArrowUp", 38, None), "ArrowRight": ("ArrowRight", 39, None), "ArrowLeft": ("ArrowLeft", 37, None),
}
# What a screen reader would call the element that has the focus.
NAME_OF_FOCUS = """(() => {
  const e = document.activeElement;
  if (!e || e === document.body) return "";
  const by = (e.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean).map((id) => document.getElementById(id)?.textContent || "").join(" ");
  const label = e.labels && e.labels.length ? e.labels[0].textContent : "";
  return (e.getAttribute("aria-label") || by || label || e.textContent || e.value || e.name || "").replace(/\\s+/g, " ").trim();
})()"""
# Whether the focus can be seen: an outline or a shadow that it does not have without focus.
FOCUS_IS_SEEN = """(() => {
  const e = document.activeElement, s = getComputedStyle(e);
  return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 || s.boxShadow !== "none";
})()"""


class Browser:
    """One Chromium with a profile of its own, ended when the scenario ends."""

    def __init__(self, scripts=True):
        self.folder = Path(tempfile.mkdtemp(prefix="keepwell-browser-", dir=os.environ.get("TMPDIR", "/var/tmp")))
        self.downloads = self.folder / "downloads"
        self.downloads.mkdir()
        self.process = None
        RUNNING.append(self.stop)
        options = ["--headless=new", "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={self.folder / 'profile'}", "--no-first-run", "--no-default-browser-check",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-gpu", "--disable-dev-shm-usage",
                   # The authority of a box is trusted by who compared its fingerprint; here it is checked over Python's TLS.
                   "--ignore-certificate-errors", "--lang=en", "--force-color-profile=srgb", "--hide-scrollbars"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["chromium", *options, "about:blank"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "HOME": str(self.folder)})
        said = self.folder / "profile/DevToolsActivePort"
        end = time.monotonic() + 180
        while not (said.exists() and said.read_text().count("\n") >= 1):
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"chromium does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        self.port = int(said.read_text().splitlines()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json", timeout=30) as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        self.tab = Tab(pages[0]["webSocketDebuggerUrl"], self.downloads, scripts)

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
            shutil.rmtree(self.folder, ignore_errors=True)


class Tab:
    """A page that is looked at."""

    def __init__(self, address, downloads, scripts):
        self.socket = websocket.create_connection(address, timeout=180, suppress_origin=True)
        self.number = 0
        self.downloads = downloads
        self.scripts = scripts
        self.requests, self.answers, self.bytes, self.faults, self.loaded, self.came = [], {}, {}, [], 0, []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads), eventsEnabled=True)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self.socket.recv())
            if told.get("id") == self.number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told.get("result", {})
            self._heard(told)

    def _heard(self, told):
        kind, what = told.get("method"), told.get("params", {})
        if kind == "Page.loadEventFired":
            self.loaded += 1
        elif kind == "Browser.downloadProgress" and what["state"] != "inProgress":
            self.came.append(what["state"])
        elif kind == "Network.requestWillBeSent":
            self.requests.append((what["requestId"], what["request"]["method"], what["request"]["url"]))
        elif kind == "Network.responseReceived":
            self.answers[what["requestId"]] = (what["type"], what["response"]["url"], what["response"]["status"], what["response"]["headers"])
        elif kind == "Network.loadingFinished":
            self.bytes[what["requestId"]] = what["encodedDataLength"]
        elif kind == "Runtime.exceptionThrown":
            self.faults.append(what["exceptionDetails"].get("text", "") + str(what["exceptionDetails"].get("exception", {}).get("description", "")))
        elif kind == "Log.entryAdded" and what["entry"]["level"] == "error" and "favicon" not in what["entry"].get("url", "") and what["entry"]["source"] != "network":
            self.faults.append(f"{what['entry']['source']}: {what['entry']['text']}")
        elif kind == "Page.javascriptDialogOpening":
            self.faults.append(f"a dialog: {what['message']}")
            self.number += 1
            self.socket.send(json.dumps({"id": self.number, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}))

    def js(self, expression):
        """The value of an expression; works where a page's own scripts are off, too."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression[:80]}: {result['exceptionDetails']}")
        return result.get("result", {}).get("value")

    def until(self, expression, seconds=90):
        """Waits for what is bound to come; whether it came."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self.js(expression):
                    return True
            except RuntimeError:
                # A page that is just being replaced has nothing to say.
                pass
            if time.monotonic() > end:
                return False
            time.sleep(0.05)

    def settled(self, before):
        """Waits for the page that comes after `before` loads."""
        end = time.monotonic() + 180
        while self.loaded <= before:
            if time.monotonic() > end:
                raise RuntimeError(f"no page came after {self.js('location.pathname')}: {self.text()[:300]}")
            # Asked so that events are heard; the page that goes just then says nothing.
            with suppress(RuntimeError):
                self.js("0")
            time.sleep(0.02)
        self.until("document.readyState === 'complete'")

    def go(self, address):
        before = self.loaded
        self.call("Page.navigate", url=address)
        self.settled(before)

    @property
    def path(self):
        return self.js("location.pathname")

    @property
    def title(self):
        return self.js("document.title")

    def text(self):
        return self.js("document.body ? document.body.innerText : ''") or ""

    def heading(self):
        return self.js("document.querySelector('h1')?.textContent || ''")

    # By keyboard.

    def press(self, key, shift=False):
        code, number, text = KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        for letter in text:
            self.call("Input.dispatchKeyEvent", type="keyDown", key=letter, text=letter)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=letter)

    def tab_to(self, name, of="*", exact=False, most=300):
        """Moves the focus by the Tab key alone until it is on what is called `name`, one of the elements `of`. Every stop has to be seen."""
        for _ in range(most):
            self.press("Tab")
            here = self.js(NAME_OF_FOCUS)
            if here and not self.js(FOCUS_IS_SEEN):
                raise RuntimeError(f"nobody sees that the focus is on {here!r}, on {self.path}")
            if (here == name or not exact and here.startswith(name)) and self.js(f"document.activeElement.matches({json.dumps(of)})"):
                return here
        raise RuntimeError(f"the Tab key does not come to {name!r} on {self.path}: {self.heading()!r}")

    def fill(self, name, text):
        self.tab_to(name, of="input, textarea")
        self.js("document.activeElement.select && document.activeElement.select()")
        self.type(text)

    def activate(self, name, key="Enter", exact=False):
        """Presses what is called `name` and waits for the page that comes of it."""
        self.tab_to(name, of="a, button, summary", exact=exact)
        before = self.loaded
        self.press(key)
        self.settled(before)

    def choose(self, name):
        """Ticks a box."""
        self.tab_to(name, of="input[type=checkbox]")
        if not self.js("document.activeElement.checked"):
            self.press(" ")
        if not self.js("document.activeElement.checked"):
            raise RuntimeError(f"{name!r} can't be chosen by keyboard")

    def choose_of(self, name, steps=6):
        """Chooses one of a group of radio buttons, which is one stop of the Tab key: by arrows."""
        selector = f"[...document.querySelectorAll('label')].find((one) => one.textContent.trim().startsWith({json.dumps(name)}))?.control"
        group = self.js(f"{selector}.name")
        for _ in range(150):
            self.press("Tab")
            if self.js(f"document.activeElement.type === 'radio' && document.activeElement.name === {json.dumps(group)}"):
                break
        for _ in range(steps):
            if self.js(f"document.activeElement === {selector} && document.activeElement.checked"):
                return
            self.press("ArrowDown")
        raise RuntimeError(f"{name!r} can't be chosen by keyboard")

    # What is seen.

    def shape(self, width, height=800, dark=False):
        self.width = width
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 640)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def screenshot(self, path, whole=True, quick=False):
        """A picture of the page; `quick` makes larger files sooner."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        more = {}
        if whole:
            # What is longer than this looks like more of the same.
            more["clip"] = {"x": 0, "y": 0, "width": self.width, "height": min(self.js("document.documentElement.scrollHeight"), 5000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, optimizeForSpeed=quick, **more)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def overflow(self):
        """Pixels that do not fit into the width of the window."""
        # The width that was asked for: a telephone's window grows with what does not fit.
        return self.js("document.documentElement.scrollWidth") - self.width

    def axe(self, rules=None):
        """Serious and critical findings of axe-core, WCAG 2.2 A and AA: (rule, where). `rules`: these alone, such as what changes with the colours, or all
        but these where each begins with a minus."""
        if rules and all(rule.startswith("-") for rule in rules):
            choice = f"runOnly: {json.dumps(TAGS)}, rules: {json.dumps({rule[1:]: {'enabled': False} for rule in rules})}"
        else:
            choice = f"runOnly: {json.dumps({'type': 'rule', 'values': rules} if rules else TAGS)}"
        asked = (f"axe.run(document, {{resultTypes: ['violations'], preload: false, {choice}}})"
                 ".then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.target.join(' ') + ' ' + (n.failureSummary || '').slice(0, 200))]))")
        for attempt in range(5):
            try:
                if not self.js("typeof window.axe === 'object'"):
                    self.js(AXE.read_text(encoding="utf-8") + "; 0")
                return [(rule, where) for rule, where in self.js(asked)]
            except RuntimeError:
                # The page loaded itself anew meanwhile, as pages of work under way do: the new one is judged.
                if attempt == 4:
                    raise
                self.until("document.readyState === 'complete'")
        return []

    def page_bytes(self):
        """Size of the newest page itself, as it came over the line."""
        pages = [number for number, (kind, *_) in self.answers.items() if kind == "Document"]
        return self.bytes.get(pages[-1], 0) if pages else 0

    def outside(self, base):
        """Requests to anybody but the box."""
        return [url for _, _, url in self.requests if not url.startswith((base + "/", "data:", "about:", "chrome:", "blob:"))]

    def download(self, name, seconds=300):
        """Presses the button of this name by keyboard; the file that comes, or nothing when it does not come whole."""
        for path in self.downloads.iterdir():
            path.unlink()
        self.came.clear()
        self.tab_to(name, of="a, button")
        self.press("Enter")
        end = time.monotonic() + seconds
        while not self.came and time.monotonic() < end:
            self.js("0")
            time.sleep(0.02)
        there = list(self.downloads.iterdir())
        return there[0] if self.came == ["completed"] and len(there) == 1 else None
