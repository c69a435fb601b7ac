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
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "mask-preview") return;
    const whole = Number(document.getElementById("mask-preview")?.dataset.whole);
    if (!whole) return;
    slider.max = Math.max(whole, Number(number.value), 64);
    slider.value = number.value || slider.max;
  });

  // A flag counts from the press on, not from the answer: the next press, here or at another turn, builds on it.
  /** @param {string} toggle */
  function press(toggle) {
    const [turn, word] = toggle.split(":");
    const flags = form.elements.flags;
    const others = flags.value
      .split(",")
      .filter((/** @type {string} */ flag) => flag && !flag.startsWith(`${turn}:`));
    flags.value = [...others, toggle].join(",");
    const button = document.getElementById(`flag-${turn}`);
    if (button && word !== "-") button.value = `${turn}:${word === "1" ? "0" : "1"}`;
  }
  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, parameters } = event.detail;
    if (elt !== form) return;
    if (parameters.discard) form.elements.flags.value = "";
    else if (parameters.toggle) press(parameters.toggle);
  });

  // The list of checks stays open or closed as it was left, unless it turns red or green.
  /** @type {{ open: boolean, red: boolean } | null} */
  let checks = null;
  const listOfChecks = () => document.querySelector(".mask-checks");
  /** @param {Element} list */
  const isRed = (list) => list.classList.contains("mask-checks--red");
  document.addEventListener("htmx:beforeSwap", (event) => {
    const list = listOfChecks();
    if (event.detail.target?.id === "mask-preview" && list) checks = { open: list.open, red: isRed(list) };
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const list = listOfChecks();
    if (event.target.id === "mask-preview" && list && checks?.red === isRed(list)) list.open = checks.open;
  });

  // A model that was brought is chosen as soon as its tokenizer is here.
  /**
   * @param {HTMLSelectElement} select
   * @param {string} value
   * @param {string} name
   */
  function offer(select, value, name) {
    if (![...select.options].some((option) => option.value === value)) select.add(new Option(name, value));
  }
  document.addEventListener("model:ready", (event) => {
    const { id, name } = event.detail;
    const models = form.elements.base_model;
    if (!models) {
      const address = new URL(location.href);
      address.searchParams.set("base_model", id);
      location.assign(address);
      return;
    }
    offer(models, `${id}`, name);
    models.value = `${id}`;
    models.dispatchEvent(new Event("change", { bubbles: true }));
    if (document.activeElement === document.body) models.focus();
  });

  /**
   * @param {string} message
   * @param {string} kind
   */
  function toast(message, kind) {
    document.dispatchEvent(new CustomEvent("toast", { detail: { message, kind } }));
  }

  /** @param {string} url */
  async function sampleText(url) {
    const response = await fetch(url, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "application/json" },
    });
    const words = document.body.dataset;
    if (!response.ok) throw new Error(response.status === 401 ? words.errorSignedOut : words.errorServer);
    return response.text();
  }

  /** @param {string} url */
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
      toast(error instanceof Error ? error.message : String(error), "error");
    }
  });
})();
