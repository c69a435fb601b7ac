// Beside the button of a file field stands what was chosen.
(() => {
  /** @param {HTMLInputElement} input */
  const show = (input) => {
    const name = input.closest("[data-file-field]")?.querySelector(".file-field__name");
    if (name)
      name.textContent = [...(input.files ?? [])].map((file) => file.name).join(", ") || name.dataset.none;
  };

  document.addEventListener("change", (event) => {
    if (event.target.matches?.('[data-file-field] > input[type="file"]')) show(event.target);
  });
  // A browser that goes back keeps the file and not the text.
  window.addEventListener("pageshow", () => {
    for (const input of document.querySelectorAll('[data-file-field] > input[type="file"]')) show(input);
  });
})();
