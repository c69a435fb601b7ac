// A part of the page that asks again by itself does not take the focus away from who stands in it: after the swap the
// same link or button has it again. Elements with an id are kept by htmx.
(() => {
  const REACHABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
  /** @type {{ part: string, like: string, at: number } | null} */
  let stood = null;

  /** @param {Element} element */
  const likeness = (element) =>
    `${element.tagName} ${element.getAttribute("href") ?? element.textContent.trim()}`;

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    const here = document.activeElement;
    stood = null;
    if (!target?.id || !here || here === document.body || here.id || !target.contains(here)) return;
    const alike = [...target.querySelectorAll(REACHABLE)].filter((one) => likeness(one) === likeness(here));
    stood = { part: target.id, like: likeness(here), at: alike.indexOf(here) };
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const found = stood;
    if (!found || event.target.id !== found.part || document.activeElement !== document.body) return;
    stood = null;
    const alike = [...event.target.querySelectorAll(REACHABLE)].filter((one) => likeness(one) === found.like);
    (alike[found.at] ?? alike[0])?.focus({ preventScroll: true });
  });
})();
