// A new conversation: Ctrl+Enter (or ⌘+Enter) saves it, and the page is not left by accident once something is typed.
(() => {
  /** @type {HTMLFormElement | null} */
  const form = document.querySelector("[data-first-words]");
  if (!form) return;
  const fields = [...form.querySelectorAll("textarea")];

  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  let leaves = false;
  form.addEventListener("submit", () => {
    leaves = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!leaves && fields.some((field) => field.value !== field.defaultValue)) event.preventDefault();
  });
})();
