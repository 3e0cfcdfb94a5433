// Live updates, and nothing that a page needs: what changed is asked for and put in place, text by text. Never moves focus, never runs or writes markup from text.
"use strict";
(() => {
  const body = document.body;
  const of = (id) => document.getElementById(id);

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  // Why a form was not taken is read first, and leads to its fields.
  const error = of("error");
  if (error) { error.focus(); }

  // What somebody typed or ticked, or was given back, and has not sent.
  const touched = (one) => {
    const changed = (field) => {
      if (field.type === "hidden") { return false; }
      if (field.type === "checkbox" || field.type === "radio") { return field.checked !== field.defaultChecked; }
      if (field.options) { return [...field.options].some((option) => option.defaultSelected !== option.selected && (option.defaultSelected || option.index > 0)); }
      return field.value !== field.defaultValue;
    };
    return Boolean(one.querySelector("form[data-kept]")) || [...one.querySelectorAll("input, select, textarea")].some(changed);
  };

  // This page as it is now; asking keeps nobody signed in.
  const ask = (then) => {
    const request = new XMLHttpRequest();
    request.open("GET", window.location.href);
    request.responseType = "document";
    request.timeout = 15000;
    request.onloadend = () => then(request.response && request.response.body ? request.response : null);
    request.send();
  };

  // Somebody may have gone on in another window: the page is asked before it says that it ends, and before it does.
  const idle = (left) => {
    if (!(left > 0)) { return; }
    const warn = left > 120;
    window.setTimeout(() => ask((page) => {
      const now = page ? Number(page.body.dataset.idle || 0) : 0;
      if (warn && now > 120) { idle(now); return; }
      if (warn) { of("ending").hidden = false; idle(Math.min(120, now || 110)); return; }
      if (now > 5) { of("ending").hidden = now > 120; idle(now); return; }
      window.location.replace("/sign-in");
    }), (warn ? left - 110 : left + 2) * 1000);
  };
  idle(Number(body.dataset.idle || 0));

  if (body.dataset.live !== "yes" || !window.EventSource) { return; }

  const say = (text) => { of("say").textContent = text; };

  const stopped = of("live-stopped");
  let torn = false;
  const clock = () => new Date().toTimeString().slice(0, 5);
  const live = () => document.querySelectorAll("main [data-part]:not([hidden])");
  // When this was last known to be so.
  let known = clock();
  // All that may be old by now says since when it was so.
  const stop = () => {
    if (!stopped.hidden) { return; }
    stopped.textContent = "Live updates stopped " + clock() + ". What is shown was so at " + known + ". Reload this page to see how it is now.";
    stopped.hidden = false;
    for (const part of live()) { if (!part.dataset.asOf) { part.dataset.asOf = known; part.dataset.stopped = "yes"; } }
  };
  const goOn = () => {
    known = clock();
    if (torn || stopped.hidden) { return; }
    stopped.hidden = true;
    for (const part of live()) { if (part.dataset.stopped) { delete part.dataset.asOf; delete part.dataset.stopped; } }
  };
  // The page became another one, and its texts no longer say how it is. Not under somebody's hands: what they typed would be gone.
  const tear = () => {
    if (torn) { return; }
    torn = true;
    stop();
    const main = of("main");
    if (!touched(main) && !(document.activeElement && document.activeElement.closest("main form"))) { window.location.reload(); }
  };

  const parts = (page) => [...page.querySelectorAll("[data-part]")].map((one) => one.dataset.part).sort().join(" ");

  const place = (page) => {
    if (parts(page) !== parts(document)) { tear(); return; }
    for (const old of document.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector('[data-part="' + CSS.escape(old.dataset.part) + '"]');
      if (fresh.isEqualNode(old) || old.contains(document.activeElement) || touched(old)) { continue; }
      const before = old.dataset.say;
      for (const name of ["data-status", "data-say", "data-as-of", "value", "max", "hidden"]) {
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
    ask((page) => {
      if (page && page.body.dataset.live === "yes") { place(page); } else if (page) { window.location.reload(); }
      window.setTimeout(() => { asked = false; if (again) { again = false; look(); } }, 1000);
    });
  };

  // Each 20 s something is heard, or the stream is lost without a word.
  let stream = null;
  let silence = 0;
  const heard = () => {
    goOn();
    window.clearTimeout(silence);
    silence = window.setTimeout(() => { stop(); close(); listen(); }, 35000);
  };
  const close = () => {
    window.clearTimeout(silence);
    if (stream) { stream.close(); }
    stream = null;
  };
  const listen = () => {
    const own = new EventSource("/live");
    stream = own;
    own.onopen = heard;
    own.addEventListener("here", heard);
    own.onmessage = (event) => {
      heard();
      let told;
      try { told = JSON.parse(event.data); } catch { return; }
      if (told.kind === "signed-out") { close(); window.location.replace("/sign-in"); return; }
      look();
    };
    own.onerror = () => {
      stop();
      if (own.readyState === EventSource.CLOSED && own === stream) { window.setTimeout(() => window.location.reload(), 30000); }
    };
    silence = window.setTimeout(() => { stop(); }, 35000);
  };
  // Browsers have few connections to one host: what nobody looks at needs none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); } else if (!stream) { listen(); look(); }
  });
  if (!document.hidden) { listen(); }
})();
