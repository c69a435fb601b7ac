// What a title says, for those who come by the keyboard: the browser shows titles to a pointer alone. It stands beside what has the
// focus until that moves on; Escape closes it, and it is the description of what it is about.
(() => {
  const GAP = 6;
  const tip = document.createElement("div");
  tip.id = "tooltip";
  tip.className = "tooltip";
  tip.setAttribute("role", "tooltip");
  // In the top layer, so that it is seen over dialogs.
  tip.popover = "manual";
  document.body.append(tip);
  /** @type {HTMLElement | null} */
  let about = null;

  function hide() {
    if (!about) return;
    const others = described(about).filter((id) => id !== tip.id);
    if (others.length) about.setAttribute("aria-describedby", others.join(" "));
    else about.removeAttribute("aria-describedby");
    about = null;
    tip.hidePopover();
  }

  /** @param {HTMLElement} element */
  function described(element) {
    return (element.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
  }

  /** @param {HTMLElement} element */
  function show(element) {
    hide();
    about = element;
    tip.textContent = element.title;
    // A name that is read out needs no description that says the same.
    if (element.title !== element.getAttribute("aria-label"))
      element.setAttribute("aria-describedby", [...described(element), tip.id].join(" "));
    tip.showPopover();
    place(element.getBoundingClientRect());
  }

  // Below what it is about, above it where there is no room, and always within the window.
  /** @param {DOMRect} box */
  function place(box) {
    const { width, height } = tip.getBoundingClientRect();
    const below = box.bottom + GAP;
    const top = below + height <= innerHeight ? below : Math.max(0, box.top - GAP - height);
    const left = Math.min(box.left, document.documentElement.clientWidth - width - GAP);
    tip.style.top = `${top}px`;
    tip.style.left = `${Math.max(GAP, left)}px`;
  }

  document.addEventListener("focusin", (event) => {
    const element = /** @type {HTMLElement} */ (event.target);
    if (element.title && element.matches(":focus-visible")) show(element);
    else hide();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("pointerdown", hide);
  // Before whoever else hears of the key and moves the focus.
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide(), true);
  addEventListener("scroll", () => about && place(about.getBoundingClientRect()), true);
  // What was swapped away has no focus, and says nothing of that.
  document.addEventListener("htmx:afterSwap", () => about && !about.isConnected && hide());
})();
