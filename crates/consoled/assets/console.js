// Live updates, and nothing that a page needs: what changed is asked for and put in place, text by text. Never moves focus, never runs or writes markup from text.
"use strict";
(() => {
  const body = document.body;
  const of = (id) => document.getElementById(id);

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  const idle = Number(body.dataset.idle || 0);
  if (idle > 0) {
    window.setTimeout(() => { of("ending").hidden = false; }, Math.max(0, idle - 110) * 1000);
    window.setTimeout(() => { window.location.replace("/sign-in"); }, (idle + 2) * 1000);
  }

  if (body.dataset.live !== "yes" || !window.EventSource) { return; }

  const say = (text) => { of("say").textContent = text; };

  const stopped = of("live-stopped");
  let torn = false;
  const stop = () => {
    if (!stopped.hidden) { return; }
    stopped.textContent = "Live updates stopped " + new Date().toTimeString().slice(0, 5) + ". Reload this page to see how it is now.";
    stopped.hidden = false;
  };
  // The page became another one, and its texts no longer say how it is. Not under somebody's hands: what they typed would be gone.
  const tear = () => {
    if (torn) { return; }
    torn = true;
    stop();
    if (!document.activeElement || !document.activeElement.closest("main form")) { window.location.reload(); }
  };

  const parts = (page) => [...page.querySelectorAll("[data-part]")].map((one) => one.dataset.part).sort().join(" ");

  const place = (page) => {
    if (parts(page) !== parts(document)) { tear(); return; }
    for (const old of document.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector('[data-part="' + CSS.escape(old.dataset.part) + '"]');
      if (fresh.isEqualNode(old) || old.contains(document.activeElement)) { continue; }
      const before = old.dataset.say;
      for (const name of ["data-status", "data-say", "value", "max", "hidden"]) {
        if (fresh.hasAttribute(name)) { old.setAttribute(name, fresh.getAttribute(name)); } else { old.removeAttribute(name); }
      }
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      old.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
      old.querySelectorAll("details").forEach((one, at) => { one.open = Boolean(open[at]); });
      if (old.dataset.say && old.dataset.say !== before) { say(old.dataset.say); }
    }
  };

  let asked = false;
  let again = false;
  const look = () => {
    if (torn) { return; }
    if (asked) { again = true; return; }
    asked = true;
    const request = new XMLHttpRequest();
    request.open("GET", window.location.href);
    request.responseType = "document";
    request.timeout = 15000;
    request.onloadend = () => {
      if (request.response && request.response.body) {
        if (request.response.body.dataset.live === "yes") { place(request.response); } else { window.location.reload(); }
      }
      window.setTimeout(() => { asked = false; if (again) { again = false; look(); } }, 1000);
    };
    request.send();
  };

  const stream = new EventSource("/live");
  stream.onopen = () => { stopped.hidden = !torn; };
  stream.onmessage = (event) => {
    stopped.hidden = !torn;
    let told;
    try { told = JSON.parse(event.data); } catch { return; }
    if (told.kind === "signed-out") { stream.close(); window.location.replace("/sign-in"); return; }
    look();
  };
  stream.onerror = () => {
    stop();
    if (stream.readyState === EventSource.CLOSED) { window.setTimeout(() => window.location.reload(), 30000); }
  };
})();
