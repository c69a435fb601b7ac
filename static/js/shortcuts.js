// Keyboard shortcuts: data-shortcut="j" or data-shortcut="g c" on a link, button or field (a field gets the focus).
// `?` opens the list, made from what is on the page. Never while typing, in a dialog, or with a modifier held.
// What other scripts do with keys stands on the page as <template data-page-keys>, and is listed too.
// data-shortcut-label names the action where the element's own words would not.
(() => {
  const SEQUENCE_MS = 1200;
  const STORED = "shortcuts";
  const dialog = document.getElementById("shortcuts-dialog");
  const list = dialog.querySelector("[data-shortcut-list]");
  const toggle = dialog.querySelector("[data-shortcut-toggle]");
  let previous = { key: "", at: 0 };

  const enabled = () => localStorage.getItem(STORED) !== "off";

  /** @param {HTMLElement} target */
  function isTyping(target) {
    return (
      target.isContentEditable ||
      target.matches?.(
        "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select",
      )
    );
  }

  function reachable() {
    return [...document.querySelectorAll("[data-shortcut]")].filter(
      (element) => !element.disabled && element.checkVisibility({ visibilityProperty: true }),
    );
  }

  /** @param {HTMLElement & { labels?: NodeList }} element */
  function name(element) {
    const words =
      element.dataset.shortcutLabel ?? element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent;
    return (words ?? element.textContent).replace(/\s+/g, " ").trim();
  }

  function fillList() {
    const seen = new Set();
    list.replaceChildren();
    for (const element of document.querySelectorAll("[data-shortcut]")) {
      const keys = element.dataset.shortcut;
      if (seen.has(keys)) continue;
      seen.add(keys);
      const term = document.createElement("dt");
      for (const key of keys.split(" ")) {
        const mark = document.createElement("kbd");
        mark.textContent = key;
        term.append(mark, " ");
      }
      const meaning = document.createElement("dd");
      meaning.textContent = name(element);
      const row = document.createElement("div");
      row.append(term, meaning);
      list.append(row);
    }
    for (const more of document.querySelectorAll("[data-page-keys]"))
      list.append(more.content.cloneNode(true));
    toggle.checked = enabled();
  }

  /** @param {HTMLElement} element */
  function use(element) {
    if (element.matches("input:not([type=checkbox], [type=radio]), textarea, select")) element.focus();
    else element.click();
  }

  /** @param {KeyboardEvent & { target: any }} event */
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      event.preventDefault();
      dialog.showModal();
      return;
    }
    if (!enabled() || event.key.length !== 1) return;
    const now = Date.now();
    const sequence = now - previous.at < SEQUENCE_MS ? `${previous.key} ${event.key}` : null;
    previous = { key: event.key, at: now };
    const candidates = reachable();
    const match =
      candidates.find(({ dataset }) => dataset.shortcut === sequence) ??
      candidates.find(({ dataset }) => dataset.shortcut === event.key);
    if (!match) return;
    event.preventDefault();
    previous.at = 0;
    use(match);
  }

  // Watching the attribute, because other scripts open the dialog too.
  new MutationObserver(() => {
    if (dialog.open) fillList();
  }).observe(dialog, { attributeFilter: ["open"] });
  toggle.addEventListener("change", () => localStorage.setItem(STORED, toggle.checked ? "on" : "off"));
  document.addEventListener("keydown", onKey);
})();
