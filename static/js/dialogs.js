// Native dialogs: data-dialog-open="id" opens, data-dialog-close closes, a click beside it closes,
// and a <dialog data-dialog-now> opens as soon as it is on the page (also when htmx brings it).
// The first field has the focus.
(() => {
  const FIELD = "input:not([type=hidden], [readonly]), textarea:not([readonly]), select";

  /** @param {HTMLDialogElement} dialog */
  function show(dialog) {
    dialog.showModal();
    (dialog.querySelector("[autofocus]") ?? dialog.querySelector(`.dialog__body :is(${FIELD})`))?.focus();
  }

  /** @param {HTMLElement} root */
  function openNow(root) {
    const dialogs = [...root.querySelectorAll("dialog[data-dialog-now]")];
    if (root.matches?.("dialog[data-dialog-now]")) dialogs.push(root);
    for (const dialog of dialogs) if (!dialog.open) show(dialog);
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog-open]");
    if (opener) {
      // A link leads to a page that does the same without scripts.
      if (opener.matches("a")) event.preventDefault();
      // A modal dialog makes the rest inert, the drawer too; leave the drawer first.
      opener.closest("[popover]:popover-open")?.hidePopover();
      show(document.getElementById(opener.dataset.dialogOpen));
      return;
    }
    if (event.target.closest("[data-dialog-close]")) {
      event.target.closest("dialog").close();
      return;
    }
    if (event.target instanceof HTMLDialogElement && isOutside(event.target, event)) event.target.close();
  });

  /**
   * @param {HTMLDialogElement} dialog
   * @param {MouseEvent} event
   */
  function isOutside(dialog, { clientX, clientY }) {
    const box = dialog.getBoundingClientRect();
    return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
  }

  document.addEventListener("htmx:load", (event) => openNow(event.detail.elt));
  openNow(document.body);
})();
