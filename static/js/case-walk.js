// Cases of a report: j and k open the next and the previous one, the address names the open one, long answers unfold.
(() => {
  const cases = () => [...document.querySelectorAll("[data-case]")];

  /** @param {HTMLDetailsElement} target */
  function open(target) {
    for (const one of cases()) if (one !== target) one.open = false;
    target.open = true;
    target.querySelector("summary").focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  }

  /** @param {number} by */
  function step(by) {
    const list = cases();
    const here = document.activeElement?.closest("[data-case]") ?? list.findLast((one) => one.open);
    const target = list[here ? list.indexOf(here) + by : by > 0 ? 0 : list.length - 1];
    if (target) open(target);
  }

  // The one that the address names, after loading and after another choice of cases.
  function openNamed() {
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (named?.matches("[data-case]")) open(named);
  }

  // Offered only where something is hidden; the same words take more lines on a phone.
  /** @param {HTMLDetailsElement} one */
  function offerAll(one) {
    const button = one.querySelector("[data-show-all]");
    const whole = button.getAttribute("aria-expanded") === "true";
    const texts = [...one.querySelectorAll(".case__text")];
    button.hidden = !whole && texts.every((text) => text.scrollHeight <= text.clientHeight + 1);
  }

  document.addEventListener("click", (event) => {
    const stepper = event.target.closest("[data-case-step]");
    if (stepper) step(Number(stepper.dataset.caseStep));
    const button = event.target.closest("[data-show-all]");
    if (!button) return;
    const whole = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(whole));
    button.closest("[data-case]").classList.toggle("case--whole", whole);
  });
  // `toggle` does not bubble.
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.matches?.("[data-case]")) return;
      if (event.target.open) {
        history.replaceState(history.state, "", `#${event.target.id}`);
        offerAll(event.target);
      }
    },
    true,
  );
  document.addEventListener("change", (event) => {
    if (event.target.id === "mark-differences") for (const one of cases()) if (one.open) offerAll(one);
  });
  window.addEventListener("resize", () => {
    for (const one of cases()) if (one.open) offerAll(one);
  });
  openNamed();
})();
