// Passkeys. A form whose code is left empty asks the box what to sign, has the person's passkey sign it, and is then sent with that in place of the code. Nothing here decides anything, and
// without it every form works with a code.
"use strict";
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) { return; }
  const bytes = (text) => Uint8Array.from(window.atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => window.btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const keys = (ids) => ids.map((id) => ({ type: "public-key", id: bytes(id) }));
  const send = (form) => HTMLFormElement.prototype.submit.call(form);
  const part = (kind, words, parent) => {
    const made = document.createElement(kind);
    made.textContent = words;
    if (parent) { parent.append(made); }
    return made;
  };

  const tell = (form, words) => {
    const before = form.querySelector("[data-passkey-says]");
    if (before) { before.remove(); }
    const said = part("p", words);
    said.className = "notice";
    said.dataset.status = "warn";
    said.dataset.passkeySays = "yes";
    said.setAttribute("role", "alert");
    form.prepend(said);
  };

  const failed = (form) => (why) => {
    tell(form, why && why.name === "NotAllowedError" ? "Your passkey was not used: nobody answered, or it is not on this device. Nothing was done. Try again, or give a code." : "Your passkey could not be used here. Nothing was done. Give a code.");
  };

  // What is signed, in words, before the device asks for a finger.
  const confirmed = (ask, here, more) => new Promise((done) => {
    const box = document.createElement("dialog");
    box.setAttribute("aria-labelledby", "passkey-title");
    part("h2", "Sign this with your passkey", box).id = "passkey-title";
    part("p", "You are about to: " + ask.words + ".", box);
    if (here) { part("p", "On this page: " + here, box).className = "hint"; }
    if (more) { part("p", more, box).className = "hint"; }
    const actions = part("p", "", box);
    actions.className = "actions";
    const yes = part("button", "Sign with passkey", actions);
    const no = part("button", "Cancel", actions);
    for (const button of [yes, no]) { button.type = "button"; button.className = "button"; }
    yes.classList.add("primary");
    yes.addEventListener("click", () => { box.close("yes"); });
    no.addEventListener("click", () => { box.close("no"); });
    box.addEventListener("close", () => { box.remove(); done(box.returnValue === "yes"); });
    document.body.append(box);
    box.showModal();
  });

  // What it is about, as the page has it: the nearest heading, and the button.
  const named = (form, pressed) => {
    const around = form.closest("article, li, section") || document;
    const words = [around.querySelector("h1, h2, h3"), pressed].map((one) => one ? one.textContent.trim().replace(/\s+/g, " ") : "");
    return words.filter(Boolean).join(" – ");
  };

  const hidden = (form, name, value) => {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    field.dataset.passkeyProof = "yes";
    form.append(field);
  };

  // Browsers block a page of its own that opens so long after the button was pressed. Where a page stays when its form was sent, it asks anew the next time: a signature counts once.
  const finished = (form, code, pressed) => {
    const target = form.target;
    if (pressed && pressed.name) { hidden(form, pressed.name, pressed.value); }
    if (target === "_blank") { form.target = "_self"; }
    send(form);
    window.setTimeout(() => {
      for (const field of form.querySelectorAll("[data-passkey-proof]")) { field.remove(); }
      code.disabled = false;
      form.target = target;
    }, 0);
  };

  const prove = async (form, code, pressed) => {
    const fields = new URLSearchParams(new FormData(form));
    if (pressed && pressed.name) { fields.append(pressed.name, pressed.value); }
    fields.set("code", "?" + window.location.host);
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields, redirect: "manual" });
    // Something else is wrong with it, and the page that comes says what.
    if (!(answer.headers.get("content-type") || "").startsWith("application/json")) { finished(form, code, pressed); return; }
    const ask = await answer.json();
    if (ask.act !== "sign-in" && !await confirmed(ask, named(form, pressed), form.target === "_blank" ? "It opens in place of this page. Go back afterwards." : "")) { return; }
    const publicKey = { challenge: bytes(ask.challenge), rpId: ask.rp, allowCredentials: keys(ask.allow), userVerification: "required", timeout: 240000 };
    const got = await navigator.credentials.get({ publicKey });
    const said = got.response;
    code.disabled = true;
    hidden(form, "code", ["passkey", text(got.rawId), text(said.authenticatorData), text(said.clientDataJSON), text(said.signature)].join("."));
    finished(form, code, pressed);
  };

  const codes = () => document.querySelectorAll("form:not([data-passkey=no]) input[name=code][autocomplete=one-time-code]");
  if (document.body.dataset.passkey === "yes") {
    let number = 0;
    for (const code of codes()) {
      code.required = false;
      const hint = part("p", "Or leave it empty, and your passkey is asked.");
      hint.className = "hint";
      number += 1;
      hint.id = "passkey-hint-" + number;
      code.before(hint);
      code.setAttribute("aria-describedby", ((code.getAttribute("aria-describedby") || "") + " " + hint.id).trim());
    }
    const underWay = new WeakSet();
    document.addEventListener("submit", (event) => {
      const form = event.target;
      const code = [...codes()].find((one) => one.form === form);
      if (!code || code.value.trim() !== "") { return; }
      event.preventDefault();
      if (underWay.has(form)) { return; }
      underWay.add(form);
      prove(form, code, event.submitter).catch(failed(form)).finally(() => underWay.delete(form));
    });
  }

  const button = document.querySelector("[data-make]");
  if (button) {
    const form = button.form;
    const { challenge, rp, user, handle, exclude } = form.dataset;
    const make = async () => {
      const made = await navigator.credentials.create({ publicKey: {
        challenge: bytes(challenge), rp: { id: rp, name: "Keepwell" }, user: { id: bytes(handle), name: user, displayName: user },
        pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -8 }], excludeCredentials: keys(exclude.split(" ").filter(Boolean)),
        authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" }, attestation: "none", timeout: 240000,
      } });
      form.elements.client_data.value = text(made.response.clientDataJSON);
      form.elements.authenticator_data.value = text(made.response.getAuthenticatorData());
      send(form);
    };
    button.hidden = false;
    document.querySelector("[data-unmade]").hidden = true;
    button.addEventListener("click", () => make().catch((why) => {
      tell(form, why && why.name === "InvalidStateError" ? "This device has a passkey of yours for this box already." : "No passkey was made. Try again, or on another device.");
    }));
  }
})();
