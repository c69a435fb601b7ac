// A form whose tick boxes stand elsewhere on the page (form="…"): sent with fewer than [data-least] or more than [data-most] of them it
// says [data-amount], in place of a page that says the same.
(() => {
  document.addEventListener("submit", (event) => {
    const { least, most, amount } = event.target.dataset;
    if (!amount) return;
    const ticked = [...new FormData(event.target)].length;
    if (ticked >= Number(least) && ticked <= Number(most)) return;
    event.preventDefault();
    document.dispatchEvent(new CustomEvent("toast", { detail: { message: amount, kind: "warn" } }));
  });
})();
