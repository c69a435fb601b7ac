// Ctrl+Enter (or ⌘+Enter) does what the form's own button does: in a field of several lines, where Enter begins a new one,
// and anywhere in a dialog.
(() => {
  /**
   * The first is the one that Enter in a field of one line would press.
   * @param {Iterable<Element>} elements
   * @returns {HTMLButtonElement | undefined}
   */
  const first = (elements) => [...elements].find((one) => one.type === "submit");

  /** @param {HTMLElement} element */
  function buttonFor(element) {
    const dialog = element.closest?.("dialog[open]");
    if (dialog) {
      // Its own, whether the form is in the dialog or the dialog in the form.
      const own = first(dialog.querySelectorAll("button"));
      return own ?? dialog.querySelector("[data-confirm-yes], .dialog__footer .button--primary");
    }
    return element.matches?.("textarea:not([readonly])") ? first(element.form?.elements ?? []) : null;
  }

  // Heard at the window, last of all: a field in which it means something else has taken it by then.
  window.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (event.isComposing || event.defaultPrevented) return;
    const button = buttonFor(event.target);
    if (!button) return;
    event.preventDefault();
    button.click();
  });
})();
