// The form of a new run: empty fields show the chosen recipe's values, the start waits for the confirmation,
// and mistakes that the plan found are shown at their fields.
(() => {
  const form = document.getElementById("run-form");
  if (!form) return;
  const recipes = JSON.parse(document.getElementById("recipe-values").textContent);

  function showRecipe() {
    const method = form.elements.method.value;
    // Own recipes tell only what they have otherwise than the standard.
    const standard = recipes[form.dataset.standardRecipe]?.[method] ?? {};
    const values = { ...standard, ...recipes[form.elements.recipe.value]?.[method] };
    for (const field of form.querySelectorAll("[data-recipe-field]")) {
      const value = values[field.dataset.recipeField] ?? "";
      const option = field.querySelector("[data-recipe-option]");
      if (option) option.textContent = option.dataset.text.replace("…", value);
      else field.placeholder = value;
    }
  }

  // A version is never mixed in with itself.
  function offerOthers() {
    const { version, mix_version: mixed } = form.elements;
    for (const option of mixed.options) {
      const isItself = option.value !== "" && option.value === version.value;
      option.hidden = isItself;
      option.disabled = isItself;
    }
    if (mixed.selectedOptions[0]?.disabled) mixed.value = "";
  }

  function mayStart() {
    return [...form.querySelectorAll("[data-start-needs]")].every((field) =>
      field.dataset.startNeeds === "check" ? field.checked : field.value.trim() !== "",
    );
  }

  function guardStart() {
    const start = form.querySelector("[data-start]");
    if (!start) return;
    const ready = form.querySelector("[data-check-done]") && !form.querySelector("[data-start-blocked]");
    start.disabled = !ready || !mayStart();
    start.removeAttribute("aria-busy");
  }

  function showErrors() {
    const wrong = new Map(
      [...form.querySelectorAll("[data-field-error]")].map(({ dataset }) => [
        dataset.fieldError,
        dataset.message,
      ]),
    );
    for (const line of form.querySelectorAll("[data-error-of]")) {
      const message = wrong.get(line.dataset.errorOf);
      line.hidden = message === undefined;
      line.querySelector("span").textContent = message ?? "";
      const field = form.elements[line.dataset.errorOf];
      if (message === undefined) field.removeAttribute("aria-invalid");
      else field.setAttribute("aria-invalid", "true");
    }
  }

  // Before what asks for plan and checks reads the form.
  form.addEventListener("change", offerOthers, true);
  form.addEventListener("input", guardStart);
  form.addEventListener("change", () => {
    showRecipe();
    guardStart();
  });

  form.addEventListener("click", (/** @type {PageEvent} */ event) => {
    const button = event.target.closest("[data-set-field], [data-take-all]");
    if (button) {
      const taken = button.matches("[data-take-all]")
        ? form.querySelectorAll(".advice [data-set-field]")
        : (button.closest(".advice")?.querySelectorAll("[data-set-field]") ?? [button]);
      for (const { dataset } of taken) form.elements[dataset.setField].value = dataset.setValue;
      // One change is enough: the plan is asked for once, with all that was taken.
      form.elements[taken[0].dataset.setField].dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
    // A link to a field inside the closed settings opens them first.
    if (event.target.closest('a[href^="#field-"]')) document.getElementById("advanced").open = true;
  });

  form.addEventListener("submit", (/** @type {PageEvent} */ event) => {
    const start = event.submitter;
    if (!start?.matches("[data-start]")) return;
    // After the browser has read the form: a disabled button cannot be pressed twice.
    setTimeout(() => {
      start.disabled = true;
      start.setAttribute("aria-busy", "true");
    });
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "plan") {
      showErrors();
      guardStart();
    }
    if (event.target.id === "mask-check") {
      guardStart();
      // Done, or over without a result: plan and pre-flight are asked for anew.
      if (!event.target.matches("[hx-get]")) document.body.dispatchEvent(new Event("check:done"));
    }
  });
  addEventListener("pageshow", () => {
    offerOthers();
    guardStart();
  });

  showRecipe();
  offerOthers();
  guardStart();
})();
