// Short messages in the corner. They come from
//   HX-Trigger: {"toast": {"message": "…", "kind": "success|info|warn|error", "undo_url": "/…", "link_url": "/…"}}
//   <… data-toast="kind" data-undo-url="/…">message</…> on the page or in a swapped fragment
//   sessionStorage "toast", the same object as JSON, for the page that comes next
//   document.dispatchEvent(new CustomEvent("toast", {detail: {message, kind, undo_url}}))
// and go by themselves, by their button, or by
//   document.dispatchEvent(new CustomEvent("toast-over", {detail: {message}})), where it is not true any more.
(() => {
  const SHOWN_MS = 6000;
  const SHOWN_WITH_UNDO_MS = 12000;
  const region = document.getElementById("toasts");
  // Read out from a place that is always rendered: a region that has just become visible is easily missed.
  const announcer = document.getElementById("toast-announcer");
  const template = document.getElementById("toast-template");

  /** @param {HTMLElement} toast */
  function close(toast) {
    toast.remove();
    if (!region.children.length && region.matches(":popover-open")) region.hidePopover();
  }

  // A toast stays while it is pointed at or holds the focus; errors stay until they are dismissed.
  /**
   * @param {HTMLElement} toast
   * @param {number} milliseconds
   */
  function closeLater(toast, milliseconds) {
    setTimeout(() => {
      if (toast.matches(":hover, :focus-within")) closeLater(toast, 1500);
      else close(toast);
    }, milliseconds);
  }

  /**
   * @param {HTMLElement} toast
   * @param {string} url
   */
  function undo(toast, url) {
    close(toast);
    htmx.ajax("POST", url, { source: document.body, swap: "none" });
  }

  /** @param {string | undefined} message */
  const saying = (message) =>
    [...region.children].filter((toast) => toast.querySelector(".toast__text").textContent === message);

  /** @param {Toast} toast */
  function show({ message, kind = "info", undo_url: undoUrl, link_url: linkUrl }) {
    // An error stays until it is dismissed, and is no more of one for being said twice.
    if (kind === "error" && saying(message).length) return;
    const toast = template.content.firstElementChild.cloneNode(true);
    toast.dataset.kind = kind;
    toast.querySelector(".toast__text").textContent = message;
    for (const icon of toast.querySelectorAll(".toast__icon")) {
      if (!icon.classList.contains(`toast__icon--${kind}`)) icon.remove();
    }
    const link = toast.querySelector("[data-toast-link]");
    if (linkUrl) {
      link.hidden = false;
      link.href = linkUrl;
    } else {
      link.remove();
    }
    const undoButton = toast.querySelector("[data-toast-undo]");
    if (undoUrl) {
      undoButton.hidden = false;
      undoButton.addEventListener("click", () => undo(toast, undoUrl));
    } else {
      undoButton.remove();
    }
    toast.querySelector("[data-toast-close]").addEventListener("click", () => close(toast));
    // Opening again lifts the region above dialogs that were opened since.
    if (region.matches(":popover-open")) region.hidePopover();
    region.showPopover();
    region.append(toast);
    announcer.textContent = message;
    if (kind !== "error") closeLater(toast, undoUrl ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
  }

  /** @param {HTMLElement} root */
  function collect(root) {
    const found = [...root.querySelectorAll("[data-toast]")];
    if (root.matches?.("[data-toast]")) found.push(root);
    for (const element of found) {
      element.remove();
      show({
        message: element.textContent.trim(),
        kind: element.dataset.toast,
        undo_url: element.dataset.undoUrl,
        link_url: element.dataset.linkUrl,
      });
    }
  }

  document.addEventListener("toast", (event) => show(event.detail));
  document.addEventListener("toast-over", (event) => saying(event.detail.message).forEach(close));
  document.addEventListener("htmx:load", (event) => collect(event.detail.elt));
  collect(document.body);
  const kept = sessionStorage.getItem("toast");
  sessionStorage.removeItem("toast");
  if (kept) show(JSON.parse(kept));
})();
