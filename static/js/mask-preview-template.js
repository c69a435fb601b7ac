// A pasted template that is too long for the address: the tab keeps it, for a reload and for the way through the list.
(() => {
  const field = document.getElementById("field-chat_template");
  /** @param {string} path */
  const key = (path) => `mask-template ${path}`;

  /** @param {string} path */
  function keep(path) {
    const inAddress = new URLSearchParams(location.search).has("chat_template");
    try {
      if (field.value.trim() && !inAddress) sessionStorage.setItem(key(path), field.value);
      else sessionStorage.removeItem(key(path));
    } catch {
      // no room: then a reload forgets it
    }
  }

  // htmx has written the address by then, and nobody has seen the page yet.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "mask-preview") keep(location.pathname);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[rel=next], a[rel=prev]");
    if (link) keep(link.pathname);
  });

  // What the page was rendered with counts, not what a browser has put back into the field.
  const kept = sessionStorage.getItem(key(location.pathname));
  if (!kept || field.defaultValue) return;
  document.addEventListener("DOMContentLoaded", () =>
    setTimeout(() => {
      field.value = kept;
      field.closest("details").open = true;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }),
  );
})();
