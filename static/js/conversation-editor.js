// The conversation page: walking through turns by keyboard, telling what is saved, never losing what was typed.
// htmx does the saving (attributes in the templates); here are the version every change carries, the words about
// its state, the order of things, and the way out of the page.
(() => {
  const root = document.getElementById("conversation");
  if (!root) return;
  const drafts = window.conversationDrafts;
  const RETRY_MS = 5000;
  const saveState = root.querySelector("[data-save-state]");
  let current = 0;
  let failed = false;
  /** @type {Timer} */
  let retry;
  /** @type {string | null} */
  let leavingTo = null;

  const fields = () => [...root.querySelectorAll("[data-turn-text]")];
  const bubbles = () => [...root.querySelectorAll("[data-turn]")];
  /** @param {Field} field */
  const isDirty = (field) => field.value !== field.defaultValue;
  const dirty = () => fields().filter(isDirty);
  /** @param {Element | null} element */
  const isField = (element) => Boolean(element?.matches?.("[data-turn-text]"));

  /** @param {string} state */
  function say(state) {
    saveState.dataset.saveState = state;
    const words = saveState.querySelector("span");
    if (words.textContent !== saveState.dataset[state]) words.textContent = saveState.dataset[state];
  }

  /**
   * @param {string} message
   * @param {string} kind
   */
  function toast(message, kind) {
    document.dispatchEvent(new CustomEvent("toast", { detail: { message, kind } }));
  }

  function flush() {
    for (const field of dirty()) htmx.trigger(field, "save");
  }

  // --- walking ---

  /** @param {number} index */
  function setCurrent(index) {
    const list = bubbles();
    current = Math.min(Math.max(index, 0), list.length - 1);
    list.forEach((bubble, position) => {
      const isCurrent = position === current;
      bubble.classList.toggle("is-current", isCurrent);
      bubble.tabIndex = isCurrent ? 0 : -1;
      for (const button of bubble.querySelectorAll("[data-turn-shortcut]")) {
        if (isCurrent) button.dataset.shortcut = button.dataset.turnShortcut;
        else delete button.dataset.shortcut;
      }
    });
  }

  /** @param {number} index */
  function go(index) {
    setCurrent(index);
    const bubble = bubbles()[current];
    bubble.focus({ preventScroll: true });
    bubble.scrollIntoView({ block: "nearest" });
  }

  /** @param {number} index */
  function edit(index) {
    setCurrent(index);
    const field = fields()[current];
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  /** @param {KeyboardEvent} event */
  function onTyping(event) {
    if (event.key === "Escape") go(current);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      htmx.trigger(fields()[current], "save");
      if (current + 1 < fields().length) edit(current + 1);
      else go(current);
    } else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent & { target: any }} event */
  function onWalking(event) {
    const bubble = event.target.closest?.("[data-turn]");
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (document.querySelector("dialog[open]") || (event.target !== document.body && event.target !== bubble))
      return;
    if (event.key === "ArrowDown") go(bubble ? current + 1 : current);
    else if (event.key === "ArrowUp") go(bubble ? current - 1 : current);
    else if (event.key === "Enter" && bubble) edit(current);
    else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (isField(event.target)) onTyping(event);
    else onWalking(event);
  });

  root.addEventListener("focusin", (/** @type {PageEvent} */ event) => {
    const bubble = event.target.closest("[data-turn]");
    if (bubble) setCurrent(Number(bubble.dataset.turn));
  });

  // --- typing ---

  // Browsers that do not size fields by their content get it done here.
  const sizesItself = CSS.supports("field-sizing", "content");
  /** @param {Field} field */
  function fit(field) {
    if (sizesItself) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  }

  root.addEventListener("input", (/** @type {PageEvent} */ event) => {
    if (!isField(event.target)) return;
    fit(event.target);
    const turn = fields().indexOf(event.target);
    if (isDirty(event.target)) drafts.keep(turn, event.target.defaultValue, event.target.value);
    else drafts.drop(turn);
    say(dirty().length ? "unsaved" : "saved");
  });

  // --- saving ---

  // Words still on their way go first, so that a change of the turns never overtakes them.
  // Looking into the history saves nothing and waits for nothing.
  /**
   * @param {string} verb
   * @param {string} path
   */
  const isChange = (verb, path) => verb !== "get" && path.startsWith(root.dataset.base);

  document.addEventListener("htmx:confirm", (event) => {
    if (isChange(event.detail.verb, event.detail.path) && !isField(event.detail.elt) && !failed) flush();
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, path, verb, parameters } = event.detail;
    if (!isChange(verb, path) || elt.closest("[data-own-version]")) return;
    if (isField(elt) ? !isDirty(elt) : dirty().length > 0) {
      event.preventDefault();
      if (!isField(elt)) toast(root.dataset.wait, "warn");
      return;
    }
    parameters.version = document.getElementById("conversation-version").value;
    if (isField(elt)) parameters.began_with = elt.defaultValue;
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isChange(event.detail.requestConfig.verb, event.detail.pathInfo.requestPath)) say("saving");
  });

  /**
   * @param {Field} field
   * @param {string} sent
   * @param {boolean} isSaved
   */
  function settle(field, sent, isSaved) {
    const turn = fields().indexOf(field);
    if (isSaved) {
      field.defaultValue = sent;
      if (isDirty(field)) drafts.keep(turn, sent, field.value);
      else drafts.drop(turn);
    }
    failed = !isSaved;
  }

  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr, requestConfig, pathInfo } = event.detail;
    if (!isChange(requestConfig.verb, pathInfo.requestPath)) return;
    const isSaved = xhr.status >= 200 && xhr.status < 300;
    if (isField(elt)) settle(elt, requestConfig.parameters.content, isSaved);
    clearTimeout(retry);
    // No answer at all: try again by itself. A conflict or a refusal waits for the person.
    if (failed && xhr.status === 0) retry = setTimeout(flush, RETRY_MS);
    say(failed ? (xhr.status === 0 ? "failed" : "unsaved") : dirty().length ? "unsaved" : "saved");
    if (failed || !isSaved) leavingTo = null;
    else if (leavingTo && !dirty().length) location.assign(leavingTo);
  });

  // --- settling a conflict ---

  // Before the answer brings the turns anew: the draft is settled, one way or the other.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const form = event.detail.requestConfig.elt.closest?.("[data-settles-turn]");
    if (form && event.detail.xhr.status < 300) discard(form.dataset.settlesTurn);
  });

  /** @param {Turn} turn */
  function discard(turn) {
    drafts.drop(turn);
    const field = fields()[Number(turn)];
    if (field) field.value = field.defaultValue;
    failed = false;
  }

  // --- leaving ---

  document.addEventListener(
    "click",
    (event) => {
      const link = event.target.closest("a[href]");
      if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (link.dataset.discardDraft) discard(link.dataset.discardDraft);
      if (link.getAttribute("href").startsWith("#") || failed || !dirty().length) return;
      event.preventDefault();
      leavingTo = link.href;
      flush();
    },
    true,
  );

  window.addEventListener("beforeunload", (event) => {
    if (dirty().length) event.preventDefault();
  });

  // A tab that closes does not wait for an answer: what is still unsaved goes out on its own.
  window.addEventListener("pagehide", () => {
    const [field] = dirty();
    if (!field) return;
    const words = new FormData(field.form);
    words.set("version", document.getElementById("conversation-version").value);
    words.set("began_with", field.defaultValue);
    navigator.sendBeacon(field.form.action, words);
  });

  // --- starting, and starting again when the turns come anew ---

  function start() {
    const filled = drafts.restore(fields());
    for (const field of filled) htmx.trigger(field, "save");
    if (filled.length && focusAfterSwap() === undefined) toast(root.dataset.restored, "info");
    fields().forEach(fit);
    setCurrent(current);
  }

  // Single turns that others changed come one by one.
  let starts = 0;
  function startOnce() {
    clearTimeout(starts);
    starts = setTimeout(start);
  }

  // The turn to go on with, where the turns came as the answer to a change of one; undefined elsewhere.
  const focusAfterSwap = () => document.getElementById("turns")?.dataset.focusTurn;

  // Within the swap itself: htmx settles a moment later, and by then a quick hand has gone on.
  document.addEventListener("htmx:afterSwap", (event) => {
    const focus = focusAfterSwap();
    if (event.target.id !== "turns" || focus === undefined) return;
    const types = document.getElementById("turns").hasAttribute("data-focus-text");
    if (types || fields()[Number(focus)]?.value === "") edit(Number(focus));
    else go(Number(focus));
  });

  document.addEventListener("htmx:load", (event) => {
    if (event.detail.elt.id === "turns") start();
    else if (event.detail.elt.matches?.("#turns [data-turn]")) startOnce();
  });
  if (location.hash.startsWith("#turn-")) current = Number(location.hash.slice("#turn-".length)) - 1;
  const waiting = fields().length;
  // htmx must have seen the fields before a restored draft can be saved.
  document.addEventListener("DOMContentLoaded", () => setTimeout(() => waiting && start()));
})();
