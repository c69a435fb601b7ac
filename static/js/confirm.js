// Asks before something that cannot be taken back: data-confirm="question" on a link, button or form,
// with data-confirm-title and data-confirm-action (the words on the button). hx-confirm uses the same dialog.
(() => {
  const dialog = document.getElementById("confirm-dialog");
  const title = document.getElementById("confirm-title");
  const text = document.getElementById("confirm-text");
  const yes = dialog.querySelector("[data-confirm-yes]");
  const confirmed = new WeakSet();
  /** @type {(() => void) | null} */
  let goOn = null;

  /**
   * @param {HTMLElement} element
   * @param {string} question
   * @param {() => void} then
   */
  function ask(element, question, then) {
    title.textContent = element.dataset.confirmTitle ?? title.dataset.default;
    text.textContent = question;
    yes.textContent = element.dataset.confirmAction ?? yes.dataset.default;
    goOn = then;
    dialog.showModal();
    dialog.querySelector("[data-confirm-no]").focus();
  }

  yes.addEventListener("click", () => {
    const then = goOn;
    dialog.close();
    then?.();
  });
  dialog.querySelector("[data-confirm-no]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    goOn = null;
  });

  // Capturing at the document comes before htmx and before the browser's own action.
  /**
   * @param {Event} event
   * @param {HTMLElement} element
   * @param {() => void} repeat
   */
  function guard(event, element, repeat) {
    if (confirmed.delete(element)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(element, element.dataset.confirm ?? "", () => {
      confirmed.add(element);
      repeat();
    });
  }

  document.addEventListener(
    "click",
    (event) => {
      const element = event.target.closest("a[data-confirm], button[data-confirm]");
      if (element) guard(event, element, () => element.click());
    },
    true,
  );

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.matches("[data-confirm]")) guard(event, form, () => form.requestSubmit(event.submitter));
    },
    true,
  );

  document.addEventListener("htmx:confirm", (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    ask(event.detail.elt, event.detail.question, () => event.detail.issueRequest(true));
  });
})();
