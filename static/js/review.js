// The review panel: after a decision the next conversation comes by itself, if this browser's person wants that; after
// handing in or discarding it always does. Reasons given before, and turns to comment on, are one click away.
(() => {
  const STORED = "review-goes-on";

  const wanted = () => localStorage.getItem(STORED) === "on";
  /** @param {ParentNode} root */
  function show(root) {
    for (const box of root.querySelectorAll("[data-review-goes-on]")) box.checked = wanted();
  }

  document.addEventListener("click", (event) => {
    const chip = event.target.closest?.("[data-fill]");
    if (chip) {
      const field = document.getElementById(chip.dataset.fill);
      field.value = chip.textContent;
      field.focus();
    }
    const commenter = event.target.closest?.("[data-comment-on]");
    if (commenter) {
      document.getElementById("comment-turn").value = commenter.dataset.commentOn;
      document.getElementById("comment-text").focus();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-review-goes-on]")) {
      localStorage.setItem(STORED, event.target.checked ? "on" : "off");
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const { successful, xhr, requestConfig } = event.detail;
    const { state } = requestConfig.parameters;
    const isDone = ["handed_in", "discarded"].includes(state);
    const goesOn = isDone || (["approved", "rejected"].includes(state) && wanted());
    const next = document.querySelector('a[rel="next"]');
    // The form itself, which the answer has taken off the page.
    const ours = requestConfig.elt.matches?.("[data-review]");
    if (!ours || !successful || !goesOn || !next) return;
    const { toast } = JSON.parse(xhr.getResponseHeader("HX-Trigger") ?? "{}");
    // Said on the page that comes, where it can still be undone.
    if (toast) sessionStorage.setItem("toast", JSON.stringify(toast));
    location.assign(next.href);
  });

  document.addEventListener("htmx:load", (event) => show(event.detail.elt));
  show(document);
})();
