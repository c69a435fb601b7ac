// Tick boxes of a list: [data-bulk] holds them, its [data-bulk-all] ticks all, its [data-bulk-bar] shows while any is ticked.
(() => {
  /** @param {HTMLFormElement} form */
  const boxes = (form) => [...form.querySelectorAll('input[name="ids"]')];

  /** @param {HTMLFormElement} form */
  function refresh(form) {
    const all = boxes(form);
    const ticked = all.filter((box) => box.checked);
    const master = form.querySelector("[data-bulk-all]");
    const bar = form.querySelector("[data-bulk-bar]");
    if (!bar) return;
    master.checked = ticked.length > 0 && ticked.length === all.length;
    master.indeterminate = ticked.length > 0 && ticked.length < all.length;
    bar.hidden = ticked.length === 0;
    const count = bar.querySelector("[data-bulk-count]");
    count.textContent = count.dataset.text.replace("{n}", String(ticked.length));
    for (const box of all) box.closest("tr").classList.toggle("is-selected", box.checked);
  }

  function refreshAll() {
    for (const form of document.querySelectorAll("[data-bulk]")) refresh(form);
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("[data-bulk]");
    if (!form) return;
    if (event.target.matches("[data-bulk-all]"))
      for (const box of boxes(form)) box.checked = event.target.checked;
    refresh(form);
  });

  // The boxes are cleared after the event.
  document.addEventListener("reset", (event) => {
    if (event.target.matches("[data-bulk]")) setTimeout(() => refresh(event.target));
  });
  document.addEventListener("htmx:load", refreshAll);
  refreshAll();
})();
