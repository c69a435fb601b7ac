// Pointing at one thing shows its counterpart: elements with the same data-link inside one [data-link-scope]
// get the class is-linked (a message and its tokens, a finding and its place in the text).
(() => {
  /** @type {Element[]} */
  let lit = [];

  /** @param {Element} target */
  function light(target) {
    for (const element of lit) element.classList.remove("is-linked");
    lit = [];
    const element = target?.closest?.("[data-link]");
    const scope = element?.closest("[data-link-scope]");
    if (!scope) return;
    lit = [...scope.querySelectorAll(`[data-link="${CSS.escape(element.dataset.link)}"]`)];
    for (const other of lit) other.classList.add("is-linked");
  }

  document.addEventListener("pointerover", (event) => light(event.target));
  document.addEventListener("focusin", (event) => light(event.target));
})();
