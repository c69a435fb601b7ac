// The settings of a mask preview: the slider and the number are one value; the shown sample is copied as JSON.
(() => {
  const form = document.getElementById("mask-form");
  const slider = form.querySelector("[data-mirror]");
  const number = document.getElementById(slider.dataset.mirror);
  slider.hidden = false;

  slider.addEventListener("input", () => {
    number.value = slider.value;
  });
  number.addEventListener("input", () => {
    slider.value = number.value || slider.max;
  });

  // The slider ends where the conversation does.
  document.addEventListener("htmx:afterSettle", () => {
    const whole = Number(document.getElementById("mask-preview")?.dataset.whole);
    if (!whole) return;
    slider.max = Math.max(whole, Number(number.value), 64);
    slider.value = number.value || slider.max;
  });

  function toast(message, kind) {
    document.dispatchEvent(new CustomEvent("toast", { detail: { message, kind } }));
  }

  async function sampleText(url) {
    const response = await fetch(url, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(document.body.dataset.errorServer);
    return response.text();
  }

  async function copy(url) {
    const text = sampleText(url);
    // A promise inside the item keeps the click's permission while the server answers.
    const item = { "text/plain": text.then((json) => new Blob([json], { type: "text/plain" })) };
    await navigator.clipboard.write([new ClipboardItem(item)]);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy-json]");
    if (!button || !navigator.clipboard?.write) return; // without a clipboard the button opens the JSON
    event.preventDefault();
    try {
      await copy(button.dataset.copyJson);
      toast(button.dataset.copied, "success");
    } catch (error) {
      toast(error.message, "error");
    }
  });
})();
