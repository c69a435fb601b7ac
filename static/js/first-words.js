// A new conversation: the page is not left by accident once something is typed.
(() => {
  /** @type {HTMLFormElement | null} */
  const form = document.querySelector("[data-first-words]");
  if (!form) return;
  const fields = [...form.querySelectorAll("textarea")];

  let leaves = false;
  form.addEventListener("submit", () => {
    leaves = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!leaves && fields.some((field) => field.value !== field.defaultValue)) event.preventDefault();
  });
})();
