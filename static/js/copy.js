// data-copy="id" on a button copies that element's text and says so with the words of data-copied.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    document.dispatchEvent(
      new CustomEvent("toast", { detail: { message: button.dataset.copied, kind: "success" } }),
    );
  } catch {
    // Without clipboard access (plain http, or denied) select the text, so that one key copies it.
    getSelection()?.selectAllChildren(source);
  }
});
