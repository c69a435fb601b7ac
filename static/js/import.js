// The import form: a file may be dropped anywhere on it, one that is too large is refused before the upload,
// and the way of a large one is told in words.
(() => {
  /** @param {Element} element */
  const formOf = (element) => element.closest?.("[data-import]");
  /**
   * @param {HTMLFormElement} form
   * @param {string} name
   */
  const part = (form, name) => form.querySelector(`[data-import-${name}]`);
  /** @param {HTMLFormElement} form */
  const fileOf = (form) => form.querySelector('input[type="file"]');

  /** @param {HTMLFormElement} form */
  function check(form) {
    const input = fileOf(form);
    const file = input.files[0];
    const isTooLarge = Boolean(file) && file.size > Number(form.dataset.maxBytes);
    const error = part(form, "error");
    error.hidden = !isTooLarge;
    error.textContent = isTooLarge ? form.dataset.tooLarge : "";
    input.setCustomValidity(error.textContent);
    input.toggleAttribute("aria-invalid", isTooLarge);
    return !isTooLarge;
  }

  /**
   * @param {HTMLFormElement} form
   * @param {string} text
   */
  function say(form, text) {
    part(form, "progress").textContent = text;
  }

  document.addEventListener("change", (event) => {
    const form = formOf(event.target);
    if (form && event.target === fileOf(form)) check(form);
  });

  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      const form = formOf(event.target);
      if (!form) return;
      const isOver = type === "dragover";
      form.querySelector("[data-dropzone]").classList.toggle("is-over", isOver);
      // Left to the browser, a file dropped beside the field would open instead of the page.
      if (isOver || type === "drop") event.preventDefault();
      if (type === "drop" && event.dataTransfer.files.length) {
        fileOf(form).files = event.dataTransfer.files;
        fileOf(form).dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }

  document.addEventListener("htmx:configRequest", (event) => {
    const form = formOf(event.target);
    if (form && !check(form)) event.preventDefault();
  });

  document.addEventListener("htmx:xhr:progress", (event) => {
    const form = formOf(event.target);
    if (!form || !event.detail.lengthComputable) return;
    const percent = Math.floor((100 * event.detail.loaded) / event.detail.total);
    const text =
      percent < 100 ? form.dataset.uploading.replace("{percent}", String(percent)) : form.dataset.reading;
    say(form, text);
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const form = formOf(event.target);
    if (form) say(form, "");
  });
})();
