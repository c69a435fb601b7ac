// Ctrl+Enter (or ⌘+Enter) does what the form's own button does: in a field of several lines, where Enter begins a new one,
// and anywhere in a dialog.
(() => {
  /** @param {Element} one */
  const submits = (one) => one instanceof HTMLButtonElement && one.type === "submit";

  /** @param {EventTarget | null} field */
  function buttonFor(field) {
    if (!(field instanceof HTMLElement)) return null;
    const dialog = field.closest("dialog[open]");
    if (dialog) {
      // Its own, whether the form is in the dialog or the dialog in the form.
      const own = [...dialog.querySelectorAll("button")].find(submits);
      return own ?? dialog.querySelector("[data-confirm-yes], .dialog__footer .button--primary");
    }
    if (!(field instanceof HTMLTextAreaElement) || field.readOnly) return null;
    // The first is the one that Enter in a field of one line would press.
    return [...(field.form?.elements ?? [])].find(submits);
  }

  // Heard at the window, last of all: a field in which it means something else has taken it by then.
  window.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (event.isComposing || event.defaultPrevented) return;
    const button = buttonFor(event.target);
    if (!(button instanceof HTMLElement)) return;
    event.preventDefault();
    button.click();
  });
})();
