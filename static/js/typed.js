// What was typed into a form and not sent outlives a reload, the way back, and signing in again: it is kept in this tab until then.
// A page that is opened anew by its address or a link begins with what the server has. Passwords, files and what stands in
// data-not-kept are left out: secrets, and turns of a conversation, which have drafts of their own (conversation-drafts.js). What one
// person typed is shown to nobody else.
(() => {
  const PREFIX = "typed:";
  const BACK = "typed-back"; // addresses whose fields come back when the page is next opened
  const LONGEST = 200_000; // characters of a form's fields; storage is small and shared by all pages
  const here = PREFIX + location.pathname + location.search;
  const who = document.querySelector(".user-card__name")?.textContent ?? "";
  const back = new Set(JSON.parse(sessionStorage.getItem(BACK) ?? "[]"));

  /** @returns {HTMLFormElement[]} */
  const forms = () =>
    [...document.forms].filter(
      (form) =>
        form.getAttribute("method") === "post" &&
        !form.closest("[data-not-kept]") &&
        !form.querySelector("[type=password]"),
    );

  /** @param {HTMLFormElement} form */
  const nameOf = (form) => form.getAttribute("id") || form.getAttribute("action") || "";

  /**
   * @param {HTMLFormElement} form
   * @returns {Control[]}
   */
  const fields = (form) =>
    /** @type {Control[]} */ ([...form.elements]).filter(
      (field) => field.name && !["hidden", "file", "submit", "button"].includes(field.type),
    );

  /** @param {Control} field */
  const isChoice = (field) => field.type === "checkbox" || field.type === "radio";

  // Choices are told apart by their values: rows of a list may be others by now.
  /** @param {Control} field */
  const called = (field) => (isChoice(field) ? `${field.name}=${field.value}` : field.name);

  /**
   * @param {Control[]} all
   * @param {string} name
   */
  const like = (all, name) => all.filter((field) => called(field) === name);

  /** @param {Control} field */
  function stored(field) {
    if (isChoice(field)) return String(field.defaultChecked);
    if (field.options)
      return [...field.options].find((option) => option.defaultSelected)?.value ?? field.options[0]?.value;
    return field.defaultValue;
  }

  /** @param {Control} field */
  const shown = (field) => (isChoice(field) ? String(field.checked) : field.value);

  function keep() {
    clearTimeout(waiting);
    waiting = undefined;
    const typed = forms().map((form) => ({
      form: nameOf(form),
      fields: fields(form)
        .map((field, _, all) => ({
          name: called(field),
          nth: like(all, called(field)).indexOf(field),
          base: stored(field),
          text: shown(field),
        }))
        .filter(({ base, text }) => text !== base),
    }));
    const kept = JSON.stringify({ who, typed: typed.filter((form) => form.fields.length) });
    if (!typed.some((form) => form.fields.length) || kept.length > LONGEST) sessionStorage.removeItem(here);
    else store(kept);
  }

  // Where the tab's storage is full, what was left on other pages gives way to what is being typed.
  /** @param {string} kept */
  function store(kept) {
    try {
      sessionStorage.setItem(here, kept);
    } catch {
      for (const key of Object.keys(sessionStorage))
        if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
      sessionStorage.setItem(here, kept);
    }
  }

  /** @type {Timer} */
  let waiting;
  function keepSoon() {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 300);
  }

  // Only onto what the field held when it was typed: what a colleague has changed meanwhile is not overwritten.
  function bringBack() {
    const kept = JSON.parse(sessionStorage.getItem(here) ?? "null");
    if (kept?.who !== who) return;
    /** @type {Set<Control>} */
    const filled = new Set();
    for (const form of forms()) {
      const own = fields(form);
      const typed = kept.typed.find((/** @type {{ form: string }} */ one) => one.form === nameOf(form));
      for (const { nth, name, base, text } of typed?.fields ?? []) {
        const field = like(own, name)[nth];
        if (!field || stored(field) !== base || shown(field) === text) continue;
        if (isChoice(field)) field.checked = text === "true";
        else field.value = text;
        filled.add(field);
        // What came back is seen.
        if (!isChoice(field)) field.closest("details")?.setAttribute("open", "");
      }
    }
    // Whatever depends on the fields follows: a plan, a preview, a button that waits for words. Each form once.
    const last = new Map([...filled].map((field) => [field.form, field]));
    for (const field of filled) field.dispatchEvent(new Event("input", { bubbles: true }));
    for (const field of last.values()) field.dispatchEvent(new Event("change", { bubbles: true }));
    if ([...filled].some((field) => !isChoice(field))) {
      const detail = { message: document.body.dataset.typedBack, kind: "info" };
      document.dispatchEvent(new CustomEvent("toast", { detail }));
    }
  }

  if (!who) {
    // Signed out: what waits in this tab comes back afterwards, on whichever way.
    const waitingPages = Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
    sessionStorage.setItem(BACK, JSON.stringify(waitingPages));
    return;
  }
  const [entry] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  const opened = entry?.type;
  const comesBack = opened === "reload" || opened === "back_forward" || back.has(here);
  back.delete(here);
  sessionStorage.setItem(BACK, JSON.stringify([...back]));
  if (comesBack) addEventListener("load", () => setTimeout(bringBack));
  else sessionStorage.removeItem(here);

  document.addEventListener("input", keepSoon);
  document.addEventListener("change", keepSoon);
  // What was sent and stored is none of it any more.
  document.addEventListener("htmx:afterSettle", keepSoon);
  addEventListener("pagehide", () => {
    if (waiting !== undefined) keep();
  });
})();
